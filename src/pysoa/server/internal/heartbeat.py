"""The heartbeat file: its time tells an orchestrator whether the server still goes round."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Final

__all__ = ("Heartbeat",)

SECONDS_BETWEEN_BEATS: Final = 2.5

logger = logging.getLogger("pysoa.server")


class Heartbeat:
    """Writes the time into a file, now and then.

    Args:
        path: its path; ``{{pid}}`` becomes the process id, ``{{fid}}`` the number of the worker, or ``main``.
        forked_process_id: the number of the worker, if there are several.
        clock: the wall clock; what is written is for others to compare.
    """

    def __init__(self, path: str, forked_process_id: int | None = None, clock: Callable[[], float] = time.time) -> None:
        fork_id = "main" if forked_process_id is None else str(forked_process_id)
        self.path = path.replace("{{pid}}", str(os.getpid())).replace("{{fid}}", fork_id)
        self._clock = clock
        self._last_beat = 0.0
        self._descriptor = -1

    def start(self) -> None:
        """Make the file.

        Raises:
            OSError: it cannot be made.
        """
        logger.info("Creating heartbeat file %s", self.path)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.beat()

    def beat(self) -> None:
        """Write the time, unless that was done a moment ago."""
        now = self._clock()
        if 0 <= now - self._last_beat < SECONDS_BETWEEN_BEATS or self._descriptor < 0:
            return
        self._last_beat = now
        text = str(now).encode()
        try:
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
        except OSError as error:
            logger.warning("Cannot write heartbeat file %s: %s", self.path, error)

    def stop(self) -> None:
        """Remove the file."""
        if self._descriptor < 0:
            return
        logger.info("Closing and removing heartbeat file")
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1
        try:
            os.unlink(self.path)
        except OSError as error:
            logger.warning("Cannot remove heartbeat file %s: %s", self.path, error)
