"""How many requests a worker tells of: two lines for each would cost more than to serve a small one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pysoa.server.settings import ServerSettings

__all__ = ("LogLimit", "log_limit")

_BURST: Final = 50
_USUAL_LIMIT: Final = 100


def log_limit(settings: Mapping[str, Any]) -> int:
    """The limit by the settings of a server: a service that has said how it logs gets what it expects, all of it."""
    limit: int | None = settings["request_log_limit"]
    if limit is None:
        return _USUAL_LIMIT if settings["logging"] == ServerSettings.defaults["logging"] else 0
    return limit


class LogLimit:
    """Says which requests are logged when there are more than a worker should tell of.

    After a quiet time, fifty may be logged at once, so that all of a service with little to do are.

    Args:
        per_second: how many are logged in a second, on the average; 0 for all.
    """

    def __init__(self, per_second: int) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._ahead = self._interval * (_BURST - 1)
        self._not_before = float("-inf")
        self._left_out = 0
        self._report_at = float("-inf")

    def allows(self, now: float) -> bool:
        """Whether the request that has come at this moment is logged. One that is not is counted."""
        if now < self._not_before:
            self._left_out += 1
            return False
        self._not_before = max(self._not_before, now - self._ahead) + self._interval
        return True

    def left_out(self, now: float) -> int:
        """How many were not logged since this was last asked; 0 within a second of an answer that was not."""
        if not self._left_out or now < self._report_at:
            return 0
        self._report_at = now + 1.0
        count, self._left_out = self._left_out, 0
        return count
