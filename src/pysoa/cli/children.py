"""Processes that a command starts and that end with it, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pysoa.cli.broker import WATCH_PARENT, ends_with_this_process

__all__ = ("Child",)

_GRACE_IN_SECONDS = 5.0


class Child:
    """A process that is killed when this one dies. Start it from the main thread, and use it as a context manager.

    Ctrl+C in a terminal does not reach it: whoever started it decides when it ends.

    Attributes:
        name: what people call it.
        pid: its process id.
    """

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            ends_with_this_process(command),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._watcher: subprocess.Popen[bytes] | None = None
        if sys.platform != "linux":
            self._watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", WATCH_PARENT, str(os.getpid()), str(self.pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def last_words(self, lines: int = 5) -> str:
        """The end of what it has written."""
        self._log.seek(0)
        written = self._log.read().decode(errors="backslashreplace").strip().splitlines()
        return "\n".join(f"  {line}" for line in written[-lines:]) or "  it said nothing"

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._watcher is not None:
            self._watcher.communicate(b"x")
            self._watcher = None
        if self.is_running():
            self._process.terminate()
            try:
                self._process.wait(_GRACE_IN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
