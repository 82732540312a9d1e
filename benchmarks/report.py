"""The tables: what was measured, the ratios within the run, and the targets that were met or missed."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

from benchmarks.shapes import GRPC, NATS, PYSOA, RAW_FLOOR, SHAPES, callers

Figures = dict[str, list[float]]
Shapes = dict[str, dict[str, Figures]]

BLOCKING_TARGETS = {
    "sequential": {"p50": 2.2, "client_cpu": 3.0, "server_cpu": 3.0},
    "64 KiB": {"p50": 2.0},
    "1 MiB": {"p50": 2.0},
}
IMPORT_TARGET_IN_MS = 80
IDLE_SERVER_TARGET_IN_MIB = 48
MEMORY_GROWTH_TARGET_IN_MIB = 2.0
# The more code a contender runs, the more it suffers from others on the same cores: ratios to the floor get worse, too.
BUSY_FROM = 0.5


class Target(NamedTuple):
    """A figure to reach under a shape of load.

    Attributes:
        figure: "rate" has to be at least the limit, everything else at most.
        beside: the entry whose figure is the divisor; without one the figure itself is compared.
    """

    shape: str
    figure: str
    limit: float
    beside: str | None = None
    entry: str = PYSOA.name

    def reached(self, shapes: Shapes) -> float | None:
        """What came out; None where an entry was left out."""
        entries = shapes.get(self.shape, {})
        if self.entry not in entries or (self.beside and self.beside not in entries):
            return None
        figures = entries[self.entry]
        if self.beside is None:
            return statistics.median(figures[self.figure])
        return ratio(figures, entries[self.beside], self.figure)

    def is_met(self, reached: float) -> bool:
        return reached >= self.limit if self.figure == "rate" else reached <= self.limit

    def text(self) -> str:
        entry = f"{self.entry}, " if self.entry != PYSOA.name else ""
        beside = f" / {self.beside}" if self.beside else UNITS[self.figure]
        return f"{self.shape}: {entry}{self.figure}{beside}"


UNITS = {"rate": ", calls/s", "client_cpu": ", us", "server_cpu": ", us", "broker_cpu": ", us"}
_TEN = "fan-out of 10"
TARGETS = (
    Target(callers(1), "p50", 2.5, RAW_FLOOR.name),
    Target(callers(1), "p50", 1.0, NATS.name),
    *(
        Target(callers(number), "rate", limit, beside)
        for number in (32, 64)
        for beside, limit in (("floor", 0.35), (NATS.name, 1.5), (GRPC.name, 6.0))
    ),
    Target(callers(64), "client_cpu", 20),
    Target(callers(64), "server_cpu", 22),
    Target(callers(64), "broker_cpu", 12),
    *(
        Target(_TEN, "p50", limit, beside, f"PySOA, {operation}")
        for operation in ("gather", "parallel")
        for beside, limit in (("PySOA, ten calls", 0.33), ("nats, gather", 1.0))
    ),
    Target("200 callers, 50 ms", "rate", 3800),
    Target("64 threads", "rate", 0.6, "floor"),
    *(
        Target(f"logs, {callers}", "rate", 0.95, "nothing logged", "default logged")
        for callers in ("one caller", "64 callers")
    ),
)


def ratio(figures: Figures, base: Figures, name: str) -> float:
    """The median of the ratios of the rounds: the two were measured within seconds of one another in each."""
    return statistics.median(ours / other for ours, other in zip(figures[name], base[name], strict=True))


def report(results: dict[str, Any]) -> str:
    """Everything, for people."""
    loops = ", ".join(f"{name} on {loop}" for name, loop in results["loops"].items())
    is_busy = results["load"] > BUSY_FROM
    left_out = [f"left out: {reason}" for reason in results["left out"]]
    return "\n".join(
        [
            *blocking_table(results["blocking"]),
            f"import of pysoa.client.client: {results['client import']:.0f} ms more than nothing"
            f" (target {IMPORT_TARGET_IN_MS})",
            f"memory of an idle server: {results['idle server memory']:.1f} MiB (target {IDLE_SERVER_TARGET_IN_MIB})",
            "",
            *shapes_table(results["shapes"]),
            f"event loops of the clients: {loops}",
            *left_out,
            f"load of the machine before the run: {results['load']:.1f}{' - expect worse figures' * is_busy}",
            "",
            *targets_table(results["shapes"], results["memory growth"]),
        ]
    )


def blocking_table(blocking: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Microseconds for each call, the ratio to the floor, and the target where there is one."""
    lines = [f"{'':<12}{'figure':<12}{'floor us':>10}{'PySOA us':>10}{'ratio':>8}{'target':>8}"]
    for name, targets in BLOCKING_TARGETS.items():
        for figure, floor in blocking[name]["floor"].items():
            ours = blocking[name]["pysoa"][figure]
            quotient = ours / floor if floor else 0.0
            target = f"{targets[figure]:.1f}" if figure in targets else ""
            lines.append(f"{name:<12}{figure:<12}{floor:>10.0f}{ours:>10.0f}{quotient:>8.2f}{target:>8}")
    return lines


def shapes_table(shapes: Shapes) -> list[str]:
    """A row for each entry: medians of the rounds, and the ratio of its rate to that of the shape's base."""
    lines = [
        f"{'':<20}{'':<21}{'calls/s':>9}{'ratio':>7}{'p50 us':>9}{'p99 us':>9}"
        f"{'CPU us: client':>16}{'server':>8}{'broker':>8}"
    ]
    for shape in SHAPES:
        entries = shapes.get(shape.name, {})
        title = shape.name
        for entry in shape.entries:
            if entry.name not in entries:
                continue
            figures = entries[entry.name]
            median = {name: statistics.median(values) for name, values in figures.items()}
            quotient = ratio(figures, entries[shape.base], "rate")
            lines.append(
                f"{title:<20}{entry.name:<21}{median['rate']:>9.0f}{quotient:>7.2f}{median['p50']:>9.0f}"
                f"{median['p99']:>9.0f}{median['client_cpu']:>16.1f}{median['server_cpu']:>8.1f}"
                f"{median['broker_cpu']:>8.1f}"
            )
            title = ""
    return lines


def targets_table(shapes: Shapes, memory_growth: dict[str, float]) -> list[str]:
    """A row for each target: what was reached, the limit, and whether it is met."""
    lines = [f"{'target':<60}{'reached':>9}{'wanted':>10}"]
    for target in TARGETS:
        reached = target.reached(shapes)
        wanted = f"{'>=' if target.figure == 'rate' else '<='} {target.limit:g}"
        if reached is None:
            lines.append(f"{target.text():<60}{'-':>9}{wanted:>10}  left out")
        else:
            lines.append(_target_row(target.text(), reached, wanted, met=target.is_met(reached)))
    for name, growth in memory_growth.items():
        wanted = f"<= {MEMORY_GROWTH_TARGET_IN_MIB:g}"
        met = growth <= MEMORY_GROWTH_TARGET_IN_MIB
        lines.append(_target_row(f"memory growth of the {name} in 100,000 calls, MiB", growth, wanted, met=met))
    return lines


def _target_row(text: str, reached: float, wanted: str, *, met: bool) -> str:
    shown = f"{reached:.0f}" if reached >= 100 else f"{reached:.2f}"
    return f"{text:<60}{shown:>9}{wanted:>10}  {'met' if met else 'missed'}"
