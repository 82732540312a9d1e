from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import attr
import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.fields import NO_KWARGS, Dictionary, Integer
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageSendTimeout, MessageTooLarge
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest
from tests.support.scripted import answer, job, make_server

TEAPOT = Error("TEAPOT", "short and stout", field="pot.lid")
FULL = {"error_detail": "full"}


class EchoAction(Action):
    def run(self, request: EnrichedActionRequest) -> Any:
        return request.body


class SquareAction(Action):
    request_schema = Dictionary({"number": Integer()})
    response_schema = Dictionary({"square": Integer()})

    def run(self, request: EnrichedActionRequest) -> Any:
        number = request.body["number"]
        return {"square": number * number if number != 13 else "unlucky"}


def raising(make_error: Callable[[], BaseException]) -> Any:
    """An action, given as a function, that raises."""

    def make_action(settings: Any) -> Any:
        def act(request: EnrichedActionRequest) -> ActionResponse:
            raise make_error()

        return act

    return make_action


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def broken_factory(settings: Any) -> Any:
    raise ValueError("cannot be made")


def soft_error(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action, [Error("SOFT", "returned")], {"partial": 1})


class OrdinaryServer(Server):
    service_name = "x"
    action_class_map = {
        "echo": EchoAction,
        "square": SquareAction,
        "fail": raising(lambda: ActionError([TEAPOT])),
        "fail_server_side": raising(lambda: ActionError([TEAPOT], set_is_caller_error_to=False)),
        "fail_job": raising(lambda: JobError([TEAPOT])),
        "explode": raising(lambda: ValueError("kaboom é")),
        "explode_without_text": raising(_Unprintable),
        "overrun": raising(HarakiriInterrupt),
        "broken_factory": broken_factory,
        "soft_error": soft_error,
        "no_response": lambda settings: lambda request: None,
    }


def error(code: str, message: str, *, field: str | None = None, is_caller_error: bool = False) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "field": field,
        "traceback": None,
        "variables": None,
        "denied_permissions": None,
        "is_caller_error": is_caller_error,
    }


# Jobs and their order


def test_actions_run_in_order_and_each_has_its_response() -> None:
    server = make_server(OrdinaryServer)

    response = answer(
        server,
        job(
            {"action": "square", "body": {"number": 3}},
            {"action": "echo", "body": {"a": 1}},
            {"action": "echo"},
        ),
    )

    assert response == {
        "errors": [],
        "context": {"correlation_id": "corr-9"},
        "actions": [
            {"action": "square", "errors": [], "body": {"square": 9}},
            {"action": "echo", "errors": [], "body": {"a": 1}},
            {"action": "echo", "errors": [], "body": {}},
        ],
    }


@pytest.mark.parametrize("failing", ["fail", "explode", "soft_error", "no_such_action"])
@pytest.mark.parametrize(("goes_on", "names"), [(False, 2), (True, 3)])
def test_a_job_ends_after_an_error_unless_it_is_told_to_go_on(failing: str, goes_on: bool, names: int) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("echo", failing, "echo", control={"continue_on_error": goes_on}))

    assert [action["action"] for action in response["actions"]] == ["echo", failing, "echo"][:names]
    assert response["actions"][0]["errors"] == []
    assert response["actions"][1]["errors"]


def test_all_actions_of_a_job_share_context_control_switches_and_client() -> None:
    seen: list[EnrichedActionRequest] = []

    class CollectingServer(Server):
        service_name = "x"
        action_class_map = {"see": lambda settings: lambda request: seen.append(request) or ActionResponse("see")}

    server = make_server(CollectingServer)

    answer(server, job("see", "see", context={"switches": [5, 7]}))

    one, two = seen
    assert one.context is two.context
    assert one.control is two.control
    assert one.switches is two.switches
    assert one.client is two.client
    assert one.switches == {5, 7}


# The table of errors


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


def test_bad_switches_from_middleware_fail_the_job() -> None:
    server = make_server(OrdinaryServer, middleware=[_path(SwitchBreaker)], **FULL)

    response = answer(server, job("echo"))

    assert [found["code"] for found in response["errors"]] == ["SERVER_ERROR"]


def test_an_action_that_overruns_is_answered_and_ends_the_job() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("overrun", "echo", control={"continue_on_error": True}))

    message = 'The action "overrun" ran for too long and had to be interrupted.'
    assert response["actions"] == [{"action": "overrun", "errors": [error("ACTION_TIMEOUT", message)], "body": {}}]


# Middleware


def _path(middleware: type) -> dict[str, str]:
    return {"path": f"{__name__}:{middleware.__name__}"}


