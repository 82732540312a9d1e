"""The deadline of the job that is being served: when its caller stops waiting, and with it whatever it calls.

It belongs to the current context, as a context variable does: to the thread or task that serves the job, and to the
tasks that this starts. Clients end their calls by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from pysoa.common.clock import monotonic

__all__ = ("current_deadline", "reset_deadline", "set_deadline", "time_left", "without_deadline")

_deadline: ContextVar[float | None] = ContextVar("pysoa_deadline", default=None)

current_deadline = _deadline.get
"""The moment, on the monotonic clock, by which the present job has to be answered; None where nobody waits."""

set_deadline = _deadline.set
"""Set that moment; gives a token for ``reset_deadline``."""

reset_deadline = _deadline.reset
"""Put back what was there before ``set_deadline``."""


def time_left() -> float | None:
    """The seconds until the caller of the present job stops waiting, negative after that; None where nobody waits."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - monotonic()


@contextlib.contextmanager
def without_deadline() -> Iterator[None]:
    """Let what is called in the ``with`` block outlive the caller of the present job.

    For work that goes on after the answer: its calls have their own timeouts again.
    """
    token = _deadline.set(None)
    try:
        yield
    finally:
        _deadline.reset(token)
