"""Asynchronous actions and middleware in the blocking server."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common import fields
from pysoa.common.errors import Error
from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import ActionResponse, Body
from pysoa.server.action import Action
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.coroutine import Coroutine, CoroutineMiddleware
from pysoa.server.errors import ActionError, JobError
from pysoa.server.internal.signals import handled
from pysoa.server.middleware import AsyncServerMiddleware, ServerMiddleware
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.types import EnrichedActionRequest
from tests.support.scripted import answer, job, make_server, run_script

LOG: list[Any] = []
WORKER = threading.main_thread()

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


class Square(Action):
    request_schema = fields.Dictionary({"number": fields.Integer()})
    response_schema = fields.Dictionary({"square": fields.Integer()})

    async def validate(self, request: EnrichedActionRequest) -> None:
        await asyncio.sleep(0)
        if request.body["number"] == 13:
            raise ActionError([Error("UNLUCKY", "not this one")])

    async def run(self, request: EnrichedActionRequest) -> Body:
        await asyncio.sleep(0)
        number = request.body["number"]
        return {"square": "so much" if number > 1000 else number**2}


class Plain(Action):
    def run(self, request: EnrichedActionRequest) -> Body:
        LOG.append(("plain", threading.current_thread() is WORKER, variable.get()))
        variable.set("plain action")
        return {"which": "plain"}


class Asynchronous(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        LOG.append(("asynchronous", threading.current_thread() is WORKER, variable.get()))
        await asyncio.sleep(0)
        variable.set("asynchronous action")
        return {"which": "asynchronous"}


class Failing(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        await asyncio.sleep(0)
        errors: dict[str, Callable[[], BaseException]] = {
            "action": lambda: ActionError([Error("TEAPOT", "short and stout")]),
            "job": lambda: JobError([Error("TEAPOT", "short and stout")]),
            "value": lambda: ValueError("kaboom"),
            "cancelled": asyncio.CancelledError,
            "exit": lambda: SystemExit(7),
        }
        raise errors[request.body["how"]]()


class Switched(SwitchedAction):
    switch_to_action_map = ((1, Asynchronous), (SwitchedAction.DEFAULT_ACTION, Plain))


def function(settings: Any) -> Callable[[EnrichedActionRequest], Any]:
    async def act(request: EnrichedActionRequest) -> ActionResponse:
        await asyncio.sleep(0)
        return ActionResponse(request.action, body={"which": "function"})

    return act


class Calling(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        plain = request.call_local_action("plain", {})
        squared = await request.call_local_action("square", {"number": request.body["number"]}, **request.body["how"])
        return {"plain": plain.body, "squared": squared.body, "errors": [each.code for each in squared.errors]}


class Endless(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        try:
            signal.pthread_kill(WORKER.ident or 0, signal.SIGALRM)
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            LOG.append("cancelled")
            raise
        return {}


class EndlessPlain(Action):
    def run(self, request: EnrichedActionRequest) -> Body:
        signal.raise_signal(signal.SIGALRM)
        threading.Event().wait()
        return {}


class OurServer(Server):
    service_name = "ours"
    action_class_map = {
        "square": Square,
        "plain": Plain,
        "asynchronous": Asynchronous,
        "failing": Failing,
        "switched": Switched,
        "function": function,
        "calling": Calling,
        "endless": Endless,
        "endless_plain": EndlessPlain,
    }


class Awaiting(AsyncServerMiddleware):
    name = "awaiting"

    def job(self, process_job: Any) -> Any:
        async def process(request: Any) -> Any:
            LOG.append((f"job into {self.name}", threading.current_thread() is WORKER))
            variable.set(f"job {self.name}")
            response = await process_job(request)
            LOG.append(f"job out of {self.name}")
            return response

        return process

    def action(self, process_action: Any) -> Any:
        async def process(request: Any) -> Any:
            LOG.append((f"into {self.name}", threading.current_thread() is WORKER))
            variable.set(self.name)
            try:
                response = await process_action(request)
            except asyncio.CancelledError:
                LOG.append("cancelled")
                raise
            LOG.append((f"out of {self.name}", variable.get()))
            return response

        return process


class Inner(Awaiting):
    name = "inner"


class Sync(ServerMiddleware):
    def action(self, process_action: Any) -> Any:
        def process(request: Any) -> Any:
            LOG.append(("into sync", threading.current_thread() is WORKER, variable.get()))
            variable.set("sync")
            response = process_action(request)
            LOG.append(("out of sync", variable.get()))
            return response

        return process


class Impatient(AsyncServerMiddleware):
    def action(self, process_action: Any) -> Any:
        async def process(request: Any) -> Any:
            try:
                async with asyncio.timeout(0.01):
                    return await process_action(request)
            except TimeoutError:
                return ActionResponse(request.action, [Error("IMPATIENT", "took too long")])

        return process


@accepts_kwargs(NO_KWARGS)
class Counting(CoroutineMiddleware):
    def before_run_coroutine(self) -> None:
        LOG.append("before_run_coroutine")

    def coroutine(self, coroutine: Coroutine) -> Coroutine:
        LOG.append("coroutine")
        return coroutine


def server_with(*middleware: type, **settings: Any) -> Any:
    paths = [{"path": f"{__name__}:{each.__name__}"} for each in middleware]
    return make_server(OurServer, middleware=paths, **settings)


def run_actions(server: Any, *actions: Any, **context: Any) -> Any:
    """Run one job in a server that runs, so that its event-loop thread is there."""
    (body,) = run_script(server, job(*actions, context=context))
    return body


def test_an_asynchronous_action_is_waited_for() -> None:
    body = run_actions(server_with(), {"action": "square", "body": {"number": 7}}, "plain")

    assert [each["body"] for each in body["actions"]] == [{"square": 49}, {"which": "plain"}]


@pytest.mark.parametrize(
    ("number", "code"), [("seven", "INVALID"), (13, "UNLUCKY"), (1001, "SERVER_ERROR")], ids=["schema", "own", "answer"]
)
def test_all_checks_of_an_asynchronous_action_are_made(number: Any, code: str) -> None:
    body = run_actions(server_with(), {"action": "square", "body": {"number": number}})

    assert [each["code"] for each in body["actions"][0]["errors"]] == [code]


@pytest.mark.parametrize("how", ["value", "cancelled"])
def test_an_exception_in_an_asynchronous_action_is_answered_and_logged(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_with()

    first, second = run_script(server, job({"action": "failing", "body": {"how": how}}), job("plain"))

    assert first["actions"][0]["errors"][0]["code"] == "SERVER_ERROR"
    assert second["actions"][0]["body"] == {"which": "plain"}
    assert "in run" in caplog.text  # the traceback leads into the coroutine
    assert "request.run_coroutine" not in caplog.text


def test_errors_of_an_asynchronous_action_fail_it_or_the_job() -> None:
    first, second = run_script(
        server_with(),
        job({"action": "failing", "body": {"how": "action"}}),
        job({"action": "failing", "body": {"how": "job"}}),
    )

    assert first["actions"][0]["errors"][0]["code"] == "TEAPOT"
    assert second["errors"][0]["code"] == "TEAPOT"


def test_an_asynchronous_action_may_end_the_process_as_a_plain_one_may() -> None:
    with pytest.raises(SystemExit):
        run_actions(server_with(), {"action": "failing", "body": {"how": "exit"}})


@pytest.mark.parametrize(("switches", "which"), [([1], "asynchronous"), ([], "plain")])
def test_a_switched_action_may_have_variants_of_both_kinds(switches: list[int], which: str) -> None:
    body = run_actions(server_with(Sync), "switched", switches=switches)

    assert body["actions"][0]["body"] == {"which": which}


def test_an_action_may_be_a_coroutine_function() -> None:
    assert run_actions(server_with(), "function")["actions"][0]["body"] == {"which": "function"}


@pytest.mark.parametrize(
    ("number", "how", "errors"),
    [
        (3, {}, []),
        (13, {"raise_action_errors": False}, ["UNLUCKY"]),
        ("three", {"raise_action_errors": False}, ["INVALID"]),
    ],
    ids=["well", "ill", "refused"],
)
def test_an_asynchronous_action_calls_local_ones_of_both_kinds(number: Any, how: Any, errors: Any) -> None:
    body = run_actions(server_with(), {"action": "calling", "body": {"number": number, "how": how}})

    squared = {"square": 9} if number == 3 else {}
    assert body["actions"][0]["body"] == {"plain": {"which": "plain"}, "squared": squared, "errors": errors}


def test_errors_of_an_asynchronous_local_action_are_raised_where_it_is_awaited() -> None:
    body = run_actions(server_with(), {"action": "calling", "body": {"number": 13, "how": {}}})

    assert body["actions"][0]["errors"][0]["code"] == "UNLUCKY"


@pytest.mark.parametrize("action", ["plain", "asynchronous"])
def test_middleware_of_both_kinds_nests_and_shares_context_variables(action: str) -> None:
    run_actions(server_with(Awaiting, Sync, Inner), action)

    assert [
        ("job into awaiting", False),
        ("job into inner", False),
        ("into awaiting", False),
        ("into sync", True, "awaiting"),
        ("into inner", False),
        (action, action == "plain", "inner"),
        ("out of inner", f"{action} action"),
        ("out of sync", f"{action} action"),
        ("out of awaiting", f"{action} action"),
        "job out of inner",
        "job out of awaiting",
    ] == LOG


@pytest.mark.parametrize("middleware", [(Awaiting, Inner), (Inner, Sync), (Sync, Inner), (Sync, Awaiting, Inner, Sync)])
@pytest.mark.parametrize("how", ["action", "job"])
def test_errors_pass_through_middleware_of_both_kinds(middleware: tuple[type, ...], how: str) -> None:
    body = run_actions(server_with(*middleware), {"action": "failing", "body": {"how": how}})

    errors = body["errors"] if how == "job" else body["actions"][0]["errors"]
    assert errors[0]["code"] == "TEAPOT"


def test_a_plain_action_may_wait_for_the_event_loop_within_asynchronous_middleware() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "worked"

    class WaitingServer(OurServer):
        action_class_map = {
            "wait": lambda settings: (
                lambda request: ActionResponse("wait", body={"result": request.run_coroutine(work()).result(5)})
            )
        }

    server = make_server(WaitingServer, middleware=[{"path": f"{__name__}:Awaiting"}])

    assert run_actions(server, "wait")["actions"][0]["body"] == {"result": "worked"}


def test_a_timeout_in_middleware_cancels_an_asynchronous_action_through_plain_middleware() -> None:
    class Patient(OurServer):
        action_class_map = {"sleep": lambda settings: sleep}

    async def sleep(request: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            LOG.append("ended")

    server = make_server(Patient, middleware=[{"path": f"{__name__}:{each}"} for each in ("Impatient", "Sync")])

    body = run_actions(server, "sleep")

    assert body["actions"][0]["errors"][0]["code"] == "IMPATIENT"
    assert LOG[-1] == "ended"


def test_middleware_of_coroutines_has_no_part_in_it() -> None:
    run_actions(server_with(Awaiting, coroutine_middleware=[{"path": f"{__name__}:Counting"}]), "asynchronous")

    assert not {"before_run_coroutine", "coroutine"} & {each for each in LOG if isinstance(each, str)}


@pytest.mark.parametrize("middleware", [(), (Sync,), (Awaiting,), (Awaiting, Sync, Inner)])
def test_harakiri_cancels_an_asynchronous_action_and_answers(middleware: tuple[type, ...]) -> None:
    def strike(signum: int, frame: Any) -> None:
        raise HarakiriInterrupt

    server = server_with(*middleware, harakiri={"timeout": 0})
    with handled({signal.SIGALRM: strike}):
        body = run_actions(server, "endless")

    assert body["actions"][0]["errors"][0]["code"] == "ACTION_TIMEOUT"
    assert "cancelled" in LOG


@pytest.mark.parametrize("middleware", [(Awaiting,), (Awaiting, Sync, Inner)])
def test_harakiri_in_a_plain_action_cancels_the_middleware_around_it(middleware: tuple[type, ...]) -> None:
    def strike(signum: int, frame: Any) -> None:
        raise HarakiriInterrupt

    server = server_with(*middleware, harakiri={"timeout": 0})
    with handled({signal.SIGALRM: strike}):
        body = run_actions(server, "endless_plain")

    assert body["actions"][0]["errors"][0]["code"] == "ACTION_TIMEOUT"
    assert "cancelled" in LOG


def test_a_server_that_does_not_run_has_a_loop_for_each_wait() -> None:
    server = server_with(Awaiting, Sync, Inner)

    bodies = [answer(server, job("asynchronous"))["actions"][0]["body"] for _ in range(2)]

    assert bodies == [{"which": "asynchronous"}] * 2
    assert not server._async_event_loop_thread.is_used


class Beside(Action):
    async def run(self, request: EnrichedActionRequest) -> Body:
        assert request.run_coroutine is not None
        future: Any = request.run_coroutine(asyncio.sleep(0, "done beside"))
        return {"result": await future}


class BesideServer(OurServer):
    action_class_map = {"beside": Beside}


def test_an_asynchronous_action_awaits_coroutines_beside_its_job() -> None:
    for body in (run_actions(make_server(BesideServer), "beside"), answer(make_server(BesideServer), job("beside"))):
        assert body["actions"][0]["body"] == {"result": "done beside"}
