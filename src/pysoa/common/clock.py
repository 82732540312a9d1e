"""Wall clock, monotonic clock, and the deadline that one call keeps from its first step to its last."""

from __future__ import annotations

import time

__all__ = ("Deadline", "monotonic", "wall_clock")

monotonic = time.monotonic
wall_clock = time.time


class Deadline:
    """A moment on the monotonic clock after which a call has no more time.

    Attributes:
        at: the moment, in seconds of ``time.monotonic``.
    """

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline so many seconds from now."""
        return cls(monotonic() + seconds)

    def seconds_left(self) -> float:
        """Seconds until the deadline; negative once it has passed."""
        return self.at - monotonic()

    def has_passed(self) -> bool:
        return monotonic() >= self.at

    def __repr__(self) -> str:
        return f"Deadline({self.seconds_left():+.3f} s)"
