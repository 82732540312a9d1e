"""The jobs that an event loop has under way, and what becomes of those whose time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pysoa.common.alarm import NEVER, Alarm
from pysoa.common.logging import printable

__all__ = ("RunningJob", "RunningJobs")


class RunningJob:
    """A job under way.

    Attributes:
        task: the task that it runs in.
        deadline: when its caller stops waiting, on the monotonic clock.
        limit: when it has run for longer than the harakiri timeout.
        is_cancelled: whether it was told to stop.
        is_due: whether its time was found to be over once; it is told to stop the second time.
        is_late: whether it was told so because its caller has stopped waiting.
        is_struck: whether it was told so because it has run for too long.
        note: what the worker has noted of it.
        thread_action: the blocking action that runs for it on a thread, which nothing can stop.
    """

    # Of the class, for most jobs change none of them.
    is_cancelled = False
    is_due = False
    is_late = False
    is_struck = False
    note = 0
    thread_action: str | None = None

    def __init__(self, task: asyncio.Task[Any], deadline: float, limit: float) -> None:
        self.task = task
        self.deadline = deadline
        self.limit = limit


class RunningJobs:
    """Calls off the jobs of an event loop whose time is over.

    Args:
        loop: the event loop.
        harakiri: the settings of that name.
        on_stuck: called with a text when a job does not stop that was told to; may be replaced.

    Attributes:
        by_task: the jobs. Whoever has begun one takes it out when it ends.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, harakiri: Mapping[str, Any], on_stuck: Callable[[str], object]
    ) -> None:
        self.by_task: dict[asyncio.Task[Any], RunningJob] = {}
        self._harakiri = harakiri
        self._timeout: float = harakiri["timeout"] or NEVER
        self.on_stuck = on_stuck
        self._alarm = Alarm(loop, self._look_at_limits)

    def begin(self, task: asyncio.Task[Any], deadline: float | None, now: float) -> RunningJob:
        """Watch over a job that begins now, until it is taken out of ``by_task``."""
        if deadline is None:
            deadline = NEVER
        limit = now + self._timeout
        job = self.by_task[task] = RunningJob(task, deadline, limit)
        earlier = deadline if deadline < limit else limit
        if earlier < self._alarm.at:
            self._alarm.ring_by(earlier)
        return job

    def is_called_off(self) -> bool:
        """Whether the current task was cancelled because its job has run for long enough; it then goes on."""
        task = asyncio.current_task()
        job = self.by_task.get(task) if task is not None else None
        if task is None or job is None or not job.is_cancelled:
            return False
        job.is_cancelled = False
        task.uncancel()
        return True

    def is_late(self) -> bool:
        """Whether the current task was cancelled because the caller of its job has stopped waiting."""
        job = self.by_task.get(asyncio.current_task())  # type: ignore[arg-type] # None is no key
        return job is not None and job.is_late

    def stop(self) -> None:
        """Watch no more."""
        self._alarm.stop()

    def _look_at_limits(self, now: float) -> float:
        """Call off the jobs whose time is over; when that will be so for the next."""
        earliest = NEVER
        for job in list(self.by_task.values()):
            if not job.is_due and min(job.deadline, job.limit) <= now:
                # Where another job has held the loop up, this one may be ready to go on: that comes first.
                job.is_due = True
                earliest = now
                continue
            if job.deadline <= now and job.deadline < job.limit:
                job.deadline = NEVER
                job.is_cancelled = job.is_late = True
                job.task.cancel()
            elif job.limit <= now:
                self._strike(job, now)
            earliest = min(earliest, job.deadline, job.limit)
        return earliest

    def _strike(self, job: RunningJob, now: float) -> None:
        """End a job that has run for longer than the harakiri timeout; the second time, it is past that."""
        grace = self._harakiri["shutdown_grace"]
        after = self._harakiri["timeout"] + (grace if job.is_struck else 0)
        if job.thread_action is not None:
            name = printable(job.thread_action)
            self.on_stuck(f"The action {name} hangs on its thread after {after} seconds, and nothing can stop it there")
        elif job.is_struck:
            self.on_stuck(f"A job goes on after {after} seconds, though it was cancelled")
        if job.is_struck:
            job.limit = NEVER
            return
        job.is_struck = True
        job.limit = now + grace
        job.is_cancelled = True
        job.task.cancel()
