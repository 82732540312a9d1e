"""What test plans cost: ``python -m benchmarks.plans [--cases N]``.

Reads a fixture file of so many test cases for the example service, then lets pytest run them, with nothing but PySOA's
plugins. It prints how long both take; the targets are 2 s for reading 1,000 test cases, and 200 run a second.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TARGET_READING_IN_SECONDS = 2.0
TARGET_RUN_A_SECOND = 200

CASE = """test name: case_{number}
test description: The square of {number}
square: input int: number: {number}
square: expect: no errors
square: expect int: attribute value: square: {square}
square.1: input int: number: [[SQUARE.square]]
square.1: expect any int: attribute value: square
square.1: expect: not attribute value: square: none
"""

MODULE = """
from example_service.server import Server
from pysoa.test.plan import ServicePlanTestCase

class SquarePlan(ServicePlanTestCase):
    server_class = Server
    server_settings = {}
    custom_fixtures = ("squares.pysoa",)
"""


def write_plan(folder: Path, count: int) -> Path:
    cases = [CASE.format(number=number, square=number**2) for number in range(count)]
    file = folder / "squares.pysoa"
    file.write_text("\n".join(cases))
    (folder / "test_squares.py").write_text(MODULE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return file


def seconds_to_read(file: Path) -> float:
    began = time.perf_counter()
    ServiceTestPlanFixtureParser(str(file), "squares").parse_test_fixture()
    return time.perf_counter() - began


def run_a_second(folder: Path, count: int) -> float:
    """Test cases a second, by pytest's own clock, which has collecting in it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        | {"PYTEST_PLUGINS": "pysoa.test.plugins.pytest.plans"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(rf"^{count} passed in ([\d.]+)s", done.stdout, re.MULTILINE)
    if found is None:
        sys.exit(done.stdout + done.stderr)
    return count / float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many test cases")
    count = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_plan(folder, count)
        seconds_to_read(file)  # which makes the regular expressions
        reading = seconds_to_read(file)
        speed = run_a_second(folder, count)
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"reading {count} test cases: {reading:.2f} s (target {TARGET_READING_IN_SECONDS * count / 1000:g})")
    print(f"running them: {speed:.0f} a second (target {TARGET_RUN_A_SECOND})")


if __name__ == "__main__":
    main()
