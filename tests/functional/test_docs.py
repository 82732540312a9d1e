"""Everything that the pages in docs show is run, and prints what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker
from tests.support.pages import PageRun, blocks_of
from tests.support.processes import ROOT, Process, python

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "tutorial")

NOT_RUN = {
    "redis-cli DEL pysoa:presence.squares": "there need not be a redis-cli",
    "pysoa run shop.server -s shop.settings --workers 4": "the shop is the reader's own",
}

CLIENT = """
import os
from pysoa.client import Client
kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [os.environ["REDIS_URL"]]}}
settings = {"transport": {"kwargs": kwargs}}
client = Client(dict.fromkeys(["example", "flight_booking", "nobody"], settings))
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_everything_on_the_page_works(
    page: Path, broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    blocks = blocks_of(page)
    run = PageRun(page, tmp_path, broker.url, start_process, NOT_RUN)

    try:
        if any("client.call" in block.text for block in blocks):
            _start_examples(broker, start_process)
            run.run_code(CLIENT)
        run.run()
    finally:
        run.close()


def _start_examples(broker: Broker, start_process: Callable[..., Process]) -> None:
    services = [
        start_process(
            *python("-m", f"{service}.standalone", "-s", f"{service}.settings"),
            env={"REDIS_URL": broker.url, "PYTHONPATH": str(ROOT / "examples")},
        )
        for service in ("example_service", "flight_booking")
    ]
    for service in services:
        service.wait_for_line("starting up")
