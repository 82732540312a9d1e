"""The bridge without greenlet: a plain function has a thread of its own, which stands still while its task awaits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pysoa.common.bridge.variables import adopt_variables

__all__ = ("SyncThread", "current", "run_sync")

_T = TypeVar("_T")


class SyncThread(threading.Thread):
    """Runs one plain function for a task. Made on the event loop; the function asks, the task awaits and answers.

    Not a thread of a pool: functions that wait for one another would use up any number of them.

    Attributes:
        asked: the next thing that the function asks for, and where it waits for the answer; or None, and how it ended.
        context: the variables as the function sees them.
        task_context: the variables as the task saw them when it last answered.
        is_abandoned: whether the task is gone, so that nobody answers.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__(name="pysoa-run-sync", daemon=True)
        self._function = function
        self._args = args
        self._loop = asyncio.get_running_loop()
        self.asked = self._loop.create_future()
        self.context = self.task_context = contextvars.copy_context()
        self.is_abandoned = False

    def run(self) -> None:
        """Run the function, and tell how it ended."""
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            outcome.set_result(self.context.run(self._function, *self._args))
        except BaseException as error:  # the task raises it
            outcome.set_exception(error)
        del self._function, self._args
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(self._ask, None, outcome)

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Have the task await it."""
        try:
            return self._answer_to(awaitable).result()
        finally:
            adopt_variables(self.task_context)

    def _answer_to(self, awaitable: Awaitable[_T]) -> concurrent.futures.Future[_T]:
        answer: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._ask, awaitable, answer)
        return answer

    def _ask(self, awaitable: Awaitable[Any] | None, answer: concurrent.futures.Future[Any]) -> None:
        if self.is_abandoned:
            if awaitable is not None:
                answer.set_exception(asyncio.CancelledError())
        else:
            self.asked.set_result((awaitable, answer))

    async def answer(self) -> Any:
        """Answer what the function asks, until it ends; in the task."""
        cancellation: BaseException | None = None
        while True:
            cancellation = await _undisturbed(self.asked) or cancellation
            awaitable, answer = self.asked.result()
            adopt_variables(self.context)
            if awaitable is None:
                break
            self.asked = self._loop.create_future()
            try:
                result = await (awaitable if cancellation is None else _refused(awaitable, cancellation))
            except GeneratorExit:
                answer.set_exception(asyncio.CancelledError())
                raise
            except BaseException as error:  # the function's to deal with
                cancellation = None
                self.task_context = contextvars.copy_context()
                answer.set_exception(error)
            else:
                self.task_context = contextvars.copy_context()
                answer.set_result(result)
                del result
            del awaitable, answer
        self.join()
        if cancellation is not None:
            raise cancellation
        return answer.result()


def current() -> SyncThread | None:
    """The thread of the caller, if it runs a function for a task."""
    thread = threading.current_thread()
    return thread if isinstance(thread, SyncThread) else None


async def run_sync(function: Callable[..., _T], *args: Any) -> _T:
    """Run the function in a thread of its own."""
    thread = SyncThread(function, args)
    thread.start()
    try:
        result: _T = await thread.answer()
        return result
    finally:
        thread.is_abandoned = True


async def _undisturbed(future: asyncio.Future[Any]) -> BaseException | None:
    """Wait for the future whatever happens to the task, and give back its cancellation."""
    cancellation = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancellation = error
    return cancellation


async def _refused(awaitable: Awaitable[Any], cancellation: BaseException) -> None:
    """As if it had been cancelled at its first step."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
    raise cancellation
