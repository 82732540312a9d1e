"""Everything that the tutorial shows is run, and prints what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pysoa.cli.broker import Broker
from tests.support.pages import PageRun, broken_links
from tests.support.processes import ROOT, Process

TUTORIAL = ROOT / "docs" / "tutorial" / "index.md"

NOT_RUN = {
    "pip install '/path/to/clone[embedded]'": "there is no such path",
    "pysoa demo": "the tests of the demo run it",
}


def test_everything_in_the_tutorial_works(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    run = PageRun(TUTORIAL, tmp_path, broker.url, start_process, NOT_RUN)

    try:
        run.run()
    finally:
        run.close()


def test_every_link_of_the_tutorial_leads_somewhere() -> None:
    assert broken_links(TUTORIAL) == []


def test_the_schema_in_the_tutorial_is_the_one_of_the_example() -> None:
    schemas = (ROOT / "examples" / "flight_booking" / "schemas.py").read_text()
    journey = schemas[schemas.index("@dataclass") : schemas.index("@dataclass", schemas.index("@dataclass") + 1)]

    assert journey.strip() in TUTORIAL.read_text()
