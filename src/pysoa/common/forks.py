"""What has to start anew in the child of a fork, which must take none of its parent's connections, ids and locks."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ("FORKS", "BuildLock", "StartsAnew", "start_anew_in_children")


class StartsAnew(Protocol):
    """Holds what belongs to one process."""

    def start_anew(self) -> None:
        """Forget what belongs to the parent; runs in the child, before anything else does."""


class _Forks:
    count = 0


FORKS = _Forks()
"""Its ``count`` says how many forks lie between this process and the one that imported PySOA."""

_instances: weakref.WeakSet[StartsAnew] = weakref.WeakSet()


def start_anew_in_children(instance: StartsAnew) -> None:
    """Have ``start_anew`` called in every child of a fork, as long as the instance lives."""
    _instances.add(instance)


class BuildLock:
    """A reentrant lock that is free in the child of a fork, whoever held it in the parent."""

    def __init__(self) -> None:
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _after_fork_in_child() -> None:
    FORKS.count += 1
    for instance in list(_instances):
        instance.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
