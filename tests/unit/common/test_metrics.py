"""What 0.42 had for metrics, under its names."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest

from pysoa.common import instruments, plugins
from pysoa.common.transport.base import Transport


def old(name: str) -> Any:
    with pytest.warns(DeprecationWarning, match=rf"pysoa\.common\.metrics\.{name} is now pysoa\.common\."):
        return getattr(importlib.import_module("pysoa.common.metrics"), name)


def test_names_that_have_only_moved_are_the_same_things() -> None:
    assert old("TimerResolution") is instruments.TimerResolution
    assert old("MetricsSchema") is plugins.MetricsConfiguration


def test_what_recorded_nothing_still_does() -> None:
    recorder = old("NoOpMetricsRecorder")(config={"any": "thing"})

    recorder.counter("a").increment()
    with recorder.timer("b", resolution=old("TimerResolution").MICROSECONDS):
        pass
    recorder.commit()

    assert isinstance(recorder, old("MetricsRecorder"))


@pytest.mark.parametrize("name", ["Counter", "Timer", "MetricsRecorder"])
def test_a_base_class_is_abstract(name: str) -> None:
    with pytest.raises(TypeError, match="abstract"):
        old(name)()


def test_a_recorder_of_0_42_can_be_written_and_used_as_it_was() -> None:
    log: list[Any] = []

    class LogCounter(old("Counter")):  # type: ignore[misc] # only known at run time
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(name, **kwargs)
            self.name = name

        def increment(self, amount: int = 1) -> None:
            log.append((self.name, amount))

    class LogTimer(old("Timer")):  # type: ignore[misc]
        def start(self) -> None:
            log.append("start")

        def stop(self) -> None:
            log.append("stop")

    class LogRecorder(old("MetricsRecorder")):  # type: ignore[misc]
        def counter(self, name: str, **kwargs: Any) -> Any:
            return LogCounter(name, **kwargs)

        def timer(self, name: str, resolution: Any = None, **kwargs: Any) -> Any:
            return LogTimer(name, resolution=resolution, **kwargs)

        def commit(self) -> None:
            log.append("commit")

    metrics = Transport("svc", LogRecorder()).metrics
    metrics.counter("a").increment()
    with metrics.timer("b", resolution=instruments.TimerResolution.MICROSECONDS):
        pass
    metrics.publish_all()

    assert log == [("a", 1), "start", "stop", "commit"]


@pytest.mark.parametrize(
    "path", ["pysoa.common.metrics:NoOpMetricsRecorder", "pysoa.common.metrics.NoOpMetricsRecorder"]
)
def test_settings_may_name_what_records_nothing_with_any_arguments(path: str) -> None:
    value = {"path": path, "kwargs": {"config": {"any": "thing"}}}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        errors = plugins.MetricsConfiguration().errors(value)

    assert errors == []
    assert plugins.make_recorder(value) is instruments.NO_METRICS
