"""Deprecated: what 0.42 had for metrics. A recorder that extends ``MetricsRecorder`` works as it did.

New recorders have the methods of ``pysoa.common.instruments.Recorder``, which are those of pymetrics.
"""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Any, Self

from pysoa.common.instruments import NoOpMetricsRecorder as _Nothing
from pysoa.common.instruments import TimerResolution as _TimerResolution
from pysoa.common.old_names import old_name


class _Counter(abc.ABC):
    """Counts events."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()  # arguments are for those who extend it

    @abc.abstractmethod
    def increment(self, amount: int = 1) -> Any:
        """Count so many more."""


class _Timer(abc.ABC):
    """Measures time, between ``start`` and ``stop`` or in a ``with`` block."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()  # arguments are for those who extend it

    @abc.abstractmethod
    def start(self) -> Any:
        """Begin to measure."""

    @abc.abstractmethod
    def stop(self) -> Any:
        """End to measure."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _MetricsRecorder(abc.ABC):
    """The base of recorders. Values that PySOA records in histograms and gauges do not reach them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()  # arguments are for those who extend it

    @abc.abstractmethod
    def counter(self, name: str, **kwargs: Any) -> Any:
        """The counter of a name."""

    @abc.abstractmethod
    def timer(self, name: str, resolution: _TimerResolution = _TimerResolution.MILLISECONDS, **kwargs: Any) -> Any:
        """The timer of a name."""

    @abc.abstractmethod
    def commit(self) -> Any:
        """Send what has been recorded to where it belongs."""


class _NoOpMetricsRecorder(_Nothing, _MetricsRecorder):
    """Records nothing."""

    def commit(self) -> None:
        """Do nothing."""


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
