"""The base class of server middleware, which wraps jobs and actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest

__all__ = ("AsyncServerMiddleware", "ServerMiddleware", "ServerMiddlewareActionTask", "ServerMiddlewareJobTask")

ServerMiddlewareJobTask: TypeAlias = Callable[[EnrichedJobRequest], JobResponse]
ServerMiddlewareActionTask: TypeAlias = Callable[[EnrichedActionRequest], ActionResponse]


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


@accepts_kwargs(NO_KWARGS)
class AsyncServerMiddleware(ServerMiddleware):
    """Wraps jobs, actions, or both, asynchronously: both methods take and give coroutine functions."""
