from __future__ import annotations

import types
from typing import Any

import pytest

from pysoa.client import errors
from pysoa.common.clock import monotonic
from pysoa.common.errors import Error
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveTimeout,
    MessageSendError,
)
from pysoa.common.types import ActionRequest, ActionResponse
from tests.support.client_transports import echo, failing, lost, make_client, transport_of

# Timeouts


def test_a_timeout_covers_the_whole_call_and_is_told_to_the_server() -> None:
    client = make_client()

    client.call_action("square", "a", timeout=4)

    transport = transport_of(client)
    (sent,) = transport.sent
    assert sent.message_expiry_in_seconds == 5
    assert sent.body["control"]["timeout"] == 4
    assert 3 < transport.timeouts[0] <= 4


@pytest.mark.parametrize("timeout", [None, 0])
def test_no_timeout_leaves_all_to_the_transport(timeout: Any) -> None:
    client = make_client()

    client.call_action("square", "a", timeout=timeout)

    transport = transport_of(client)
    assert transport.sent[0].message_expiry_in_seconds is None
    assert "timeout" not in transport.sent[0].body["control"]
    assert transport.timeouts == [None]


def test_a_timeout_costs_its_call_and_none_after_it() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost

    with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service square$") as raised:
        client.call_action("square", "lost")
    late = transport.sent[0].request_id
    transport.respond(late, echo(transport.sent[0].body))

    assert raised.value.outcome == "unknown"
    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}
    assert client.handlers["square"]._awaited._known == {}


def test_lost_responses_leave_nothing_behind() -> None:
    client = make_client(transport="ListeningTransport")
    transport = transport_of(client)
    transport.receive_errors.extend([MessageReceiveTimeout("late")] * 200)

    for _ in range(100):
        with pytest.raises(MessageReceiveTimeout):
            client.call_action("square", "a")
        with pytest.raises(MessageReceiveTimeout):
            client.call_actions_parallel("square", [{"action": "a"}] * 2)

    awaited = client.handlers["square"]._awaited
    assert (awaited._known, awaited._parked, awaited._leaders) == ({}, {}, {})
    assert not any(transport._ids.values())


def test_responses_that_nobody_asks_for_are_kept_within_bounds() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost

    for _ in range(40_000):
        client.send_request("square", [ActionRequest("lost")])
        transport.sent.clear()

    assert len(client.handlers["square"]._awaited._known) <= 20_000


# Responses that cannot be used


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"errors": 5},
        {"actions": [{}]},
        {"actions": ["text"]},
        {"actions": [None]},
        {"errors": [{"code": "X"}]},
        {"actions": [{"action": "a", "errors": ["text"]}]},
    ],
    ids=repr,
)
def test_a_response_of_the_wrong_shape_is_an_invalid_message(body: Any) -> None:
    client = make_client()
    transport_of(client).respond = lambda request_id, answer: transport_of(client).arrived.append(
        (request_id, {}, body)
    )

    with pytest.raises(InvalidMessageError, match="Response from service square is not a job response") as raised:
        client.call_actions("square", [{"action": "a"}])
    with pytest.raises(InvalidMessageError):
        client.call_jobs_parallel([{"service_name": "square", "actions": [{"action": "a"}]}])
    (slot,) = client.call_actions_parallel("square", [{"action": "a"}], catch_transport_errors=True)

    assert raised.value.outcome == "answered"
    assert isinstance(slot, InvalidMessageError)


def test_what_newer_servers_say_is_left_out() -> None:
    client = make_client()
    transport_of(client).answer = lambda body: {**echo(body), "news": 1}

    assert client.call_action("square", "a").action == "a"


@pytest.mark.parametrize("stranger", [17, "text", None, ["list"]], ids=repr)
def test_responses_for_nobody_are_skipped(stranger: Any) -> None:
    client = make_client()
    transport = transport_of(client)
    transport.arrived.extend([(17, {}, None), (stranger if stranger is not None else 18, {}, {"junk": 1})])
    transport.outstanding += 2

    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}


def test_no_response_but_others_is_told_with_their_ids() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.arrived.append((17, {}, None))

    with pytest.raises(errors.NoResponse) as raised:
        client.call_action("square", "a")

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"Got unexpected response(s) with ID(s) [17] for request with ID {request_id}"


def test_no_response_to_one_of_several_is_told() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.outstanding = -1

    with pytest.raises(errors.NoResponse) as raised:
        client.call_actions_parallel("square", [{"action": "a"}])

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"There was no response for service square, request {request_id}"


def test_a_wrong_response_to_one_of_several_is_told() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.arrived.append((17, {}, None))

    with pytest.raises(errors.NoResponse) as raised:
        client.call_actions_parallel("square", [{"action": "a"}])

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"Got response ID 17, not in set of expected IDs {{{request_id}}}"


def test_a_malformed_response_among_all_is_raised_once() -> None:
    client = make_client()
    transport_of(client).answer = lambda body: {"actions": 5}
    client.send_request("square", [{"action": "a"}])

    with pytest.raises(InvalidMessageError):
        list(client.get_all_responses("square"))

    assert list(client.get_all_responses("square")) == []
    assert client.handlers["square"]._awaited._known == {}


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_a_malformed_response_to_a_request_does_not_fail_a_call(transport: str) -> None:
    client = make_client(transport=transport)
    transport_of(client).answer = lambda body: {"actions": 5} if body["actions"][0]["action"] == "bad" else echo(body)
    client.send_request("square", [{"action": "bad"}])

    assert client.call_action("square", "a").action == "a"
    with pytest.raises(InvalidMessageError):
        list(client.get_all_responses("square"))


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_a_malformed_response_to_a_future_does_not_end_all_responses(transport: str) -> None:
    client = make_client(transport=transport)
    transport_of(client).answer = lambda body: {"actions": 5} if body["actions"][0]["action"] == "bad" else echo(body)
    future = client.call_action_future("square", "bad")
    request_id = client.send_request("square", [{"action": "a"}])

    assert [one for one, _ in client.get_all_responses("square")] == [request_id]
    with pytest.raises(InvalidMessageError):
        future.result()


