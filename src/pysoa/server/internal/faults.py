"""What a loop that nothing may end keeps in mind of faults: which it has logged, and how long the broker is away."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final

from pysoa.common.logging import printable

__all__ = ("FaultLog", "Outage", "described")

SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0


class FaultLog:
    """Logs faults that whoever sends us messages can cause at will: at most one line per kind and second.

    Args:
        logger: where the lines go.
        clock: a monotonic clock.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._since_last_line: dict[str, int] = {}
        self._last_line: dict[str, float] = {}

    def note(self, what: str, error: Exception, *, with_traceback: bool = False) -> None:
        """Log a fault, or only count it.

        Args:
            what: what happened, in words that do not come from outside.
            error: why; its class and this text are the kind of the fault.
            with_traceback: for faults in code rather than in messages.
        """
        kind = f"{what} {type(error).__name__}"
        count = self._since_last_line.get(kind, 0) + 1
        now = self._clock()
        last_line = self._last_line.get(kind)
        if last_line is not None and now - last_line < 1.0:
            self._since_last_line[kind] = count
            return
        self._last_line[kind] = now
        self._since_last_line[kind] = 0
        self._logger.log(
            logging.ERROR if with_traceback else logging.WARNING,
            "%s (%d since the last such line): %s",
            what,
            count,
            described(error),
            exc_info=error if with_traceback else None,
        )


def described(error: Exception) -> str:
    """An exception in one printable line of bounded length."""
    try:
        text = str(error)
    except Exception:  # a user's exception
        text = "without a text"
    return f"{type(error).__name__}: {printable(text, 1000)}"


class Outage:
    """A time in which the broker cannot be reached: how long to pause before each new try.

    Pauses grow to a bound that keeps the promise of full service soon after the broker is back, and vary, so that
    many workers do not come back in one moment.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, random_fraction: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._random_fraction = random_fraction
        self._began = 0.0
        self.failures = 0

    def next_pause(self) -> float:
        """Note a failure; the seconds to wait before the next try."""
        if not self.failures:
            self._began = self._clock()
        longest = min(SHORTEST_PAUSE * (1 << min(self.failures, 10)), LONGEST_PAUSE)
        self.failures += 1
        return longest * (0.5 + self._random_fraction() / 2)

    def end(self) -> float:
        """Note that all is well again; the seconds that it took."""
        self.failures = 0
        return self._clock() - self._began
