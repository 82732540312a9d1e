"""The thread in which the coroutines of a blocking server run."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from pysoa.common.deadline import without_deadline
from pysoa.common.plugins import ClassConfiguration
from pysoa.server.coroutine import Coroutine, CoroutineMiddleware

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

__all__ = ("AsyncEventLoopThread", "coroutine_middleware_config")

coroutine_middleware_config = ClassConfiguration(CoroutineMiddleware)

logger = logging.getLogger("pysoa.async")

_AtEnd: TypeAlias = Callable[[], Coroutine]


class AsyncEventLoopThread(threading.Thread):
    """Owns an asyncio event loop, which other threads hand coroutines to.

    Most services have no coroutines: asyncio is imported and the loop made when the first one comes. A server starts
    the thread then, too; by itself, a thread waits for ``start``, and coroutines wait with it.

    Args:
        coroutine_middleware: wraps every coroutine; the first is the outermost.

    Attributes:
        starts_on_demand: whether the first coroutine starts the thread.
    """

    def __init__(self, coroutine_middleware: Iterable[CoroutineMiddleware] = ()) -> None:
        super().__init__(name="pysoa-event-loop")
        self._coroutine_middleware = tuple(coroutine_middleware)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._at_end: list[_AtEnd] = []
        self._tasks: set[asyncio.Task[Any]] = set()  # for the loop itself does not keep them
        self.starts_on_demand = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, made when it is first asked for."""
        if self._loop is None:
            import asyncio

            with self._lock:
                self._loop = self._loop or asyncio.new_event_loop()
        return self._loop

    @property
    def is_used(self) -> bool:
        """Whether a coroutine has come, so that there is something to end."""
        return self._loop is not None

    def call_at_end(self, function: _AtEnd) -> None:
        """Have a coroutine function run on the loop before that ends, when the tasks on it are done."""
        self._at_end.append(function)

    def run_coroutine(self, coroutine: Coroutine) -> concurrent.futures.Future[Any]:
        """Have the event loop run a coroutine, wrapped in the middleware and with the caller's context variables.

        It may outlive the job that it comes from, so the deadline of that does not hold for it.

        Returns:
            Its future, which may be waited for in any thread but that of the event loop.
        """
        import asyncio

        self._start_on_demand()
        coroutine = self.wrapped(coroutine)
        with without_deadline():
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def create_task(self, coroutine: Coroutine) -> Any:
        """As ``run_coroutine``, from a coroutine: its task goes on in the running loop, and may be awaited there."""
        import asyncio

        loop = asyncio.get_running_loop()
        with without_deadline():
            task = loop.create_task(self.wrapped(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def wrapped(self, coroutine: Coroutine) -> Coroutine:
        """A coroutine in the middleware, ready to be run."""
        for middleware in self._coroutine_middleware:
            middleware.before_run_coroutine()
        for middleware in reversed(self._coroutine_middleware):
            coroutine = middleware.coroutine(coroutine)
        return coroutine

    @contextlib.contextmanager
    def running_loop(self) -> Iterator[asyncio.AbstractEventLoop]:
        """The event loop, running; middleware of coroutines has no part in what is done on it.

        A thread that nobody has started belongs to a server that does not run by itself, and that nobody would ask to
        end the thread: there it is a loop that lasts as long as the block.
        """
        self._start_on_demand()
        if self.ident is not None:
            yield self.loop
        else:
            with _passing_event_loop(self._end) as loop:
                yield loop

    def _start_on_demand(self) -> None:
        if self.starts_on_demand and self.ident is None:
            with self._lock:
                if self.ident is None:
                    self.start()

    def start(self) -> None:
        """Start the thread and its loop."""
        logger.info("Starting async event loop thread")
        super().start()

    def run(self) -> None:
        """Run the loop until ``join``, then what is left of its tasks."""
        import asyncio

        loop = self.loop
        asyncio.set_event_loop(loop)
        logger.info("Async event loop thread available and running")
        try:
            loop.run_forever()
            logger.info("Completing uncompleted async tasks")
            while tasks := asyncio.all_tasks(loop):
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(self._end())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            logger.info("Closing async event loop")
            asyncio.set_event_loop(None)
            loop.close()

    async def _end(self) -> None:
        for function in self._at_end:
            try:
                await function()
            except Exception:  # boundary: the others are still to be called
                logger.exception("Error while ending the async event loop")

    def join(self, timeout: float | None = None) -> None:
        """End the loop once its tasks are done, and wait for that."""
        if not self.is_alive():
            logger.warning("Async event loop is already not running!")
            return
        logger.info("Scheduling async event loop thread shutdown")
        self.loop.call_soon_threadsafe(self._stop_loop)
        super().join(timeout)

    def cancel_tasks(self) -> None:
        """Cancel whatever runs on the loop; for a process that is told to end at once."""
        if self.is_alive():
            import asyncio

            loop = self.loop
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])

    def _stop_loop(self) -> None:
        logger.info("Stopping async event loop thread")
        self.loop.stop()


@contextlib.contextmanager
def _passing_event_loop(at_end: _AtEnd) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own, until the end of the block; then what is left of its tasks is cancelled."""
    import asyncio
    import concurrent.futures

    begun: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = concurrent.futures.Future()

    async def stay() -> None:
        end = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), end))
        await end.wait()
        await at_end()

    thread = threading.Thread(target=lambda: asyncio.run(stay()), name="pysoa-passing-event-loop", daemon=True)
    thread.start()
    loop, end = begun.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
