"""What a worker notes of the jobs in its hands, so that their callers hear of it when it is ended with them.

The notes are in memory that the supervisor shares with its workers. A worker writes down each request before the job
begins, and how many of its actions have begun; that costs it no more than to copy some hundred bytes. Should it die,
the next worker in its place finds the notes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

import attr

from pysoa.common.clock import monotonic

__all__ = ("JobLeftBehind", "JobNotes", "inherited_notes")

_SIZE: Final = 4 * 1024 * 1024  # only what is written to takes memory
_HEADER: Final = struct.Struct("=dII")  # when the worker died, how many notes it had, bytes for each
_NOTE: Final = struct.Struct("=dIB")  # when the job began, length of its request, actions begun
_ACTIONS_AT: Final = _NOTE.size - 1
_MOST_ACTIONS: Final = 255

inherited_notes: ContextVar[JobNotes | None] = ContextVar("inherited_notes", default=None)
"""Those of this process, where it is the worker of a supervisor."""


@attr.frozen
class JobLeftBehind:
    """A job that was under way when its worker died.

    Attributes:
        request: its request, as the transport had taken it.
        ran_for_seconds: how long before it had begun.
        actions_begun: how many of its actions had; 255 stands for more, too.
    """

    request: bytes
    ran_for_seconds: float
    actions_begun: int


class JobNotes:
    """The notes of one place for workers, which one process after the other has; made before the first is forked.

    A note is known by where it is in the memory; 0 stands for none.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        self._most_bytes = 0
        self._free: list[int] = []

    def worker_has_died(self) -> None:
        """Note the moment. For the supervisor."""
        _, jobs, size = _HEADER.unpack_from(self._memory)
        _HEADER.pack_into(self._memory, 0, monotonic(), jobs, size)

    def take_over(self, jobs: int) -> list[JobLeftBehind]:
        """Make room for so many jobs at a time. For a worker, before its first job.

        Returns:
            The jobs that the worker before has left behind.
        """
        left = list(self._left_behind())
        size = (_SIZE - _HEADER.size) // jobs
        if size <= _NOTE.size:
            size = jobs = 0
        _HEADER.pack_into(self._memory, 0, 0.0, jobs, size)
        self._most_bytes = size - _NOTE.size
        self._free = [_HEADER.size + number * size for number in range(jobs)]
        for note in self._free:
            _NOTE.pack_into(self._memory, note, 0.0, 0, 0)
        return left

    def _left_behind(self) -> Iterator[JobLeftBehind]:
        died_at, jobs, size = _HEADER.unpack_from(self._memory)
        for number in range(jobs):
            note = _HEADER.size + number * size
            began, length, actions_begun = _NOTE.unpack_from(self._memory, note)
            if length:
                request = self._memory[note + _NOTE.size : note + _NOTE.size + length]
                yield JobLeftBehind(request, died_at - began, actions_begun)

    def begin(self, request: bytes | None, moment: float) -> int:
        """Note a job that begins.

        Args:
            request: its request, as the transport took it; None where that cannot tell.
            moment: the present one, on the monotonic clock.
        """
        if request is None or not self._free or len(request) > self._most_bytes:
            return 0
        note = self._free.pop()
        start = note + _NOTE.size
        self._memory[start : start + len(request)] = request
        _NOTE.pack_into(self._memory, note, moment, len(request), 0)
        return note

    def next_action(self, note: int) -> None:
        """Note that the next action of the job begins."""
        if note:
            begun = self._memory[note + _ACTIONS_AT]
            self._memory[note + _ACTIONS_AT] = min(begun + 1, _MOST_ACTIONS)

    def end(self, note: int) -> None:
        """Take a note back: the job has ended."""
        if note:
            _NOTE.pack_into(self._memory, note, 0.0, 0, 0)
            self._free.append(note)
