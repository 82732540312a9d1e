"""Harakiri: interrupts a job that runs for too long, and ends the process if that does not help.

Works by SIGALRM, and so in the main thread only. Where that hears no signals, the watchdog ends the process.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

from pysoa.common.clock import monotonic
from pysoa.server.internal.signals import SignalHandler
from pysoa.server.internal.watchdog import Watchdog

__all__ = ("HarakiriInterrupt", "HarakiriWatch", "end_process", "end_process_later", "thread_status")

EXIT_SECONDS: Final = 5.0
_MARGIN_IN_SECONDS: Final = 1.0  # the watchdog comes after what is gentler


class HarakiriInterrupt(BaseException):
    """Raised in the main thread, wherever it is, when a job has run for longer than the harakiri timeout."""


class HarakiriWatch:
    """Says when a job has run for too long. An idle server never strikes.

    A timer for each job would cost two system calls a job. The one timer here is left running when a job ends; when
    it fires, it looks at when the present job began and is set again for what that job has left.

    Args:
        timeout_in_seconds: how long a job may run.
        grace_in_seconds: how long it may go on after that, while the main thread does not come to calling ``strike``.
        strike: the signal handler to call when one has run for longer.
        deaf: called in another thread when the main thread did not come to it in that time.
    """

    def __init__(
        self, timeout_in_seconds: float, grace_in_seconds: float, strike: SignalHandler, deaf: Callable[[], object]
    ) -> None:
        self._timeout_in_seconds = timeout_in_seconds
        self._strike = strike
        self._watchdog = Watchdog(timeout_in_seconds + grace_in_seconds + _MARGIN_IN_SECONDS, deaf)
        self._began: float | None = None
        self._fires_at = 0.0
        self._has_struck = False

    def begin(self) -> float:
        """A job, or another step that may hang, begins; its time runs from the moment that this gives back."""
        self._began = now = monotonic()
        if now > self._fires_at:
            self._set(self._timeout_in_seconds)
        self._watchdog.begin(now)
        return now

    def goes_round(self, until: float) -> None:
        """An event loop goes round, and will come by again: the time of what holds it up runs from this moment."""
        if self._began is None or until > self._began:
            self._began = until
            self._watchdog.begin(until)
        if until > self._fires_at:
            self._set(self._timeout_in_seconds)

    def end(self) -> None:
        """It has ended; what follows may take its time."""
        self._began = None
        self._watchdog.end()

    def allow_grace(self, seconds: float) -> None:
        """Strike again after so long, whatever runs then."""
        self._has_struck = True
        self._watchdog.allow(seconds + EXIT_SECONDS + _MARGIN_IN_SECONDS)
        self._set(seconds)

    def stop(self) -> None:
        """Strike no more."""
        self.end()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._watchdog.stop()

    def on_alarm(self, signum: int, frame: FrameType | None) -> None:
        """The handler for SIGALRM."""
        if self._has_struck:
            self._strike(signum, frame)
            return
        if self._began is None:
            self._fires_at = 0.0
            return
        left = self._began + self._timeout_in_seconds - monotonic()
        if left > 0:
            self._set(left)
        else:
            self._strike(signum, frame)

    def _set(self, seconds: float) -> None:
        seconds = max(seconds, 0.001)
        # With some delay: a job may have an alarm of its own, which takes the place of this one.
        self._fires_at = monotonic() + seconds + _MARGIN_IN_SECONDS
        signal.setitimer(signal.ITIMER_REAL, seconds)


def thread_status(main_frame: FrameType | None) -> dict[str, list[str]]:
    """Where each thread is, by its name; the main thread by the frame that its signal handler was given."""
    frames = sys._current_frames()
    main = threading.main_thread()
    return {
        thread.name: traceback.format_stack(
            main_frame if thread is main and main_frame is not None else frames.get(thread.ident or 0)
        )
        for thread in threading.enumerate()
    }


def end_process(last_words: Callable[[], None]) -> NoReturn:
    """End the process whatever its threads do, after a few seconds for last words and for what waits for its exit."""

    def leave() -> None:
        try:
            last_words()
        finally:
            atexit._run_exitfuncs()

    # In a thread of its own, for a lock that it needs may be held by what hangs.
    context = contextvars.copy_context()  # the log tells which request it was
    thread = threading.Thread(target=context.run, args=(leave,), name="pysoa-harakiri", daemon=True)
    thread.start()
    thread.join(EXIT_SECONDS)
    os._exit(1)


def end_process_later() -> None:
    """End the process in a few seconds, should it not have ended by itself."""

    def leave() -> None:
        time.sleep(EXIT_SECONDS)
        os._exit(1)

    threading.Thread(target=leave, name="pysoa-forced-end", daemon=True).start()
