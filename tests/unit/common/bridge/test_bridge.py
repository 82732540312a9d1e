"""Both ways over the bridge: fibers (greenlet), and threads for when it is not installed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import importlib.util
import sys
import threading
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from pysoa.common import bridge
from pysoa.common.bridge import run_sync, wait_for

FIBERS = pytest.param("fibers", marks=pytest.mark.skipif(not importlib.util.find_spec("greenlet"), reason="greenlet"))

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=[FIBERS, "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "threads":
        monkeypatch.setitem(sys.modules, "pysoa.common.bridge.fibers", None)
    bridge._way.cache_clear()
    yield request.param
    bridge._way.cache_clear()


pytestmark = pytest.mark.usefixtures("way")


async def soon(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def at_once(result: Any) -> Any:
    return result


async def fail_anew() -> None:
    await asyncio.sleep(0)
    raise KeyError  # kept in no variable: that would be a reference cycle of the test's own


def test_a_function_gets_its_arguments_and_gives_back_its_result() -> None:
    assert asyncio.run(run_sync(lambda *args: args, 1, "two")) == (1, "two")


@pytest.mark.parametrize("work", [soon, at_once])
def test_a_function_waits_for_coroutines(work: Callable[[Any], Awaitable[Any]]) -> None:
    def add() -> Any:
        return wait_for(work(20)) + wait_for(work(22))

    assert asyncio.run(run_sync(add)) == 42


def test_a_function_waits_for_tasks_futures_and_other_awaitables() -> None:
    class Other:
        def __await__(self) -> Any:
            return soon("other").__await__()

    async def main() -> Any:
        task, future = asyncio.create_task(soon("task")), asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "future")
        return await run_sync(lambda: [wait_for(each) for each in (task, future, Other())])

    assert asyncio.run(main()) == ["task", "future", "other"]


def test_other_tasks_go_on_while_a_function_waits() -> None:
    async def main() -> list[str]:
        order = []
        gate = asyncio.Event()

        def wait_at_gate() -> None:
            order.append("waits")
            wait_for(gate.wait())
            order.append("goes on")

        async def open_gate() -> None:
            while not order:
                await asyncio.sleep(0)
            order.append("opens")
            gate.set()

        await asyncio.gather(run_sync(wait_at_gate), open_gate())
        return order

    assert asyncio.run(main()) == ["waits", "opens", "goes on"]


@pytest.mark.parametrize("error", [KeyError("k"), asyncio.CancelledError(), GeneratorExit(), SystemExit(3)])
def test_what_a_function_raises_is_raised_by_run_sync(error: BaseException) -> None:
    def raise_it() -> None:
        wait_for(soon(1))
        raise error

    async def main() -> BaseException | None:
        try:
            await run_sync(raise_it)
        except BaseException as raised:
            return raised
        return None

    assert asyncio.run(main()) is error


@pytest.mark.parametrize("error", [KeyError("k"), asyncio.CancelledError()])
def test_what_an_awaitable_raises_is_raised_by_wait_for(error: BaseException) -> None:
    def catch() -> BaseException | None:
        try:
            wait_for(fail(error))
        except BaseException as raised:
            return raised
        return None

    assert asyncio.run(run_sync(catch)) is error


def test_a_traceback_leads_from_the_task_to_where_it_was_raised() -> None:
    def calls_fail() -> None:
        wait_for(fail(KeyError("k")))

    async def main() -> None:
        await run_sync(calls_fail)

    with pytest.raises(KeyError) as raised:
        asyncio.run(main())

    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert [name for name in names if name in {"main", "calls_fail", "fail"}] == ["main", "calls_fail", "fail"]


def test_an_awaitable_runs_in_the_task_of_run_sync() -> None:
    async def task() -> Any:
        return asyncio.current_task()

    async def main() -> bool:
        return await run_sync(lambda: wait_for(task())) is asyncio.current_task()

    assert asyncio.run(main())


def test_context_variables_are_seen_by_function_awaitable_and_task() -> None:
    async def inner() -> list[str]:
        await asyncio.sleep(0)
        before = variable.get()
        variable.set("by the awaitable")
        return [before]

    def outer() -> list[str]:
        seen = [variable.get()]
        variable.set("by the function")
        seen += wait_for(inner())
        seen.append(variable.get())
        variable.set("by the function again")
        return seen

    async def main() -> list[str]:
        variable.set("by the task")
        return [*await run_sync(outer), variable.get()]

    assert asyncio.run(main()) == ["by the task", "by the function", "by the awaitable", "by the function again"]


def test_a_token_made_before_a_wait_resets_after_it() -> None:
    def function() -> str:
        token = variable.set("inside")
        wait_for(soon(1))
        variable.reset(token)
        return variable.get()

    async def main() -> list[str]:
        variable.set("outside")
        return [await run_sync(function), variable.get()]

    assert asyncio.run(main()) == ["outside", "outside"]


def test_a_cancellation_reaches_the_awaitable_and_shows_at_wait_for() -> None:
    events = []

    async def sleep() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            events.append("awaitable")
            raise

    def function() -> None:
        try:
            wait_for(sleep())
        except asyncio.CancelledError:
            events.append("function")
            raise

    async def main() -> bool:
        task = asyncio.create_task(run_sync(function))
        while not events and not task.done():
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert events[-1] == "function"


def test_a_function_may_wait_for_more_after_a_cancellation() -> None:
    async def main() -> Any:
        never = asyncio.get_running_loop().create_future()
        begun = asyncio.Event()

        def function() -> Any:
            try:
                wait_for(both(begun, never))
            except asyncio.CancelledError:
                return wait_for(soon("cleaned up"))

        task = asyncio.create_task(run_sync(function))
        await begun.wait()
        task.cancel()
        return await task

    async def both(begun: asyncio.Event, never: asyncio.Future[None]) -> None:
        begun.set()
        await never

    assert asyncio.run(main()) == "cleaned up"


def test_a_timeout_around_run_sync_ends_its_wait() -> None:
    async def main() -> None:
        async with asyncio.timeout(0.01):
            await run_sync(lambda: wait_for(asyncio.Event().wait()))

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_timeout_within_the_awaitable_is_its_own() -> None:
    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "gave up"
        return "came"

    assert asyncio.run(run_sync(lambda: wait_for(impatient()))) == "gave up"


def test_run_sync_nests() -> None:
    def inner(number: int) -> Any:
        return wait_for(soon(number)) + 1

    async def between(number: int) -> Any:
        return await run_sync(inner, number) + await soon(10)

    def outer(number: int) -> Any:
        return wait_for(between(number)) + wait_for(between(100))

    assert asyncio.run(run_sync(outer, 1)) == 12 + 111


def test_many_functions_wait_at_the_same_time() -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(run_sync(lambda n: wait_for(soon(n)), number) for number in range(50)))

    assert asyncio.run(main()) == list(range(50))


def test_wait_for_outside_says_so_and_leaves_no_coroutine_behind() -> None:
    with pytest.raises(RuntimeError, match=r"only in functions that run_sync\(\) runs"):
        wait_for(soon(1))


def test_wait_for_in_another_task_of_the_same_loop_is_outside() -> None:
    async def main() -> None:
        wait_for(soon(1))

    with pytest.raises(RuntimeError, match=r"here, use await"):
        asyncio.run(main())


def test_a_run_that_is_closed_ends_its_function() -> None:
    ended = threading.Event()

    async def main() -> None:
        begun = asyncio.Event()

        async def endless() -> None:
            begun.set()
            await asyncio.Event().wait()

        def function() -> None:
            try:
                wait_for(endless())
            finally:
                ended.set()

        coroutine = run_sync(function)
        waits_for = coroutine.send(None)  # as the loop does
        while not begun.is_set():
            waits_for = await passed_on(waits_for, coroutine)
        coroutine.close()

    asyncio.run(main())

    assert ended.wait(5)


async def passed_on(waits_for: Any, coroutine: Any) -> Any:
    """Wait for what a coroutine waits for, and take its next step."""
    if waits_for is None:
        await asyncio.sleep(0)
    else:
        waits_for._asyncio_future_blocking = False
        await asyncio.wait([waits_for])
    return coroutine.send(None)


def test_nothing_is_left_of_what_ran(way: str) -> None:
    class Argument:
        pass

    def function(argument: Argument, fails: bool) -> None:
        wait_for(soon(argument))
        if fails:
            wait_for(fail_anew())

    async def main() -> list[Any]:
        left = []
        for fails in (False, True):
            argument = Argument()
            left.append(weakref.ref(argument))
            with contextlib.suppress(KeyError):
                await run_sync(function, argument, fails)
            del argument
        return left

    async def watched() -> list[Any]:
        gc.collect()
        gc.disable()
        try:
            return [reference() for reference in await main()]
        finally:
            gc.enable()

    assert asyncio.run(watched()) == [None, None]


@pytest.mark.skipif(not importlib.util.find_spec("greenlet"), reason="needs greenlet")
def test_ten_thousand_runs_leave_no_fiber(way: str) -> None:
    if way != "fibers":
        pytest.skip("about fibers")
    from pysoa.common.bridge.fibers import Fiber

    def function(number: int) -> None:
        wait_for(soon(number) if number % 2 else at_once(number))
        if number % 3 == 0:
            wait_for(fail_anew())
        if number % 5 == 0:
            raise SystemExit

    async def main() -> None:
        for number in range(10_000):
            with contextlib.suppress(KeyError, SystemExit):
                await run_sync(function, number)

    def fibers() -> int:
        return sum(type(each) is Fiber for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = fibers()  # the exceptions that other tests raise have tracebacks, and those hold theirs

        asyncio.run(main())

        assert fibers() == before
    finally:
        gc.enable()


def test_an_exception_of_a_future_keeps_its_traceback() -> None:
    def explode_elsewhere() -> None:
        raise KeyError("lost")

    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            await run_sync(lambda: wait_for(loop.run_in_executor(None, explode_elsewhere)))
        except KeyError as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return []

    assert asyncio.run(run())[-1] == "explode_elsewhere"