class _Raising(ServerMiddleware):
    error: BaseException

    def job(self, process_job: Any) -> Any:
        def process(request: EnrichedJobRequest) -> JobResponse:
            raise self.error

        return process


class RaisingActionError(_Raising):
    error = ActionError([TEAPOT])


class RaisingJobError(_Raising):
    error = JobError([TEAPOT])


class RaisingValueError(_Raising):
    error = ValueError("kaboom")


class Overrunning(_Raising):
    error = HarakiriInterrupt()


class Forgetful(ServerMiddleware):
    def job(self, process_job: Any) -> Any:
        return lambda request: None


class SwitchBreaker(ServerMiddleware):
    def job(self, process_job: Any) -> Any:
        def process(request: EnrichedJobRequest) -> JobResponse:
            request.context["switches"] = ["5"]
            return process_job(request)

        return process


class BadResponses(ServerMiddleware):
    def job(self, process_job: Any) -> Any:
        def process(request: EnrichedJobRequest) -> JobResponse:
            response: JobResponse = process_job(request)
            response.actions = [5]  # type: ignore[list-item]
            return response

        return process


class RefusingActions(ServerMiddleware):
    def action(self, process_action: Any) -> Any:
        def process(request: EnrichedActionRequest) -> ActionResponse:
            raise ActionError([TEAPOT])

        return process


class BreakingActions(ServerMiddleware):
    def action(self, process_action: Any) -> Any:
        raise ValueError("no action for you")


TRACE: list[str] = []


@accepts_kwargs(Dictionary({"name": Integer()}))
class Tracing(ServerMiddleware):
    def __init__(self, name: int) -> None:
        self.name = name
        TRACE.append(f"{name} made")

    def job(self, process_job: Any) -> Any:
        TRACE.append(f"{self.name} job factory")

        def process(request: EnrichedJobRequest) -> JobResponse:
            TRACE.append(f"{self.name} job in")
            response: JobResponse = process_job(request)
            TRACE.append(f"{self.name} job out")
            return response

        return process

    def action(self, process_action: Any) -> Any:
        TRACE.append(f"{self.name} action factory")

        def process(request: EnrichedActionRequest) -> ActionResponse:
            TRACE.append(f"{self.name} action in")
            return process_action(request)

        return process


def test_the_first_middleware_is_the_outermost_and_action_factories_run_for_each_action() -> None:
    TRACE.clear()
    settings = [{**_path(Tracing), "kwargs": {"name": number}} for number in (1, 2)]

    server = make_server(OrdinaryServer, middleware=settings)
    at_the_start = TRACE.copy()
    TRACE.clear()
    answer(server, job("echo", "echo"))

    assert at_the_start == ["1 made", "2 made", "2 job factory", "1 job factory"]
    each_action = ["2 action factory", "1 action factory", "1 action in", "2 action in"]
    assert TRACE == ["1 job in", "2 job in", *each_action, *each_action, "2 job out", "1 job out"]


def test_an_action_error_from_action_middleware_is_an_action_error() -> None:
    server = make_server(OrdinaryServer, middleware=[_path(RefusingActions)])

    response = answer(server, job("echo"))

    assert [found["code"] for found in response["actions"][0]["errors"]] == ["TEAPOT"]


@pytest.mark.parametrize(
    ("middleware", "code", "message"),
    [
        pytest.param(RaisingActionError, "SERVER_ERROR", "Internal server error: ", id="action error"),
        pytest.param(RaisingJobError, "TEAPOT", "short and stout", id="job error"),
        pytest.param(RaisingValueError, "SERVER_ERROR", "Internal server error: kaboom", id="exception"),
        pytest.param(
            Overrunning,
            "JOB_TIMEOUT",
            "The service job ran for too long and had to be interrupted (probably a middleware issue).",
            id="harakiri",
        ),
        pytest.param(
            Forgetful,
            "SERVER_ERROR",
            "Internal server error: job middleware returned None instead of a JobResponse",
            id="none",
        ),
        pytest.param(BreakingActions, "SERVER_ERROR", "Internal server error: no action for you", id="factory"),
    ],
)
def test_what_goes_wrong_in_job_middleware_is_a_job_error(middleware: type, code: str, message: str) -> None:
    server = make_server(OrdinaryServer, middleware=[_path(middleware)], **FULL)

    response = answer(server, job("echo"))

    (found,) = response["errors"]
    assert found["code"] == code
    assert found["message"].startswith(message)
    assert response["actions"] == []
    assert response["context"] == {}


