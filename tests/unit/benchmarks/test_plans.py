"""The benchmark of test plans runs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.plans import run_a_second, seconds_to_read, write_plan


def test_plans_are_read_and_run(tmp_path: Path) -> None:
    file = write_plan(tmp_path, 3)

    assert seconds_to_read(file) > 0
    assert run_a_second(tmp_path, 3) > 0
