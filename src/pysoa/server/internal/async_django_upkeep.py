"""What an asyncio server does around jobs for Django; the twin of ``django_upkeep``.

Nothing here waits: connections may not be closed on the event loop's thread, nor are they there.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.threads import in_thread
from pysoa.server.django.cache import request_scope
from pysoa.server.internal.django_connections import (
    caches_here,
    close_caches,
    close_connections,
    close_old_connections,
    connections_here,
    end_transactions,
    forget_queries,
)
from pysoa.server.internal.django_threads import Executors, JobExecutor, JobThread, LoopJob
from pysoa.server.internal.django_upkeep import DjangoUpkeep

if TYPE_CHECKING:
    from pysoa.server.server import Server

__all__ = ("AsyncDjangoUpkeep",)

_CLEAN_EVERY_SECONDS: Final = 5.0


class _PoolThread:
    """A thread that runs blocking actions.

    Attributes:
        lock: held while it runs one.
        connections: those that it had after the last one.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connections = connections_here()


class _Job(LoopJob):
    """A job, with request-scoped caches of its own."""

    def __init__(self, executors: Executors, owner: object) -> None:
        super().__init__(JobExecutor(executors), owner)
        self._scope = request_scope.set({})

    def end(self) -> None:
        request_scope.reset(self._scope)
        super().end()


class AsyncDjangoUpkeep(DjangoUpkeep):
    """Looks after connections and caches: those of jobs, each on its thread, and those of the pool of threads."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._here = threading.local()
        self._pool: list[_PoolThread] = []
        if not server.transport.is_local:
            self._pool.append(_PoolThread())  # of this one, which runs no action, but may have made the server ready
        self._clean_at = monotonic() + _CLEAN_EVERY_SECONDS

    def before_job(self) -> None:
        _Job(self._executors, self)

    def after_job(self) -> None:
        if (job := JobThread.current(self)) is not None:
            if self._closes():
                close_connections(connections_here())  # where DJANGO_ALLOW_ASYNC_UNSAFE has let it have some
            job.end()
        if monotonic() >= self._clean_at:
            self.when_idle()

    def when_idle(self) -> None:
        self._clean_at = monotonic() + _CLEAN_EVERY_SECONDS
        self._executors.clean_free()
        if self._pool and self._closes():
            self._executors.submit(self._for_idle_pool, end_transactions)

    def on_thread(self, process: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            thread = self._pool_thread()
            with thread.lock:
                forget_queries()
                if self._closes():
                    close_old_connections()
                try:
                    return process(*args)
                finally:
                    close_caches(caches_here(), for_shutdown=True)  # they go with the context of this action
                    if self._closes():
                        end_transactions(connections_here())
                    thread.connections = connections_here()

        return run

    def _pool_thread(self) -> _PoolThread:
        thread: _PoolThread | None = getattr(self._here, "thread", None)
        if thread is None:
            thread = self._here.thread = _PoolThread()
            self._pool.append(thread)
        return thread

    def _for_idle_pool(self, close: Callable[[list[Any]], None]) -> None:
        """Do something to the connections of the threads that run no action; it is done in another one."""
        for thread in list(self._pool):
            if thread.lock.acquire(blocking=False):
                try:
                    for connection in thread.connections:
                        connection.inc_thread_sharing()
                        try:
                            close([connection])
                        finally:
                            connection.dec_thread_sharing()
                finally:
                    thread.lock.release()

    def end(self) -> Any:
        return in_thread(functools.partial(self._end, caches_here()))

    def _end(self, used: list[Any]) -> None:
        self._executors.end()
        if self._closes():
            self._for_idle_pool(close_connections)
        self._end_caches(used)
