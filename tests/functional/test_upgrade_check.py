"""``pysoa upgrade-check`` on services in the styles of 0.42 and 1.4.9; the former also runs, with its warnings."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from tests.support.commands import Outcome, pysoa, wait_until_served
from tests.support.processes import ROOT, Process, packages_of_the_first_pysoa, python

DATA = ROOT / "tests" / "functional" / "data"
WAREHOUSE = DATA / "warehouse_042"
ORDERS = DATA / "orders_149"

MUST, WARNS, KNOW = "must change", "works with a warning", "worth knowing"

IN_WAREHOUSE = {
    ("setup.py", 8): MUST,
    ("warehouse/metrics.py", 6): WARNS,
    ("warehouse/middleware.py", 7): WARNS,
    ("warehouse/middleware.py", 13): WARNS,
    ("warehouse/middleware.py", 14): WARNS,
    ("warehouse/middleware.py", 15): WARNS,
    ("warehouse/middleware.py", 16): WARNS,
    ("warehouse/middleware.py", 31): WARNS,
    ("warehouse/overview.py", 8): WARNS,
    ("warehouse/server.py", 5): MUST,
    ("warehouse/server.py", 9): WARNS,
    ("warehouse/server.py", 16): WARNS,
    ("warehouse/server.py", 17): WARNS,
    ("warehouse/server.py", 41): WARNS,
    ("warehouse/server.py", 145): WARNS,
    ("warehouse/server.py", 148): WARNS,
    ("warehouse/server.py", 155): WARNS,
    ("warehouse/server.py", 157): KNOW,
    ("warehouse/server.py", 161): WARNS,
    ("warehouse/settings.py", 9): WARNS,
    ("warehouse/settings.py", 23): WARNS,
    ("warehouse/settings.py", 26): WARNS,
    ("warehouse/settings.py", 44): WARNS,
}
# Settings have no line when they are checked; the line that has led to it is told.
WHERE_SETTINGS_ARE_READ = {
    ("warehouse/standalone.py", 8),
    ("warehouse/server.py", 158),
    ("warehouse/server.py", 162),
}
IN_ORDERS = {
    ("orders/metrics.py", 3): MUST,
    ("orders/production.py", 6): MUST,
    ("orders/production.py", 8): KNOW,
    ("orders/report.py", 1): MUST,
    ("orders/report.py", 13): KNOW,
    ("orders/report.py", 12): KNOW,
    ("orders/report.py", 15): KNOW,
    ("pyproject.toml", 6): MUST,
    ("pyproject.toml", 11): MUST,
    ("requirements.txt", 2): MUST,
    ("requirements.txt", 3): KNOW,
    ("requirements.txt", 5): MUST,
    ("tests_of_orders/checks.py", 13): KNOW,
}


def severities(outcome: Outcome) -> dict[tuple[str, int], str]:
    """The severity of what is found in each line of each file."""
    lines = re.findall(r"^([^:\n]+):(\d+): ([a-z ]+): ", outcome.output, re.MULTILINE)
    return {(path, int(line)): severity for path, line, severity in lines}


@pytest.mark.parametrize(
    ("service", "expected", "summary"),
    [
        (WAREHOUSE, IN_WAREHOUSE, "9 files read: 2 must change, 23 work with a warning, 1 worth knowing"),
        (ORDERS, IN_ORDERS, "12 files read: 8 must change, 0 work with a warning, 6 worth knowing"),
    ],
    ids=["0.42", "1.4.9"],
)
def test_a_service_is_told_each_line_to_look_at(
    service: Path, expected: dict[tuple[str, int], str], summary: str
) -> None:
    outcome = pysoa("upgrade-check", ".", cwd=service)

    assert severities(outcome) == expected
    assert outcome.output.splitlines()[-1] == summary
    assert (outcome.code, outcome.said) == (1, "")


def test_a_service_of_042_runs_and_warns_of_the_lines_that_are_listed(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    options = ("-W", "always::DeprecationWarning")
    process = start_process(
        *python(*options, "-m", "warehouse.standalone", "-s", "warehouse.settings", "-f", "2"),
        env={
            "WAREHOUSE_PORT": str(broker.port),
            "WAREHOUSE_RUN_FOLDER": str(tmp_path),
            **packages_of_the_first_pysoa(),
        },
        cwd=WAREHOUSE,
    )
    process.wait_for_line("starting up", count=2)
    wait_until_served(broker, "warehouse")
    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]}}
    with Client({"warehouse": {"transport": {"kwargs": kwargs}}}, context={"user": "ada"}) as client:
        counted = client.call_action("warehouse", "count", timeout=20)
        failed = client.call_action("warehouse", "fail", timeout=20)
    process.terminate()

    assert process.wait() == 0
    assert counted.body == {
        "count": 12,
        "shelves": 4,
        "trail": "stdout",
        "audited_for": "ada",
        "shown": "{'password': '**********'}",
    }
    assert failed.body == {"errors": 1}
    said = re.findall(rf"{WAREHOUSE}/(\S+\.py):(\d+): DeprecationWarning", process.output)
    lines = {(path, int(line)) for path, line in said} - WHERE_SETTINGS_ARE_READ
    in_code = {place for place, severity in IN_WAREHOUSE.items() if severity == WARNS and "settings" not in place[0]}
    # Of these it is told where they are used.
    of_definitions = {
        ("warehouse/middleware.py", 7),
        ("warehouse/middleware.py", 31),
        ("warehouse/server.py", 145),
        ("warehouse/server.py", 161),
    }
    of_another_program = {("warehouse/overview.py", 8)}
    assert lines == in_code - of_definitions - of_another_program


def test_code_for_this_release_has_nothing_to_change() -> None:
    outcome = pysoa("upgrade-check", "examples", "pyproject.toml")

    assert (outcome.code, outcome.said) == (0, "")
    assert re.fullmatch(r"\d+ files read: nothing to change\n", outcome.output)


def test_json_has_all_that_the_lines_have() -> None:
    outcome = pysoa("upgrade-check", "--json", str(ORDERS / "requirements.txt"))

    assert outcome.code == 1
    assert json.loads(outcome.output) == {
        "files": 1,
        "counts": {"must change": 2, "works with a warning": 0, "worth knowing": 1},
        "findings": [
            {
                "path": str(ORDERS / "requirements.txt"),
                "line": 2,
                "severity": "must change",
                "what": "attrs ==20.3.0 cannot be had with PySOA 2, which needs 21.4 or newer",
                "todo": "Allow attrs>=21.4",
            },
            {
                "path": str(ORDERS / "requirements.txt"),
                "line": 3,
                "severity": "worth knowing",
                "what": "PySOA does without pymetrics",
                "todo": "Keep it only for recorders that the settings name",
            },
            {
                "path": str(ORDERS / "requirements.txt"),
                "line": 5,
                "severity": "must change",
                "what": "pysoa ==1.4.9 keeps this release out",
                "todo": "Require pysoa>=2",
            },
        ],
        "unreadable": [],
    }


def test_files_that_are_not_python_3_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("import pysoa\n\nprint 'hello'\n")
    (tmp_path / "raising.py").write_text("try:\n    pass\nexcept ValueError, error:\n    raise\n")
    (tmp_path / "latin.py").write_bytes(b"name = '\xe4'\n")
    (tmp_path / "null.py").write_bytes(b"a = 1\0\n")
    (tmp_path / "deep.py").write_text(f"a = {'-' * 100_000}1\n")
    (tmp_path / "escapes.py").write_text("a = '\\d'\n")
    (tmp_path / "empty.py").touch()
    (tmp_path / "long.py").write_text(f"a = {' + '.join(map(str, range(20_000)))}\n")

    outcome = pysoa("upgrade-check", str(tmp_path), env={"PYTHONWARNINGS": "error"})

    version = ".".join(map(str, sys.version_info[:2]))
    lines = [re.sub(rf"(this is not Python {version}): .*", r"\1", line) for line in outcome.output.splitlines()]
    assert {line for line in lines if "is not Python" in line} >= {
        f"{tmp_path}/{place}: must change: this is not Python {version}"
        for place in ("latin.py:1", "old.py:3", "raising.py:3")
    }
    assert {Path(line.partition(":")[0]).name for line in lines[:-1]} <= {
        "deep.py",
        "latin.py",
        "long.py",
        "null.py",
        "old.py",
        "raising.py",
    }
    assert lines[-1].startswith("8 files read: ")
    assert (outcome.code, outcome.said) == (1, "")


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import pysoa.server.logging\n")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")

    outcome = pysoa("upgrade-check", ".", cwd=tmp_path)

    assert outcome == (
        2,
        "a.py:1: works with a warning: pysoa.server.logging is now pysoa.common.logging. Import that.\n"
        "1 file read: 0 must change, 1 works with a warning, 0 worth knowing\n",
        "cannot be read: gone.py: No such file or directory\n",
    )


def test_installed_packages_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    for folder in (".tox", "node_modules", "build", "own_environment", "lib/site-packages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").write_text("import pysoa.server.logging\n")
    (tmp_path / "own_environment" / "pyvenv.cfg").touch()

    assert pysoa("upgrade-check", ".", cwd=tmp_path) == (0, "0 files read: nothing to change\n", "")


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    outcome = pysoa("upgrade-check", str(tmp_path / "nowhere"))

    assert outcome.code == 2
    assert f"Path '{tmp_path}/nowhere' does not exist" in outcome.said
    assert "Traceback" not in outcome.said
