"""Time that stands still, while a fixture file is read and while a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ("ReadingTime", "frozen", "reading_time")


def frozen(when: datetime | None) -> AbstractContextManager[object]:
    """Freeze the time of the process, whose local time is UTC meanwhile.

    Args:
        when: in UTC; None for now.

    Raises:
        ImportError: time_machine is not installed.
    """
    from zoneinfo import ZoneInfo

    import time_machine

    # With a ZoneInfo, and no other kind of zone, time_machine changes the local time in all its releases.
    moment = (datetime.now(UTC) if when is None else when).astimezone(ZoneInfo("UTC"))
    travel: AbstractContextManager[object] = time_machine.travel(moment, tick=False)
    return travel


class ReadingTime:
    """The time while a fixture file is read, which its lines may freeze until their test case or action ends."""

    def __init__(self) -> None:
        self._of_case = ExitStack()
        self._of_action = ExitStack()

    def freeze_for_case(self, when: datetime | None) -> None:
        """Freeze it until the test case ends."""
        self.end_action()
        self._of_case.enter_context(frozen(when))

    def freeze_for_action(self, when: datetime | None) -> None:
        """Freeze it until a line of another action, or the end of the test case."""
        self._of_action.enter_context(frozen(when))

    def end_action(self) -> None:
        """Let it run, or be that of the test case, again."""
        self._of_action.close()

    def end_case(self) -> None:
        """Let it run again."""
        self._of_action.close()
        self._of_case.close()


_reading_time: ContextVar[ReadingTime | None] = ContextVar("_reading_time", default=None)


@contextmanager
def reading_time() -> Iterator[ReadingTime]:
    """The time while a fixture file is read in the block; it runs again at the end, whatever happens."""
    time = ReadingTime()
    token = _reading_time.set(time)
    try:
        yield time
    finally:
        _reading_time.reset(token)
        time.end_case()


def current_reading_time() -> ReadingTime | None:
    """The time of the file that is being read, if one is."""
    return _reading_time.get()
