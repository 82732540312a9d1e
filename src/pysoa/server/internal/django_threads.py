"""Where Django's asynchronous methods do their work: on a thread of the job, as within Django's own requests.

asgiref keeps one thread for all that a process does by ``sync_to_async``, unless a context has another executor. On
one thread all jobs would wait for each other's queries, and no connection could be closed at the end of a job without
closing it for the others. So each job has an executor, which takes a thread when it needs one.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.cache.backends.base import BaseCache

from pysoa.server.internal.awaiting import ask_worker
from pysoa.server.internal.django_connections import (
    caches_here,
    close_broken,
    close_caches,
    close_connections,
    close_old_connections,
    connections_here,
    end_transactions,
    forget_queries,
)

__all__ = ("BesideJobs", "Executors", "JobExecutor", "JobThread", "LoopJob", "WorkerExecutor")

_END_WITHIN_SECONDS: Final = 5.0


class _Call:
    """A function to run, and the future of its result."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._function = function

    def run(self) -> None:
        future = self.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as error:  # it is for whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            del future, self  # which the traceback of an exception would hold, and they the exception


class _Lane:
    """A thread that runs one function after another. It does not keep the process from ending."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="pysoa-django", daemon=True)
        self.thread.start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = _Call(functools.partial(function, *args, **kwargs))
        self._calls.put(call)
        return call.future

    def end(self) -> None:
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # while it waits for the next


class Executors:
    """The threads of a server's jobs, and one for all that is beside them.

    As many are made as jobs need one at a time; the last to be free is the next. What runs beside jobs shares one, for
    nothing limits how much that is.

    Args:
        most: how many jobs run at a time.
        closes: whether connections may be closed at the moment.
    """

    def __init__(self, most: int, closes: Callable[[], bool]) -> None:
        self._most = most
        self._closes = closes
        self._lock = threading.Lock()
        self._lanes: list[_Lane] = []
        self._free: list[_Lane] = []
        self._to_be_free: list[_Lane] = []  # their jobs have ended, but maybe not what these had them do
        self._shared: _Lane | None = None
        self._users_of_shared = 0

    def take(self) -> _Lane:
        """A thread for one job alone, ready for it."""
        with self._lock:
            if self._free:
                lane = self._free.pop()
            elif self._to_be_free and len(self._lanes) >= self._most:
                lane = self._to_be_free.pop()
            else:
                lane = _Lane()
                self._lanes.append(lane)
        lane.submit(self._prepare)
        return lane

    def give_back(self, lane: _Lane) -> None:
        """Have a thread clean up after its job, and serve others from then on."""

        def is_free(_: Future[Any]) -> None:
            with self._lock:
                if lane in self._to_be_free:  # and not taken again
                    self._to_be_free.remove(lane)
                    self._free.append(lane)

        with self._lock:
            self._to_be_free.append(lane)
        lane.submit(self._clean).add_done_callback(is_free)

    def begin_beside(self) -> None:
        """Something begins that runs beside jobs."""
        with self._lock:
            self._users_of_shared += 1
            if self._shared is not None and self._users_of_shared == 1:
                self._shared.submit(self._prepare)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run one function of what is beside jobs."""
        with self._lock:
            if self._shared is None:
                self._shared = _Lane()
            future = self._shared.submit(function, *args, **kwargs)
            if not self._users_of_shared:
                self._shared.submit(self._clean)
            return future

    def end_beside(self) -> None:
        """Something has ended that ran beside jobs."""
        with self._lock:
            self._users_of_shared -= 1
            self._clean_shared()

    def _clean_shared(self) -> None:
        if self._shared is not None:
            self._shared.submit(self._drop_broken if self._users_of_shared else self._clean)

    def clean_free(self) -> None:
        """Have the threads that no job needs close connections that have grown old."""
        with self._lock:
            free, self._free = self._free, []
            self._clean_shared()
        for lane in free:
            self.give_back(lane)

    def _prepare(self) -> None:
        forget_queries()
        if self._closes():
            close_old_connections()

    def _clean(self) -> None:
        if self._closes():
            end_transactions(connections_here())

    def _drop_broken(self) -> None:
        if self._closes():
            close_broken(connections_here())

    def end(self) -> None:
        """Close all connections and end the threads; those that are busy are waited for, but not for long."""
        with self._lock:
            lanes = [*self._lanes, *([self._shared] if self._shared is not None else [])]
            self._lanes, self._free, self._to_be_free, self._shared = [], [], [], None
        closed = [lane.submit(self._close) for lane in lanes]
        for lane in lanes:
            lane.end()
        concurrent.futures.wait(closed, _END_WITHIN_SECONDS)
        for lane, future in zip(lanes, closed, strict=True):
            if future.done():
                lane.thread.join()

    def _close(self) -> None:
        close_connections(connections_here())


