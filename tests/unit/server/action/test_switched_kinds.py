"""How the variants of switched actions run: each in its own way, in both loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pysoa.common.types import ActionResponse, Body
from pysoa.server.action import Action
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.middleware import AsyncServerMiddleware, ServerMiddleware
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from tests.support.scripted import answer_in_loop, job, make_server, run_script

WORKER = threading.main_thread()
PLAIN, BLOCKING, ASYNCHRONOUS, FUNCTION, NESTED = range(1, 6)


def seen_by(request: EnrichedActionRequest) -> Body:
    return {"client": type(request.client).__name__, "in worker": threading.current_thread() is WORKER}


class Plain(Action):
    def run(self, request: EnrichedActionRequest) -> Body:
        return seen_by(request)


class Blocking(Plain):
    blocking = True


class Asynchronous(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        assert request.run_coroutine is not None
        added: Any = request.run_coroutine(self.added())
        return {**seen_by(request), **await added}

    async def added(self) -> Body:
        await asyncio.sleep(0)
        return {"added": True}


def function(settings: Any) -> Any:
    async def act(request: EnrichedActionRequest) -> ActionResponse:
        return ActionResponse(request.action, body=seen_by(request))

    return act


class Inner(SwitchedAction):
    switch_to_action_map = ((ASYNCHRONOUS, Asynchronous), (SwitchedAction.DEFAULT_ACTION, Blocking))


class Switched(SwitchedAction):
    switch_to_action_map = (
        (PLAIN, Plain),
        (BLOCKING, Blocking),
        (NESTED, Inner),
        (ASYNCHRONOUS, Asynchronous),
        (FUNCTION, function),
    )


class Overriding(Switched):
    def __call__(self, action_request: EnrichedActionRequest) -> Any:
        return ActionResponse(action_request.action, body={"overridden": True})


class AllOnThreads(Switched):
    blocking = True


class Local(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        response: Any = request.call_local_action("switched", {})
        response = response if isinstance(response, ActionResponse) else await response
        return {**response.body, "own": type(request.client).__name__}


class Service(Server):
    service_name = "x"
    action_class_map = {
        "switched": Switched,
        "overriding": Overriding,
        "all_on_threads": AllOnThreads,
        "local": Local,
    }


class Curious(ServerMiddleware):
    """Asks for the client before it is known which action will have it."""

    def action(self, process_action: Any) -> Any:
        def process(request: EnrichedActionRequest) -> Any:
            assert request.client is not None
            return process_action(request)

        return process


class Awaiting(AsyncServerMiddleware):
    def action(self, process_action: Any) -> Any:
        async def process(request: EnrichedActionRequest) -> Any:
            return await process_action(request)

        return process


class ToAsynchronous(ServerMiddleware):
    """Changes the switches, as actions see them."""

    def action(self, process_action: Any) -> Any:
        def process(request: EnrichedActionRequest) -> Any:
            request.switches = RequestSwitchSet([ASYNCHRONOUS])
            return process_action(request)

        return process


class CuriousToAsynchronous(Curious, ToAsynchronous):
    def action(self, process_action: Any) -> Any:
        return Curious.action(self, ToAsynchronous.action(self, process_action))


def body_of(engine: str, name: str, *switches: int, middleware: type | None = None, **settings: Any) -> Any:
    """What an action answers in one of the engines."""
    settings["middleware"] = [{"path": f"{__name__}:{middleware.__name__}"}] if middleware else []
    request = job(name, context={"switches": list(switches)})
    if engine == "blocking":
        (answer,) = run_script(make_server(Service, **settings), request)
    else:
        answer = answer_in_loop(Service, request, **settings)
    assert answer["actions"][0]["errors"] == []
    return answer["actions"][0]["body"]


IN_WORKER = {"client": "Client", "in worker": True}
ON_THREAD = {"client": "Client", "in worker": False}
AWAITED = {"client": "AsyncClient", "in worker": False, "added": True}
IN_LOOP = {"client": "AsyncClient", "in worker": True, "added": True}


@pytest.mark.parametrize("middleware", [None, Curious, Awaiting])
@pytest.mark.parametrize(
    ("switches", "blocking", "in_loop"),
    [
        ([PLAIN], IN_WORKER, IN_WORKER),
        ([BLOCKING], IN_WORKER, ON_THREAD),
        ([ASYNCHRONOUS], AWAITED, IN_LOOP),
        ([NESTED], IN_WORKER, ON_THREAD),
        ([NESTED, ASYNCHRONOUS], AWAITED, IN_LOOP),
    ],
    ids=["plain", "blocking", "asynchronous", "nested blocking", "nested asynchronous"],
)
def test_each_variant_runs_in_its_own_way(
    switches: list[int], blocking: Body, in_loop: Body, middleware: type | None
) -> None:
    assert body_of("blocking", "switched", *switches, middleware=middleware) == blocking
    assert body_of("asyncio", "switched", *switches, middleware=middleware) == in_loop


@pytest.mark.parametrize("engine", ["blocking", "asyncio"])
def test_a_coroutine_function_can_be_a_variant(engine: str) -> None:
    assert body_of(engine, "switched", FUNCTION)["client"] == "AsyncClient"


@pytest.mark.parametrize("engine", ["blocking", "asyncio"])
@pytest.mark.parametrize("middleware", [ToAsynchronous, CuriousToAsynchronous])
def test_switches_that_middleware_sets_choose_the_kind_too(engine: str, middleware: type) -> None:
    expected = AWAITED if engine == "blocking" else IN_LOOP

    assert body_of(engine, "switched", PLAIN, middleware=middleware) == expected


def test_plain_variants_run_on_threads_where_the_settings_or_the_class_say_so() -> None:
    assert body_of("asyncio", "switched", PLAIN, blocking_actions=True) == ON_THREAD
    assert body_of("asyncio", "switched", ASYNCHRONOUS, blocking_actions=True) == IN_LOOP
    assert body_of("asyncio", "all_on_threads", PLAIN) == ON_THREAD


@pytest.mark.parametrize("engine", ["blocking", "asyncio"])
def test_a_class_that_calls_its_variants_itself_is_left_to_it(engine: str) -> None:
    assert body_of(engine, "overriding", PLAIN) == {"overridden": True}


@pytest.mark.parametrize("engine", ["blocking", "asyncio"])
@pytest.mark.parametrize(("switch", "client"), [(PLAIN, "Client"), (ASYNCHRONOUS, "AsyncClient")])
def test_a_local_call_has_the_client_of_the_variant(engine: str, switch: int, client: str) -> None:
    body = body_of(engine, "local", switch)

    assert (body["client"], body["own"]) == (client, "AsyncClient")
