from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.instruments import (
    NO_METRICS,
    Recorder,
    TimerResolution,
    adapt_recorder,
    histogram_maker,
    is_recorder,
    timer_maker,
)


class OldRecorder:
    """As 0.42 had them."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def counter(self, name: str, **kwargs: Any) -> Any:
        self.log.append(("counter", name, kwargs))
        return NO_METRICS.counter(name)

    def timer(self, name: str, resolution: Any = TimerResolution.MILLISECONDS, **kwargs: Any) -> Any:
        self.log.append(("timer", name, resolution, kwargs))
        return NO_METRICS.timer(name)

    def commit(self) -> None:
        self.log.append("commit")


class PartialRecorder(OldRecorder):
    """Half of what 1.x asks for."""

    def gauge(self, name: str, **kwargs: Any) -> Any:
        self.log.append(("gauge", name))
        return NO_METRICS.gauge(name)

    def publish_all(self) -> None:
        self.log.append("publish")


class SharingRecorder(PartialRecorder):
    """Gives out the same timer for a name, unless it is told otherwise; so does pymetrics."""

    def timer(self, name: str, force_new: bool = False, resolution: Any = 1, **kwargs: Any) -> Any:
        self.log.append((name, force_new, resolution, kwargs))
        return NO_METRICS.timer(name)

    def histogram(self, name: str, force_new: bool = False, **kwargs: Any) -> Any:
        self.log.append((name, force_new, kwargs))
        return NO_METRICS.histogram(name)


def test_a_timer_counts_in_parts_of_a_second() -> None:
    assert {each.name: each.value for each in TimerResolution} == {
        "MILLISECONDS": 1_000,
        "MICROSECONDS": 1_000_000,
        "NANOSECONDS": 1_000_000_000,
    }


def test_what_records_nothing_has_all_methods_and_gives_out_one_metric() -> None:
    assert isinstance(NO_METRICS, Recorder)
    counter = NO_METRICS.counter("a", harakiri_level="job")
    with NO_METRICS.timer("b", resolution=TimerResolution.MICROSECONDS) as timer:
        timer.start()
        timer.stop()
    NO_METRICS.gauge("c").set(1)
    NO_METRICS.histogram("d").set(2)
    counter.increment(3)
    NO_METRICS.publish_all()

    assert counter is timer


def test_a_recorder_of_0_42_counts_and_times_and_what_it_lacks_does_nothing() -> None:
    old = OldRecorder()
    recorder = adapt_recorder(old)

    recorder.counter("a", harakiri_level="job").increment()
    recorder.timer("b", resolution=TimerResolution.MICROSECONDS).start()
    recorder.histogram("c").set(1)
    recorder.gauge("d").set(1)
    recorder.publish_all()

    assert old.log == [
        ("counter", "a", {"harakiri_level": "job"}),
        ("timer", "b", TimerResolution.MICROSECONDS, {}),
        "commit",
    ]


def test_what_a_partial_recorder_has_is_used() -> None:
    partial = PartialRecorder()
    recorder = adapt_recorder(partial)

    recorder.gauge("a").set(1)
    recorder.histogram("b").set(1)
    recorder.publish_all()

    assert partial.log == [("gauge", "a"), "publish"]


def test_a_whole_recorder_stays_itself() -> None:
    recorder = SharingRecorder()

    assert adapt_recorder(recorder) is recorder


@pytest.mark.parametrize("candidate", [None, object(), dict, "recorder", type("C", (), {"counter": 1, "timer": 2})])
def test_what_cannot_count_or_publish_is_no_recorder(candidate: Any) -> None:
    assert not is_recorder(candidate)
    with pytest.raises(ValueError, match="metrics must be a MetricsRecorder"):
        adapt_recorder(candidate)


def test_each_use_has_a_timer_and_a_histogram_of_its_own_where_the_recorder_can_do_that() -> None:
    sharing, old = SharingRecorder(), OldRecorder()

    timer_maker(sharing)("a")
    histogram_maker(sharing)("b")
    timer_maker(adapt_recorder(old))("c")

    assert sharing.log == [("a", True, TimerResolution.MICROSECONDS, {}), ("b", True, {})]
    assert old.log == [("timer", "c", TimerResolution.MICROSECONDS, {})]
