"""The base of client middleware: wrappers around sending a request and around receiving a response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import JobRequest, JobResponse

__all__ = ("AsyncClientMiddleware", "ClientMiddleware", "ClientRequestMiddlewareTask", "ClientResponseMiddlewareTask")

ClientRequestMiddlewareTask: TypeAlias = Callable[[int, dict[str, Any], JobRequest, float | None], None]
"""Sends a request: request id, meta, job request, seconds until it expires."""

ClientResponseMiddlewareTask: TypeAlias = Callable[[float | None], tuple[int | None, JobResponse | None]]
"""Receives a response within so many seconds: request id and job response, both None when none is outstanding."""


@accepts_kwargs(NO_KWARGS)
class ClientMiddleware:
    """Wraps what a client does, for one service. The first one configured is the outermost, both ways.

    Both methods are called once, when the client first uses the service; what they return is called for each message,
    with positional arguments, and by all threads that share the client. A subclass whose constructor takes arguments
    says so with ``pysoa.common.plugins.accepts_kwargs``.
    """

    def request(self, send_request: ClientRequestMiddlewareTask) -> ClientRequestMiddlewareTask:
        """Wrap sending. Changes of ``meta`` and of the job request are sent; exceptions go to the caller."""
        return send_request

    def response(self, get_response: ClientResponseMiddlewareTask) -> ClientResponseMiddlewareTask:
        """Wrap receiving. ``get_response`` gives ``(None, None)`` when no request is outstanding."""
        return get_response


@accepts_kwargs(NO_KWARGS)
class AsyncClientMiddleware(ClientMiddleware):
    """Wraps what an asyncio client does; both methods take and give coroutine functions."""
