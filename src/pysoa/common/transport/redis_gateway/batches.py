"""How many requests a worker pops at once."""

from __future__ import annotations

from typing import Final

__all__ = ("BatchSize",)

_SMALLEST_TO_HALVE: Final = 20  # smaller halves cost more wake-ups than they save waiting; 32 would part in four
_WAIT_IN_SECONDS: Final = 0.0002  # a pop that finds requests waiting takes less
_WAITS_IN_A_ROW: Final = 3


class BatchSize:
    """The most that the next pop may bring.

    Where the answers of one batch are what all callers wait for, client and worker take turns: neither has anything to
    do while the other handles the batch. That shows by large batches that all had to be waited for. One pop of half a
    batch then suffices for two of half the size to be on their way, one at each end.

    Attributes:
        most: how many requests the next pop may bring.
    """

    __slots__ = ("_limit", "_waits", "most")

    def __init__(self, limit: int) -> None:
        self.most = self._limit = limit
        self._waits = 0

    def came(self, size: int, waited_in_seconds: float) -> None:
        """Take note of what a pop has brought, and how long it took."""
        self.most = self._limit
        if size < _SMALLEST_TO_HALVE or waited_in_seconds < _WAIT_IN_SECONDS:
            self._waits = 0
            return
        self._waits += 1
        if self._waits == _WAITS_IN_A_ROW:
            self._waits = 0
            self.most = size // 2
