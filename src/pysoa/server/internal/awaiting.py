"""How the worker of a blocking server waits for coroutines: those of asynchronous actions and middleware.

A coroutine runs on the event-loop thread, where it may do what coroutines do. Plain functions that asynchronous
middleware wraps run in the worker all the same: they may wait for the event loop, and what belongs to a thread, such
as a database connection or the harakiri interrupt, is where they look for it.
"""

from __future__ import annotations

import contextvars
import queue
from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pysoa.common.bridge.variables import adopt_variables
from pysoa.server.internal.event_loop import AsyncEventLoopThread

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

__all__ = ("CoroutineWaiter", "ask_worker")

Task: TypeAlias = Callable[..., Any]
Wrap: TypeAlias = Callable[[Task], Task]


class CoroutineWaiter:
    """Waits for coroutines in the worker, and runs there what they ask for meanwhile. Used by one thread.

    Args:
        thread: where the coroutines run.
    """

    def __init__(self, thread: AsyncEventLoopThread) -> None:
        self._thread = thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._errand: _Errand | _Favour | None = None

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine with the caller's context variables, and give back its result or raise its exception.

        What interrupts the waiting worker cancels the coroutine, and is raised when that has ended.

        Raises:
            concurrent.futures.CancelledError: the coroutine was cancelled by something else.
        """
        if self._loop is not None:
            return self._wait_on(self._loop, coroutine)
        with self._thread.running_loop() as loop:
            self._loop = loop
            try:
                return self._wait_on(loop, coroutine)
            finally:
                self._loop = None

    def _wait_on(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> Any:
        wait = _Wait(loop, coroutine)
        errand = self._errand
        if errand is not None:
            errand.wait_inside = wait
            if errand.is_cancelled:
                wait.cancel()
        try:
            return wait.result(self._run_errand)
        finally:
            self._errand = errand

    def _run_errand(self, errand: _Errand | _Favour) -> None:
        self._errand = errand
        errand.run()

    def stack(self, wraps: Sequence[tuple[Wrap, bool]], base: Task) -> Task:
        """Wrap a step in middleware.

        Args:
            wraps: what wraps, and whether it takes and gives asynchronous steps; the first is the outermost.
            base: the innermost step; it may give back its result or a coroutine.

        Returns:
            The outermost step, which is plain.
        """
        task = base
        inner_is_async: bool | None = None  # of the base, nobody knows
        for wrap, is_async in reversed(wraps):
            if is_async:
                task = wrap(task if inner_is_async else _in_worker(task))
            else:
                task = wrap(task if inner_is_async is False else self._waiting(task))
            inner_is_async = is_async
        return task if inner_is_async is False else self._waiting(task)

    def _waiting(self, task: Task) -> Task:
        """The step as a plain function."""

        def wait(*args: Any) -> Any:
            result = task(*args)
            return self.wait_for(result) if isinstance(result, CoroutineType) else result

        return wait


class _Wait:
    """The worker's wait for one coroutine.

    Args:
        loop: where the coroutine is to run.
        coroutine: what to wait for.

    Attributes:
        errands: what the worker is to do meanwhile; None when the coroutine has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.errands: queue.SimpleQueue[_Errand | _Favour | None] = queue.SimpleQueue()
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._context: contextvars.Context | None = None

    # In the worker

    def result(self, run_errand: Callable[[_Errand | _Favour], None]) -> Any:
        """Start the coroutine, run its errands until it ends, and give back its result or raise its exception."""
        try:
            self._loop.call_soon_threadsafe(self._start)
            self._run_errands(run_errand)
        except BaseException:  # harakiri, or the end of the process; the coroutine is to end first
            self.cancel()
            self._run_errands(run_errand)
            raise
        if self._context is not None:
            adopt_variables(self._context)
        if self._error is None:
            return self._result
        try:
            raise _for_worker(self._error)
        finally:
            self._error = None  # its traceback holds this object

    def _run_errands(self, run_errand: Callable[[_Errand | _Favour], None]) -> None:
        while (errand := self.errands.get()) is not None:
            run_errand(errand)

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread."""
        self._loop.call_soon_threadsafe(self._cancel)

    # On the loop

    def takes_errands(self) -> bool:
        """Whether the worker still waits, for a coroutine of the running loop."""
        import asyncio

        return self._context is None and asyncio.get_running_loop() is self._loop

    def _start(self) -> None:
        if not self._is_cancelled:
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._end)

    async def _run(self) -> None:
        token = _wait.set(self)
        try:
            self._result = await self._coroutine
        except BaseException as error:  # the worker raises it, for it is the worker's
            self._error = error
        finally:
            _wait.reset(token)
            self._context = contextvars.copy_context()

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._task is None:
            self._end(None)
        else:
            self._task.cancel()

    def _end(self, task: asyncio.Task[None] | None) -> None:
        if self._context is None:  # cancelled before its first step
            import asyncio

            self._coroutine.close()
            self._error = asyncio.CancelledError()
        self.errands.put(None)


class _Errand:
    """A plain function that a coroutine has the worker run.

    Attributes:
        wait_inside: a wait for another coroutine that the function is in.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, task: Task, args: tuple[Any, ...]) -> None:
        self.wait_inside: _Wait | None = None
        self._loop = loop
        self._task = task
        self._args = args
        self._context = contextvars.copy_context()
        self._outcome: asyncio.Future[Any] = loop.create_future()

    @property
    def is_cancelled(self) -> bool:
        """Whether the coroutine waits for it no more."""
        return self._outcome.cancelled()

    def run(self) -> None:
        """Run the function, in the worker. What is no ``Exception`` interrupts the worker, and goes up there."""
        if self.is_cancelled:
            return
        try:
            result = self._context.run(self._task, *self._args)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._settle, self._outcome.set_exception, error)
        else:
            self._loop.call_soon_threadsafe(self._settle, self._outcome.set_result, result)

    def _settle(self, settle: Callable[[Any], None], result: Any) -> None:
        if not self._outcome.done():
            settle(result)

    async def result(self) -> Any:
        """Wait for it, on the loop. A cancellation reaches whatever coroutine the function waits for."""
        try:
            return await self._outcome
        finally:
            if self._outcome.cancelled():
                if self.wait_inside is not None:
                    self.wait_inside.cancel()
            else:
                adopt_variables(self._context)


