"""Holds every test to leaving no threads, processes, tasks and exceptions behind."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import children_of

_GRACE_IN_SECONDS = 3.0

# What asyncio says, when it is collected, of a task that nobody has awaited or an exception that nobody has seen.
_COMPLAINTS = ("was destroyed but it is pending", "exception was never retrieved", "Exception in callback")


class _Complaints(logging.Handler):
    """Keeps what asyncio complains of."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if any(complaint in text for complaint in _COMPLAINTS):
            self.texts.append(text)


def _children() -> set[int]:
    try:
        # One read on Linux; ended children that nobody has waited for are listed too.
        tasks = Path("/proc/self/task").iterdir()
        return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}
    except OSError:
        return children_of(os.getpid())


@pytest.fixture(autouse=True)
def nothing_is_lost_in_event_loops() -> Iterator[None]:
    """Fails a test in which asyncio has complained of lost tasks and exceptions."""
    complaints = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)

    yield

    gc.collect(1)  # it complains when they are collected; those that are older, in a later test
    logger.removeHandler(complaints)
    if complaints.texts:
        pytest.fail("\n".join(complaints.texts))


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fails a test after which threads or child processes live that were not there before.

    Fixtures of modules and of the session are made before it, so what they start is theirs to end.
    """
    threads, children = set(threading.enumerate()), _children()

    yield

    deadline = time.monotonic() + _GRACE_IN_SECONDS
    while (left := set(threading.enumerate()) - threads) or (left_children := _children() - children):
        if time.monotonic() > deadline:
            names = sorted(thread.name for thread in left) or f"processes {sorted(left_children)}"
            pytest.fail(f"left behind: {names}")
        time.sleep(0.01)