def test_a_response_that_is_none_is_answered_with_what_it_was() -> None:
    server = make_server(OrdinaryServer, middleware=[_path(BadResponses)], **FULL)

    (found,) = answer(server, job("echo"))["errors"]

    assert found["code"] == "SERVER_ERROR"
    assert found["variables"] == {
        "job_response": "JobResponse(errors=[], context={'correlation_id': 'corr-9'}, actions=[5])"
    }


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


# Actions


def test_introspect_and_status_are_built_in() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("introspect", "status"))

    introspection, status = (action["body"] for action in response["actions"])
    assert "square" in introspection["action_names"]
    assert {"pysoa", "python", "version"} <= status.keys()


def test_an_action_of_the_service_stands_before_a_built_in_one() -> None:
    class OwnStatusServer(Server):
        service_name = "x"
        action_class_map = {"status": EchoAction, "introspect": EchoAction}

    server = make_server(OwnStatusServer)

    response = answer(server, job({"action": "status", "body": {"a": 1}}, {"action": "introspect", "body": {"b": 2}}))

    assert [action["body"] for action in response["actions"]] == [{"a": 1}, {"b": 2}]


def test_a_server_may_have_an_introspection_action_of_its_own() -> None:
    class Introspecting(Server):
        service_name = "x"

        def introspection_action(self) -> Any:  # type: ignore[override]
            return lambda request: ActionResponse("introspect", body={"service": self.service_name})

    server = make_server(Introspecting)

    response = answer(server, job("introspect"))

    assert response["actions"][0]["body"] == {"service": "x"}


def test_a_bound_method_can_be_an_action() -> None:
    class Shop:
        def open(self, settings: Any) -> Any:
            return self.sell

        def sell(self, request: EnrichedActionRequest) -> ActionResponse:
            return ActionResponse(request.action, body={"sold": request.body["what"]})

    class ShopServer(Server):
        service_name = "x"
        action_class_map = {"sell": Shop().open}

    server = make_server(ShopServer)

    response = answer(server, job({"action": "sell", "body": {"what": "tea"}}))

    assert response["actions"][0]["body"] == {"sold": "tea"}


def test_a_request_class_of_the_service_is_what_its_actions_get() -> None:
    @attr.s(auto_attribs=True)
    class Request(EnrichedActionRequest):
        user: str | None = "nobody"
        client: Any = None  # moves to the end of the fields

    class UserServer(Server):
        service_name = "x"
        request_class = Request
        action_class_map = {
            "who": lambda settings: (
                lambda request: ActionResponse(
                    "who", body={"user": request.user, "called_by": request.client.context["correlation_id"]}
                )
            )
        }

    server = make_server(UserServer)

    response = answer(server, job("who"))

    assert response["actions"][0]["body"] == {"user": "nobody", "called_by": "corr-9"}


def test_a_schema_that_is_none_is_refused_when_the_server_is_made() -> None:
    class WrongAction(EchoAction):
        request_schema = 5

    class WrongServer(Server):
        service_name = "x"
        action_class_map = {"wrong": WrongAction}

    with pytest.raises(TypeError, match=r"WrongAction\.request_schema"):
        make_server(WrongServer)


def test_a_server_needs_a_name() -> None:
    with pytest.raises(AttributeError, match="Server subclass must set service_name"):
        make_server(Server)


# Clients


def test_the_client_of_a_job_has_its_context_and_the_name_of_the_service() -> None:
    seen: list[Any] = []

    class CallingServer(Server):
        service_name = "x"
        action_class_map = {
            "call": lambda settings: lambda request: seen.append(request.client) or ActionResponse("call")
        }

    server = make_server(CallingServer)

    answer(server, job("call", context={"locale": "fr_CA"}))

    (client,) = seen
    assert type(client) is Client
    assert client.context == {
        "correlation_id": "corr-9",
        "switches": [],
        "locale": "fr_CA",
        "calling_service": "x",
    }


def test_clients_of_jobs_share_their_handlers_and_not_their_context() -> None:
    server = make_server(OrdinaryServer)

    one = server.make_client({"correlation_id": "1"})
    two = server.make_client({"correlation_id": "2"}, {"extra": 3})

    assert one.handlers is two.handlers
    assert one.context == {"correlation_id": "1", "calling_service": "x"}
    assert two.context == {"correlation_id": "2", "extra": 3, "calling_service": "x"}


def test_no_client_is_made_for_a_job_that_does_not_use_it() -> None:
    class NoClient:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise AssertionError("a client was made")

    class ThriftyServer(OrdinaryServer):
        client_class = NoClient  # type: ignore[assignment]

    server = make_server(ThriftyServer)

    assert answer(server, job("echo"))["errors"] == []