def test_a_flood_of_responses_for_nobody_does_not_hold_a_call_over_its_deadline() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.receive_response_message = lambda timeout: (17, {}, None)
    began = monotonic()

    with pytest.raises(MessageReceiveTimeout, match="No message received for service square"):
        client.call_action("square", "a", timeout=0.05)
    with pytest.raises(MessageReceiveTimeout, match="No message received for service square"):
        client.call_action("square", "a")

    assert monotonic() - began < 5


# send_request and get_all_responses


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_all_responses_come_with_their_ids(transport: str) -> None:
    client = make_client(transport=transport)
    ids = [client.send_request("square", [{"action": "a", "body": {"n": n}}]) for n in range(3)]

    responses = client.get_all_responses("square")

    assert isinstance(responses, types.GeneratorType)
    assert [(request_id, response.actions[0].body) for request_id, response in responses] == [
        (request_id, {"n": n}) for n, request_id in enumerate(ids)
    ]
    assert list(client.get_all_responses("square")) == []


def test_a_timeout_comes_after_the_responses_that_are_there() -> None:
    client = make_client()
    transport_of(client).answer = lost
    first = client.send_request("square", [{"action": "a"}])
    client.send_request("square", [{"action": "lost"}])
    responses = client.get_all_responses("square", receive_timeout_in_seconds=2)

    assert next(responses)[0] == first
    with pytest.raises(MessageReceiveTimeout):
        next(responses)
    assert transport_of(client).timeouts == [2, 2]


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
@pytest.mark.parametrize("options", [{"suppress_response": True}, {"control_extra": {"suppress_response": True}}])
def test_a_suppressed_response_is_not_waited_for(transport: str, options: Any) -> None:
    client = make_client(transport=transport)

    client.send_request("square", [{"action": "a"}], **options)

    assert list(client.get_all_responses("square")) == []


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_calls_and_requests_may_be_mixed(transport: str) -> None:
    client = make_client(transport=transport)
    future = client.call_action_future("square", "a", {"n": 1})
    request_id = client.send_request("square", [{"action": "b", "body": {"n": 2}}])

    response = client.call_action("square", "c", {"n": 3})

    assert response.body == {"n": 3}
    assert [(one, job.actions[0].body) for one, job in client.get_all_responses("square")] == [(request_id, {"n": 2})]
    assert future.result().body == {"n": 1}


# Futures


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_futures_of_one_service_each_get_their_own(transport: str) -> None:
    client = make_client(transport=transport)
    futures = [client.call_action_future("square", "a", {"n": n}) for n in range(4)]

    results = [future.result().body["n"] for future in reversed(futures)]

    assert results == [3, 2, 1, 0]


def test_futures_give_what_the_calls_give() -> None:
    client = make_client()
    job = {"service_name": "square", "actions": [{"action": "a"}]}

    assert client.call_action_future("square", "a").result() == ActionResponse("a")
    assert client.call_actions_future("square", [{"action": "a"}]).result().actions == [ActionResponse("a")]
    parallel = client.call_actions_parallel_future("square", [{"action": "a"}])
    assert list(parallel.result()) == [ActionResponse("a")]
    assert list(parallel.result()) == []
    assert client.call_jobs_parallel_future([job]).result()[0].actions == [ActionResponse("a")]
    empty = client.call_jobs_parallel_future([])
    assert empty.result() is empty.result()
    assert empty.done()


def test_futures_raise_send_errors_at_once_and_others_when_asked() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = failing
    transport.send_errors.append(MessageSendError("no"))

    with pytest.raises(MessageSendError):
        client.call_action_future("square", "a")
    future = client.call_action_future("square", "fail")

    with pytest.raises(errors.CallActionError):
        future.result()
    with pytest.raises(errors.CallJobError):
        client.call_action_future("square", "fail_job").result()
    assert client.call_action_future("square", "fail_job", raise_job_errors=False).result() == [Error("WRONG", "it is")]


def test_a_future_that_timed_out_may_be_asked_again() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost
    future = client.call_actions_parallel_future("square", [{"action": "a"}, {"action": "lost"}], timeout=4)

    with pytest.raises(MessageReceiveTimeout):
        future.result(2)
    transport.respond(transport.sent[1].request_id, echo(transport.sent[1].body))

    assert [response.action for response in future.result()] == ["a", "lost"]
    assert [round(timeout, 1) for timeout in transport.timeouts] == [2.0, 2.0, 4.0]


def test_a_future_that_catches_transport_errors_is_done_with_them() -> None:
    client = make_client()
    transport_of(client).answer = lost
    future = client.call_actions_parallel_future(
        "square", [{"action": "a"}, {"action": "lost"}], catch_transport_errors=True
    )

    first, second = future.result()

    assert first == ActionResponse("a")
    assert isinstance(second, MessageReceiveTimeout)


def test_futures_that_are_dropped_leave_nothing_behind() -> None:
    client = make_client(transport="ListeningTransport")
    transport_of(client).answer = lost
    for _ in range(5):
        client.call_action_future("square", "lost")

    client.call_action("square", "a")

    assert client.handlers["square"]._awaited._known == {}
    forgotten = [ids for word, ids in transport_of(client).told if word == "forget"]
    assert sum(len(ids) for ids in forgotten) == 5
    assert not any(transport_of(client)._ids.values())
