"""The base of client middleware: wrappers around sending a request and around receiving a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.types import JobRequest, JobResponse

__all__ = (
    "AsyncClientMiddleware",
    "AsyncClientRequestMiddlewareTask",
    "AsyncClientResponseMiddlewareTask",
    "ClientMiddleware",
    "ClientRequestMiddlewareTask",
    "ClientResponseMiddlewareTask",
)

ClientRequestMiddlewareTask: TypeAlias = Callable[[int, dict[str, Any], JobRequest, float | None], None]
"""Sends a request: request id, meta, job request, seconds until it expires."""

ClientResponseMiddlewareTask: TypeAlias = Callable[[float | None], tuple[int | None, JobResponse | None]]
"""Receives a response within so many seconds: request id and job response, both None when none is outstanding."""

AsyncClientRequestMiddlewareTask: TypeAlias = Callable[[int, dict[str, Any], JobRequest, float | None], Awaitable[None]]
"""As ``ClientRequestMiddlewareTask``, to be awaited."""

AsyncClientResponseMiddlewareTask: TypeAlias = Callable[
    [float | None], Awaitable[tuple[int | None, JobResponse | None]]
]
"""As ``ClientResponseMiddlewareTask``, to be awaited."""


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


class AsyncClientMiddleware(ClientMiddleware):
    """Wraps what an asynchronous client does: as ``ClientMiddleware``, but with coroutine functions.

    A blocking client has no event loop and refuses it.
    """

    def request(  # type: ignore[override] # the kinds differ on purpose; who builds the stack looks at the class
        self, send_request: AsyncClientRequestMiddlewareTask
    ) -> AsyncClientRequestMiddlewareTask:
        """Wrap sending, as ``ClientMiddleware.request`` does."""
        return send_request

    def response(  # type: ignore[override] # as above
        self, get_response: AsyncClientResponseMiddlewareTask
    ) -> AsyncClientResponseMiddlewareTask:
        """Wrap receiving, as ``ClientMiddleware.response`` does."""
        return get_response
