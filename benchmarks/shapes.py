"""What concurrent callers do: the shapes of load, and who takes part in each."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.floor import MESSAGE_SIZE
from benchmarks.operations import PAYLOADS
from benchmarks.service import ASYNC_SERVICE, BLOCKING_SERVICE, RECORDING, SLEEPING_SERVICE
from benchmarks.stage import Stage, resident_memory

CALLERS = (1, 8, 32, 64, 256)


class Entry(NamedTuple):
    """Who makes which call.

    Attributes:
        name: what the report calls it.
        client: the process that calls, by its name on the stage.
        server: the process that answers, likewise.
        operation: what the client is asked for.
    """

    name: str
    client: str
    server: str
    operation: str = "echo"


class Shape(NamedTuple):
    """A load under which all its entries are measured, one after the other.

    Attributes:
        base: the name of the entry that the others are compared with.
        least_seconds: a block is never shorter.
    """

    name: str
    callers: int
    base: str
    entries: tuple[Entry, ...]
    least_seconds: float = 0.0


FLOOR = Entry("floor", "floor single", "floor single")
JOINED_FLOOR = Entry("floor, joined pushes", "floor joined", "floor joined")
PYSOA = Entry("PySOA", "async", ASYNC_SERVICE)
NATS = Entry("nats", "nats", "nats")
GRPC = Entry("grpc", "grpc", "grpc")
RAW_FLOOR = Entry("raw floor", "floor threads", f"floor {MESSAGE_SIZE}", "sequential")


def callers(number: int) -> str:
    """The name of the shape with this many callers."""
    return f"{number} caller{'s' if number > 1 else ''}"


def _ten(entry: Entry, *operations: str) -> tuple[Entry, ...]:
    return tuple(entry._replace(name=f"{entry.name}, {operation}", operation=operation) for operation in operations)


def _payload(name: str, size: int) -> Shape:
    raw_floor = Entry("raw floor", "floor threads", f"floor {MESSAGE_SIZE + size}", name)
    return Shape(name, 1, "raw floor", (raw_floor, PYSOA._replace(operation=name)))


def _logs(name: str, number: int, client: str, service: str) -> Shape:
    entries = tuple(Entry(f"{recorded} logged", client, f"{service}, {recorded}", recorded) for recorded in RECORDING)
    return Shape(name, number, entries[0].name, entries, least_seconds=1.0)


SHAPES = (
    *(
        Shape(
            callers(number),
            number,
            "floor",
            ((RAW_FLOOR,) if number == 1 else ()) + (FLOOR, JOINED_FLOOR, PYSOA, NATS, GRPC),
        )
        for number in CALLERS
    ),
    Shape(
        "fan-out of 10",
        1,
        "PySOA, ten calls",
        (
            *_ten(PYSOA, "ten calls", "gather", "parallel", "job"),
            *_ten(NATS, "ten calls", "gather"),
            *_ten(GRPC, "ten calls", "gather"),
        ),
    ),
    Shape(
        "200 callers, 50 ms",
        200,
        "PySOA",
        tuple(entry._replace(operation="sleep") for entry in (PYSOA._replace(server=SLEEPING_SERVICE), NATS, GRPC)),
        least_seconds=0.5,
    ),
    Shape(
        "64 threads",
        64,
        "floor",
        (Entry("floor", "floor threads", "floor single"), Entry("PySOA", "threads", ASYNC_SERVICE)),
    ),
    *(_payload(name, size) for name, size in PAYLOADS.items()),
    _logs("logs, one caller", 1, "threads", BLOCKING_SERVICE),
    _logs("logs, 64 callers", 64, "async", ASYNC_SERVICE),
)


class Measurements:
    """The blocks of all shapes.

    Attributes:
        shapes: figures by shape and entry; a list has one figure for each round. Rates are in operations a second, all
            else in microseconds, CPU for each operation.
    """

    def __init__(self, stage: Stage, seconds_per_block: float) -> None:
        self.shapes: dict[str, dict[str, dict[str, list[float]]]] = {}
        self._stage = stage
        self._seconds = seconds_per_block

    def warm_up(self) -> None:
        """A short block of everything that takes part."""
        for shape in SHAPES:
            for entry in self._present(shape):
                self._block(shape, entry, 0.1)

    def run_round(self, number: int) -> None:
        """A block of each entry of each shape; every other round goes through the entries from the end."""
        for shape in SHAPES:
            entries = self._present(shape)
            for entry in entries if number % 2 else reversed(entries):
                block = self._block(shape, entry, max(self._seconds, shape.least_seconds))
                kept = self.shapes.setdefault(shape.name, {}).setdefault(entry.name, {})
                for name, figure in _figures(block).items():
                    kept.setdefault(name, []).append(figure)

    def _present(self, shape: Shape) -> list[Entry]:
        return [entry for entry in shape.entries if entry.client in self._stage.clients]

    def _block(self, shape: Shape, entry: Entry, seconds: float) -> dict[str, float]:
        return ask(self._stage, entry, callers=shape.callers, seconds=seconds)


def ask(stage: Stage, entry: Entry, **order: Any) -> dict[str, float]:
    """Have a client run a block, and give back what it reports."""
    return stage.clients[entry.client].ask(
        {
            **order,
            "operation": entry.operation,
            "server": stage.servers[entry.server],
            "broker": stage.broker_pid(entry.client),
        }
    )


def _figures(block: dict[str, float]) -> dict[str, float]:
    return {
        "rate": block["calls"] / block["seconds"],
        "p50": block["p50"] * 1e6,
        "p99": block["p99"] * 1e6,
        **{name: block[name] / block["calls"] * 1e6 for name in ("client_cpu", "server_cpu", "broker_cpu")},
    }


def memory_growth(stage: Stage) -> dict[str, float]:
    """MiB by which the client and the server grow between their first 10,000 calls and 100,000 calls later."""
    pids = {"client": stage.clients[PYSOA.client].pid, "server": stage.servers[PYSOA.server]}
    ask(stage, PYSOA, callers=64, calls=10_000)
    before = {name: resident_memory(pid) for name, pid in pids.items()}
    ask(stage, PYSOA, callers=64, calls=100_000)
    return {name: resident_memory(pid) - before[name] for name, pid in pids.items()}
