from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageSendTimeout, MessageTooLarge
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.types import EnrichedJobRequest
from tests.support.scripted import answer, job, make_server
from tests.support.services import FULL, OrdinaryServer, error


def test_a_malformed_job_is_answered_with_all_its_faults_and_nothing_runs() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, {"control": {}, "context": {"switches": []}, "actions": [{"action": "fail_job"}, 4]})

    assert response == {
        "errors": [
            error("MISSING", "Missing key: continue_on_error", field="control.continue_on_error"),
            error("MISSING", "Missing key: correlation_id", field="context.correlation_id"),
            error("INVALID", "Not a dict", field="actions.1"),
        ],
        "context": {},
        "actions": [],
    }


@pytest.mark.parametrize("broken", [None, [], 5, "text"])
@pytest.mark.parametrize("header", ["control", "context"])
def test_a_header_that_is_no_dict_is_answered_with_a_job_error(header: str, broken: Any) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, {**job("echo"), header: broken})

    assert response["errors"] == [error("INVALID", "Not a dict", field=header)]


def test_a_context_may_hold_any_key() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("echo", context={"request_id": "mine", 7: "x", b"k": None, "cls": 1, "self": 2}))

    assert response["errors"] == []


def test_an_unknown_action_is_an_error_of_the_caller() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("no_such"))

    message = 'The action "no_such" was not found on this server.'
    assert response["actions"] == [
        {
            "action": "no_such",
            "errors": [error("UNKNOWN", message, field="action", is_caller_error=True)],
            "body": {},
        }
    ]


def test_a_request_that_fails_its_schema_is_an_error_of_the_caller() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job({"action": "square", "body": {"number": "7"}}))

    errors = response["actions"][0]["errors"]
    assert errors == [error("INVALID", "Not an integer", field="number", is_caller_error=True)]


@pytest.mark.parametrize(("name", "is_caller_error"), [("fail", True), ("fail_server_side", False)])
def test_an_action_error_is_answered_as_it_was_raised(name: str, is_caller_error: bool) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job(name))

    errors = [error("TEAPOT", "short and stout", field="pot.lid", is_caller_error=is_caller_error)]
    assert response["actions"] == [{"action": name, "errors": errors, "body": {}}]


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_job_error_from_an_action_takes_the_other_responses_with_it(goes_on: bool) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("echo", "fail_job", "echo", control={"continue_on_error": goes_on}))

    errors = [error("TEAPOT", "short and stout", field="pot.lid")]
    assert response == {"errors": errors, "context": {}, "actions": []}


def test_any_other_exception_is_an_action_error_that_is_told_in_full_if_the_settings_say_so() -> None:
    server = make_server(OrdinaryServer, **FULL)

    (found,) = answer(server, job("explode"))["actions"][0]["errors"]

    assert (found["code"], found["message"]) == ("SERVER_ERROR", "Internal server error: kaboom é")
    assert found["traceback"].startswith("Traceback (most recent call last)")
    assert "ValueError: kaboom é" in found["traceback"]
    assert found["is_caller_error"] is False


def test_by_default_the_caller_gets_an_error_id_and_the_log_has_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(OrdinaryServer)

    (found,) = answer(server, job("explode"))["actions"][0]["errors"]

    assert found["code"] == "SERVER_ERROR"
    assert found["message"].startswith("Internal server error (error id ")
    assert found["traceback"] is None
    error_id = found["message"].removeprefix("Internal server error (error id ").removesuffix(")")
    assert len(error_id) == 12
    (record,) = [record for record in caplog.records if record.exc_info]
    assert error_id in record.getMessage()
    assert "kaboom é" in record.getMessage()
    assert record.name == "pysoa.server"


@pytest.mark.parametrize(
    ("text", "logged"),
    [("a fault", None), ("a\nfault\x1b[2J", r"a\nfault\x1b[2J"), ("x" * 3000, "x" * 2000 + "...")],
)
def test_an_exception_is_logged_as_it_is_unless_its_text_would_forge_lines(
    caplog: pytest.LogCaptureFixture, text: str, logged: str | None
) -> None:
    server = make_server(OrdinaryServer, **FULL)
    error = ValueError(text)

    server.handle_unhandled_exception(error, JobResponse)

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pysoa.server", "ERROR")
    assert record.msg is error if logged is None else record.getMessage() == logged
    assert record.exc_info is not None


def test_over_a_local_transport_errors_are_told_in_full() -> None:
    server = make_server(OrdinaryServer)
    server.transport.is_local = True

    (found,) = answer(server, job("explode"))["actions"][0]["errors"]

    assert found["message"] == "Internal server error: kaboom é"


def test_an_exception_without_a_text_is_answered_all_the_same() -> None:
    server = make_server(OrdinaryServer, **FULL)

    (found,) = answer(server, job("explode_without_text"))["actions"][0]["errors"]

    assert found["message"] == "Internal server error: Error formatting error"


def test_a_response_that_fails_its_own_schema_is_an_error_of_the_server() -> None:
    server = make_server(OrdinaryServer, **FULL)

    (found,) = answer(server, job({"action": "square", "body": {"number": 13}}))["actions"][0]["errors"]

    assert found["code"] == "SERVER_ERROR"
    assert found["message"] == (
        "Internal server error: square had an invalid response:\n\tsquare INVALID: Not an integer"
    )


