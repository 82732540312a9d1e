"""``pysoa demo``: what it shows, and that nothing is left of it."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker, answers
from tests.support.commands import pysoa
from tests.support.processes import ROOT, Process, is_alive, python
from tests.support.raw import command, wait_until

SHOWN = [
    r'broker: redis://127\.0\.0\.1:\d+ \(started .*\)',
    r'services: example \(process \d+\), flight_booking \(process \d+\), ready after \d+\.\d s',
    r'  example\.square \{"number": 42\}',
    r'  -> \{"square": 1764\}  \(\d+\.\d ms\)',
    r'  -> \{"square": 16\}',
    r'  -> \{.*"version": "1\.0\.0"\}  \(\d+\.\d ms\)',
    r'  -> \{"out": \[\{"flight": "PY101", .*\}, "\.\.\."\], "back": \[\]\}  \(\d+\.\d ms\)',
    r"  -> INVALID departure_airport: .*",
    r"  -> MISSING arrival_airport: .*",
    r'  -> \{.*"booked_by": "ada", "booked_through": "example"\}  \(\d+\.\d ms\)',
    r"speed: [\d,]+ calls a second, one after the other; median \d+\.\d\d ms",
    r"asyncio: [\d,]+ calls a second, 100 at a time, over two connections",
    r"both services and the broker have been stopped\. Next: pysoa dev --help",
]  # fmt: skip


def start_demo(start_process: Callable[..., Process]) -> tuple[Process, str, list[int]]:
    """A demo whose services are there; its broker, and the process ids of broker and services."""
    process = start_process(*python("-W", "error", "-m", "pysoa", "demo"))
    url = process.wait_for_line("^broker: ").split(" ")[1]
    broker_pid = int(re.search(rb"process_id:(\d+)", command(url, "INFO", "server"))[1])
    services = [int(pid) for pid in re.findall(r"process (\d+)", process.wait_for_line("^services: "))]
    assert len(services) == 2
    return process, url, [broker_pid, *services]


def test_it_shows_each_kind_of_call_and_stops_everything(start_process: Callable[..., Process]) -> None:
    process, url, pids = start_demo(start_process)

    assert process.wait() == 0

    lines = process.output.splitlines()
    assert [pattern for pattern in SHOWN if not any(re.fullmatch(pattern, line) for line in lines)] == []
    assert len(lines) <= 33
    assert "\x1b" not in process.output
    assert not any(map(is_alive, pids))
    assert not answers(url)


@pytest.mark.parametrize(("signal_number", "code", "last"), [(2, 130, "interrupted"), (15, 143, None), (1, 129, None)])
def test_a_signal_stops_everything(
    start_process: Callable[..., Process], signal_number: int, code: int, last: str | None
) -> None:
    process, _, pids = start_demo(start_process)

    process.signal(signal_number)

    assert process.wait() == code
    assert not any(map(is_alive, pids))
    assert "Traceback" not in process.output
    if last is not None:
        assert process.output.splitlines()[-1] == last


def test_a_killed_demo_takes_its_processes_along(start_process: Callable[..., Process]) -> None:
    process, _, pids = start_demo(start_process)

    process.kill()

    wait_until(lambda: not any(map(is_alive, pids)), "broker and services end")


def test_it_leaves_brokers_of_others_alone(broker: Broker, tmp_path: Path) -> None:
    outcome = pysoa("demo", env={"REDIS_URL": broker.url, "XDG_RUNTIME_DIR": str(tmp_path)}, without=())

    assert outcome.code == 0
    assert broker.url not in outcome.output
    assert command(broker.url, "DBSIZE") == 0
    assert list(tmp_path.iterdir()) == []


def test_it_uses_a_broker_that_is_given(broker: Broker) -> None:
    outcome = pysoa("demo", "--broker", broker.url)

    assert outcome.code == 0
    assert outcome.output.splitlines()[0] == f"broker: {broker.url} (given)"
    assert outcome.output.splitlines()[-1] == "both services have been stopped. Next: pysoa dev --help"
    assert answers(broker.url)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with what the wheel has, the examples included."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name)
    for source, target in wheel["force-include"].items():
        shutil.copytree(ROOT / source, tmp_path / target)
    return tmp_path


def test_it_works_from_an_installed_package(installed: Path) -> None:
    (installed / "pysoa" / "examples" / "example_service" / "__init__.py").write_text('__version__ = "9.9.9"\n')

    outcome = pysoa("demo", cwd=installed)

    assert outcome.code == 0
    assert '"version": "9.9.9"' in outcome.output


def test_a_service_that_does_not_start_is_shown_with_its_last_words(installed: Path) -> None:
    (installed / "pysoa" / "examples" / "flight_booking" / "settings.py").write_text("raise ValueError('broken')\n")

    outcome = pysoa("demo", cwd=installed)

    assert outcome.code == 1
    assert outcome.said.startswith("the service flight_booking ended:\n")
    assert "ValueError: broken" in outcome.said


def test_an_installation_without_examples_says_so(installed: Path) -> None:
    shutil.rmtree(installed / "pysoa" / "examples")

    outcome = pysoa("demo", cwd=installed)

    assert (outcome.code, outcome.said) == (1, "the examples are not part of this installation\n")
