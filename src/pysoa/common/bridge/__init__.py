"""The bridge from plain functions to awaitables: lets middleware of the first PySOA wrap asynchronous actions.

``await run_sync(function)`` runs a plain function in which, at any depth, ``wait_for(awaitable)`` may be called. With
greenlet, which the extra ``fast`` installs, the function is suspended meanwhile, and all is one task in one thread.
Without it the function has a thread of its own, and what it waits for is awaited in the task nevertheless.

asyncio and greenlet are imported when they are first needed: who only builds stacks or imports middleware has neither.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

__all__ = ("run_sync", "wait_for")

_T = TypeVar("_T")


class _Waiter(Protocol):
    """What runs a plain function for a task."""

    def wait_for(self, awaitable: Awaitable[_T]) -> _T: ...


class _Way(Protocol):
    """One of the two modules that do the work."""

    def run_sync(self, function: Callable[..., _T], *args: Any) -> Coroutine[Any, Any, _T]: ...

    def current(self) -> _Waiter | None: ...


@functools.cache
def _way() -> _Way:
    try:
        from pysoa.common.bridge import fibers
    except ModuleNotFoundError:
        from pysoa.common.bridge import threads

        return threads
    return fibers


def run_sync(function: Callable[..., _T], *args: Any) -> Coroutine[Any, Any, _T]:
    """Run a plain function in which ``wait_for`` may be called. Await the result.

    The function and what it waits for see and set the context variables of the awaiting task. Cancelling the task
    cancels what is waited for, and shows in the function as ``CancelledError`` at its ``wait_for``.

    Without greenlet the function runs in another thread: variables that it sets are seen outside from its next
    ``wait_for`` on, ones that it resets to nothing keep their value outside, and a cancellation waits until it waits.
    """
    return _way().run_sync(function, *args)


def wait_for(awaitable: Awaitable[_T]) -> _T:
    """Wait for an awaitable in a plain function, and give back its result or raise its exception.

    Raises:
        RuntimeError: nothing has called the function through ``run_sync``; the awaitable is not awaited.
    """
    waiter = _way().current()
    if waiter is None:
        close = getattr(awaitable, "close", None)
        if close is not None:
            close()  # or else it warns that it was never awaited
        raise RuntimeError("wait_for() works only in functions that run_sync() runs; here, use await")
    return waiter.wait_for(awaitable)
