"""Stacks of middleware, plain and asynchronous in any order, around a plain or an asynchronous base.

Plain wraps around asynchronous ones need no change and know nothing of it: what they call waits by ``wait_for``, and
the outermost of a row of them is entered by ``run_sync``.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias

from pysoa.common.bridge import run_sync, wait_for

__all__ = ("Task", "Wrap", "build_stack", "settled")

Task: TypeAlias = Callable[..., Any]
"""One step: a plain function, or one that gives back an awaitable."""

Wrap: TypeAlias = Callable[[Task], Task]
"""Gets a step, and gives back what is called in its place."""


class _Kind(enum.Enum):
    """How a step is to be called."""

    PLAIN = enum.auto()
    AWAITED = enum.auto()
    WAITING = enum.auto()  # plain, but in ``run_sync`` only, for it waits by ``wait_for``


def build_stack(wraps: Sequence[tuple[Wrap, bool]], base: Task, base_is_async: bool) -> tuple[Task, bool]:
    """Wrap a step in middleware.

    Args:
        wraps: what wraps, and whether it takes and gives asynchronous steps; the first is the outermost.
        base: the innermost step.
        base_is_async: whether its result is to be awaited; see ``settled`` where that shows only with the result.

    Returns:
        The outermost step, and whether its result is to be awaited.
    """
    task, kind = base, _Kind.AWAITED if base_is_async else _Kind.PLAIN
    for wrap, is_async in reversed(wraps):
        if is_async:
            task, kind = wrap(_awaited(task, kind)), _Kind.AWAITED
        elif kind is _Kind.AWAITED:
            task, kind = wrap(_waiting(task)), _Kind.WAITING
        else:
            task = wrap(task)
    if kind is _Kind.PLAIN:
        return task, False
    return _awaited(task, kind), True


def settled(task: Task) -> Task:
    """The step as a coroutine function, whether it gives back its result or something to await."""

    async def settle(*args: Any) -> Any:
        result = task(*args)
        return await result if isawaitable(result) else result

    return settle


def _awaited(task: Task, kind: _Kind) -> Task:
    if kind is _Kind.AWAITED:
        return task
    if kind is _Kind.WAITING:
        return functools.partial(run_sync, task)

    async def call(*args: Any) -> Any:
        return task(*args)

    return call


def _waiting(task: Task) -> Task:
    def wait(*args: Any) -> Any:
        return wait_for(task(*args))

    return wait
