"""Everything that the README shows is run, and prints what the README says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pysoa.cli.broker import Broker
from tests.support.pages import PageRun
from tests.support.processes import ROOT, Process, python

README = ROOT / "README.md"

NOT_RUN = {
    "make demo": "the tests of the demo run it",
    "make test": "this is a part of it",
    "pip install '/path/to/clone[embedded]'": "there is no such path",
}


def test_everything_in_the_readme_works(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    for service in ("example_service", "flight_booking"):
        start_process(
            *python("-m", f"{service}.standalone", "-s", f"{service}.settings"),
            env={"REDIS_URL": broker.url, "PYTHONPATH": str(ROOT / "examples")},
        ).wait_for_line("starting up")
    run = PageRun(README, tmp_path, broker.url, start_process, NOT_RUN)

    try:
        run.run()
    finally:
        run.close()


def test_what_runs_before_a_change_lands_is_in_the_readme() -> None:
    commands = re.findall(r"^make .*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert commands
    assert [command for command in commands if f"`{command}`" not in README.read_text()] == []