def test_what_middleware_adds_to_the_context_stays_out_of_the_client() -> None:
    class Adding(ServerMiddleware):
        pass

    server = make_server(OrdinaryServer)
    seen: list[Any] = []

    def process(request: EnrichedJobRequest) -> JobResponse:
        request.context["user"] = object()
        seen.append(request.client)
        return JobResponse()

    server._process_job = process

    answer(server, job("echo"))

    assert "user" not in seen[0].context


def test_an_overridden_make_client_is_called_once_for_each_job_with_the_context_only() -> None:
    calls: list[Any] = []

    class OwnClientServer(OrdinaryServer):
        def make_client(self, context: Any, extra_context: Any = None, **kwargs: Any) -> Client:
            calls.append((context, extra_context, kwargs))
            return super().make_client(context, {"own": True})

    server = make_server(OwnClientServer)

    answer(server, job("echo", "echo"))
    answer(server, job("echo"))

    assert calls == [({"correlation_id": "corr-9", "switches": []}, None, {})] * 2


# Hooks, logs


class _Hooked(OrdinaryServer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trace: list[str] = []

    def perform_pre_request_actions(self) -> None:
        super().perform_pre_request_actions()
        self.trace.append("before")

    def process_job(self, job_request: Any) -> JobResponse:
        self.trace.append("process")
        return super().process_job(job_request)

    def perform_post_request_actions(self) -> None:
        super().perform_post_request_actions()
        self.trace.append(f"after, {len(self.transport.sent)} sent")  # type: ignore[attr-defined]

    def perform_idle_actions(self) -> None:
        super().perform_idle_actions()
        self.trace.append("idle")


def test_hooks_run_around_each_request_and_the_last_after_the_response_has_left() -> None:
    server = make_server(_Hooked)

    answer(server, job("echo"))
    server.handle_next_request()

    assert server.trace == ["before", "process", "after, 1 sent", "idle"]


def test_a_message_without_parts_counts_as_none(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(_Hooked)
    server.transport.script.append(ReceivedMessage(None, None, None))

    server.handle_next_request()

    assert server.trace == ["idle"]
    assert caplog.messages == ["Thought to be impossible, but the transport returned None"]


def test_a_hook_that_fails_before_the_job_is_answered() -> None:
    class FailingServer(OrdinaryServer):
        def perform_pre_request_actions(self) -> None:
            raise ValueError("no database")

    server = make_server(FailingServer, **FULL)

    (found,) = answer(server, job("echo"))["errors"]

    assert found["message"] == "Internal server error: no database"


def test_hooks_that_fail_after_the_job_or_when_idle_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    class FailingServer(OrdinaryServer):
        def perform_post_request_actions(self) -> None:
            raise ValueError("no database")

        def perform_idle_actions(self) -> None:
            raise ValueError("no database either")

    server = make_server(FailingServer)

    response = answer(server, job("echo"))
    server.handle_next_request()

    assert response["errors"] == []
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "perform_post_request_actions failed",
        "perform_idle_actions failed",
    ]


def test_requests_and_responses_are_logged_censored_and_with_their_ids(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = make_server(OrdinaryServer, extra_fields_to_redact={"pet"})
    body = {"password": "hunter2", "pet": "Rex", "a": 1}

    answer(server, job({"action": "echo", "body": body}))

    request, response = (record for record in caplog.records if record.name == "pysoa.server.job")
    assert request.getMessage().startswith("Job request: {'control': ")
    assert response.getMessage().startswith("Job response: {'errors': []")
    for record in (request, response):
        assert "{'password': '**********', 'pet': '**********', 'a': 1}" in record.getMessage()


def test_the_request_is_logged_at_the_error_level_only_when_its_own_is_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    server = make_server(OrdinaryServer, request_log_success_level="INFO", request_log_error_level="ERROR")

    answer(server, job("echo"))
    answer(server, job("fail"))

    assert [(record.levelname, record.getMessage()[:12]) for record in caplog.records] == [
        ("ERROR", "Job request:"),
        ("ERROR", "Job response"),
    ]


def test_middleware_and_the_recorder_may_be_given_as_objects_only() -> None:
    settings = OrdinaryServer.settings_class({"transport": {"path": "tests.support.scripted:ScriptedServerTransport"}})
    settings["middleware"].append({"object": RefusingActions})

    server = OrdinaryServer(settings)

    assert isinstance(server._middleware[0], RefusingActions)
    assert server.middleware is server._middleware