class _Favour:
    """A plain function that something else than middleware has the worker run, and the future of its result."""

    def __init__(self, function: Callable[[], Any], future: concurrent.futures.Future[Any]) -> None:
        self.wait_inside: _Wait | None = None
        self._function = function
        self._future: concurrent.futures.Future[Any] | None = future

    @property
    def is_cancelled(self) -> bool:
        return self._future is not None and self._future.cancelled()

    def run(self) -> None:
        """Run the function, in the worker. What is no ``Exception`` interrupts the worker, and goes up there."""
        future = self._future
        if future is None or not future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            del future
            self._future = None  # which the traceback of an exception would hold, and it the exception


_wait: Final[contextvars.ContextVar[_Wait]] = contextvars.ContextVar("pysoa_wait_of_worker")


def _for_worker(error: BaseException) -> BaseException:
    """What the worker raises: a cancellation on the loop is an exception for the worker, and does not end it."""
    import asyncio
    import concurrent.futures

    if not isinstance(error, asyncio.CancelledError):
        return error
    cancelled = concurrent.futures.CancelledError(*error.args)
    cancelled.__cause__ = error
    return cancelled


def _in_worker(task: Task) -> Task:
    """The step as a coroutine function; itself it runs in the worker, a coroutine that it gives back does not."""

    async def call(*args: Any) -> Any:
        import asyncio

        errand = _Errand(asyncio.get_running_loop(), task, args)
        _wait.get().errands.put(errand)
        result = await errand.result()
        return await result if isinstance(result, CoroutineType) else result

    return call


def ask_worker(function: Callable[[], Any], future: concurrent.futures.Future[Any]) -> bool:
    """Have the worker run a function that waits for the coroutine which calls this, or for the one that began its task.

    Args:
        function: what to run; it brings its context along.
        future: gets the result.

    Returns:
        Whether the worker will run it: not if none waits, or waits no longer.
    """
    wait = _wait.get(None)
    if wait is None or not wait.takes_errands():
        return False
    wait.errands.put(_Favour(function, future))
    return True
