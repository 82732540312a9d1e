"""An alarm of an event loop: one timer for many moments, most of which nobody will need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pysoa.common.clock import monotonic

if TYPE_CHECKING:
    import asyncio

__all__ = ("NEVER", "Alarm")

NEVER: Final = float("inf")

_SHORTEST_PAUSE_IN_SECONDS: Final = 0.001


class Alarm:
    """Looks after things that have a time limit each, without a timer for each.

    A timer costs more than many a call. This one is set for the earliest limit and left alone when that thing is done;
    when it rings, whoever looks after the things goes through those that are left.

    Args:
        loop: the event loop.
        look: called with the present moment; gives the earliest limit that is left, or ``NEVER``.

    Attributes:
        at: when it rings, on the monotonic clock. Compare with it before ``ring_by``, on hot paths.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[float], float]) -> None:
        self._loop = loop
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self.at = NEVER

    def ring_by(self, moment: float) -> None:
        """Ring at this moment at the latest."""
        if moment >= self.at:
            return
        self.at = moment
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(moment - monotonic(), _SHORTEST_PAUSE_IN_SECONDS), self._ring)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self.at = NEVER

    def _ring(self) -> None:
        self._timer = None
        self.at = NEVER
        self.ring_by(self._look(monotonic()))
