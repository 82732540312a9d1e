"""Keeps a number of worker processes alive, for as long as it is not told to stop.

Everything happens in the main thread: it forks the workers (a parent-death signal follows the thread that forked),
sleeps until a child ends or a signal comes, and starts again what has ended. A worker that keeps on ending is started
again for ever, after growing pauses, so that no poisonous request can take a service out.

Workers do not outlive their supervisor: they hold the reading end of a pipe whose writing end only the supervisor has,
so that its death, however sudden, is the end of that pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import attr

from pysoa.common.old_names import warn_user
from pysoa.server.internal.notes import JobNotes, inherited_notes
from pysoa.server.internal.old_ways import takes
from pysoa.server.internal.signals import ShutdownSignals, Verdict
from pysoa.server.internal.upkeep import keep_from_children

__all__ = ("RESPAWN_PAUSES_IN_SECONDS", "Supervisor", "pause_before_respawn", "supervise")

RESPAWN_PAUSES_IN_SECONDS: Final = (0.0, 0.25, 0.5, 1.0, 2.0)
HEALTHY_AFTER_SECONDS: Final = 30.0
"""A worker that has lived so long starts again without a pause when it ends."""

GRACE_IN_SECONDS: Final = 360.0
"""How long workers may take to finish what they have begun; longer than a worker's own limits are by default."""

GRACE_WHEN_FORCED_IN_SECONDS: Final = 5.0
GRACE_WITHOUT_SUPERVISOR_IN_SECONDS: Final = 8.0

_WORKERS_PER_CORE: Final = 5
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG: Final = 1


def pause_before_respawn(ends_in_a_row: int) -> float:
    """How many seconds to wait before a worker starts again that has ended so often without being healthy between."""
    return RESPAWN_PAUSES_IN_SECONDS[min(ends_in_a_row, len(RESPAWN_PAUSES_IN_SECONDS)) - 1]


@attr.s(auto_attribs=True)
class _Worker:
    """One of the numbered places for a worker, and the process that has it at the moment."""

    number: int
    notes: JobNotes
    process: Any = None
    started_at: float = 0.0
    start_due_at: float | None = 0.0  # None: it runs, or it shall not be started again
    ends_in_a_row: int = 0


