"""A folder of tests in the style of 1.4.9, which runs as it is."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.processes import ROOT

TRIPS = ROOT / "tests" / "functional" / "data" / "trips_149"


def test_tests_that_were_written_for_149_run_unedited() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={TRIPS}"),
            *("-o", "python_files=checks_*.py", "-W", "error", "-W", "default::DeprecationWarning", "tests_of_trips"),
        ],
        cwd=TRIPS,
        env={**kept, "PYSOA_SETTINGS_MODULE": "trips.settings", "PYTHONPATH": str(TRIPS)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "22 passed" in last, done.stdout
    for old in ("setUp", "tearDown", "addCleanup"):
        assert f"`ServerTestCase.{old}` is deprecated" in done.stdout
