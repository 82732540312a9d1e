"""A metrics recorder that writes into a file what is published, so that services in other processes can be watched."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from pysoa.common.fields import NO_KWARGS, Dictionary, UnicodeString
from pysoa.common.plugins import accepts_kwargs

__all__ = ("FileRecorder", "ListRecorder", "Recorded", "lines_in_table", "names_in_table", "read_records")

METRICS = Path(__file__).parent / "metrics.tsv"
LINES = Path(__file__).parent / "log_lines.tsv"


class Recorded(NamedTuple):
    """One value of a metric.

    Attributes:
        kind: counter, timer, histogram or gauge.
        value: that of the metric; of a timer, the parts of a second that it counts in.
    """

    kind: str
    name: str
    value: Any
    tags: dict[str, Any]


class _Metric:
    def __init__(self, record: Callable[[Any], None], value: Any = None) -> None:
        self._record = record
        self._value = value
        self._runs = True

    def increment(self, amount: int = 1) -> None:
        self._record(amount)

    def set(self, value: Any) -> None:
        self._record(value)

    def start(self) -> None:
        self._runs = True

    def stop(self) -> None:
        if self._runs:
            self._runs = False
            self._record(self._value)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


@accepts_kwargs(Dictionary({"path": UnicodeString()}))
class FileRecorder:
    """Has the interface of pymetrics. What was not published when the process ends is lost, as it is there."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._unpublished: list[Recorded] = []

    def _metric(self, kind: str, name: str, tags: dict[str, Any], value: Any = None) -> Any:
        def record(value: Any) -> None:
            with self._lock:
                self._unpublished.append(Recorded(kind, name, value, tags))

        return _Metric(record, value)

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Any:
        return self._metric("counter", name, tags)

    def timer(self, name: str, force_new: bool = False, resolution: int = 1000, **tags: Any) -> Any:
        return self._metric("timer", name, tags, int(resolution))

    def histogram(self, name: str, force_new: bool = False, **tags: Any) -> Any:
        return self._metric("histogram", name, tags)

    def gauge(self, name: str, force_new: bool = False, **tags: Any) -> Any:
        return self._metric("gauge", name, tags)

    def publish_all(self) -> None:
        with self._lock:
            published, self._unpublished = self._unpublished, []
        if published:
            os.write(self._descriptor, "".join(f"{json.dumps(record)}\n" for record in published).encode())


class _Event:
    def __init__(self, note: Callable[[Any], None], name: str) -> None:
        self._note, self._name = note, name

    def increment(self, amount: int = 1) -> None:
        self._note(self._name)

    def set(self, value: Any) -> None:
        self._note((self._name, value))

    def start(self) -> None:
        self._note(f"{self._name} start")

    def stop(self) -> None:
        self._note(f"{self._name} stop")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


@accepts_kwargs(NO_KWARGS)
class ListRecorder:
    """Keeps what happens, in order.

    Attributes:
        events: names of counters, pairs of name and value for gauges and histograms, names of timers with "start" or
            "stop", and "publish".
        made: all that were made; a test clears it.
    """

    made: ClassVar[list[ListRecorder]] = []

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.made.append(self)

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Any:
        return _Event(self.events.append, " ".join([name, *map(str, tags.values())]))

    def timer(self, name: str, *, resolution: int, **tags: Any) -> Any:
        return _Event(self.events.append, name)

    def gauge(self, name: str, **tags: Any) -> Any:
        return _Event(self.events.append, name)

    def histogram(self, name: str, **tags: Any) -> Any:
        return _Event(self.events.append, name)

    def publish_all(self) -> None:
        self.events.append("publish")


def read_records(path: Path) -> list[Recorded]:
    """What has been published so far."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Recorded(*json.loads(line)) for line in lines]


def rows_of(table: Path) -> list[list[str]]:
    """The rows of a table, without its heading."""
    return [line.split("\t") for line in table.read_text().splitlines()[1:]]


def names_in_table() -> dict[str, str]:
    """The kind of each metric, by name."""
    rows = rows_of(METRICS)
    return {name.replace("<side>", side): kind for name, kind, _, _ in rows for side in ("client", "server")}


def lines_in_table() -> list[tuple[str, str, str]]:
    """Logger, level and text of each line of a log; the text has ``...`` for what differs."""
    return [(logger, level, text) for logger, level, text, _ in rows_of(LINES)]
