from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from pysoa.server.internal.signals import ShutdownSignals, Verdict, handled

DRAIN, NOTHING, FORCE = Verdict.DRAIN, Verdict.NOTHING_MORE, Verdict.FORCE


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param([0.0], [DRAIN], id="one"),
        pytest.param([0.0, 0.1], [DRAIN, NOTHING], id="from a terminal and a supervisor"),
        pytest.param([0.0, 1.0], [DRAIN, NOTHING], id="just within a second"),
        pytest.param([0.0, 1.1], [DRAIN, FORCE], id="by someone who has lost patience"),
        pytest.param([0.0, 0.9, 1.8, 2.7], [DRAIN, NOTHING, NOTHING, NOTHING], id="long storm"),
        pytest.param([0.0, 0.9, 1.8, 2.9], [DRAIN, NOTHING, NOTHING, FORCE], id="after a storm"),
    ],
)
def test_a_storm_is_one_signal_and_one_after_a_pause_is_another(times: list[float], expected: list[Verdict]) -> None:
    moments = iter(times)
    signals = ShutdownSignals(lambda: next(moments))

    assert [signals.judge() for _ in times] == expected


def test_a_signal_that_comes_while_another_is_judged_is_the_same() -> None:
    inner: list[Verdict] = []
    clock: Callable[[], float] = lambda: inner.append(signals.judge()) or 0.0  # noqa: E731
    signals = ShutdownSignals(clock)

    assert signals.judge() is DRAIN
    assert inner == [NOTHING]


def test_handlers_are_installed_for_the_block_only() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    seen: list[int] = []

    with handled({signal.SIGUSR1: lambda number, frame: seen.append(number)}):
        os.kill(os.getpid(), signal.SIGUSR1)

    assert seen == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_other_threads_leave_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    during: list[object] = []

    def run() -> None:
        with handled({signal.SIGUSR1: lambda number, frame: None}):
            during.append(signal.getsignal(signal.SIGUSR1))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)

    assert during == [before]
