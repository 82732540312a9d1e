from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.fields import Dictionary, Integer
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.server import HarakiriInterrupt
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest
from tests.support.scripted import answer, job, make_server
from tests.support.services import FULL, TEAPOT, OrdinaryServer


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
    assert ["1 job in", "2 job in", *each_action, *each_action, "2 job out", "1 job out"] == TRACE


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


def test_bad_switches_from_middleware_fail_the_job() -> None:
    server = make_server(OrdinaryServer, middleware=[_path(SwitchBreaker)], **FULL)

    response = answer(server, job("echo"))

    assert [found["code"] for found in response["errors"]] == ["SERVER_ERROR"]


def test_middleware_and_the_recorder_may_be_given_as_objects_only() -> None:
    settings = OrdinaryServer.settings_class({"transport": {"path": "tests.support.scripted:ScriptedServerTransport"}})
    settings["middleware"].append({"object": RefusingActions})

    server = OrdinaryServer(settings)

    assert isinstance(server._middleware[0], RefusingActions)
