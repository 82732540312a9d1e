"""The bridge with greenlet: a plain function is suspended in the middle while its task waits."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

__all__ = ("Fiber", "current", "run_sync")

_T = TypeVar("_T")


class Fiber(greenlet):  # type: ignore[misc] # greenlet has no types
    """Runs one plain function for a task; its parent is the greenlet in which that task runs."""

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Step through the awaitable; whenever it waits for something, have the task wait for that.

        This is ``await`` written out. What never waits costs no switch.
        """
        is_coroutine = type(awaitable) is types.CoroutineType
        coroutine = cast(Any, awaitable) if is_coroutine else _awaiting(awaitable)
        try:
            step = coroutine.send(None)
            while True:
                try:
                    step = self.parent.switch(step)
                except BaseException as error:  # a cancellation, or the end of the task: passed on, as await does
                    step = None  # a future may hold the error, whose traceback holds this frame
                    step = coroutine.throw(error)
                else:
                    step = coroutine.send(step)
        except StopIteration as stop:
            return cast(_T, stop.value)


def current() -> Fiber | None:
    """The fiber that runs the caller."""
    here = getcurrent()
    return here if type(here) is Fiber else None


async def run_sync(function: Callable[..., _T], *args: Any) -> _T:
    """Run the function in a fiber."""
    fiber = Fiber(function)
    fiber.gr_context = fiber.parent.gr_context  # not a copy: both see what the other sets
    step = fiber.switch(*args)
    return cast(_T, step if fiber.dead else await _waits_of(fiber, step))


async def _awaiting(awaitable: Awaitable[_T]) -> _T:
    return await awaitable


@types.coroutine
def _waits_of(fiber: Fiber, step: Any) -> Generator[Any, Any, Any]:
    """Wait for whatever the fiber waits for, until its function returns."""
    while not fiber.dead:
        try:
            step = yield step
        except BaseException as error:
            step = None
            fiber.parent = getcurrent()  # a task that nobody holds any more is ended from anywhere
            step = fiber.throw(type(error), error, error.__traceback__)  # by itself, it would lose its traceback
        else:
            step = fiber.switch(step)
    return step
