"""How the worker waits for coroutines; what services see of it is in ``test_asynchronous``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.server.internal.awaiting import CoroutineWaiter
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
