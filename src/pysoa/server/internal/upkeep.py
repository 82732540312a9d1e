"""What a server does around jobs for libraries that keep something between them; by itself, nothing.

Django is one: its connections and caches belong to threads and contexts, and are to be looked after there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pysoa.server.coroutine import CoroutineMiddleware
    from pysoa.server.server import Server

__all__ = ("NO_UPKEEP", "Upkeep", "keep_from_children", "upkeep_of")


class Upkeep:
    """Does nothing. The hooks of a server call it, in both loops; no method waits, but for ``end``.

    Attributes:
        coroutine_middleware: wraps coroutines that run beside jobs, outside of all else.
    """

    coroutine_middleware: tuple[CoroutineMiddleware, ...] = ()

    def before_job(self) -> None:
        """A job is about to be processed, in this context."""

    def after_job(self) -> None:
        """The job of this context has been processed, if one was."""

    def when_idle(self) -> None:
        """No request has come for a while."""

    def on_thread(self, process: Callable[..., Any]) -> Callable[..., Any]:
        """The function that a thread of the pool is to run in place of a blocking action."""
        return process

    def end(self) -> Any:
        """The server ends. May wait for a moment, or have something awaited."""


NO_UPKEEP: Final = Upkeep()


def upkeep_of(server: Server) -> Upkeep:
    """What a server needs, by its class and its settings."""
    if not server.use_django:
        return NO_UPKEEP
    try:
        if server.settings["concurrency"] == 1:
            from pysoa.server.internal.django_upkeep import DjangoUpkeep

            return DjangoUpkeep(server)
        from pysoa.server.internal.async_django_upkeep import AsyncDjangoUpkeep

        return AsyncDjangoUpkeep(server)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("django", "asgiref"):
            raise
        return NO_UPKEEP  # a test may have put something in the place of its settings


def keep_from_children() -> None:
    """Have children that are forked from now on leave alone what belongs to this process."""
    if "django.db" in sys.modules:
        importlib.import_module("pysoa.server.internal.django_connections")
