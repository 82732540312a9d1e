"""Blocking functions, awaited in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ("in_thread",)

Result = TypeVar("Result")


async def in_thread(function: Callable[[], Result], drop: Callable[[Result], object] | None = None) -> Result:
    """Run a blocking function on a thread of its own, which nothing waits for when the caller stops waiting.

    The event loop's own threads will not do: the loop waits for them when it ends, and a broker may keep one for long.

    Args:
        function: what to run.
        drop: called with the result if nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not future.cancelled():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        elif error is None and drop is not None:
            drop(result)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function()
        except BaseException as fault:
            error = fault
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has been closed meanwhile
            if error is None and drop is not None:
                drop(result)

    threading.Thread(target=run, name="pysoa-helper", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if drop is not None and not future.cancelled() and future.exception() is None:
            drop(future.result())  # it had come just before the caller was cancelled
        raise
