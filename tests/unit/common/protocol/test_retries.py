from __future__ import annotations

from pysoa.common.protocol.retries import pause_in_seconds


def test_pauses_double_and_have_a_random_part() -> None:
    assert [pause_in_seconds(attempt, 0.0) for attempt in range(4)] == [0.25, 0.5, 1.0, 2.0]
    assert pause_in_seconds(0, 1.0) == 0.5
    assert pause_in_seconds(9, 0.5) == 128.125
