"""The one seam for metrics: what a recorder must offer, a recorder that does nothing, and help to tell them apart.

A recorder of the first PySOA (any object with pymetrics' interface) fits as it is; one of 0.42, which has only
``counter``, ``timer`` and ``commit``, is wrapped by ``adapt_recorder``. Recorders are known by their shape, never by
their class.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

__all__ = (
    "NO_METRICS",
    "Counter",
    "Gauge",
    "Histogram",
    "NoOpMetricsRecorder",
    "Recorder",
    "Timer",
    "TimerResolution",
    "adapt_recorder",
    "histogram_maker",
    "is_recorder",
    "timer_maker",
)


class TimerResolution(enum.IntEnum):
    """Parts of a second that a timer counts in."""

    MILLISECONDS = 10**3
    MICROSECONDS = 10**6
    NANOSECONDS = 10**9


class Counter(Protocol):
    """Counts events."""

    def increment(self, amount: int = 1) -> Any: ...


class Gauge(Protocol):
    """Holds a value that goes up and down."""

    def set(self, value: Any) -> Any: ...


class Histogram(Protocol):
    """Collects values."""

    def set(self, value: Any) -> Any: ...


class Timer(Protocol):
    """Measures time; runs from its creation, and again each time it is entered as a context manager."""

    def start(self) -> Any: ...

    def stop(self) -> Any: ...

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any: ...


@runtime_checkable
class Recorder(Protocol):
    """What PySOA asks of a metrics recorder. Names are positional; resolution and tags are keywords."""

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Counter: ...

    def timer(self, name: str, *args: Any, **tags: Any) -> Timer: ...

    def histogram(self, name: str, *args: Any, **tags: Any) -> Histogram: ...

    def gauge(self, name: str, *args: Any, **tags: Any) -> Gauge: ...

    def publish_all(self) -> Any: ...


class _NoOpMetric:
    def increment(self, amount: int = 1) -> None:
        pass

    def set(self, value: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


_NO_METRIC = _NoOpMetric()


class NoOpMetricsRecorder:
    """Records nothing. Hot paths compare with ``NO_METRICS`` and skip even the calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Counter:
        return _NO_METRIC

    def timer(self, name: str, *args: Any, **tags: Any) -> Timer:
        return _NO_METRIC

    def histogram(self, name: str, *args: Any, **tags: Any) -> Histogram:
        return _NO_METRIC

    def gauge(self, name: str, *args: Any, **tags: Any) -> Gauge:
        return _NO_METRIC

    def publish_all(self) -> None:
        pass


NO_METRICS = NoOpMetricsRecorder()


class _PartialRecorder:
    """A recorder with less than all methods, such as those of 0.42, made to fit: what it lacks does nothing.

    In the place of ``publish_all``, those of 0.42 have ``commit``.
    """

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self.counter: Callable[..., Counter] = recorder.counter
        self.timer: Callable[..., Timer] = recorder.timer
        self.histogram: Callable[..., Histogram] = getattr(recorder, "histogram", NO_METRICS.histogram)
        self.gauge: Callable[..., Gauge] = getattr(recorder, "gauge", NO_METRICS.gauge)
        self.publish_all: Callable[[], Any] = getattr(recorder, "publish_all", None) or recorder.commit


def is_recorder(candidate: object) -> bool:
    """Whether the object can be used as a metrics recorder, of 1.x or of 0.42."""
    return all(callable(getattr(candidate, name, None)) for name in ("counter", "timer")) and (
        callable(getattr(candidate, "publish_all", None)) or callable(getattr(candidate, "commit", None))
    )


def adapt_recorder(recorder: Any) -> Recorder:
    """Give back the recorder, wrapped where it has only the interface of 0.42.

    Raises:
        ValueError: the object is no recorder.
    """
    if not is_recorder(recorder):
        raise ValueError("metrics must be a MetricsRecorder")
    if isinstance(recorder, Recorder):
        return recorder
    return _PartialRecorder(recorder)


def timer_maker(recorder: Recorder) -> Callable[[str], Timer]:
    """What makes a timer of a name, in microseconds.

    Each use has a timer of its own where the recorder can do that: pymetrics gives out the same one to all who ask for
    a name until it has been published, unless they say ``force_new``, and calls side by side would stop each other's.
    """
    own = _own(recorder.timer)
    return functools.partial(recorder.timer, resolution=TimerResolution.MICROSECONDS, **own)


def histogram_maker(recorder: Recorder) -> Callable[[str], Histogram]:
    """What makes a histogram of a name: one of its own for each use, as for timers."""
    return functools.partial(recorder.histogram, **_own(recorder.histogram))


def _own(method: Callable[..., Any]) -> dict[str, Any]:
    try:
        return {"force_new": True} if "force_new" in inspect.signature(method).parameters else {}
    except (TypeError, ValueError):  # built in C
        return {}
