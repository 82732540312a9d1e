"""Services with an action of every kind, plain and asynchronous, for the contract tests.

They are served in the test's process, by the local transport, or in a process of their own, over Redis: run that with
``python -m tests.support.contract_service PORT CONCURRENCY``. What the hooks and actions do is told by the action
``events``, which works in both.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import os
import sys
import threading
from collections import defaultdict
from typing import Any

from pysoa.common.errors import Error
from pysoa.common.transport.errors import DeadlinePassed
from pysoa.common.types import ActionResponse
from pysoa.server.action import Action
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError, JobError
from pysoa.server.middleware import AsyncServerMiddleware, ServerMiddleware
from pysoa.server.server import Server
from tests.support.expandable import objects_of

EVENTS: list[str] = []

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def describe(request: Any) -> Any:
    return {
        "context": request.context,
        "control": request.control,
        "switches": sorted(request.switches),
        "client": type(request.client).__name__,
        "is_in_loop": asyncio._get_running_loop() is not None,
    }


def echo(request: Any) -> Any:
    return request.body


def fail(request: Any) -> Any:
    how = request.body["how"]
    if how == "action":
        raise ActionError([Error("TEAPOT", "short and stout", field="pot.lid")])
    if how == "job":
        raise JobError([Error("TEAPOT", "short and stout")])
    if how == "exception":
        raise ValueError("kaboom")
    return {"unwritable": {"thing": object()}, "large": {"text": "x" * 200_000}, "nothing": None}[how]


def see_variable(request: Any) -> Any:
    seen = variable.get()
    variable.set(request.body["value"])
    return {"seen": seen}


def look_up(request: Any) -> Any:
    EVENTS.append(f"{request.action} {request.body}")
    return objects_of(request.body)


def events(request: Any) -> Any:
    EVENTS[:], told = [], EVENTS[:]
    return {"events": told}


class PlainAction(Action):
    function: Any = None

    def run(self, request: Any) -> Any:
        return type(self).function(request)


class AsyncAction(Action):
    function: Any = None

    async def run(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return type(self).function(request)


@dataclasses.dataclass
class Number:
    number: int


@dataclasses.dataclass
class Square:
    square: int


class PlainSquare(Action):
    request_schema = Number
    response_schema = Square

    def run(self, request: Any) -> Any:
        return Square(request.data.number**2) if request.data.number != 13 else {"square": "unlucky"}


class AsyncSquare(PlainSquare):
    async def validate(self, request: Any) -> None:
        if request.data.number > 1000:
            raise ActionError([Error("TOO_LARGE", "too large", field="number")])

    async def run(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return super().run(request)


class Nested(Action):
    def run(self, request: Any) -> Any:
        inner = request.client.call_action("inner", "describe", switches=[5], context={"from": "outer"})
        return {"client": type(request.client).__name__, "inner": inner.body}


class BlockingNested(Nested):
    blocking = True


class AsyncNested(Action):
    async def run(self, request: Any) -> Any:
        inner = await request.client.call_action("inner", "describe", switches=[5], context={"from": "outer"})
        return {"client": type(request.client).__name__, "inner": inner.body}


class BlockingDescribe(PlainAction):
    function = describe
    blocking = True


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


class Coroutine(Action):
    def run(self, request: Any) -> Any:
        return {"doubled": request.run_coroutine(double(request.body["number"])).result(10)}


class AsyncCoroutine(Action):
    async def run(self, request: Any) -> Any:
        return {"doubled": await request.run_coroutine(double(request.body["number"]))}


class Sleep(Action):
    def run(self, request: Any) -> Any:
        threading.Event().wait(request.body["seconds"])
        return {}


class BlockingSleep(Sleep):
    blocking = True


class AsyncSleep(Action):
    async def run(self, request: Any) -> Any:
        await asyncio.sleep(request.body["seconds"])
        return {}


class Late(Action):
    blocking = True

    def run(self, request: Any) -> Any:
        try:
            request.client.call_action("inner", "async_sleep", {"seconds": 1})
        except DeadlinePassed as error:
            EVENTS.append(f"late: {error.is_of_job} {error.outcome}")
        return {}


class AsyncLate(Action):
    async def run(self, request: Any) -> Any:
        try:
            await request.client.call_action("inner", "async_sleep", {"seconds": 1})
        except DeadlinePassed as error:
            EVENTS.append(f"late: {error.is_of_job} {error.outcome}")
        except asyncio.CancelledError:
            EVENTS.append("late: called off")
            raise
        return {}


class Local(Action):
    def run(self, request: Any) -> Any:
        return request.call_local_action("square", request.body, raise_action_errors=False).body


class AsyncLocal(Action):
    async def run(self, request: Any) -> Any:
        plain = request.call_local_action("square", request.body, raise_action_errors=False)
        squared = await request.call_local_action("async_square", request.body, raise_action_errors=False)
        assert plain.body == squared.body
        return {**squared.body, "codes": [error.code for error in squared.errors]}


class AsyncLocalClients(Action):
    async def run(self, request: Any) -> Any:
        kinds = [type(request.client).__name__]
        kinds.append(request.call_local_action("describe", {}).body["client"])
        kinds.append((await request.call_local_action("async_describe", {})).body["client"])
        return {"kinds": kinds}


class First(AsyncAction):
    function = staticmethod(lambda request: {"which": "first"})


class Second(PlainAction):
    function = staticmethod(lambda request: {"which": "second"})


class Switched(SwitchedAction):
    switch_to_action_map = ((1, First), (SwitchedAction.DEFAULT_ACTION, Second))


_meetings: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""Where jobs wait for one another, which only works side by side."""


