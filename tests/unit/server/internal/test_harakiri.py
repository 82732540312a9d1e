from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.server.internal.harakiri import HarakiriWatch, thread_status
from pysoa.server.internal.signals import handled


@pytest.fixture
def strikes() -> list[float]:
    """When a watch has struck."""
    return []


@pytest.fixture
def make_watch(strikes: list[float]) -> Iterator[Callable[[float], HarakiriWatch]]:
    """Makes a watch that listens to the real timer."""
    watches: list[HarakiriWatch] = []

    def make(timeout: float) -> HarakiriWatch:
        watches.append(HarakiriWatch(timeout, 100, lambda number, frame: strikes.append(time.monotonic()), pytest.fail))
        return watches[0]

    with handled({signal.SIGALRM: lambda *arguments: watches[0].on_alarm(*arguments)}):  # noqa: PLW0108 - there is none yet
        yield make
        for watch in watches:
            watch.stop()


def nap(seconds: float) -> None:
    threading.Event().wait(seconds)  # signals are handled meanwhile


def test_a_job_that_takes_too_long_is_struck(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(0.1)
    begin = time.monotonic()
    watch.begin()

    nap(0.3)

    assert len(strikes) == 1
    assert 0.1 <= strikes[0] - begin < 0.3


def test_each_job_has_the_whole_time(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(0.2)
    for _ in range(4):
        watch.begin()
        nap(0.1)
        watch.end()

    watch.begin()
    begin = time.monotonic()
    nap(0.4)

    assert len(strikes) == 1
    assert strikes[0] - begin >= 0.19


def test_an_idle_server_is_not_struck(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(0.05)
    watch.begin()
    watch.end()

    nap(0.2)

    assert strikes == []


def test_after_the_grace_it_strikes_whatever_runs(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(10)
    watch.begin()
    watch.allow_grace(0.05)
    watch.end()

    nap(0.2)

    assert len(strikes) == 1


def test_a_watch_that_is_stopped_does_not_strike(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(0.05)
    watch.begin()

    watch.stop()
    nap(0.15)

    assert strikes == []


def test_an_alarm_of_a_jobs_own_costs_no_later_job_its_watch(make_watch: Any, strikes: list[float]) -> None:
    watch = make_watch(0.1)
    watch.begin()
    signal.setitimer(signal.ITIMER_REAL, 0)  # as a job does when it is done with an alarm of its own
    nap(1.3)
    watch.end()
    assert strikes == []

    watch.begin()
    nap(0.3)

    assert len(strikes) == 1


def test_the_status_tells_where_each_thread_is() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, args=(10,), name="waiter")
    thread.start()

    status = thread_status(None)

    done.set()
    thread.join(5)
    assert "in wait" in "".join(status["waiter"])
    assert "test_the_status_tells_where_each_thread_is" in "".join(status["MainThread"])
