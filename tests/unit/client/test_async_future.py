from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from pysoa.client.async_future import AsyncFutureSOAResponse
from pysoa.common.transport.errors import MessageReceiveTimeout


class Source:
    """Gives out, or raises, one thing after another, and notes the timeouts."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float | None] = []

    async def __call__(self, timeout: float | None) -> Any:
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0)
        await asyncio.sleep(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.mark.parametrize("result", [["something"], [], None, 0], ids=repr)
def test_a_result_is_received_once_and_kept_though_it_be_falsy(result: Any) -> None:
    async def run() -> None:
        source = Source(result)
        future = AsyncFutureSOAResponse[Any](source)
        assert (future.done(), future.running()) == (False, True)

        results = [await future.result(3), await future.result(4), await future]

        assert all(each is result for each in results)
        assert source.timeouts == [3]
        assert (future.done(), future.running()) == (True, False)
        assert await future.exception() is None

    asyncio.run(run())


def test_a_timeout_is_not_kept() -> None:
    async def run() -> None:
        future = AsyncFutureSOAResponse[Any](Source(*[MessageReceiveTimeout("late")] * 2, "there"))

        with pytest.raises(MessageReceiveTimeout, match="late"):
            await future.result(1)
        with pytest.raises(MessageReceiveTimeout, match="late"):
            await future.exception(1)

        assert future.running()
        assert await future.exception() is None
        assert await future.result() == "there"

    asyncio.run(run())


def test_an_exception_is_kept_and_raised_again_with_the_same_traceback() -> None:
    async def run() -> None:
        error = ValueError("wrong")
        future = AsyncFutureSOAResponse[Any](Source(error))
        frames = []

        assert await future.exception() is error
        for _ in range(3):
            with pytest.raises(ValueError, match="wrong") as raised:
                await future.result()
            assert raised.value is error
            frames.append([frame.name for frame in traceback.extract_tb(error.__traceback__)])

        assert frames == [["run", "result", "__call__"]] * 3

    asyncio.run(run())


def test_a_cancellation_is_not_kept() -> None:
    async def run() -> None:
        future = AsyncFutureSOAResponse[Any](Source("lost", "there"))
        task = asyncio.create_task(future.result())
        await asyncio.sleep(0)

        task.cancel()
        await asyncio.wait([task])

        assert future.running()
        assert await future.result() == "there"

    asyncio.run(run())


def test_tasks_that_wait_at_once_all_get_the_first_outcome() -> None:
    async def run() -> None:
        future = AsyncFutureSOAResponse[Any](Source("first", ValueError("second"), "third"))

        assert await asyncio.gather(*[future.result() for _ in range(3)]) == ["first"] * 3

    asyncio.run(run())