class Wait(Action):
    async def run(self, request: Any) -> Any:
        await asyncio.wait_for(_meetings[request.body["name"]].wait(), 10)
        del _meetings[request.body["name"]]
        return {"met": True}


class Arrive(Action):
    def run(self, request: Any) -> Any:
        _meetings[request.body["name"]].set()
        return {}


def _both(*functions: Any) -> dict[str, Any]:
    actions: dict[str, Any] = {}
    for function in functions:
        name, body = function.__name__, {"function": staticmethod(function)}
        actions[name] = type(f"Plain_{name}", (PlainAction,), body)
        actions[f"async_{name}"] = type(f"Async_{name}", (AsyncAction,), body)
    return actions


def function_action(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action, body={"which": "function"})


def async_function_action(settings: Any) -> Any:
    async def act(request: Any) -> ActionResponse:
        await asyncio.sleep(0)
        return ActionResponse(request.action, body={"which": "coroutine function"})

    return act


ACTIONS: dict[str, Any] = {
    **_both(describe, echo, fail, see_variable, look_up),
    "events": _both(events)["events"],
    "square": PlainSquare,
    "async_square": AsyncSquare,
    "nested": Nested,
    "blocking_nested": BlockingNested,
    "async_nested": AsyncNested,
    "blocking_describe": BlockingDescribe,
    "coroutine": Coroutine,
    "async_coroutine": AsyncCoroutine,
    "sleep": Sleep,
    "blocking_sleep": BlockingSleep,
    "async_sleep": AsyncSleep,
    "late": Late,
    "async_late": AsyncLate,
    "local": Local,
    "async_local": AsyncLocal,
    "async_local_clients": AsyncLocalClients,
    "switched": Switched,
    "wait": Wait,
    "arrive": Arrive,
    "function": function_action,
    "async_function": async_function_action,
}


class Plain(ServerMiddleware):
    """Leaves its name on what passes; of the first PySOA's kind."""

    def job(self, process_job: Any) -> Any:
        def process(request: Any) -> Any:
            if "stop_at" in request.context and request.context["stop_at"] == type(self).__name__:
                raise JobError([Error("STOPPED", "by middleware")])
            response = process_job(request)
            response.context.setdefault("path", []).append(f"{type(self).__name__} job")
            return response

        return process

    def action(self, process_action: Any) -> Any:
        def process(request: Any) -> Any:
            response = process_action(request)
            if "traced" in request.body:
                response.body.setdefault("path", []).append(type(self).__name__)
            return response

        return process


class Awaiting(AsyncServerMiddleware):
    """The same with coroutine functions."""

    def job(self, process_job: Any) -> Any:
        async def process(request: Any) -> Any:
            await asyncio.sleep(0)
            response = await process_job(request)
            response.context.setdefault("path", []).append(f"{type(self).__name__} job")
            return response

        return process

    def action(self, process_action: Any) -> Any:
        async def process(request: Any) -> Any:
            await asyncio.sleep(0)
            response = await process_action(request)
            if "traced" in request.body:
                response.body.setdefault("path", []).append(type(self).__name__)
            return response

        return process


class Outermost(Plain):
    """Stands first."""


class Innermost(Plain):
    """Stands last."""


MIDDLEWARE = [{"path": f"tests.support.contract_service:{each}"} for each in ("Outermost", "Awaiting", "Innermost")]


