from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pysoa.test.contracts import recorded, write_contract
from pysoa.test.stubs.captured import Captured
from tests.support.commands import Outcome
from tests.support.processes import ROOT

TESTS = """
import pytest
from pysoa.client import Client
from pysoa.test.stub_service import stub_action

client = Client({})

@pytest.mark.parametrize("number", [2, 3])
def test_square(number):
    with stub_action("shop", "square", side_effect=lambda body: {"square": body["number"] ** 2}):
        assert client.call_action("shop", "square", {"number": number}).body == {"square": number ** 2}

def test_lie():
    with stub_action("shop", "square", body={"result": 4}):
        client.call_action("shop", "square", {"value": 2})

def test_quiet():
    with stub_action("shop", "echo", register_request_schema_contract=False):
        client.call_action("shop", "echo")

def test_other():
    with stub_action("cart", "show", errors=[{"code": "E", "message": "m"}]):
        with pytest.raises(client.CallActionError):
            client.call_action("cart", "show")
"""


def run(folder: Path, *arguments: str) -> Outcome:
    """Run ``pysoa contract``; tests in processes of their own take their time on a machine that is busy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pysoa", "contract", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_stubs_of_a_test_run_are_recorded_and_verified(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    code, output, said = run(tmp_path, "record", "--file", "out.json", "-q", "-p", "no:cacheprovider", *workers)

    assert code == 0, output + said
    assert said == "out.json: 1 request and 1 response of cart\nout.json: 3 requests and 4 responses of shop\n"
    assert "5 passed" in output
    stubs = json.loads((tmp_path / "out.json").read_text())["stubs"]
    assert [(each["service"], each["kind"], each["body"]) for each in stubs][:2] == [
        ("cart", "request", {}),
        ("cart", "response", {}),
    ]
    assert [each["tests"] for each in stubs if each["body"] == {"number": 2}] == [["test_it.py::test_square[2]"]]

    code, output, said = run(tmp_path, "verify", "tests.support.shop", "out.json")

    assert (code, said) == (1, "")
    assert output == (
        "request of shop.square: number: MISSING: Missing key: number\n"
        "request of shop.square: value: UNKNOWN: Extra keys present: value\n"
        "    in test_it.py::test_lie\n"
        "response of shop.square: square: MISSING: Missing key: square\n"
        "response of shop.square: result: UNKNOWN: Extra keys present: result\n"
        "    in test_it.py::test_lie\n"
        "7 bodies of shop: 2 not as the service has it\n"
    )


def test_failed_tests_are_recorded_and_broken_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS + "    assert False\n")
    code, _, said = run(tmp_path, "record", "-q")
    assert code == 1
    assert "pysoa-contract.json: 3 requests and 4 responses of shop\n" in said
    assert run(tmp_path, "record", "-q", "-k", "quiet and not other", "--deselect", "test_it.py::test_quiet").code == 2

    code, _, said = run(tmp_path, "record", "--file", "other.json", "-q", "--no-such-option")
    assert code == 2
    assert "pytest could not run the tests (exit code 4), so other.json was not written" in said
    assert not (tmp_path / "other.json").exists()


def test_what_fits_and_what_concerns_others_passes(tmp_path: Path) -> None:
    write_contract(
        tmp_path / "pysoa-contract.json", recorded([Captured("request", "shop", "square", {"number": 1}, (), "t")])
    )
    write_contract(tmp_path / "cart.json", recorded([Captured("request", "cart", "show", None, (), "t")]))

    assert run(tmp_path, "verify", "tests.support.shop:ShopServer") == (0, "1 body of shop: all fit\n", "")
    assert run(tmp_path, "verify", "tests.support.shop", "cart.json", "pysoa-contract.json").code == 0
    nothing = "nothing is recorded about shop, only about cart\n"
    assert run(tmp_path, "verify", "tests.support.shop", "cart.json") == (0, nothing, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("tests.support.shop", "none.json"), "none.json cannot be read: No such file or directory\n"),
        (
            ("tests.support.shops", "none.json"),
            "there is no module 'tests.support.shops' here or among the installed ones\n",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    assert run(tmp_path, "verify", *arguments) == (2, "", text)
