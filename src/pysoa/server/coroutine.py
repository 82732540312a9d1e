"""Middleware of the coroutines that actions start with ``request.run_coroutine``."""

from __future__ import annotations

import logging
from collections.abc import Coroutine as _Coroutine
from typing import Any, TypeAlias, TypeVar

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs

__all__ = ("Coroutine", "CoroutineMiddleware", "DefaultCoroutineMiddleware", "MiddlewareCoroutine")

Coroutine: TypeAlias = _Coroutine[Any, Any, Any]
MiddlewareCoroutine = TypeVar("MiddlewareCoroutine", bound=Coroutine)

logger = logging.getLogger(__name__)


class CoroutineMiddleware:
    """Wraps coroutines. The first that is configured is the outermost.

    A subclass is decorated with ``pysoa.common.plugins.accepts_kwargs``, which says what its constructor takes.
    """

    def before_run_coroutine(self) -> None:
        """Called in the thread that starts the coroutine, just before it is handed to the event loop."""

    def coroutine(self, coroutine: Coroutine) -> Coroutine:
        """Wrap a coroutine; the result is awaited in its stead, on the event loop."""
        return coroutine


@accepts_kwargs(NO_KWARGS)
class DefaultCoroutineMiddleware(CoroutineMiddleware):
    """Logs the exceptions of coroutines, for few callers ask for the result."""

    def coroutine(self, coroutine: Coroutine) -> Coroutine:
        return _logging_errors(coroutine)


async def _logging_errors(coroutine: Coroutine) -> Any:
    try:
        return await coroutine
    except Exception:
        logger.exception("Error occurred while awaiting coroutine in request.run_coroutine")
        raise
