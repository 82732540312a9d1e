"""Everything that the README shows is run, and prints what the README says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker
from tests.support.pages import PageRun
from tests.support.processes import ROOT, Process

README = ROOT / "README.md"

RUN_INSTEAD = {
    # The environment is here already.
    "make demo": "pysoa demo",
    # Pages are run in folders of their own, with the examples on the path.
    **{
        f"cd examples && {command}": command
        for command in (
            "pysoa dev example_service -s example_service.settings --concurrency 50",
            "pysoa dev flight_booking",
        )
    },
}
NOT_RUN = {
    "make test": "this is a part of it",
    "pip install '/path/to/clone[embedded]'": "there is no such path",
}


@pytest.mark.timeout(240)
def test_everything_in_the_readme_works(broker: Broker, start_process: Callable[..., Process], tmp_path: Path) -> None:
    with PageRun(README, tmp_path, broker.url, start_process, NOT_RUN, RUN_INSTEAD) as run:
        run.run()


def test_what_runs_before_a_change_lands_is_in_the_readme() -> None:
    commands = re.findall(r"^make .*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert commands
    assert [command for command in commands if f"`{command}`" not in README.read_text()] == []
