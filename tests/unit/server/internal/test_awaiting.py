"""How the worker waits for coroutines; what services see of it is in ``test_asynchronous``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.server.internal.awaiting import CoroutineWaiter, ask_worker
from pysoa.server.internal.event_loop import AsyncEventLoopThread


@pytest.fixture
def waiter() -> Iterator[CoroutineWaiter]:
    thread = AsyncEventLoopThread()
    thread.starts_on_demand = True
    yield CoroutineWaiter(thread)
    if thread.is_used:
        thread.join()


async def give(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


def test_a_coroutine_that_is_cancelled_is_an_exception_for_the_worker(waiter: CoroutineWaiter) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError("by itself")

    with pytest.raises(concurrent.futures.CancelledError, match="by itself") as raised:
        waiter.wait_for(cancelled())

    assert isinstance(raised.value, Exception)
    assert waiter.wait_for(give(3)) == 3


def test_an_interrupt_before_the_first_step_leaves_nothing_behind(
    waiter: CoroutineWaiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiter.wait_for(give(1))
    loop = waiter._thread.loop
    call_soon, calls = loop.call_soon_threadsafe, []

    def interrupted(callback: Any, *args: Any) -> Any:
        calls.append(callback)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return call_soon(callback, *args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)

    with pytest.raises(KeyboardInterrupt):
        waiter.wait_for(give(2))

    assert waiter.wait_for(give(3)) == 3


def test_steps_of_one_stack_that_run_at_the_same_time_take_turns_in_the_worker(waiter: CoroutineWaiter) -> None:
    def both(task: Any) -> Any:
        async def call(first: int, second: int) -> Any:
            return await asyncio.gather(task(first), task(second))

        return call

    stack = waiter.stack([(both, True), (lambda task: task, False)], give)

    assert stack(1, 2) == [1, 2]


def test_a_step_that_is_given_up_before_the_worker_comes_to_it_never_runs(waiter: CoroutineWaiter) -> None:
    ran = []

    def one_of_two(task: Any) -> Any:
        async def call() -> Any:
            first, second = (asyncio.ensure_future(task(name)) for name in ("first", "second"))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([first, second])
            return second.cancelled()

        return call

    def base(name: str) -> None:
        if name == "first":
            ran.append(name)
            loop.call_soon_threadsafe(gate.set_result, None)
            gate_was_passed.result(5)
        else:
            ran.append(name)

    loop = waiter._thread.loop
    gate = loop.create_future()
    gate_was_passed: concurrent.futures.Future[None] = concurrent.futures.Future()
    gate.add_done_callback(lambda _: gate_was_passed.set_result(None))

    assert waiter.stack([(one_of_two, True)], base)()
    assert ran == ["first"]


def test_plain_wraps_are_called_without_a_detour(waiter: CoroutineWaiter) -> None:
    inner: list[Any] = []

    def wrap(task: Any) -> Any:
        inner.append(task)
        return len

    assert waiter.stack([(wrap, False), (wrap, False)], give) is len
    assert inner[1] is len


def test_a_failed_wait_leaves_no_reference_cycle(waiter: CoroutineWaiter) -> None:
    class Argument:
        pass

    async def fail(argument: Argument) -> None:
        await asyncio.sleep(0)
        raise KeyError

    def run() -> weakref.ref[Argument]:
        argument = Argument()
        with pytest.raises(KeyError):
            waiter.wait_for(fail(argument))
        return weakref.ref(argument)

    waiter.wait_for(give(1))
    gc.collect()
    gc.disable()
    try:
        reference = run()
        waiter.wait_for(give(2))  # the loop lets go of the first only now

        assert reference() is None
    finally:
        gc.enable()


class Favours(concurrent.futures.Executor):
    """Has the worker run what it is given, or says that it will not."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        if not ask_worker(lambda: function(*args, **kwargs), future):
            future.set_result("no worker")
        return future


async def ask(function: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(Favours(), function, *args)


def test_the_worker_does_what_it_is_asked_for_by_the_coroutine_that_it_waits_for(waiter: CoroutineWaiter) -> None:
    async def coroutine() -> Any:
        own = [await ask(threading.get_ident), *await asyncio.gather(ask(threading.get_ident), ask(int, "3"))]
        with pytest.raises(ValueError, match="invalid literal"):
            await ask(int, "x")
        return own, threading.get_ident()

    (first, second, number), loop = waiter.wait_for(coroutine())

    assert first == second == threading.get_ident() != loop
    assert number == 3


def test_what_the_worker_is_asked_for_may_wait_for_coroutines(waiter: CoroutineWaiter) -> None:
    def wait() -> Any:
        return waiter.wait_for(ask(threading.get_ident))

    assert waiter.wait_for(ask(wait)) == threading.get_ident()


def test_a_worker_that_waits_no_more_is_not_asked(waiter: CoroutineWaiter) -> None:
    go_on: asyncio.Event
    late: asyncio.Task[Any]

    async def outliving() -> Any:
        await go_on.wait()
        return await ask(threading.get_ident)

    async def coroutine() -> None:
        nonlocal go_on, late
        go_on = asyncio.Event()
        late = asyncio.create_task(outliving())
        await asyncio.sleep(0)

    async def finish() -> Any:
        go_on.set()
        return await late

    waiter.wait_for(coroutine())

    assert waiter.wait_for(finish()) == "no worker"


def test_a_worker_that_runs_a_loop_of_its_own_is_not_asked(waiter: CoroutineWaiter) -> None:
    def run() -> Any:
        return asyncio.run(ask(threading.get_ident))

    assert waiter.wait_for(ask(run)) == "no worker"


def test_what_interrupts_the_worker_while_it_does_so_goes_up_there(waiter: CoroutineWaiter) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    ended = []

    async def coroutine() -> None:
        try:
            await ask(interrupted)
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        waiter.wait_for(coroutine())

    assert ended == [True]


def test_a_failed_favour_leaves_no_reference_cycle(waiter: CoroutineWaiter) -> None:
    class Fault(Exception):
        pass

    faults = [Fault()]
    alive = weakref.ref(faults[0])

    def fail() -> None:
        raise faults.pop()

    async def coroutine() -> None:
        try:
            await ask(fail)
        except Fault:
            return

    gc.disable()
    try:
        waiter.wait_for(coroutine())
        waiter.wait_for(give(1))  # until which the loop holds its last callback
        assert alive() is None
    finally:
        gc.enable()
