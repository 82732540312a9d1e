"""Runs the benchmark: ``make bench``, or ``python -m benchmarks [--quick] [--json FILE] [--svg FILE]``.

Every contender runs in the same minutes: servers wait all the time, and clients take turns in blocks of calls. What
counts are the ratios within a run; absolute times are those of the machine and of the moment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.blocking import BlockingCalls
from benchmarks.picture import picture
from benchmarks.report import report
from benchmarks.service import BLOCKING_SERVICE
from benchmarks.shapes import Measurements, memory_growth
from benchmarks.stage import Stage, import_cost, resident_memory


class Length(NamedTuple):
    """How long a run is."""

    rounds: int
    seconds_per_block: float
    blocking_calls_per_block: int


QUICK = Length(3, 0.25, 250)
FULL = Length(13, 0.6, 500)
BLOCKING_BLOCKS_PER_ROUND = 2


def measure(length: Length) -> dict[str, Any]:
    """Run everything and give back the figures."""
    progress("starting")
    load = os.getloadavg()[0]
    with Stage() as stage:
        results: dict[str, Any] = {"load": load, "loops": stage.loops, "left out": stage.left_out}
        blocking = BlockingCalls(stage, length.blocking_calls_per_block)
        measurements = Measurements(stage, length.seconds_per_block)
        results["idle server memory"] = resident_memory(stage.servers[BLOCKING_SERVICE])
        progress("memory")
        results["memory growth"] = memory_growth(stage)
        progress("warming up")
        blocking.warm_up()
        measurements.warm_up()
        for number in range(length.rounds):
            progress(f"round {number + 1} of {length.rounds}")
            for half in range(BLOCKING_BLOCKS_PER_ROUND):
                blocking.run_round(number * BLOCKING_BLOCKS_PER_ROUND + half)
            measurements.run_round(number)
        results["blocking"] = blocking.figures()
        results["shapes"] = measurements.shapes
    progress("import")
    results["client import"] = import_cost(11)
    progress("")
    return results


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: less than two minutes instead of ten")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--svg", type=Path, help="draw calls a second by number of callers into this file")
    arguments = parser.parse_args()
    results = measure(QUICK if arguments.quick else FULL)
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    if arguments.svg:
        arguments.svg.write_text(picture(results["shapes"]))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
