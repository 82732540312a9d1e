from __future__ import annotations

import threading
from typing import Any

import pytest

from pysoa.common.instruments import NO_METRICS
from pysoa.common.transport.base import (
    NO_MESSAGE,
    ClientTransport,
    ReceivedMessage,
    ServerTransport,
    Transport,
    get_hex_thread_id,
)


class LeastClientTransport(ClientTransport):
    def send_request_message(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: dict[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None: ...

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        return ReceivedMessage(1, {}, {"timeout": receive_timeout_in_seconds})


class LeastServerTransport(ServerTransport):
    def receive_request_message(self) -> ReceivedMessage:
        return NO_MESSAGE

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: dict[str, Any]) -> None: ...


def test_the_thread_ident_is_hexadecimal_with_at_least_12_digits() -> None:
    assert get_hex_thread_id() == f"{threading.get_ident():012x}"
    assert len(get_hex_thread_id()) >= 12


def test_it_is_that_of_the_current_thread() -> None:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(get_hex_thread_id()))
    thread.start()
    thread.join()

    assert seen != [get_hex_thread_id()]


@pytest.mark.parametrize("name", [None, 5, b"bytes"])
def test_a_service_name_must_be_text(name: Any) -> None:
    with pytest.raises(ValueError, match="service_name must be a unicode string"):
        Transport(name)


def test_metrics_must_be_a_recorder() -> None:
    with pytest.raises(ValueError, match="metrics must be a MetricsRecorder"):
        Transport("svc", "not a recorder")  # type: ignore[arg-type]  # the mistake that is tested


def test_the_offers_of_a_transport_that_implements_only_what_it_must_do_nothing() -> None:
    transport = LeastClientTransport("svc", NO_METRICS)

    transport.expect_reply(5)
    with transport.batch():
        transport.send_request_message(1, {}, {})
    transport.forget([1])
    transport.close()

    assert transport.receive_from(transport.channel(), 3).body == {"timeout": 3}


def test_a_server_transport_knows_its_number() -> None:
    transport = LeastServerTransport("svc", NO_METRICS, 3)

    transport.start_serving()
    transport.stop_taking()

    assert transport.instance_index == 3
    assert not transport.is_local
    assert LeastServerTransport("svc").instance_index == 1
