"""The asyncio server has a short way for ordinary jobs: it answers as the long one does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common.deadline import time_left
from pysoa.common.errors import Error
from pysoa.common.logging import PySOALogContextFilter
from pysoa.common.types import ActionResponse, Body
from pysoa.server.action import Action
from pysoa.server.async_server import AsyncServer
from pysoa.server.errors import ActionError, JobError
from pysoa.server.middleware import AsyncServerMiddleware, ServerMiddleware
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from tests.support.scripted import answer_in_loop, job

SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def seen_by(request: EnrichedActionRequest) -> Body:
    """What an action can see of its job."""
    left = time_left()
    context: Any = PySOALogContextFilter.get_logging_request_context()
    SEEN.append(
        (
            type(request).__name__,
            request.action,
            dict(request.body),
            sorted(request.switches),
            dict(request.context),
            dict(request.control),
            left is None or 0 < left <= 60,
            dict(context),
            PySOALogContextFilter.get_logging_action_name(),
        )
    )
    return {"name": request.action}


class Plain(Action):
    def run(self, request: EnrichedActionRequest) -> Body:
        return seen_by(request)


class Blocking(Plain):
    blocking = True


class Awaiting(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        await asyncio.sleep(0)
        return seen_by(request)


class Endless(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        await asyncio.get_running_loop().create_future()
        return {}


class CancelsItself(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        async with asyncio.timeout(0):
            await asyncio.get_running_loop().create_future()
        return {}


class Failing(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        errors: dict[str, Callable[[], Exception]] = {
            "action": lambda: ActionError([Error("TEAPOT", "short and stout")]),
            "job": lambda: JobError([Error("TEAPOT", "short and stout")]),
            "value": lambda: ValueError("kaboom"),
        }
        raise errors[request.body["how"]]()


class Meddling(Action):
    """Changes what it is given."""

    def run(self, request: EnrichedActionRequest) -> Body:
        if request.body:
            request.context.update(request.body)
        else:
            request.context.clear()
        return {}


class Unmakeable(Action):
    def __init__(self, settings: Any = None) -> None:
        raise ValueError("kaboom")

    def run(self, request: EnrichedActionRequest) -> Body:
        return {}


def responding(response: Any) -> Any:
    return lambda settings: lambda request: response


class OurServer(Server):
    service_name = "ours"
    action_class_map = {
        "plain": Plain,
        "blocking": Blocking,
        "awaiting": Awaiting,
        "endless": Endless,
        "cancels_itself": CancelsItself,
        "failing": Failing,
        "meddling": Meddling,
        "unmakeable": Unmakeable,
        "nothing": responding(None),
        "something_else": responding({"body": {}}),
        "errors_and_body": responding(ActionResponse("other", [Error("TEAPOT", "stout")], {"a": 1})),
        "garbage": responding(ActionResponse("other", [], {"a": object()})),
    }


class Nothing(ServerMiddleware):
    pass


class AwaitingNothing(AsyncServerMiddleware):
    pass


def answer_of(
    request: Any, meta: Body, *, middleware: tuple[type, ...] = (), server_class: type[Server] = OurServer
) -> Any:
    """The body of the response to a request; None where there is none."""
    paths = [{"path": f"{__name__}:{each.__name__}"} for each in middleware]
    return answer_in_loop(server_class, request, meta, middleware=paths, harakiri={"timeout": 1, "shutdown_grace": 1})


def without_tracebacks(body: Any) -> Any:
    for errors in (body["errors"], *(action["errors"] for action in body["actions"])) if body else ():
        for error in errors:
            error["traceback"] = bool(error["traceback"])
    return body


def act(name: str, /, **body: Any) -> Body:
    return {"action": name, "body": body}


JOBS = {
    "plain": (job(act("plain", a=1)), None),
    "blocking": (job("blocking"), None),
    "asynchronous": (job("awaiting"), None),
    "without a body": (job({"action": "plain"}), None),
    "with switches": (job("awaiting", context={"switches": [3, 1]}), None),
    "with more headers": (job("awaiting", context={"caller": "web", "a": 1}, control={"b": 2}), None),
    "with a timeout": (job("awaiting", control={"timeout": 50}), None),
    "that goes on after errors": (job("plain", control={"continue_on_error": True}), None),
    "that nobody waits for": (job("plain", control={"suppress_response": True}), None),
    "several": (job("plain", "awaiting"), None),
    "built in": (job(act("status", verbose=False)), None),
    "unknown": (job("unknown"), "UNKNOWN"),
    "refused action": (job(act("failing", how="action")), "TEAPOT"),
    "refused job": (job(act("failing", how="job")), "TEAPOT"),
    "broken": (job(act("failing", how="value")), "SERVER_ERROR"),
    "out of time": (job("endless"), "ACTION_TIMEOUT"),
    "out of its own time": (job("cancels_itself"), "SERVER_ERROR"),
    "unmakeable": (job("unmakeable"), "SERVER_ERROR"),
    "no response": (job("nothing"), "SERVER_ERROR"),
    "not a response": (job("something_else"), "SERVER_ERROR"),
    "errors and a body": (job("errors_and_body"), "TEAPOT"),
    "meddling": (job(act("meddling", correlation_id="other", switches=[1])), None),
    "meddling more": (job("meddling"), None),
    "unsound control": (job("plain", control={"continue_on_error": 1}), "INVALID"),
    "unsound suppression": (job("plain", control={"suppress_response": "no"}), None),
    "unsound context": (job("plain", context={"correlation_id": 5}), "INVALID"),
    "unsound switches": (job("plain", context={"switches": ["a"]}), "INVALID"),
    "unsound body": (job({"action": "plain", "body": {1: 2}}), "INVALID"),
    "unsound action": (job({"action": "plain", "body": {}, "odd": 1}), "UNKNOWN"),
    "no actions": (job(), "INVALID"),
    "an empty map": ({}, "MISSING"),
    "no map": ([1], "INVALID"),
}


@pytest.mark.parametrize("name", JOBS)
def test_both_ways_give_the_same_answer(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert_same_answers(name, {"client_version": [2, 0, 0]}, caplog)


@pytest.mark.parametrize("name", ["plain", "unknown", "unsound body"])
@pytest.mark.parametrize("version", [None, [], [0, 50, 0], ["2"], "2.0"])
def test_both_ways_answer_old_clients_the_same(name: str, version: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert_same_answers(name, {"reply_to": "x"} if version is None else {"client_version": version}, caplog)


def assert_same_answers(name: str, meta: Body, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.server.job")
    outcomes = []
    for middleware in ((), (Nothing,), (AwaitingNothing,)):
        request, code = JOBS[name]
        request = copied(request)
        SEEN.clear()
        caplog.clear()

        answer = without_tracebacks(answer_of(request, dict(meta), middleware=middleware))

        records = [record.getMessage() for record in caplog.records if record.name == "pysoa.server.job"]
        outcomes.append((answer, list(SEEN), len(records)))
        if code is not None:
            assert code in {error["code"] for each in (answer, *answer["actions"]) for error in each["errors"]}
        elif answer is not None:
            assert not any(each["errors"] for each in (answer, *answer["actions"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def test_an_ordinary_job_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(AsyncServer, "process_job")

    answer = answer_of(job("awaiting"), {})

    assert answer["actions"][0]["body"] == {"name": "awaiting"}


class Overriding(OurServer):
    def execute_job(self, job_request: Any) -> Any:
        SEEN.append("execute_job")
        return super().execute_job(job_request)


class OverridingMore(OurServer):
    def process_job(self, job_request: Any) -> Any:
        SEEN.append("process_job")
        return super().process_job(job_request)


@pytest.mark.parametrize("server_class", [Overriding, OverridingMore])
def test_an_override_is_not_passed_by(server_class: type[Server]) -> None:
    answer_of(job("awaiting"), {}, server_class=server_class)

    assert SEEN[0] in ("execute_job", "process_job")
    assert len(SEEN) == 2


class Hooked(OurServer):
    def perform_pre_request_actions(self) -> None:
        SEEN.append("before")
        raise ValueError("kaboom")


def test_a_hook_that_fails_is_answered_in_place_of_the_job() -> None:
    answer = answer_of(job("awaiting"), {}, server_class=Hooked)

    assert [error["code"] for error in answer["errors"]] == ["SERVER_ERROR"]
    assert SEEN == ["before"]


class Calling(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        request.context["added"] = 1
        return dict(request.client.context)


class CallingServer(OurServer):
    action_class_map = {"calling": Calling}


def test_the_client_of_an_action_has_the_context_as_it_came() -> None:
    answer = answer_of(job("calling"), {}, server_class=CallingServer)

    assert answer["actions"][0]["body"] == {"correlation_id": "corr-9", "switches": [], "calling_service": "ours"}
