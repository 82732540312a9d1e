"""Django's database connections and caches: those of the calling thread, and those that a fork has brought along."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, reset_queries

from pysoa.server.internal.faults import FaultLog

__all__ = (
    "caches_here",
    "close_broken",
    "close_caches",
    "close_connections",
    "close_old_connections",
    "connections_here",
    "end_transactions",
    "forget_queries",
)

_faults = FaultLog(logging.getLogger("pysoa.server.django"))


def connections_here() -> list[Any]:
    """The open connections of this thread. Asking opens none."""
    return [each for each in _made(connections, "DATABASES") if each.connection is not None]


def caches_here() -> list[Any]:
    """The caches of this thread and context that have been used. Asking makes none."""
    return _made(caches, "CACHES")


def _made(handler: Any, setting: str) -> list[Any]:
    try:
        return handler.all(initialized_only=True) if getattr(settings, setting) else []
    except (ImproperlyConfigured, ImportError):  # nobody has set Django up
        return []


def forget_queries() -> None:
    """Empty the query logs of this thread's connections."""
    if _made(connections, "DATABASES"):
        reset_queries()


def close_old_connections() -> None:
    """Close the connections of this thread that are broken or too old, but for those in a transaction."""
    for connection in connections_here():
        if connection.autocommit:
            _attempt(connection.close_if_unusable_or_obsolete)


def end_transactions(open_connections: Iterable[Any]) -> None:
    """Close connections that are broken or too old, or that a job has left without autocommit.

    One that is within ``atomic`` is somebody else's, who is to come back to it.
    """
    for connection in open_connections:
        if not connection.in_atomic_block:
            _attempt(connection.close_if_unusable_or_obsolete)


def close_broken(open_connections: Iterable[Any]) -> None:
    """Close connections that have failed and do not work any more."""
    for connection in open_connections:
        if connection.errors_occurred and not connection.in_atomic_block:
            _attempt(lambda each=connection: each.is_usable() or each.close())


def close_connections(open_connections: Iterable[Any]) -> None:
    """Close connections, whatever their age."""
    for connection in open_connections:
        _attempt(connection.close)


def _attempt(close: Any) -> None:
    """Close a connection; whatever goes wrong, the others are still to be closed."""
    try:
        close()
    except DatabaseError as error:
        _faults.note("A database connection could not be closed", error)
    except Exception as error:  # boundary: drivers raise what they like
        if "Database access not allowed" not in str(error):  # so says pytest-django
            _faults.note("A database connection could not be closed", error, with_traceback=True)
    except BaseException as error:
        if type(error).__name__ != "Failed":  # so said pytest-django, by pytest.fail
            raise


def close_caches(used: Iterable[Any], *, for_shutdown: bool) -> None:
    """Close caches, each in the way that its class knows."""
    for cache in used:
        cache_class: Any = type(cache)
        try:
            if _knows_shutdown(cache_class):
                cache.close(for_shutdown=for_shutdown)
            else:
                cache.close()
        except Exception as error:  # boundary: backends may be anybody's code
            _faults.note("A cache could not be closed", error, with_traceback=True)


@functools.cache
def _knows_shutdown(cache_class: Any) -> bool:
    try:
        inspect.signature(cache_class.close).bind(None, for_shutdown=True)
    except (TypeError, ValueError):
        return False
    return True


# A fork

_inherited: Final[list[Any]] = []
"""What belongs to the parent of a fork. It is kept, for its end could send a farewell on the parent's socket."""


def _before_fork() -> None:
    """Close idle connections to SQLite's files: a child must not even close one that it has not opened itself."""
    for connection in connections_here():
        if connection.vendor == "sqlite" and connection.autocommit and not _is_in_memory(connection):
            _attempt(connection.close)


def _leave_to_parent() -> None:
    """Have new connections and caches made in the child of a fork when it needs some; those of the parent live on."""
    for connection in _made(connections, "DATABASES"):
        if pools := getattr(type(connection), "_connection_pools", None):
            _inherited.append(dict(pools))
            pools.clear()
        if connection.connection is not None and not _is_in_memory(connection):
            _inherited.append(connection)
            _let_go(connection.connection)
            del connections[connection.alias]
    used = caches_here()
    _inherited.extend(used)
    for alias in caches if used else ():
        with contextlib.suppress(AttributeError):  # it is not used
            del caches[alias]


def _is_in_memory(connection: Any) -> bool:
    """Whether a database is within the process, which then has a copy of its own."""
    is_in_memory = getattr(connection, "is_in_memory_db", None)
    return is_in_memory is not None and is_in_memory()


def _let_go(raw: Any) -> None:
    """Give up this process's hold on the socket of a driver's connection, so that it ends with the parent."""
    with contextlib.suppress(Exception):  # not every driver has a socket to show
        descriptor = raw.fileno()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def _guarded(step: Callable[[], None]) -> Callable[[], None]:
    """A step around a fork, which happens whatever goes wrong in it."""

    def run() -> None:
        try:
            step()
        except Exception as error:  # boundary: Django may be in any state
            _faults.note("Connections could not be made ready for a fork", error, with_traceback=True)

    return run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guarded(_before_fork), after_in_child=_guarded(_leave_to_parent))
