"""The test plans that were run with the first PySOA come out as they did there, or as is wanted instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT

VECTORS = ROOT / "tests" / "vectors" / "test-plans"
FILES = sorted((VECTORS / "fixtures").glob("*.pysoa"))
WITHOUT_CONFORMITY = ROOT / "tests" / "support" / "without_conformity"

PLAN = """
import sys
sys.path.insert(0, {vectors!r})
sys.path.append({without_conformity!r})
import plan_base

class TestVector(plan_base.OrchardPlan):
    custom_fixtures = ({file!r},)
"""

# With several processes each has a file of its own.
RECORDER = """
import json, os

def note(**what):
    with open(f"recorded-{os.environ.get('PYTEST_XDIST_WORKER', 'all')}", "a") as file:
        print(json.dumps(what), file=file)

def pytest_exception_interact(node, call, report):
    value = call.excinfo.value
    note(node=node.nodeid, type=type(value).__name__, message=str(getattr(value, "msg", None) or value))

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        known = report.when == "call" or report.outcome == "skipped"
        note(node=report.nodeid, outcome=report.outcome if known else "error")

def pytest_collectreport(report):
    if report.failed:
        note(node=report.nodeid, outcome="collection error")
"""

# What 1.4.9 shows of its own classes and of freezegun's; time_machine freezes the classes of Python itself.
CLASSES = {
    "<class 'freezegun.api.FakeDatetime'>": "<class 'datetime.datetime'>",
    "<class 'pysoa.common.types.UnicodeKeysDict'>": "<class 'dict'>",
}

# The others have texts of Python's mocks, of fields and of zones, and some that are wanted otherwise.
COMPARED_WORD_FOR_WORD = {
    f"{name}.pysoa"
    for name in (
        "01_basics",
        "02_paths",
        "04_any_regex_none",
        "06_errors",
        "08_several_actions",
        "09_globals",
        "10_skips",
    )
}


def wanted() -> dict[str, dict[str, Any]]:
    """What each test case of each file is to come to."""
    cases: dict[str, dict[str, Any]] = json.loads((VECTORS / "expected.json").read_text())
    for name, instead in json.loads((VECTORS / "wanted.json").read_text()).items():
        cases[name] = instead if "(collection)" in cases[name] else {**cases[name], **instead}
    return cases


def run_all(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run all files in one pytest, and tell what each of their test cases has come to."""
    (folder / "conftest.py").write_text(RECORDER)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for file in FILES:
        plan = PLAN.format(vectors=str(VECTORS), without_conformity=str(WITHOUT_CONFORMITY), file=str(file))
        (folder / f"test_{file.stem}.py").write_text(plan)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", *arguments],
        cwd=folder,
        env={**os.environ, "TZ": "America/New_York", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=100,
    )
    found: dict[str, dict[str, Any]] = {file.name: {} for file in FILES}
    for record in folder.glob("recorded-*"):
        for line in record.read_text().splitlines():
            what = json.loads(line)
            module, _, rest = what.pop("node").partition("::")
            name = f"{module.removeprefix('test_').removesuffix('.py')}"
            case = rest.rpartition("::")[2] if f"::{name}::" in rest else "(collection)"
            found[f"{name}.pysoa"].setdefault(case, {}).update(what)
    return found


def differences(expected: dict[str, Any], found: dict[str, Any], file: Path) -> list[str]:
    differ = [
        f"{key}: {found.get(key)} instead of {expected.get(key)}"
        for key in ("outcome", "type")
        if found.get(key) != expected.get(key)
    ]
    message = (found.get("message") or "").replace(str(file), "<file>").replace(str(VECTORS), "<here>")
    differ += [
        f"{piece!r} is not in {message!r}"
        for piece in expected.get("must_contain", [])
        if in_our_words(piece) not in message
    ]
    theirs = expected.get("message")
    if theirs is not None and file.name in COMPARED_WORD_FOR_WORD and "traceback=" not in theirs:
        differ += [f"{message!r} instead of {theirs!r}"] if in_our_words(theirs) != message else []
    return differ


def in_our_words(text: str) -> str:
    for theirs, ours in CLASSES.items():
        text = text.replace(theirs, ours)
    return text


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "several processes"])
def test_every_test_case_comes_out_as_is_wanted(arguments: tuple[str, ...], tmp_path: Path) -> None:
    expected = wanted()

    found = run_all(tmp_path, *arguments)

    assert {name: set(cases) for name, cases in found.items()} == {name: set(cases) for name, cases in expected.items()}
    differ = {
        f"{file.name}::{case}": different
        for file in FILES
        for case, what in expected[file.name].items()
        if (different := differences(what, found[file.name][case], file))
    }
    assert differ == {}, json.dumps(differ, indent=1)
    outcomes = [what["outcome"] for cases in found.values() for what in cases.values()]
    assert {outcome: outcomes.count(outcome) for outcome in set(outcomes)} == {
        "passed": 49,
        "failed": 37,
        "skipped": 3,
        "collection error": 6,
    }
