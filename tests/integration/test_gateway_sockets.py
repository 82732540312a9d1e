"""Sockets of other kinds than plain TCP: over TLS, and in the file system."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from tests.support.brokers import TLSBroker
from tests.support.gateway import BOTH_GATEWAYS, Gateway, answer_to, call, is_right_again, job, meta, next_id
from tests.support.raw import command

pytestmark = BOTH_GATEWAYS

LARGE = {"maximum_message_size_in_bytes": 16 << 20}


@pytest.fixture(params=["tls", "unix"])
def backend(request: pytest.FixtureRequest, broker: Broker) -> dict[str, Any]:
    """Settings of the backend for a kind of socket."""
    if request.param == "unix":
        return {"hosts": [f"unix://{broker.unix_socket}"]}
    tls: TLSBroker = request.getfixturevalue("tls_broker")
    return {"hosts": [tls.url], "connection_kwargs": {"ssl_ca_certs": tls.ca_file}}


def test_small_and_large_messages_travel_both_ways(gateway: Gateway, backend: dict[str, Any]) -> None:
    extra = os.urandom(6 << 20)
    gateway.worker(backend_layer_kwargs=backend, handle=lambda request: answer_to(request, extra), **LARGE)
    client = gateway.client(backend_layer_kwargs=backend, **LARGE)
    call(client, 1)

    for number in range(3):
        body = job(number)
        body["actions"][0]["body"]["blob"] = extra
        client.expect_reply(10)
        client.send_request_message(next_id(), meta(), body)
        answer = client.receive_response_message(10)

        assert answer.body is not None
        assert answer.body["actions"][0]["body"] == {"number": number, "extra": extra}


def test_many_calls_are_answered_and_a_lost_connection_costs_one(
    broker: Broker, gateway: Gateway, backend: dict[str, Any]
) -> None:
    gateway.worker(backend_layer_kwargs=backend)
    client = gateway.client(backend_layer_kwargs=backend)
    for number in range(300):
        assert call(client, number) == number

    command(broker.url, "CLIENT", "KILL", "TYPE", "normal")

    with contextlib.suppress(PySOAError):
        call(client, 1, timeout=1)
    is_right_again(client)


def test_a_certificate_of_an_unknown_authority_is_told(gateway: Gateway, tls_broker: TLSBroker) -> None:
    client = gateway.client(backend_layer_kwargs={"hosts": [tls_broker.url]})

    with pytest.raises(PySOAError, match="certificate verify failed") as raised:
        call(client, timeout=2)

    assert raised.value.outcome == "not_sent"