class Supervisor:
    """Runs workers until it gets SIGINT, SIGTERM or SIGHUP, or until all have ended and none is to be started again.

    To be run in the main thread of a process without other threads.

    Args:
        main: what each worker runs; called with the worker's number, from 1, or without it where it takes none.
        workers: how many.
        before_fork: called once, before the first worker is forked.
        respawn: whether a worker that ends, in whatever way, is started again.
        give_up_after: how many times in a row a worker may end, without having been healthy, before it is not
            started again; None for no limit.
        grace_in_seconds: how long workers have to end after they were told to; then they are killed.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        main: Callable[..., Any],
        workers: int,
        *,
        before_fork: Callable[[], Any] = lambda: None,
        respawn: bool = True,
        give_up_after: int | None = None,
        grace_in_seconds: float = GRACE_IN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._main = main
        self._main_takes_number = _takes_number(main)
        self._workers = [_Worker(number, JobNotes()) for number in range(1, workers + 1)]
        self._before_fork = before_fork
        self._respawn = respawn
        self._give_up_after = give_up_after
        self._grace_in_seconds = grace_in_seconds
        self._clock = clock

        self._shutdown_signals = ShutdownSignals(clock)
        self._verdicts: deque[Verdict] = deque()  # on the signals that have come and are not passed on yet
        self._stopping = False
        self._kill_at: float | None = None
        self._in_child: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Start the workers and keep them alive; return when all have ended for good."""
        with self._signals_caught() as wakeup_fd:
            self._before_fork()
            while True:
                self._pass_on_signals()
                self._start_due_workers()
                self._kill_overdue_workers()
                if not any(worker.process or worker.start_due_at is not None for worker in self._workers):
                    return
                if not self._bury_ended_workers():
                    _sleep_until_signal(wakeup_fd, self._seconds_until_next_event())

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[int]:
        """Note the signals that come, and make them end a wait on the file descriptor that this yields."""
        wakeup_reader, wakeup_writer = os.pipe()
        life_reader, life_writer = os.pipe()
        os.set_blocking(wakeup_reader, False)
        os.set_blocking(wakeup_writer, False)

        caught = [number for number in _STOP_SIGNALS if not _is_ignored_by_nohup(number)]
        handlers: dict[signal.Signals, Any] = dict.fromkeys(caught, self._note_signal)
        handlers[signal.SIGCHLD] = lambda *_: None  # for the wake-up only
        previous = {number: signal.signal(number, handler) or signal.SIG_DFL for number, handler in handlers.items()}
        previous_wakeup_fd = signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)

        def in_child() -> None:
            signal.set_wakeup_fd(-1)
            for number, handler in previous.items():
                # A worker that has not come to installing its own handlers has nothing to finish: it may just end.
                signal.signal(number, signal.SIG_DFL if handler is signal.default_int_handler else handler)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor passes it on, as SIGTERM
            for descriptor in (wakeup_reader, wakeup_writer, life_writer):
                os.close(descriptor)
            _end_with_supervisor(life_reader)

        self._in_child = in_child
        try:
            yield wakeup_reader
        finally:
            signal.set_wakeup_fd(previous_wakeup_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            for descriptor in (wakeup_reader, wakeup_writer, life_reader, life_writer):
                os.close(descriptor)

    def _note_signal(self, _signal_number: int, _frame: FrameType | None) -> None:
        self._verdicts.append(self._shutdown_signals.judge())

    def _pass_on_signals(self) -> None:
        while self._verdicts:
            verdict = self._verdicts.popleft()
            if verdict is not Verdict.NOTHING_MORE:
                self._stop(verdict)

    def _stop(self, verdict: Verdict) -> None:
        self._stopping = True
        grace = self._grace_in_seconds if verdict is Verdict.DRAIN else GRACE_WHEN_FORCED_IN_SECONDS
        self._kill_at = self._clock() + grace
        for worker in self._workers:
            worker.start_due_at = None
            if worker.process:
                worker.process.terminate()

    def _start_due_workers(self) -> None:
        now = self._clock()
        for worker in self._workers:
            if worker.start_due_at is not None and worker.start_due_at <= now:
                if worker.ends_in_a_row:
                    _say(f"Re-spawning failed server process #{worker.number}")
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        worker.start_due_at = None
        worker.started_at = self._clock()
        process = _process_class()(
            target=self._main,
            name=f"pysoa-worker-{worker.number}",
            args=(worker.number,) if self._main_takes_number else (),
        )
        if isinstance(process, _WorkerProcess):
            process.in_child = self._in_child
            process.notes = worker.notes
        # A signal between the fork and the child's first step must not meet the supervisor's handlers in the child.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            process.start()
        except OSError as error:  # no memory or no process to be had at the moment
            _say(f"Could not start server process #{worker.number}: {error}")
            self._plan_respawn(worker)
        else:
            worker.process = process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _bury_ended_workers(self) -> bool:
        """Take note of the workers that have ended, and plan their return; say whether there were any."""
        ended = [worker for worker in self._workers if worker.process and worker.process.exitcode is not None]
        for worker in ended:
            worker.process.join()
            worker.notes.worker_has_died()
            worker.process = None
            if self._respawn and not self._stopping:
                self._plan_respawn(worker)
        return bool(ended)

    def _plan_respawn(self, worker: _Worker) -> None:
        now = self._clock()
        was_healthy = now - worker.started_at >= HEALTHY_AFTER_SECONDS
        worker.ends_in_a_row = 1 if was_healthy else worker.ends_in_a_row + 1
        if self._give_up_after is not None and worker.ends_in_a_row >= self._give_up_after:
            times = worker.ends_in_a_row
            _say(f"Server process #{worker.number} has crashed too many times ({times}) in a row; not respawning.")
            return
        worker.start_due_at = now + pause_before_respawn(worker.ends_in_a_row)

    def _kill_overdue_workers(self) -> None:
        if self._kill_at is None or self._clock() < self._kill_at:
            return
        self._kill_at = None
        for worker in self._workers:
            if worker.process:
                _say(f"Killing server process #{worker.number}, which did not end in time")
                worker.process.kill()

    def _seconds_until_next_event(self) -> float | None:
        moments = [worker.start_due_at for worker in self._workers if worker.start_due_at is not None]
        if self._kill_at is not None:
            moments.append(self._kill_at)
        return max(min(moments) - self._clock(), 0.0) if moments else None


def supervise(
    server_class: Any,
    workers: int,
    *,
    respawn: bool = True,
    give_up_after: int | None = None,
    grace_in_seconds: float = GRACE_IN_SECONDS,
) -> None:
    """Fork workers that run ``server_class.main``, and keep them alive until told to stop; see ``Supervisor``.

    There are at most five for each core. ``server_class.pre_fork`` is called once, before the first.
    """
    cores = multiprocessing.cpu_count()
    if workers > cores * _WORKERS_PER_CORE:
        _say(
            f"WARNING: Number of requested process forks ({workers}) is greater than five times the number of CPU "
            f"cores available ({cores} cores). Capping number of forks at {cores * _WORKERS_PER_CORE}."
        )
        workers = cores * _WORKERS_PER_CORE
    keep_from_children()
    Supervisor(
        server_class.main,
        workers,
        before_fork=server_class.pre_fork,
        respawn=respawn,
        give_up_after=give_up_after,
        grace_in_seconds=grace_in_seconds,
    ).run()


# The one start method that hands settings, handlers and classes on; Python 3.14 no longer takes it by default.
_FORK: Final = multiprocessing.get_context("fork")


class _WorkerProcess(_FORK.Process):  # type: ignore[name-defined,misc]  # typeshed knows it as a variable
    """A forked process that leaves the supervisor's ways behind before it runs its target."""

    in_child: Callable[[], None] = staticmethod(lambda: None)
    notes: JobNotes | None = None

    def run(self) -> None:
        self.in_child()
        inherited_notes.set(self.notes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        super().run()


def _process_class() -> Any:
    process_class = multiprocessing.Process  # looked up for each process: tests put their own there
    return _WorkerProcess if process_class is multiprocessing.context.Process else process_class


def _takes_number(main: Callable[..., Any]) -> bool:
    if takes(main, 1):
        return True
    warn_user(f"{main!r} should take the number of the worker: main(forked_process_id=None)")
    return False


def _is_ignored_by_nohup(signal_number: int) -> bool:
    return signal_number == signal.SIGHUP and signal.getsignal(signal_number) is signal.SIG_IGN


def _sleep_until_signal(wakeup_fd: int, seconds: float | None) -> None:
    # Rounded up: a wait that ends just before its moment would be followed by one of no length.
    if _is_readable(wakeup_fd, None if seconds is None else int(seconds * 1000) + 1):
        os.read(wakeup_fd, 4096)


def _is_readable(descriptor: int, timeout_in_milliseconds: int | None) -> bool:
    waiting = select.poll()  # which takes descriptors of any number, as select.select does not
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(timeout_in_milliseconds))


def _end_with_supervisor(life_reader: int) -> None:
    """Arrange, in a worker, for its end when the supervisor has died: a drain, and after some seconds a hard end."""
    # On Linux the kernel sends SIGTERM, even while no thread of this process gets to run; elsewhere the thread does.
    kernel_tells = sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) == 0
    if _is_readable(life_reader, 0):  # it has died already, before the kernel was asked
        os._exit(1)

    def watch() -> None:
        while os.read(life_reader, 1):
            pass
        if not kernel_tells:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_WITHOUT_SUPERVISOR_IN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="pysoa-supervisor-watch", daemon=True).start()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")  # in one piece, unlike print: the workers write to the same place
    sys.stdout.flush()
