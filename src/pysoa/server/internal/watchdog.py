"""The last resort against a job that hangs: it ends the process where the main thread hears no signals.

Handlers of signals run in the main thread, between two steps of Python. Code in C keeps them waiting: a driver that
waits for its own reasons, or a computation that holds the interpreter, so that no other thread runs either.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Final, TextIO

from pysoa.common.clock import monotonic

__all__ = ("Watchdog",)

_LOOKS_IN_EACH_LIMIT: Final = 8
_LEAST_SECONDS_BETWEEN_LOOKS: Final = 0.25
_MOST_SECONDS_BETWEEN_LOOKS: Final = 30.0


class Watchdog:
    """Ends the process when what runs is over its limit, in one of two ways.

    A thread looks now and then; what it finds over its limit, it has ended. Where code in C holds the interpreter, that
    thread does not run either. Then a timer goes off that it would have put off at its next look, and that needs no
    Python: it writes to standard error where each thread is, and ends the process with exit code 1.

    Args:
        limit_in_seconds: how long anything may run.
        overdue: called in the thread when something has run for longer; should not return.
    """

    def __init__(self, limit_in_seconds: float, overdue: Callable[[], object]) -> None:
        self._limit_in_seconds = limit_in_seconds
        self._overdue = overdue
        self._seconds_between_looks = min(
            max(limit_in_seconds / _LOOKS_IN_EACH_LIMIT, _LEAST_SECONDS_BETWEEN_LOOKS), _MOST_SECONDS_BETWEEN_LOOKS
        )
        self._over_at: float | None = None
        self._all_over_at: float | None = None
        self._timer_is_set = False
        self._setting = threading.RLock()  # a signal handler may come within
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._report = _standard_error()

    def begin(self, moment: float) -> None:
        """Something begins, and has the whole time from this moment on; cheap when it is called for each job."""
        self._over_at = moment + self._limit_in_seconds
        if not self._timer_is_set:
            self._set_timer()
            if self._thread is None:
                self._start()

    def end(self) -> None:
        """It has ended."""
        self._over_at = None

    def allow(self, seconds: float) -> None:
        """Leave the process so much time, whatever runs then."""
        self._all_over_at = monotonic() + seconds

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._clear_timer()

    def _start(self) -> None:
        # The thread behind the timer is not in a forked child, which would wait for it at its own end, for ever.
        before, after = weakref.WeakMethod(self._before_fork), weakref.WeakMethod(self._after_fork)
        os.register_at_fork(
            before=lambda: (method := before()) and method(),
            after_in_parent=lambda: (method := after()) and method(is_child=False),
            after_in_child=lambda: (method := after()) and method(is_child=True),
        )
        self._thread = threading.Thread(target=self._run, name="pysoa-watchdog", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds_between_looks):
            self._look()

    def _look(self) -> None:
        over_at = self._all_over_at or self._over_at
        if over_at is not None:
            self._set_timer()
            if monotonic() > over_at:
                self._overdue()
            return
        # An idle process that is suspended for a while must not be found dead. In this order, because the main thread
        # may begin something at any moment, and sets the timer where it finds none.
        self._clear_timer()
        if self._over_at is not None:
            self._set_timer()

    def _set_timer(self) -> None:
        seconds = self._limit_in_seconds
        if self._all_over_at is not None:
            seconds = max(self._all_over_at - monotonic(), 0.0)
        # What holds the interpreter at the next look has begun before it, and has its whole time.
        seconds = min(seconds + self._seconds_between_looks, threading.TIMEOUT_MAX)
        with self._setting:
            self._timer_is_set = True
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._report)

    def _clear_timer(self) -> None:
        with self._setting:
            self._timer_is_set = False
            faulthandler.cancel_dump_traceback_later()

    def _before_fork(self) -> None:
        self._setting.acquire()
        if self._timer_is_set:
            faulthandler.cancel_dump_traceback_later()

    def _after_fork(self, *, is_child: bool) -> None:
        if self._timer_is_set and not is_child:
            self._set_timer()
        self._setting.release()


def _standard_error() -> TextIO | int:
    """Where the report goes: a descriptor that stays open, for nothing can be opened when it is needed."""
    try:
        if sys.__stderr__ is not None and sys.__stderr__.fileno() >= 0:
            return sys.__stderr__
    except (OSError, ValueError):  # it is closed, or no file
        pass
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
