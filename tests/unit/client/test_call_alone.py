"""The short way of ``Client.call_action``: taken where nobody can see it, left where somebody wants to look."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.client import Client, ServiceHandler
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.client.middleware import ClientMiddleware
from pysoa.common.clock import monotonic
from pysoa.common.deadline import reset_deadline, set_deadline
from pysoa.common.transport.errors import DeadlinePassed, InvalidMessageError, MessageReceiveTimeout
from tests.support.client_transports import failing, make_client, transport_of


@pytest.fixture
def client() -> Client:
    made: Client = make_client(transport="ShortWayTransport")
    transport_of(made).answer = failing
    return made


def test_a_call_of_one_action_takes_the_short_way_and_sends_what_the_long_way_does(client: Client) -> None:
    transport = transport_of(client)
    arguments: dict[str, Any] = {"switches": iter([3]), "correlation_id": "c", "context": {"a": 1}, "timeout": 2}

    short = client.call_action("square", "square", {"number": 2}, **arguments)
    long = client.call_actions(
        "square", [{"action": "square", "body": {"number": 2}}], **{**arguments, "switches": [3]}
    )

    assert transport.calls == 1
    assert short == long.actions[0]
    by_short, by_long = transport.sent
    assert by_short.body == by_long.body
    assert by_short.message_expiry_in_seconds == by_long.message_expiry_in_seconds == 3
    assert by_short.request_id + 1 == by_long.request_id == client.handlers["square"].request_counter


def test_errors_are_raised_on_the_short_way(client: Client) -> None:
    with pytest.raises(CallActionError):
        client.call_action("square", "fail")
    with pytest.raises(CallJobError):
        client.call_action("square", "fail_job")
    transport_of(client).answer = lambda body: {"actions": 5}
    with pytest.raises(InvalidMessageError, match="is not a job response"):
        client.call_action("square", "square")

    assert transport_of(client).calls == 3


def test_nothing_is_left_of_a_call_that_timed_out_on_the_short_way(client: Client) -> None:
    transport = transport_of(client)
    transport.answer = lambda body: None
    with pytest.raises(MessageReceiveTimeout):
        client.call_action("square", "square", timeout=0.01)
    transport.answer = failing

    assert client.call_action("square", "square").action == "square"
    assert transport.calls == 2
    assert list(client.get_all_responses("square", 0.01)) == []


def test_a_call_in_a_job_ends_with_the_job_on_the_short_way(client: Client) -> None:
    transport = transport_of(client)
    transport.answer = lambda body: None
    token = set_deadline(monotonic() + 0.05)
    try:
        with pytest.raises(DeadlinePassed) as caught:
            client.call_action("square", "square", timeout=10)
    finally:
        reset_deadline(token)

    assert caught.value.is_of_job
    assert 0 < transport.sent[0].body["control"]["timeout"] <= 0.05


def _patch_sending(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Client.send_request
    monkeypatch.setattr(Client, "send_request", functools.partialmethod(real))


def _patch_receiving(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "get_all_responses", functools.partial(client.get_all_responses))


def _patch_handlers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ServiceHandler.send_request
    monkeypatch.setattr(ServiceHandler, "send_request", functools.partialmethod(real))


def _leave_a_request_behind(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.send_request("square", [{"action": "square"}])


def _add_middleware(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.handlers["square"]._middleware.append(ClientMiddleware())


@pytest.mark.parametrize(
    "somebody_looks",
    [_patch_sending, _patch_receiving, _patch_handlers, _leave_a_request_behind, _add_middleware],
)
def test_the_short_way_is_left_where_somebody_wants_to_look(
    client: Client, monkeypatch: pytest.MonkeyPatch, somebody_looks: Callable[[Client, pytest.MonkeyPatch], None]
) -> None:
    transport = transport_of(client)
    somebody_looks(client, monkeypatch)

    assert client.call_action("square", "square", {"number": 2}).body == {"number": 2}

    assert transport.calls == 0


def test_the_short_way_is_left_while_another_thread_reads_the_channel(client: Client) -> None:
    transport, handler = transport_of(client), client.handlers["square"]
    channel = transport.channel()
    led, go_on = threading.Event(), threading.Event()

    def lead() -> None:
        assert handler._awaited.lead_alone(channel)
        led.set()
        go_on.wait(10)
        handler._awaited.resign(channel)

    leader = threading.Thread(target=lead)
    leader.start()
    led.wait(10)
    threading.Timer(0.05, go_on.set).start()

    assert client.call_action("square", "square").action == "square"

    leader.join(10)
    assert transport.calls == 0
    assert client.call_action("square", "square").action == "square"
    assert transport.calls == 1