def test_errors_that_an_action_returns_are_kept_with_its_body() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("soft_error"))

    assert response["actions"] == [
        {"action": "soft_error", "errors": [error("SOFT", "returned")], "body": {"partial": 1}}
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("broken_factory", "cannot be made", id="factory"),
        pytest.param("no_response", "an action returned NoneType instead of an ActionResponse", id="no response"),
    ],
)
def test_an_action_that_cannot_be_made_or_answers_nothing_fails_the_job(name: str, text: str) -> None:
    server = make_server(OrdinaryServer, **FULL)

    response = answer(server, job("echo", name))

    assert [found["message"] for found in response["errors"]] == [f"Internal server error: {text}"]
    assert response["actions"] == []


def test_a_context_without_its_switches_after_middleware_is_no_fault() -> None:
    server = make_server(OrdinaryServer)

    response = server.execute_job(EnrichedJobRequest({"continue_on_error": False}, {}, [{"action": "echo"}]))

    assert response == JobResponse(actions=[ActionResponse("echo")])


def test_an_action_that_overruns_is_answered_and_ends_the_job() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("overrun", "echo", control={"continue_on_error": True}))

    message = 'The action "overrun" ran for too long and had to be interrupted.'
    assert response["actions"] == [{"action": "overrun", "errors": [error("ACTION_TIMEOUT", message)], "body": {}}]


# Sending


@pytest.mark.parametrize(
    ("problem", "code", "message", "size"),
    [
        pytest.param(
            MessageTooLarge(300_000),
            "RESPONSE_TOO_LARGE",
            "Could not send the response because it was too large",
            300_000,
            id="too large",
        ),
        pytest.param(
            InvalidField("a set"),
            "RESPONSE_NOT_SERIALIZABLE",
            "Could not send the response because it failed to serialize",
            None,
            id="not serializable",
        ),
    ],
)
def test_a_response_that_cannot_be_sent_is_replaced_by_one_that_says_so(
    problem: Exception, code: str, message: str, size: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(OrdinaryServer)
    server.transport.send_errors.append(problem)
    meta = {"client_version": [1, 4, 9], "protocol_version": 2, "serializer": "application/json"}
    server.transport.script.append(ReceivedMessage(7, meta, job({"action": "echo", "body": {"password": "x"}})))

    server.handle_next_request()

    (sent,) = server.transport.sent
    assert sent.body == {"errors": [error(code, message)], "context": {}, "actions": []}
    assert (sent.request_id, sent.meta) == (7, meta)
    (record,) = [record for record in caplog.records if record.getMessage() == message]
    data: Any = record.__dict__["data"]
    assert "'**********'" in str(data["request"])
    assert "'**********'" in str(data["response"])
    assert data.get("serialized_length_in_bytes") == size


def test_a_response_that_can_never_be_sent_is_dropped_and_the_next_request_is_served() -> None:
    server = make_server(OrdinaryServer)
    server.transport.send_errors.extend([MessageTooLarge(1), RuntimeError("still no")])
    server.transport.script.append(job("echo"))

    server.handle_next_request()

    assert server.transport.sent == []
    assert answer(server, job("echo"))["errors"] == []


@pytest.mark.parametrize("problem", [MessageSendTimeout("the reply queue is full"), OSError("gone")])
def test_a_reply_queue_that_takes_nothing_costs_one_response(problem: Exception) -> None:
    server = make_server(OrdinaryServer)
    server.transport.send_errors.extend([problem, problem])
    server.transport.script.append(job("echo"))

    server.handle_next_request()

    server.transport.send_errors.clear()
    assert answer(server, job("echo"))["errors"] == []


@pytest.mark.parametrize(
    ("control", "is_answered"),
    [
        pytest.param({"suppress_response": True}, False, id="true"),
        pytest.param({"suppress_response": "yes"}, False, id="refused, and yet suppressed"),
        pytest.param({"suppress_response": 0}, True, id="refused"),
        pytest.param({"suppress_response": False}, True, id="false"),
    ],
)
def test_a_suppressed_response_is_not_sent(control: dict[str, Any], is_answered: bool) -> None:
    server = make_server(OrdinaryServer)
    server.transport.script.append(job("echo", control=control))

    server.handle_next_request()

    assert len(server.transport.sent) == int(is_answered)


@pytest.mark.parametrize(
    ("meta", "has_caller_error"),
    [
        pytest.param({"client_version": [1, 4, 9]}, True, id="new"),
        pytest.param({"client_version": (0, 70, 0)}, True, id="just new enough"),
        pytest.param({"client_version": [0, 69, 9]}, False, id="old"),
        pytest.param({}, False, id="too old to say"),
        pytest.param({"client_version": "1.4.9"}, False, id="text"),
        pytest.param({"client_version": None}, False, id="null"),
        pytest.param({"client_version": [1, "4"]}, False, id="text within"),
        pytest.param({"client_version": [[], {}]}, False, id="nonsense"),
    ],
)
def test_errors_have_the_fields_that_the_client_knows(meta: dict[str, Any], has_caller_error: bool) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, ReceivedMessage(1, meta, job("fail")))

    assert ("is_caller_error" in response["actions"][0]["errors"][0]) is has_caller_error
