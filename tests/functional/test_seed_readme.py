"""Every line of code in the README of PySOA 0.42 works as it stands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.cli.caller import client_settings
from pysoa.client import Client
from tests.support.commands import EXAMPLES, start_example, wait_until_served
from tests.support.processes import ROOT, Process, python

SEED = ROOT / "tests" / "vectors" / "seed-readme-0.42.txt"

_BLOCK = re.compile(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


def code_blocks() -> list[str]:
    return [textwrap.dedent(match[2]).strip("\n") + "\n" for match in _BLOCK.finditer(SEED.read_text())]


SERVER, ONE_ACTION, JOB, PARALLEL_ACTIONS, PARALLEL_JOBS = code_blocks()


@pytest.fixture
def client(broker: Broker, start_process: Callable[..., Process], tmp_path: Path) -> Iterator[Client]:
    """A client of the server in the README, and of the service that its last example calls."""
    (tmp_path / "server_of_the_readme.py").write_text(SERVER)
    process = start_process(
        *python("-W", "error", "-m", "pysoa", "run", "server_of_the_readme", "-s", "example_service.settings"),
        env={"REDIS_URL": broker.url, "PYTHONPATH": str(EXAMPLES)},
        cwd=tmp_path,
    )
    process.wait_for_line("starting up")
    wait_until_served(broker, "example")
    start_example(start_process, broker, "flight_booking")
    with Client({name: client_settings(broker.url) for name in ("example", "flight_booking")}) as client:
        yield client


def run_block(code: str, client: Client) -> dict[str, Any]:
    namespace: dict[str, Any] = {"client": client}
    exec(compile(code, str(SEED), "exec"), namespace)
    return namespace


def test_the_readme_has_five_blocks_of_code() -> None:
    assert len(code_blocks()) == SEED.read_text().count(".. code-block::") == 5


def test_one_action(client: Client) -> None:
    action_response = run_block(ONE_ACTION, client)["action_response"]

    assert action_response.body == {"square": 1764}


def test_one_job_of_two_actions(client: Client) -> None:
    job_response = run_block(JOB, client)["job_response"]

    assert [action.action for action in job_response.actions] == ["square", "status"]
    assert job_response.actions[0].body == {"square": 1764}
    assert job_response.actions[1].body["version"] == "1.0.0"


def test_two_actions_in_parallel(client: Client) -> None:
    square, status = run_block(PARALLEL_ACTIONS, client)["action_responses"]

    assert square.body == {"square": 1071225}
    assert status.body["healthcheck"]["errors"] == []


def test_jobs_of_two_services_in_parallel(client: Client) -> None:
    squares, status, flights = run_block(PARALLEL_JOBS, client)["job_responses"]

    assert [action.body["square"] for action in squares.actions] == [16, 64, 289]
    assert status.actions[0].body["version"] == "1.0.0"
    assert len(flights.actions[0].body["out"]) == len(flights.actions[0].body["back"]) == 3


def test_the_server_calls_another_service(client: Client) -> None:
    body = {"service": "flight_booking", "action": "status", "body": {"verbose": False}}

    response = client.call_action("example", "call_service", body)

    assert response.body["answer"]["version"] == "1.0.0"
