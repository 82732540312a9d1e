"""Holds every test to leaving no threads and no processes behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import children_of

_GRACE_IN_SECONDS = 3.0


def _children() -> set[int]:
    try:
        # One read on Linux; ended children that nobody has waited for are listed too.
        tasks = Path("/proc/self/task").iterdir()
        return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}
    except OSError:
        return children_of(os.getpid())


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
