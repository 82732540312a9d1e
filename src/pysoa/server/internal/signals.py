"""Signals of the server's process: installing handlers, and what one signal more means."""

from __future__ import annotations

import contextlib
import enum
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final, TypeAlias

__all__ = ("ShutdownSignals", "SignalHandler", "Verdict", "handled", "in_main_thread")

SignalHandler: TypeAlias = Callable[[int, FrameType | None], Any]

SECONDS_OF_ONE_STORM: Final = 1.0


class Verdict(enum.Enum):
    """What a signal that asks for shutdown asks for."""

    DRAIN = "serve what was taken, then end"
    NOTHING_MORE = "another signal of the same storm"
    FORCE = "end now"


class ShutdownSignals:
    """Judges signals: the first asks to drain, and one that comes over a second after the one before it, to end now.

    Terminals and supervisors send several at once, often of two kinds: such a storm, however long, is one drain.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._judging = threading.Lock()

    def judge(self) -> Verdict:
        """Take note of a signal. Handlers interrupt each other: one that comes while another is judged is the same."""
        if not self._judging.acquire(blocking=False):
            return Verdict.NOTHING_MORE
        try:
            last, self._last = self._last, self._clock()
            if last is None:
                return Verdict.DRAIN
            return Verdict.FORCE if self._last - last > SECONDS_OF_ONE_STORM else Verdict.NOTHING_MORE
        finally:
            self._judging.release()


def in_main_thread() -> bool:
    """Whether this is the thread that signal handlers run in, the only one that may install them."""
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def handled(handlers: Mapping[signal.Signals, SignalHandler]) -> Iterator[None]:
    """Install handlers for the ``with`` block, and afterwards those that were there; does nothing in other threads."""
    if not in_main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def ignore_shutdown_signals() -> None:
    """For a process that has shut down and is about to end: the rest of a storm must not change how it ends."""
    if in_main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
