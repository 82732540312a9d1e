from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.common import alarm
from pysoa.common.alarm import NEVER, Alarm


class Timer:
    def __init__(self, delay: float, callback: Callable[[], None]) -> None:
        self.delay = delay
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """Has timers that go off when a test says so."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(delay, callback))
        return self.timers[-1]

    @property
    def running(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.is_cancelled]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    monkeypatch.setattr(alarm, "monotonic", lambda: 100.0)
    return Loop()


def make(loop: Any, *answers: float) -> tuple[Alarm, list[float]]:
    """An alarm, and the moments at which it has been told to look."""
    looked: list[float] = []
    left = list(answers)

    def look(now: float) -> float:
        looked.append(now)
        return left.pop(0)

    return Alarm(loop, look), looked


def test_it_rings_at_the_earliest_moment(loop: Loop) -> None:
    one, _ = make(loop)

    for moment in (105.0, 107.0, 103.0, 104.0):
        one.ring_by(moment)

    assert [timer.delay for timer in loop.timers] == [5.0, 3.0]
    assert [timer.delay for timer in loop.running] == [3.0]
    assert one.at == 103.0


def test_a_moment_that_is_over_is_soon_and_not_at_once(loop: Loop) -> None:
    one, _ = make(loop)

    one.ring_by(99.0)

    assert 0 < loop.timers[0].delay < 0.01


def test_when_it_has_rung_it_is_set_for_what_is_left(loop: Loop) -> None:
    one, looked = make(loop, 108.0, NEVER)
    one.ring_by(101.0)

    loop.timers[0].callback()
    assert (looked, one.at, loop.timers[1].delay) == ([100.0], 108.0, 8.0)
    loop.timers[1].callback()

    assert one.at == NEVER
    assert len(loop.timers) == 2


def test_what_is_set_while_it_looks_is_kept(loop: Loop) -> None:
    def look(now: float) -> float:
        one.ring_by(102.0)
        return 104.0

    one = Alarm(loop, look)  # type: ignore[arg-type]
    one.ring_by(101.0)

    loop.timers[0].callback()

    assert one.at == 102.0
    assert [timer.delay for timer in loop.running[1:]] == [2.0]


def test_it_can_be_stopped_and_set_again(loop: Loop) -> None:
    one, _ = make(loop)
    one.stop()
    one.ring_by(101.0)

    one.stop()
    assert (one.at, loop.running) == (NEVER, [])
    one.ring_by(102.0)

    assert len(loop.running) == 1
