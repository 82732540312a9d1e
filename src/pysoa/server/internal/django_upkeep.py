"""What a blocking server does around jobs for Django."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pysoa.server.coroutine import Coroutine, CoroutineMiddleware
from pysoa.server.django.cache import PySOARequestScopedMemoryCache
from pysoa.server.internal.django_connections import (
    caches_here,
    close_caches,
    close_connections,
    close_old_connections,
    connections_here,
    end_transactions,
    forget_queries,
)
from pysoa.server.internal.django_threads import BesideJobs, Executors, JobThread, LoopJob, WorkerExecutor
from pysoa.server.internal.upkeep import Upkeep

if TYPE_CHECKING:
    from pysoa.server.server import Server

__all__ = ("DjangoUpkeep",)

_logger = logging.getLogger("pysoa.server")


class DjangoUpkeep(Upkeep):
    """Looks after connections and caches: those of the worker, and those of threads beside it.

    Nothing is done to the connections of a thread where the server says ``_skip_django_database_cleanup``. Where a
    client runs the server in its own thread, connections are the client's: those in a transaction are left alone, and
    all are left open at the end.

    Args:
        server: the server.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._executors = Executors(server.settings["concurrency"], self._closes)
        self.coroutine_middleware = (_OtherThread(self._executors),)

    def before_job(self) -> None:
        forget_queries()
        if self._closes():
            close_old_connections()
        JobThread(WorkerExecutor(self._executors), self)

    def after_job(self) -> None:
        if (job := JobThread.current(self)) is not None:
            job.end()
        if self._closes():
            if self._server.transport.is_local:
                close_old_connections()
            else:
                end_transactions(connections_here())
        # Coroutines have used theirs on another thread, where they are not to be found any more.
        close_caches({*caches_here(), *PySOARequestScopedMemoryCache.one_of_each_name()}, for_shutdown=False)

    def when_idle(self) -> None:
        if self._closes():
            close_old_connections()
        self._executors.clean_free()

    def end(self) -> Any:
        self._executors.end()
        if self._closes() and not self._server.transport.is_local:
            close_connections(connections_here())
        self._end_caches(caches_here())

    def _closes(self) -> bool:
        """Whether connections may be closed."""
        return not self._server._skip_django_database_cleanup

    def _end_caches(self, used: list[Any]) -> None:
        is_shutdown = not self._server.transport.is_local
        if is_shutdown:
            _logger.info("Closing all Django caches")
        close_caches(used, for_shutdown=is_shutdown)


class _OtherThread(CoroutineMiddleware):
    """Takes coroutines beside jobs to another thread for Django, for they may outlive the job that they come from."""

    def __init__(self, executors: Executors) -> None:
        self._executors = executors

    def coroutine(self, coroutine: Coroutine) -> Coroutine:
        return self._run(coroutine)

    async def _run(self, coroutine: Coroutine) -> Any:
        job = LoopJob(BesideJobs(self._executors), self)
        try:
            return await coroutine
        finally:
            job.end()
