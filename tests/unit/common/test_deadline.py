from __future__ import annotations

import threading

import pytest

from pysoa.common import deadline
from pysoa.common.deadline import current_deadline, reset_deadline, set_deadline, time_left, without_deadline


def test_the_time_left_is_that_until_the_deadline_and_negative_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "monotonic", lambda: 100.0)
    assert time_left() is None

    before = set_deadline(102.5)
    left = time_left()
    set_deadline(99.0)
    overdue = time_left()
    reset_deadline(before)

    assert (left, overdue, time_left()) == (2.5, -1.0, None)


def test_what_outlives_the_job_has_no_deadline() -> None:
    before = set_deadline(102.5)

    with without_deadline():
        inside = current_deadline()
    after = current_deadline()
    reset_deadline(before)

    assert (inside, after) == (None, 102.5)


def test_a_deadline_belongs_to_the_thread_that_set_it() -> None:
    seen: list[float | None] = []
    before = set_deadline(102.5)

    thread = threading.Thread(target=lambda: seen.append(current_deadline()))
    thread.start()
    thread.join()
    reset_deadline(before)

    assert seen == [None]
