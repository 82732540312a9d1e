from __future__ import annotations

import logging

import pytest

from pysoa.server.internal.faults import FaultLog, Outage


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_kind_of_fault_is_logged_once_a_second_with_the_number_since(caplog: pytest.LogCaptureFixture) -> None:
    clock = _Clock()
    faults = FaultLog(logging.getLogger("test"), clock)

    for _ in range(5):
        faults.note("Dropped", ValueError("a"))
    faults.note("Dropped", KeyError("b"))
    clock.now = 1.0
    faults.note("Dropped", ValueError("c"))

    assert caplog.messages == [
        "Dropped (1 since the last such line): ValueError: a",
        "Dropped (1 since the last such line): KeyError: 'b'",
        "Dropped (5 since the last such line): ValueError: c",
    ]


def test_what_comes_from_outside_cannot_forge_or_flood_a_line(caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultLog(logging.getLogger("test"))

    faults.note("Dropped", ValueError("a\nERROR forged\x1b[2J" + "x" * 100_000))
    faults.note("Dropped", _Unprintable())

    long, without = caplog.messages
    assert "\n" not in long
    assert "\x1b" not in long
    assert len(long) < 1200
    assert without == "Dropped (1 since the last such line): _Unprintable: without a text"


def test_faults_in_code_have_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    FaultLog(logging.getLogger("test")).note("A hook failed", ValueError("a"), with_traceback=True)

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info


def test_pauses_grow_to_a_bound_and_vary() -> None:
    shortest = Outage(random_fraction=lambda: 0.0)
    longest = Outage(random_fraction=lambda: 1.0)

    assert [shortest.next_pause() for _ in range(7)] == [0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    assert [longest.next_pause() for _ in range(2000)][-1] == 1.0


def test_the_end_of_an_outage_says_how_long_it_was() -> None:
    clock = _Clock()
    outage = Outage(clock)
    clock.now = 10.0
    outage.next_pause()
    clock.now = 12.0
    outage.next_pause()
    clock.now = 13.5

    assert outage.end() == 3.5
    assert outage.failures == 0