class Outer(Server):
    """Plain hooks, and nothing around actions."""

    service_name = "outer"
    action_class_map = ACTIONS


class Inner(Outer):
    service_name = "inner"


class Wrapped(Outer):
    """With middleware of both kinds, all plain actions on threads, and errors told in full."""

    service_name = "wrapped"


class Overriding(Outer):
    """Overrides what can be overridden, plainly."""

    service_name = "overriding"

    def setup(self) -> None:
        EVENTS.append("setup")
        super().setup()

    def teardown(self) -> None:
        super().teardown()
        EVENTS.append("teardown")

    def perform_pre_request_actions(self) -> None:
        EVENTS.append("pre")
        super().perform_pre_request_actions()

    def perform_post_request_actions(self) -> None:
        super().perform_post_request_actions()
        EVENTS.append("post")

    def perform_idle_actions(self) -> None:
        super().perform_idle_actions()
        EVENTS.append("idle")

    def process_job(self, job_request: Any) -> Any:
        EVENTS.append("process_job")
        response = super().process_job(job_request)
        response.context["processed"] = True
        return response

    def execute_job(self, job_request: Any) -> Any:
        EVENTS.append("execute_job")
        response = super().execute_job(job_request)
        response.context["executed"] = len(response.actions)
        return response


class AsyncHooks(Outer):
    """Hooks that are coroutine functions; for asyncio only."""

    service_name = "async_hooks"

    async def setup(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        EVENTS.append("setup")

    async def teardown(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        EVENTS.append("teardown")

    async def perform_pre_request_actions(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        EVENTS.append("pre")

    async def perform_post_request_actions(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        EVENTS.append("post")

    async def perform_idle_actions(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        EVENTS.append("idle")


SERVERS: dict[str, type[Server]] = {
    each.service_name or "": each for each in (Outer, Inner, Wrapped, Overriding, AsyncHooks)
}
REDIS = "pysoa.common.transport.redis_gateway"


def services_of(concurrency: int) -> list[str]:
    """The services that can be served so."""
    return [name for name in SERVERS if concurrency > 1 or name != "async_hooks"]


def redis_transport(side: str, port: int, **kwargs: Any) -> dict[str, Any]:
    """The settings of one end of a transport; ``side`` is ``client:RedisClientTransport`` or so."""
    kwargs = {"backend_layer_kwargs": {"hosts": [("127.0.0.1", port)]}, **kwargs}
    return {"path": f"{REDIS}.{side}", "kwargs": {"backend_type": "redis.standard", **kwargs}}


def local_transport(service_name: str, concurrency: int) -> dict[str, Any]:
    """The settings of the local transport of a service."""
    kwargs = {"server_class": SERVERS[service_name], "server_settings": local_settings(service_name, concurrency)}
    return {"path": "pysoa.common.transport.local:LocalClientTransport", "kwargs": kwargs}


def local_settings(service_name: str, concurrency: int) -> dict[str, Any]:
    inner = {} if service_name == "inner" else {"inner": {"transport": local_transport("inner", concurrency)}}
    return _settings(service_name, concurrency, inner)


def redis_settings(service_name: str, concurrency: int, port: int) -> dict[str, Any]:
    inner = {"inner": {"transport": redis_transport("client:RedisClientTransport", port)}}
    transport = redis_transport(
        "server:RedisServerTransport", port, receive_timeout_in_seconds=0.2, maximum_message_size_in_bytes=100_000
    )
    return {"transport": transport, **_settings(service_name, concurrency, inner)}


def _settings(service_name: str, concurrency: int, routing: Any) -> dict[str, Any]:
    return {
        "error_detail": "full" if service_name == "wrapped" else "redacted",
        "blocking_actions": service_name == "wrapped",
        "concurrency": concurrency,
        "client_routing": routing,
        "middleware": MIDDLEWARE if service_name == "wrapped" else [],
    }


def main(port: int, concurrency: int, names: list[str]) -> None:
    """Serve; several services, each in a thread, for as long as the process lives; a single one until it is told."""
    servers = [
        SERVERS[name](SERVERS[name].settings_class(redis_settings(name, concurrency, port)))
        for name in names or services_of(concurrency)
    ]
    if len(servers) > 1:
        threads = [threading.Thread(target=server.run, daemon=True) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        servers[0].run()
    os.write(1, f"{' '.join(EVENTS)}\nended with {servers[0].exit_code}\n".encode())


if __name__ == "__main__":
    # Under its own name: settings name the middleware by that, and there is one list of events.
    from tests.support.contract_service import main as imported_main

    imported_main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
