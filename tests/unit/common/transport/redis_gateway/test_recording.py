"""What the two ends of the gateway record without a broker; with one, see ``tests/functional/test_metrics``."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pysoa.common.protocol.frames import write_frames
from pysoa.common.transport.errors import InvalidMessageError, MessageTooLarge
from pysoa.common.transport.redis_gateway.backend.base import BrokerClock
from pysoa.common.transport.redis_gateway.connection import BrokerUnreachable
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore, RedisTransportServerCore
from tests.support.recording import ListRecorder

CLIENT, SERVER = "client.transport.redis_gateway.", "server.transport.redis_gateway."


class CountingRecorder(ListRecorder):
    """Notes, too, when a timer is made."""

    def timer(self, name: str, **kwargs: Any) -> Any:
        self.events.append(f"{name} made")
        return super().timer(name, **kwargs)


def core_of(core_class: Any, backend_type: str = "redis.standard", **settings: Any) -> Any:
    core = core_class(service_name="svc", metrics=CountingRecorder(), backend_type=backend_type, **settings)
    core.default_serializer  # noqa: B018 - made when first asked for
    return core


def test_all_chunks_of_a_message_are_read_on_one_timer() -> None:
    core = core_of(RedisTransportClientCore)
    payload = core.default_serializer.dict_to_blob({"request_id": 1, "meta": {}, "body": {"text": "x" * 300_000}})
    frames = write_frames(ProtocolVersion.VERSION_3, "application/msgpack", payload, 102_400)
    assembler = core.reads_chunks()

    *_, whole = [core.whole_frame(frame, assembler) for frame in frames]
    message = core.decode(whole, BrokerClock())

    name = f"{CLIENT}receive.deserialize"
    assert message.request_id == 1
    assert core.metrics.events == [f"{name} made", *[f"{name} start", f"{name} stop"] * 4]


def test_the_next_message_after_an_unreadable_frame_has_a_timer_of_its_own() -> None:
    core = core_of(RedisTransportServerCore)

    for _ in range(2):
        with pytest.raises(InvalidMessageError):
            core.whole_frame(b"pysoa-redis/3//chunk-count:2;chunk-id:1;\x80", None)

    assert core.metrics.events.count(f"{SERVER}receive.deserialize made") == 2


def test_the_size_of_a_message_is_recorded_even_if_it_is_too_large() -> None:
    core = core_of(RedisTransportClientCore, maximum_message_size_in_bytes=100)

    with pytest.raises(MessageTooLarge) as raised:
        core.sealed(1, {}, {"text": "x" * 200}, 0.0)

    assert core.metrics.events == [
        f"{CLIENT}send.serialize made",
        f"{CLIENT}send.serialize start",
        (f"{CLIENT}send.message_size", raised.value.message_size_in_bytes),
        f"{CLIENT}send.error.message_too_large",
        f"{CLIENT}send.serialize stop",
    ]


@pytest.mark.parametrize(("backend_type", "fault"), [("redis.standard", "unknown"), ("redis.sentinel", "connection")])
def test_a_missing_connection_is_a_fault_of_its_own_where_sentinel_finds_no_master(
    backend_type: str, fault: str
) -> None:
    core = core_of(RedisTransportServerCore, backend_type)

    core.cannot_send(BrokerUnreachable("away"))
    core.cannot_receive(BrokerUnreachable("away"))

    assert core.metrics.events == [f"{SERVER}send.error.{fault}", f"{SERVER}receive.error.{fault}"]


def test_what_happens_to_a_shared_backend_is_told_to_whoever_has_used_it_last() -> None:
    kwargs = {"backend_layer_kwargs": {"hosts": ["sentinel-of-this-test"], "sentinel_services": ["main"]}}
    client = core_of(RedisTransportClientCore, "redis.sentinel", **kwargs)
    server = core_of(RedisTransportServerCore, "redis.sentinel", **kwargs)
    backend = client.backend_layer

    assert server.backend_layer is backend
    (master,) = backend.masters(0.0)
    master._count("backend.sentinel.a")
    assert client.backend_layer is backend
    master._count("backend.sentinel.b")

    assert server.metrics.events == [f"{SERVER}backend.sentinel.a"]
    assert client.metrics.events[3:] == [f"{CLIENT}backend.sentinel.b"]
    assert client.metrics.events[0] == f"{CLIENT}backend.initialize made"


def test_without_a_recorder_nothing_is_in_the_way_of_messages() -> None:
    core = RedisTransportClientCore("svc", "redis.standard")

    assert not core.records_metrics
    assert not {"encode", "decode", "whole_frame"} & vars(core).keys()


def test_texts_of_peers_in_warnings_are_one_line_of_bounded_length(caplog: pytest.LogCaptureFixture) -> None:
    core = core_of(RedisTransportClientCore)

    with caplog.at_level(logging.WARNING):
        core.warn("kind", "Dropped: %s", InvalidMessageError("x\n2030-01-01 CRITICAL forged\x1b[2J" + "y" * 5000))
        core.warn("kind", "Dropped: %s", "a second time within a second")

    (text,) = caplog.messages
    assert text.startswith(r"Dropped: x\n2030-01-01 CRITICAL forged\x1b[2J")
    assert len(text) < 1100
