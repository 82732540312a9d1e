from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pysoa.version import __version__
from tests.support.commands import Outcome, pysoa
from tests.support.processes import ROOT

COMMANDS = ("demo", "dev", "call", "run", "plan", "contract", "upgrade-check")
HEAVY = {
    "asyncio",
    "attr",
    "hiredis",
    "json",
    "msgpack",
    "msgspec",
    "pydantic",
    "redis",
    "rich",
    "socket",
    "subprocess",
}


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_loads_click_and_nothing_heavy(command: tuple[str, ...]) -> None:
    code = (
        "import sys; before = set(sys.modules); from pysoa.cli import main\n"
        f"sys.argv = ['pysoa', *{command!r}, '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "import json; print(json.dumps([name for name in sys.modules if name not in before]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)} - {"json"}

    assert "click" in loaded
    assert not loaded & HEAVY
    assert {name for name in loaded if name not in sys.stdlib_module_names} == {"click", "pysoa"}


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ((), "pysoa call my_service square number=7"),
        (("demo",), "pysoa demo"),
        (("dev",), "pysoa dev my_service"),
        (("call",), "pysoa call example square number=7"),
        (("run",), "pysoa run my_service -s my_service.settings --workers 4"),
        (("plan",), "pysoa plan check tests/plans"),
        (("plan", "check"), "pysoa plan check tests/plans"),
        (("contract",), "pysoa contract record tests"),
        (("contract", "record"), "pysoa contract record --file cart.json tests/unit -n 4"),
        (("contract", "verify"), "pysoa contract verify other_service"),
        (("upgrade-check",), "pysoa upgrade-check my_service tests requirements.txt"),
    ],
)
def test_help_shows_an_example_and_fits_a_terminal(command: tuple[str, ...], example: str) -> None:
    code, output, said = pysoa(*command, "--help")

    assert (code, said) == (0, "")
    assert f"  {example}\n" in output
    assert max(map(len, output.splitlines())) <= 81
    assert "\n  -h, --help" in output


def test_the_version_is_one_line() -> None:
    assert pysoa("--version") == (0, f"pysoa {__version__} (Python {sys.version.split()[0]})\n", "")


def test_commands_are_listed_as_one_meets_them() -> None:
    lines = pysoa("--help").output.split("Commands:\n")[1].splitlines()

    assert tuple(line.split()[0] for line in lines) == COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("call",),
        ("run",),
        ("run", "x", "--workers", "0"),
        ("run", "x", "--concurrency", "0"),
        ("dev", "x", "--concurrency", "many"),
        ("upgrade-check",),
        ("upgrade-check", "/no/such/folder"),
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments: tuple[str, ...]) -> None:
    outcome: Outcome = pysoa(*arguments)

    assert outcome.code == 2
    assert outcome.said.startswith("Usage: pysoa")
    assert "Traceback" not in outcome.said
