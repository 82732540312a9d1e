"""Everything that the pages in docs show is run, and prints what they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client import Client
from pysoa.client.settings import ClientSettings
from pysoa.common.transport.errors import ServiceUnavailable
from pysoa.common.transport.redis_gateway.rights import acl_rules
from tests.support.pages import PageRun, blocks_of
from tests.support.processes import ROOT, Process, python
from tests.support.raw import command

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "tutorial")

NOT_RUN = {
    "pip install '/path/to/clone[test-plans]'": "there is no such path",
    "redis-cli DEL pysoa:presence.squares": "there need not be a redis-cli",
    "redis-cli DEL pysoa:presence.shop": "as above",
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
    with PageRun(page, tmp_path, broker.url, start_process, NOT_RUN) as run:
        if any("client.call" in block.text for block in blocks_of(page)):
            _start_examples(broker, start_process)
            run.run_code(CLIENT)
        run.run()


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


@pytest.mark.parametrize(
    "page", [DOCS / "howto" / "connect-to-redis.md", ROOT / "README.md"], ids=lambda page: page.name
)
def test_the_settings_take_every_address_on_the_page(page: Path) -> None:
    backends: list[Any] = []
    for block in blocks_of(page):
        for line in re.split(r"^(?=\w)", block.text, flags=re.MULTILINE) if block.language == "python" else ():
            if re.match(r'\w+ = \{\s*"hosts": ', line):
                backends.append(ast.literal_eval(line.partition(" = ")[2]))

    assert len(backends) >= 5
    for backend in backends:
        kind = "redis.sentinel" if "sentinel_services" in backend else "redis.standard"
        ClientSettings({"transport": {"kwargs": {"backend_type": kind, "backend_layer_kwargs": backend}}})


RIGHTS = DOCS / "reference" / "protocol" / "redis.md"


def _rules_on_the_page() -> list[list[str]]:
    """The arguments of each ``ACL SETUSER``; what is in brackets is one argument."""
    [block] = [block for block in blocks_of(RIGHTS) if block.language == "acl"]
    return [re.findall(r"\([^)]*\)|\S+", line) for line in re.split(r"^(?=ACL )", block.text, flags=re.M)[1:]]


def test_the_rights_on_the_page_are_those_that_the_gateway_names() -> None:
    rules = [" ".join(rule).partition(">SECRET ")[2] for rule in _rules_on_the_page()]

    assert [" ".join(rule.split()) for rule in rules] == list(acl_rules("example"))


def test_the_rights_on_the_page_are_enough_for_a_server_and_its_clients(
    fresh_broker: Broker, start_process: Callable[..., Process]
) -> None:
    for rules in _rules_on_the_page():
        assert command(fresh_broker.url, *rules) == b"OK"
    as_server, as_client = (
        fresh_broker.url.replace("redis://", f"redis://example-{side}:SECRET@") for side in ("server", "client")
    )
    kwargs: dict[str, Any] = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [as_client]}}
    by_script = {"transport": {"kwargs": {**kwargs, "queue_capacity": 50}}}
    server = start_process(
        *python("-m", "example_service.standalone", "-s", "example_service.settings"),
        env={"REDIS_URL": as_server, "PYTHONPATH": str(ROOT / "examples")},
    )
    server.wait_for_line("starting up")

    square = {"action": "square", "body": {"number": 3}}
    plainly = {"example": {"transport": {"kwargs": kwargs}}}
    with Client(plainly) as client, Client({"example": by_script}) as other, Client(plainly) as late:
        many = [response.body for response in client.call_actions_parallel("example", [square] * 30)]
        one = other.call_action("example", "square", {"number": 3}).body
        server.terminate()
        stopped = server.wait()
        with pytest.raises(ServiceUnavailable):
            late.call_action("example", "square", {"number": 3})

    assert (many, one, stopped) == ([{"square": 9}] * 30, {"square": 9}, 0)
    assert command(fresh_broker.url, "ACL", "LOG") == []
