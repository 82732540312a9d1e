"""How long to wait before each new try on a full queue."""

from __future__ import annotations

from typing import Final

__all__ = ("pause_in_seconds",)

EXPONENTIAL_BACK_OFF_FACTOR: Final = 4.0


def pause_in_seconds(attempt: int, random_fraction: float) -> float:
    """The pause after the given number of failed retries.

    Args:
        attempt: 0 before the first retry.
        random_fraction: from 0 to 1, another one each time, so that senders do not come back all at once.
    """
    return (2.0**attempt + random_fraction) / EXPONENTIAL_BACK_OFF_FACTOR