class BesideJobs(Executor):
    """Runs what a coroutine beside jobs does by ``sync_to_async``, until ``release``."""

    def __init__(self, executors: Executors) -> None:
        self._executors = executors
        executors.begin_beside()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._executors.submit(function, *args, **kwargs)

    def release(self) -> None:
        """The coroutine has ended."""
        self._executors.end_beside()


class JobExecutor(Executor):
    """Runs what a job does by ``sync_to_async``, on one thread, which is the job's own until ``release``.

    What comes later is from a task that outlives its job, and so beside it.
    """

    def __init__(self, executors: Executors) -> None:
        self._executors = executors
        self._lock = threading.Lock()
        self._lane: _Lane | None = None
        self._is_over = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            if not self._is_over:
                if self._lane is None:
                    self._lane = self._executors.take()
                return self._lane.submit(function, *args, **kwargs)
        return self._executors.submit(function, *args, **kwargs)

    def release(self) -> None:
        """The job is over."""
        with self._lock:
            lane, self._lane, self._is_over = self._lane, None, True
        if lane is not None:
            self._executors.give_back(lane)


class WorkerExecutor(JobExecutor):
    """The same for a job of a blocking server: its worker does the work while it waits for the coroutine.

    So an asynchronous action has the connections, and the transaction, of its worker. What the worker does not wait
    for has a thread.
    """

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if ask_worker(lambda: function(*args, **kwargs), future):
            return future
        return super().submit(function, *args, **kwargs)


class JobThread(ThreadSensitiveContext):  # type: ignore[misc] # asgiref may be absent where types are checked
    """The context of a job, by which asgiref finds its executor. To be made and ended in that context.

    Args:
        executor: of the job.
        owner: whose job it is; jobs may run within jobs of others.

    Attributes:
        executor: the same.
    """

    def __init__(self, executor: JobExecutor | BesideJobs, owner: object) -> None:
        super().__init__()
        self.executor = executor
        self._owner = owner
        SyncToAsync.context_to_thread_executor[self] = executor  # it forgets the pair when this is collected
        self._previous = SyncToAsync.thread_sensitive_context.set(self)

    @staticmethod
    def current(owner: object) -> JobThread | None:
        """That of the owner's job which is under way in this context."""
        found = SyncToAsync.thread_sensitive_context.get(None)
        return found if isinstance(found, JobThread) and found._owner is owner else None

    def end(self) -> None:
        """The job is over."""
        with contextlib.suppress(ValueError):  # a coroutine that is collected before its end is in no context
            SyncToAsync.thread_sensitive_context.reset(self._previous)
        self.executor.release()


class LoopJob(JobThread):
    """The same for what runs in an event loop: a job, or a coroutine beside one. Its caches go with its context."""

    def __init__(self, executor: JobExecutor | BesideJobs, owner: object) -> None:
        super().__init__(executor, owner)
        self._shared = caches_here()

    def end(self) -> None:
        own = [cache for cache in caches_here() if cache not in self._shared]
        if any(type(cache).close is not BaseCache.close for cache in own):
            self.executor.submit(close_caches, own, for_shutdown=True)
        super().end()
