"""The base classes of server middleware, which wraps jobs and actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest

__all__ = (
    "AsyncServerMiddleware",
    "AsyncServerMiddlewareActionTask",
    "AsyncServerMiddlewareJobTask",
    "ServerMiddleware",
    "ServerMiddlewareActionTask",
    "ServerMiddlewareJobTask",
)

ServerMiddlewareJobTask: TypeAlias = Callable[[EnrichedJobRequest], JobResponse]
ServerMiddlewareActionTask: TypeAlias = Callable[[EnrichedActionRequest], ActionResponse]

AsyncServerMiddlewareJobTask: TypeAlias = Callable[[EnrichedJobRequest], Awaitable[JobResponse]]
AsyncServerMiddlewareActionTask: TypeAlias = Callable[[EnrichedActionRequest], Awaitable[ActionResponse]]


@accepts_kwargs(NO_KWARGS)
class ServerMiddleware:
    """Wraps jobs, actions, or both. The first that is configured is the outermost.

    A subclass whose constructor takes arguments is decorated with ``pysoa.common.plugins.accepts_kwargs``; it gets
    the ``kwargs`` of its settings.
    """

    def job(self, process_job: ServerMiddlewareJobTask) -> ServerMiddlewareJobTask:
        """Wrap the processing of jobs; called once, when the server is made.

        Args:
            process_job: runs the job, or the next middleware.

        Returns:
            What is called for each job instead. It may answer by itself, or raise ``JobError``.
        """
        return process_job

    def action(self, process_action: ServerMiddlewareActionTask) -> ServerMiddlewareActionTask:
        """Wrap the processing of actions; called anew for each action of each job.

        Args:
            process_action: runs the action, or the next middleware.

        Returns:
            What is called with the request instead. It may answer by itself, or raise ``ActionError`` or ``JobError``.
        """
        return process_action


class AsyncServerMiddleware(ServerMiddleware):
    """Wraps jobs, actions, or both, as ``ServerMiddleware`` does, but with coroutine functions.

    In a blocking server they run on its event-loop thread, while the worker waits; what they wrap runs in the worker
    unless it is asynchronous, too.
    """

    def job(  # type: ignore[override] # the kinds differ on purpose; who builds the stack looks at the class
        self, process_job: AsyncServerMiddlewareJobTask
    ) -> AsyncServerMiddlewareJobTask:
        """Wrap the processing of jobs, as ``ServerMiddleware.job`` does."""
        return process_job

    def action(  # type: ignore[override] # as above
        self, process_action: AsyncServerMiddlewareActionTask
    ) -> AsyncServerMiddlewareActionTask:
        """Wrap the processing of actions, as ``ServerMiddleware.action`` does."""
        return process_action
