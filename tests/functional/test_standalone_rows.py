"""The command line of services, row by row, as processes of their own. No broker is needed.

Workers that die, and supervisors, are in ``test_supervisor``, reloading in ``test_reload``, a server's own end in
``test_server_process``, and what a file that is run by its path comes to in ``tests/unit/server/test_standalone``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import Process, children_of, is_alive
from tests.support.raw import wait_until

StartModule = Callable[..., Process]


def start(start_module: StartModule, *arguments: str, settings: object = None, **environment: str) -> Process:
    environment["ROW_SETTINGS"] = json.dumps(settings or {})
    return start_module("tests.support.row_service", "-s", "tests.support.row_settings", *arguments, env=environment)


def told_by(process: Process, pid: int) -> list[str]:
    """What one process has told of itself, log lines included, in order."""
    return [line.removeprefix(f"{pid} ") for line in process.output.splitlines() if line.startswith(f"{pid} ")]


@pytest.mark.parametrize("arguments", [(), ("-f", "0", "--own", "flag", "free"), ("--fork-processes=1", "-x")])
def test_one_process_serves_by_itself_and_takes_every_step_in_order(
    start_module: StartModule, arguments: tuple[str, ...]
) -> None:
    process = start(start_module, *arguments)
    process.wait_for_line("^waiting")

    assert children_of(process.pid) == set()
    process.terminate()
    assert process.wait() == 0
    told = told_by(process, process.pid)
    start_up = told.index("setup")
    assert [line for line in told[: start_up + 1] if "listening" not in line] == [
        "read settings",
        "checked settings",
        "configured logging",
        f"initialized, parent {os.getpid()}",
        "made with None in MainProcess",
        "setup",
    ]
    assert told[start_up - 1].startswith('row: Service "row" server starting up, pysoa version ')
    assert told[-1] == "returned"


def test_a_server_can_be_started_without_standalone(start_module: StartModule) -> None:
    process = start(start_module, "-f", "3", "--no-respawn", ROW_DIRECTLY="1")
    process.wait_for_line("^waiting")

    assert children_of(process.pid) == set()
    process.interrupt()
    assert process.wait() == 0
    assert "made with None in MainProcess" in told_by(process, process.pid)


@pytest.mark.parametrize(
    ("directly", "title", "explained"),
    [
        (
            {},
            "Run a service",
            ["--fork-processes N", "--no-respawn", "--use-file-watcher [MODULES]", "--settings MODULE"],
        ),
        ({"ROW_DIRECTLY": "1"}, "Server for the row SOA service", ["--daemon", "--settings SETTINGS"]),
    ],
    ids=["standalone", "server"],
)
def test_help_is_that_of_whoever_reads_the_command_line_first(
    start_module: StartModule, directly: dict[str, str], title: str, explained: list[str]
) -> None:
    process = start(start_module, "-h", **directly)

    assert process.wait() == 0
    assert title in process.output
    assert [text for text in explained if text not in process.output] == []
    assert "read settings" not in process.output


def test_workers_read_their_settings_themselves_and_end_together(start_module: StartModule, tmp_path: Path) -> None:
    heartbeats = {"heartbeat_file": str(tmp_path / "beat-{{fid}}-{{pid}}")}
    process = start(start_module, "--fork", "3", settings=heartbeats)
    process.wait_for_line("^waiting", count=3)
    workers = children_of(process.pid)

    assert len(workers) == 3
    assert told_by(process, process.pid) == ["pre_fork"]
    numbers = {}
    for pid in workers:
        told = told_by(process, pid)
        assert told[:4] == [
            "read settings",
            "checked settings",
            "configured logging",
            f"initialized, parent {process.pid}",
        ]
        made = re.fullmatch(r"made with (\d) in pysoa-worker-(\d)", told[4])
        assert made is not None
        assert made[1] == made[2]
        numbers[pid] = made[1]
    assert sorted(numbers.values()) == ["1", "2", "3"]
    assert {path.name for path in tmp_path.iterdir()} == {f"beat-{number}-{pid}" for pid, number in numbers.items()}

    # A worker ignores SIGHUP, and SIGTERM ends it in order; either way there are three.
    first = min(workers)
    os.kill(first, signal.SIGHUP)
    os.kill(first, signal.SIGTERM)
    process.wait_for_line(f"^Re-spawning failed server process #{numbers[first]}$")
    process.wait_for_line(f"made with {numbers[first]} in", count=2)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 3, "all serve")
    assert "row: Received interrupt, initiating shutdown" in told_by(process, first)
    (successor,) = children_of(process.pid) - workers
    assert f"made with {numbers[first]} in pysoa-worker-{numbers[first]}" in told_by(process, successor)
    assert told_by(process, process.pid) == ["pre_fork"]

    # Ctrl+C in a terminal reaches all of them, and the workers once more by the supervisor.
    workers = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)

    assert process.wait() == 0
    assert told_by(process, process.pid)[-1] == "returned"
    assert not any(map(is_alive, workers))
    assert process.output.count("Received interrupt, initiating shutdown") == 4
    assert process.output.count("Server shutdown complete") == 4
    assert process.output.count("Re-spawning") == 1
    assert list(tmp_path.iterdir()) == []


def test_there_are_no_more_than_five_workers_for_each_core(start_module: StartModule) -> None:
    cores = multiprocessing.cpu_count()
    process = start_module("tests.support.tiny_server", "-f", str(cores * 5 + 1))

    warning = process.wait_for_line("WARNING")
    process.wait_for_line(r"worker \d+ is", count=cores * 5, timeout=60)
    process.terminate()

    assert process.wait() == 0
    assert warning == (
        f"WARNING: Number of requested process forks ({cores * 5 + 1}) is greater than five times the number of CPU "
        f"cores available ({cores} cores). Capping number of forks at {cores * 5}."
    )
    assert process.output.count(" is ") == cores * 5 + 1


def test_in_the_background_it_goes_on_after_its_settings_were_found_good(start_module: StartModule) -> None:
    starter = start(start_module, "--daemon")
    line = starter.wait_for_line("^PID=")
    starter.wait_for_line("^waiting")
    pid = int(line.removeprefix("PID="))

    assert starter.wait() == 0
    assert told_by(starter, starter.pid) == ["read settings", "checked settings", "configured logging"]
    assert told_by(starter, pid)[0].startswith("initialized, parent ")
    assert told_by(starter, pid)[1] == "made with None in MainProcess"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(pid), "it has ended")
    assert told_by(starter, pid)[-1] == "returned"


def test_faults_are_told_before_anything_is_in_the_background(start_module: StartModule) -> None:
    process = start(start_module, "-d", settings={"harakiri": {"timeout": -1}})

    assert process.wait() == 1
    assert "Value not >= 0" in process.output
    assert "PID=" not in process.output


def test_signatures_of_0_42_are_called_as_they_were(start_module: StartModule) -> None:
    process = start(start_module, "-f", "2", ROW_SIGNATURES="0.42", PYTHONWARNINGS="default::DeprecationWarning")
    process.wait_for_line("^waiting", count=2)

    names = re.findall(r"made with None in (.*)", process.output)

    assert sorted(names) == ["pysoa-worker-1", "pysoa-worker-2"]
    assert "should take the number of the worker" in process.output
    process.terminate()
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("-f", "many"), "'many' is not a number of processes"),
        (("--give-up-after", "x"), "--give-up-after"),
        (("--concurrency", "0"), "'0' is not a number of jobs"),
        (("-s",), "-s/--settings: expected one argument"),
    ],
)
def test_mistakes_in_the_command_line_end_it_with_2(
    start_module: StartModule, arguments: tuple[str, ...], fault: str
) -> None:
    process = start(start_module, *arguments)

    assert process.wait() == 2
    assert fault in process.output
    assert "read settings" not in process.output
