"""Real processes for tests: services, supervisors, clients, commands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pysoa.cli.broker import ends_with_this_process

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A process of its own, whose output is collected while it runs.

    It runs in a new process group, which ``close`` kills whole. As a context manager it closes at the end of the block.

    Attributes:
        pid: its process id.
    """

    def __init__(self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.command = command
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        tied = threading.current_thread() is threading.main_thread()
        self._process = subprocess.Popen(
            ends_with_this_process(command) if tied else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
            cwd=cwd or ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._collect, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """What it has written so far, standard error included."""
        with self._news:
            return "".join(self._lines)

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait_for_line(self, pattern: str, timeout: float = 20.0, count: int = 1) -> str:
        """Wait until it has written so many lines in which the pattern is found, and return the last of them."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                found = [line for line in self._lines if expression.search(line)]
                if len(found) >= count:
                    return found[count - 1].rstrip("\n")
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = f"ended with {self._process.poll()}" if self._ended else f"ran for {timeout:g} s"
                    raise AssertionError(
                        f"{why} without {count} line(s) like {pattern!r}; it wrote:\n{''.join(self._lines)}"
                    )
                self._news.wait(left)

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self.signal(signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL to this process alone; its children go on."""
        self.signal(signal.SIGKILL)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait until it has ended and return its exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s; it wrote:\n{self.output}") from None
        self._reader.join(2)  # its children may hold the pipe open for longer
        return code

    def close(self) -> None:
        """Kill the process and all of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)
        if not self._reader.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def python(*arguments: str) -> tuple[str, ...]:
    """The command that runs this Python with these arguments."""
    return (sys.executable, *arguments)


def packages_of_the_first_pysoa() -> dict[str, str]:
    """The environment in which a process has Conformity, pymetrics and six; these tests run without them.

    Skips the test where ``scripts/environment.py`` could not install them.
    """
    folder = Path(sys.prefix) / "apart"
    if not (folder / "conformity").is_dir() or not (folder / "pymetrics").is_dir():
        pytest.skip(f"Conformity and pymetrics are not in {folder}")
    return {"PYTHONPATH": str(folder)}


def children_of(pid: int) -> set[int]:
    """Process ids of the children of a process; those that have ended and wait to be collected are left out."""
    return {child for child, parent, state in _process_table() if parent == pid and state != "Z"}


def is_alive(pid: int) -> bool:
    """Whether there is a process with this id that has not ended."""
    return any(one == pid and state != "Z" for one, _, state in _process_table())


def _process_table() -> Iterator[tuple[int, int, str]]:
    """Process id, id of the parent, and state, a letter."""
    if sys.platform == "linux":  # where ps need not be installed
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                state, parent = status.read_text(errors="replace").rpartition(")")[2].split()[:2]
                yield int(status.parent.name), int(parent), state
    else:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        for line in listing.stdout.splitlines():
            pid, parent, state = line.split(None, 2)
            yield int(pid), int(parent), state[0]


def open_descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/dev/fd"))


@pytest.fixture
def start_process() -> Iterator[Callable[..., Process]]:
    """Starts processes with the arguments of ``Process``, and kills those that are left at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *command, **options: stack.enter_context(Process(*command, **options))


@pytest.fixture
def start_module(start_process: Callable[..., Process]) -> Callable[..., Process]:
    """Starts ``python -m MODULE arguments...``, as ``start_process`` does."""
    return lambda module, *arguments, **options: start_process(*python("-m", module, *arguments), **options)
