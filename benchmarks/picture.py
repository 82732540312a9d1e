"""Draws calls a second by number of callers as an SVG, which follows the reader's light or dark colours."""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

from benchmarks.report import Shapes
from benchmarks.shapes import CALLERS, FLOOR, GRPC, NATS, PYSOA, callers

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 132, 78, 62
LABEL_HEIGHT = 16


class Line(NamedTuple):
    """One line of the picture, with its colours on light and on dark ground."""

    entry: str
    label: str
    css_class: str
    light: str
    dark: str


LINES = (
    Line(FLOOR.name, "Redis floor", "floor", "#6e7781", "#9198a1"),
    Line(PYSOA.name, "PySOA 2", "pysoa", "#0969da", "#4493f8"),
    Line(NATS.name, "NATS micro", "nats", "#bc4c00", "#f0883e"),
    Line(GRPC.name, "gRPC asyncio", "grpc", "#1a7f37", "#3fb950"),
)

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.note { fill: #57606a }
.card { fill: #ffffff; stroke: #d0d7de }
.grid { stroke: #d8dee4 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.line.floor { stroke-dasharray: 6 4 }
.label { font-weight: 600 }
"""
DARK_STYLE = """
text { fill: #e6edf3 }
.note { fill: #9198a1 }
.card { fill: #0d1117; stroke: #3d444d }
.grid { stroke: #2f353d }
"""


def picture(shapes: Shapes) -> str:
    """The picture as text. Lines of peers that were left out are missing."""
    points = {
        line: [(x, _rate(shapes, number, line)) for x, number in enumerate(CALLERS)]
        for line in LINES
        if all(line.entry in shapes.get(callers(number), {}) for number in CALLERS)
    }
    step = tick_step(max((rate for line in points.values() for _, rate in line), default=1.0))
    highest = step * math.ceil(max((rate for line in points.values() for _, rate in line), default=1.0) / step)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>Calls a second by number of concurrent callers</title>",
        f"<style>{style()}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
        _text("Calls a second by number of concurrent callers", 20, 30, "title"),
        _text("one process of each client and server; medians of one run; higher is better", 20, 49, "note"),
    ]
    for number in range(round(highest / step) + 1):
        y = _y(number * step, highest)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(f"{number * step:,.0f}", LEFT - 10, y + 4, "note", anchor="end"))
    for x, number in enumerate(CALLERS):
        parts.append(_text(str(number), _x(x), HEIGHT - BOTTOM + 22, "note", anchor="middle"))
    parts.append(_text("concurrent callers", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, anchor="middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="24" y="{middle}" text-anchor="middle" transform="rotate(-90 24 {middle})">calls a second</text>'
    )
    ends = apart([_y(line[-1][1], highest) for line in points.values()], LABEL_HEIGHT)
    for (line, rates), label_y in zip(points.items(), ends, strict=True):
        at = [(_x(x), _y(rate, highest)) for x, rate in rates]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        parts.append(f'<path class="line {line.css_class}" d="M{path}"/>')
        parts += [f'<circle class="dot {line.css_class}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in at]
        parts.append(_text(line.label, WIDTH - RIGHT + 12, label_y + 4, f"label {line.css_class}"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def style() -> str:
    """The style sheet. It brings its own ground, so that the picture can be read on any page."""

    def colours(shade: str) -> str:
        rules = []
        for line in LINES:
            colour = getattr(line, shade)
            rules.append(f".line.{line.css_class} {{ stroke: {colour} }}")
            rules.append(f".dot.{line.css_class}, .label.{line.css_class} {{ fill: {colour} }}")
        return "\n".join(rules)

    dark = f"@media (prefers-color-scheme: dark) {{{DARK_STYLE}{colours('dark')}\n}}"
    return f"{STYLE}{colours('light')}\n{dark}\n"


def tick_step(highest: float) -> float:
    """A round distance between ticks, so that four to ten of them reach the highest value."""
    magnitude = 10.0 ** math.floor(math.log10(highest))
    return next(magnitude * step for step in (0.2, 0.5, 1.0, 2.0) if highest / (magnitude * step) <= 8)


def apart(places: list[float], distance: float) -> list[float]:
    """The places, moved down where they are closer to one another than the distance; their order stays."""
    moved = list(places)
    last = -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = moved[index] = max(places[index], last + distance)
    return moved


def _rate(shapes: Shapes, number: int, line: Line) -> float:
    return statistics.median(shapes[callers(number)][line.entry]["rate"])


def _x(index: int) -> float:
    inset = 24  # so that the first point stands off the axis
    return LEFT + inset + index * (WIDTH - LEFT - RIGHT - inset - 6) / (len(CALLERS) - 1)


def _y(rate: float, highest: float) -> float:
    return HEIGHT - BOTTOM - rate / highest * (HEIGHT - TOP - BOTTOM)


def _text(text: str, x: float, y: float, css_class: str = "", anchor: str = "start") -> str:
    return f'<text class="{css_class}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
