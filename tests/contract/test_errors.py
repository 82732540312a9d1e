"""What callers see of everything that goes wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pysoa.common.errors import Error
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.errors import MessageReceiveTimeout, MessageTooLarge, PySOATransportError
from pysoa.common.types import ActionResponse, JobResponse

FAILS = ["fail", "async_fail"]
TEAPOT = Error("TEAPOT", "short and stout", field="pot.lid", is_caller_error=True)


def codes(errors: list[Error]) -> list[str]:
    return [error.code for error in errors]


@pytest.mark.parametrize("action", FAILS)
def test_an_action_error_is_raised_with_its_errors(door: Any, action: str) -> None:
    with pytest.raises(door.CallActionError) as raised:
        door.call_action("outer", action, {"how": "action"})

    assert raised.value.actions == [ActionResponse(action, [TEAPOT], {})]
    assert raised.value.outcome == "answered"


@pytest.mark.parametrize("action", FAILS)
def test_an_action_error_is_given_back_where_it_is_not_to_be_raised(door: Any, action: str) -> None:
    answer = door.call_action("outer", action, {"how": "action"}, raise_action_errors=False)

    assert answer == ActionResponse(action, [TEAPOT], {})


@pytest.mark.parametrize("action", FAILS)
def test_a_job_error_is_raised_or_given_back(door: Any, action: str) -> None:
    with pytest.raises(door.CallJobError) as raised:
        door.call_action("outer", action, {"how": "job"})

    assert codes(raised.value.errors) == ["TEAPOT"]
    assert codes(door.call_action("outer", action, {"how": "job"}, raise_job_errors=False)) == ["TEAPOT"]
    actions = [{"action": action, "body": {"how": "job"}}]
    assert codes(door.call_actions("outer", actions, raise_job_errors=False).errors) == ["TEAPOT"]


def test_errors_among_parallel_calls_are_raised_or_given_back(door: Any) -> None:
    actions = [
        {"action": "echo", "body": {"number": 1}},
        {"action": "async_fail", "body": {"how": "action"}},
        {"action": "fail", "body": {"how": "job"}},
    ]
    jobs = [{"service_name": "outer", "actions": [action]} for action in actions]

    with pytest.raises(door.CallActionError):
        door.call_jobs_parallel(jobs)
    with pytest.raises(door.CallJobError):
        door.call_jobs_parallel(jobs[::2])
    with pytest.raises(door.CallActionError):
        door.call_actions_parallel("outer", actions[:2])
    echoed, failed, nothing = door.call_jobs_parallel(jobs, raise_job_errors=False, raise_action_errors=False)
    assert echoed.actions[0].body == {"number": 1}
    assert failed.actions[0].errors == [TEAPOT]
    assert codes(nothing.errors) == ["TEAPOT"]
    assert list(door.call_actions_parallel("outer", actions[:2], raise_action_errors=False))[1].errors == [TEAPOT]


@pytest.mark.parametrize("action", FAILS)
def test_an_exception_in_an_action_is_told_in_full_only_in_the_same_process(
    pairing: Any, door: Any, action: str
) -> None:
    answer = door.call_action("outer", action, {"how": "exception"}, raise_action_errors=False)

    (error,) = answer.errors
    assert (error.code, error.is_caller_error) == ("SERVER_ERROR", False)
    if pairing.broker is None:
        assert error.message == "Internal server error: kaboom"
        assert "ValueError: kaboom" in error.traceback
    else:
        assert re.fullmatch(r"Internal server error \(error id [0-9a-f]{12}\)", error.message)
        assert error.traceback is None


@pytest.mark.parametrize("action", FAILS)
def test_an_exception_is_told_in_full_where_the_settings_say_so(door: Any, action: str) -> None:
    (error,) = door.call_action("wrapped", action, {"how": "exception"}, raise_action_errors=False).errors

    assert error.message == "Internal server error: kaboom"
    assert 'raise ValueError("kaboom")' in error.traceback


def test_an_unknown_action_is_an_error_of_the_caller(door: Any) -> None:
    answer = door.call_action("outer", "nope", raise_action_errors=False)

    assert answer.errors == [
        Error("UNKNOWN", 'The action "nope" was not found on this server.', field="action", is_caller_error=True)
    ]


@pytest.mark.parametrize("action", ["square", "async_square"])
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [({"number": "many"}, "INVALID", "number"), ({}, "MISSING", "number"), ({"number": 13}, "SERVER_ERROR", None)],
    ids=["type", "missing", "response"],
)
def test_bodies_that_break_the_schema_are_errors(door: Any, action: str, body: Any, code: str, field: Any) -> None:
    (error,) = door.call_action("outer", action, body, raise_action_errors=False).errors

    assert (error.code, error.field) == (code, field)


def test_an_asynchronous_validation_refuses(door: Any) -> None:
    answer = door.call_action("outer", "async_square", {"number": 1001}, raise_action_errors=False)

    assert codes(answer.errors) == ["TOO_LARGE"]


@pytest.mark.parametrize("action", FAILS)
def test_no_body_is_an_empty_one(door: Any, action: str) -> None:
    assert door.call_action("outer", action, {"how": "nothing"}).body == {}


def test_a_malformed_job_is_refused(door: Any) -> None:
    for call in (door.call_actions, door.call_actions_future):
        with pytest.raises(door.CallJobError) as raised:
            made = call("outer", [{"action": "echo", "body": {}}], context={"switches": [], "caller": 7})
            made.result()

        assert [(error.code, error.field) for error in raised.value.errors] == [("INVALID", "context.caller")]


# What a broker lies between


@pytest.mark.parametrize("action", FAILS)
@pytest.mark.parametrize(
    ("how", "code"), [("large", "RESPONSE_TOO_LARGE"), ("unwritable", "RESPONSE_NOT_SERIALIZABLE")]
)
def test_a_response_that_cannot_be_sent_is_an_error_of_the_job(
    over_redis: None, door: Any, action: str, how: str, code: str
) -> None:
    with pytest.raises(door.CallJobError) as raised:
        door.call_action("outer", action, {"how": how})

    assert codes(raised.value.errors) == [code]


def test_a_request_that_cannot_be_written_is_not_sent(over_redis: None, door: Any) -> None:
    for call in (door.call_action, door.call_action_future):
        with pytest.raises(SerializationError) as raised:
            call("outer", "echo", {"thing": object()})
        assert raised.value.outcome == "not_sent"
    with pytest.raises(SerializationError):
        door.send_request("outer", [{"action": "echo", "body": {"thing": object()}}])
    assert door.call_action("outer", "echo", {"number": 1}).body == {"number": 1}


def test_a_request_that_is_too_large_is_not_sent(over_redis: None, pairing: Any) -> None:
    door = pairing.door(pairing.config(maximum_message_size_in_bytes=5000))
    try:
        with pytest.raises(MessageTooLarge) as raised:
            door.call_action("outer", "echo", {"text": "x" * 6000})
        assert raised.value.outcome == "not_sent"
        actions = [{"action": "echo", "body": {"text": "x" * size}} for size in (10, 6000, 20)]
        first, second, third = door.call_actions_parallel("outer", actions, catch_transport_errors=True)
        assert (len(first.body["text"]), len(third.body["text"])) == (10, 20)
        assert isinstance(second, MessageTooLarge)
    finally:
        door.close()


def test_bodies_travel_as_json_where_the_client_says_so(over_redis: None, pairing: Any) -> None:
    json = {"path": "pysoa.common.serializer:JSONSerializer"}
    door = pairing.door(pairing.config(default_serializer_config=json))
    try:
        assert door.call_action("outer", "async_echo", {"text": "é", "list": [1.5]}).body == {
            "text": "é",
            "list": [1.5],
        }
        with pytest.raises(SerializationError):
            door.call_action("outer", "async_echo", {"bytes": b"1"})
    finally:
        door.close()


def test_a_call_of_a_service_that_nobody_serves_ends_in_time(over_redis: None, pairing: Any) -> None:
    door = pairing.door({"nobody": {"transport": pairing.transport("outer")}})
    try:
        with pytest.raises(MessageReceiveTimeout) as raised:
            door.call_action("nobody", "echo", timeout=0.2)
        assert raised.value.outcome in ("not_sent", "unknown")
        with pytest.raises(MessageReceiveTimeout):
            door.call_action_future("nobody", "echo", timeout=0.2).result()
    finally:
        door.close()


# Time


def test_a_call_ends_by_its_timeout_and_its_answer_is_dropped(in_event_loop: None, door: Any) -> None:
    with pytest.raises(MessageReceiveTimeout) as raised:
        door.call_action("outer", "async_sleep", {"seconds": 0.2}, timeout=0.05)

    assert raised.value.outcome == "unknown"
    for number in range(5):
        answer = door.call_action("outer", "async_echo", {"number": number}, timeout=5)
        assert answer.body == {"number": number}


def test_errors_of_the_transport_take_the_place_of_responses(in_event_loop: None, door: Any) -> None:
    fast, slow = {"action": "echo", "body": {"number": 1}}, {"action": "async_sleep", "body": {"seconds": 0.5}}
    jobs = [{"service_name": name, "actions": [action]} for name, action in (("outer", fast), ("inner", slow))]

    for service in ("outer", "inner"):
        door.call_action(service, "echo")  # so that both are there
    answered, late = door.call_jobs_parallel(jobs, catch_transport_errors=True, timeout=0.1)
    future = door.call_actions_parallel_future("outer", [fast, slow], catch_transport_errors=True, timeout=0.1)

    assert isinstance(answered, JobResponse)
    assert isinstance(late, MessageReceiveTimeout)
    of_future = list(future.result())
    assert of_future[0].body == {"number": 1}
    assert isinstance(of_future[1], PySOATransportError)
    with pytest.raises(MessageReceiveTimeout):
        door.call_jobs_parallel(jobs, timeout=0.1)
