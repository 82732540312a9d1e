from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pysoa.common.threads import in_thread


def test_a_function_runs_on_a_thread_of_its_own_and_gives_its_result() -> None:
    async def run() -> tuple[Any, Any]:
        return await in_thread(threading.current_thread), await in_thread(threading.current_thread)

    one, other = asyncio.run(run())

    assert len({one, other, threading.current_thread()}) == 3
    assert one.daemon


def test_its_exception_is_raised() -> None:
    def fail() -> None:
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        asyncio.run(in_thread(fail))


def test_the_loop_goes_round_meanwhile() -> None:
    event = threading.Event()

    async def run() -> bool:
        waiting = asyncio.create_task(in_thread(lambda: event.wait(10)))
        await asyncio.sleep(0)
        event.set()
        return await waiting

    assert asyncio.run(run())


@pytest.mark.parametrize("loop_goes_on", [True, False])
def test_a_result_that_nobody_waits_for_any_more_is_dropped(loop_goes_on: bool) -> None:
    go_on, is_dropped, dropped = threading.Event(), threading.Event(), []

    def drop(result: str) -> None:
        dropped.append(result)
        is_dropped.set()

    def work() -> str:
        go_on.wait(10)
        return "a connection"

    async def run() -> None:
        task = asyncio.create_task(in_thread(work, drop))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        if loop_goes_on:
            go_on.set()
            while not is_dropped.is_set():
                await asyncio.sleep(0)

    asyncio.run(run())
    go_on.set()

    assert is_dropped.wait(10)
    assert dropped == ["a connection"]


def test_an_exception_that_nobody_waits_for_any_more_is_nothing() -> None:
    go_on = threading.Event()

    def fail() -> None:
        go_on.wait(10)
        raise ValueError("lost")

    async def run() -> None:
        task = asyncio.create_task(in_thread(fail))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    go_on.set()


def test_a_result_that_comes_just_before_its_caller_is_cancelled_is_dropped() -> None:
    dropped: list[str] = []

    async def run() -> None:
        task = asyncio.create_task(in_thread(lambda: "connection", dropped.append))
        await asyncio.sleep(0)
        for thread in threading.enumerate():
            if thread.name == "pysoa-helper":
                thread.join()  # the result waits for the loop now
        await asyncio.sleep(0)  # the task has it, and has not gone on
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())

    assert dropped == ["connection"]
