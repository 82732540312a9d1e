"""The pytest plugin for test plans, in pytests of their own: what is collected, selected, run and reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVICE = """
import os
import pytest, unittest
from pysoa.server.action import Action
from pysoa.server.server import Server
from pysoa.test.plan import ServicePlanTestCase

HERE = os.path.dirname(__file__)

class Add(Action):
    def run(self, request):
        return {"sum": request.body["a"] + request.body["b"]}

class AddServer(Server):
    service_name = "add"
    action_class_map = {"add": Add}

def log(event):
    with open(os.path.join(HERE, "log"), "a") as file:
        print(event, file=file)

class Base(ServicePlanTestCase):
    server_class = AddServer
    server_settings = {}

    def set_up_test_fixture(self, test_fixture, **kwargs):
        log("up " + test_fixture[0]["fixture_name"])

    def tear_down_test_fixture(self, test_fixture, **kwargs):
        log("down " + test_fixture[0]["fixture_name"])

    def set_up_test_case(self, test_case, test_fixture, **kwargs):
        log("case " + test_case["name"])
"""

MODULE = """
import pytest
from service import Base, HERE, ServicePlanTestCase, log

class Sums(Base):
    fixture_path = HERE + "/plans"
    value = 0

    @pytest.fixture(autouse=True)
    def of_every_test(self, request):
        log(f"fixture of {request.node.name}, {request.cls.__name__}, {request.instance is self}")

    def test_ordinary(self):
        assert self.call_action("add", {"a": 1, "b": 2}).body == {"sum": 3}
"""

CASE = """test name: {name}
test description: {description}
add: input int: a: {a}
add: input int: b: 2
add: expect int: attribute value: sum: 3
"""

# Runs pytest in one process as often as it is asked, for starting one takes longer than all else.
DRIVER = """
import json, sys, pytest

class Recorder:
    def __init__(self):
        self.items, self.outcomes, self.texts, self.skipped, self.deselected = [], {}, {}, {}, []

    def pytest_collection_finish(self, session):
        self.items = [[item.nodeid, item.name, *item.location] for item in session.items]

    def pytest_deselected(self, items):
        self.deselected += [item.nodeid for item in items]

    def pytest_collectreport(self, report):
        if report.failed:
            self.outcomes[report.nodeid] = "collection error"
            self.texts[report.nodeid] = report.longreprtext

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome
            self.texts[report.nodeid] = report.longreprtext
            if report.skipped and isinstance(report.longrepr, tuple):
                self.skipped[report.nodeid] = report.longrepr

results = []
for arguments in json.loads(sys.argv[1]):
    recorder = Recorder()
    code = pytest.main(["-q", *arguments], plugins=[recorder])
    from pysoa.test.plugins.pytest.plans import PLUGIN_STATISTICS
    results.append({**vars(recorder), "code": int(code), "statistics": dict(PLUGIN_STATISTICS)})
with open("results", "w") as file:
    json.dump(results, file)
"""


class Folder:
    """A folder with tests in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("pytest.ini", "[pytest]\nmarkers = slow\n")
        self.write("service.py", SERVICE)
        self.write("driver.py", DRIVER)

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(exist_ok=True, parents=True)
        (self.path / name).write_text(text)

    def write_plans(self) -> None:
        """Two fixture files, one of which has a test case that fails and one that is skipped."""
        self.write("test_sums.py", MODULE)
        cases = [
            CASE.format(name="one", description="the first", a=1),
            CASE.format(name="two", description="does not come out", a=2),
            CASE.format(name="three", description="left out", a=1) + "test skip: because\n",
            CASE.format(name="four", description="the last", a=1),
        ]
        self.write("plans/a.pysoa", "\n".join(cases))
        self.write("plans/sub/b.pysoa", CASE.format(name="one", description="another", a=1))

    def run(self, *runs: list[str]) -> list[dict[str, Any]]:
        """Run pytest, once with each list of arguments."""
        done = subprocess.run(
            [sys.executable, "driver.py", json.dumps(runs)],
            cwd=self.path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=100,
        )
        assert (self.path / "results").exists(), done.stdout
        self.output = done.stdout
        results: list[dict[str, Any]] = json.loads((self.path / "results").read_text())
        return results

    def log(self) -> list[str]:
        """What the plans have noted since the last time."""
        path = self.path / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


SUMS = "test_sums.py::Sums"
ALL = [f"{SUMS}::test_ordinary", *(f"{SUMS}::{name}" for name in ("a::one", "a::two", "a::three", "a::four", "b::one"))]


def test_test_cases_are_collected_and_run_with_their_names(folder: Folder) -> None:
    folder.write_plans()

    [result] = folder.run([])

    assert [item[0] for item in result["items"]] == ALL
    assert [item[1] for item in result["items"]] == [
        "test_ordinary",
        *(f"plan__{name}" for name in ("a__one", "a__two", "a__three", "a__four", "b__one")),
    ]
    assert result["items"][2][2:] == ["plans/a.pysoa", 6, "Sums.plan__a__two"]
    outcomes = dict(zip(ALL, ["passed", "passed", "failed", "skipped", "passed", "passed"], strict=True))
    assert result["outcomes"] == outcomes
    assert result["statistics"] == {
        "fixture_tests_collected": 5,
        "fixture_tests_executed": 4,
        "fixture_tests_skipped": 1,
    }
    file, line, reason = result["skipped"][f"{SUMS}::a::three"]
    assert (Path(file), line, reason) == (folder.path / "plans" / "a.pysoa", 13, "Skipped: because")
    assert folder.log() == [
        "fixture of test_ordinary, Sums, True",
        "up a",
        "fixture of plan__a__one, Sums, True",
        "case one",
        "fixture of plan__a__two, Sums, True",
        "case two",
        "fixture of plan__a__four, Sums, True",
        "case four",
        "down a",
        "up b",
        "fixture of plan__b__one, Sums, True",
        "case one",
        "down b",
    ]


def test_a_failure_is_shown_in_its_fixture_file(folder: Folder) -> None:
    folder.write_plans()

    long, short, line, unpruned = folder.run(
        [f"{SUMS}::a::two"],
        [f"{SUMS}::a::two", "--tb=short"],
        [f"{SUMS}::a::two", "--tb=line"],
        [f"{SUMS}::a::two", "--pysoa-disable-tb-prune"],
    )

    text = long["texts"][f"{SUMS}::a::two"]
    assert text.startswith("job_response = JobResponse(errors=[], ")
    before, _, after = text.partition("\n\n    ")
    assert "action_results = {'add.0': ActionResponse(" in before
    assert "action_case = {'" in before
    assert after.startswith(
        "add: input int: b: 2\n    add: expect int: attribute value: sum: 3\n    \n"
        "    test name: two\n    test description: does not come out\n"
        "    add: input int: a: 2\n    add: input int: b: 2\n>   add: expect int: attribute value: sum: 3\n"
        "E   AssertionError: add.0\nE   ------"
    )
    assert "E     Expected: 3 (<class 'int'>)\nE     Actual:   4 (<class 'int'>)\n" in after
    assert after.endswith("\n\nplans/a.pysoa:11: AssertionError")
    text = short["texts"][f"{SUMS}::a::two"]
    assert text.startswith(
        "plans/a.pysoa:11: in Sums::a::two\n    add: expect int: attribute value: sum: 3\nE   AssertionError: add.0\n"
    )
    assert f"{folder.path}/plans/a.pysoa:11: AssertionError: add.0\n" in folder.output
    assert line["code"] == 1
    assert "assertions.py:" in unpruned["texts"][f"{SUMS}::a::two"]
    assert "___ Sums.plan__a__two ___" in folder.output


def test_test_cases_can_be_selected_in_every_way(folder: Folder) -> None:
    folder.write_plans()

    ways = {
        "-k by name": (["-k", "plan__a__four"], ["a::four"]),
        "-k by parts": (["-k", "a__ and not two"], ["a::one", "a::three", "a::four"]),
        "as shown": ([f"{SUMS}::a::four", f"{SUMS}::b::one"], ["a::four", "b::one"]),
        "as a method": ([f"{SUMS}::plan__a__four"], ["a::four"]),
        "a fixture": ([f"{SUMS}::b"], ["b::one"]),
        "twice": ([f"{SUMS}::plan__b__one", f"{SUMS}::b::one", f"{SUMS}::b"], ["b::one"]),
        "and the whole file": (["test_sums.py", f"{SUMS}::a::one"], ["a::one"]),
        "by fixture": (["--pysoa-fixture", "b"], ["b::one"]),
        "by name": (["--pysoa-test-case", "one", "--pysoa-test-case", "four"], ["a::one", "a::four", "b::one"]),
        "by description": (["--pysoa-test-case", "the last"], ["a::four"]),
        "by expression": (["--pysoa-test-case-regex", "f", "--pysoa-test-case-regex", "an"], ["a::four", "b::one"]),
        "by both": (["--pysoa-fixture", "a", "--pysoa-test-case", "one"], ["a::one"]),
        "by nothing": (["--pysoa-fixture", "c"], []),
        "by what excludes each other": (["--pysoa-test-case", "a", "--pysoa-test-case-regex", "b"], []),
    }
    results = dict(zip(ways, folder.run(*(arguments for arguments, _ in ways.values())), strict=True))

    found = {way: [item[0].partition("Sums::")[2] for item in result["items"]] for way, result in results.items()}
    whole = found["and the whole file"]
    assert len(set(whole)) == len(whole)
    assert whole == ["a::one"] or len(whole) == len(ALL)  # that depends on the release of pytest
    assert {**found, "and the whole file": ["a::one"]} == {way: names for way, (_, names) in ways.items()}
    assert set(results["by fixture"]["deselected"]) == set(ALL) - {f"{SUMS}::b::one"}
    assert {way: result["code"] for way, result in results.items() if result["code"] > 1} == {
        "by nothing": 5,
        "by what excludes each other": 4,
    }
    assert "use of mutually exclusive arguments: --pysoa-test-case, --pysoa-test-case-regex" in folder.output
    log = folder.log()
    assert [event for event in log if log.count(event) > 0 and event.startswith("up")][:2] == ["up a", "up a"]
    assert log.count("up a") == log.count("down a")
    assert log.count("up b") == log.count("down b")


def test_failed_test_cases_can_be_run_again_and_end_a_run(folder: Folder) -> None:
    folder.write_plans()

    first, again, sequel = folder.run(["-x"], ["--lf"], ["--ff", "--nf"])

    assert list(first["outcomes"].values()) == ["passed", "passed", "failed"]
    assert [item[0] for item in again["items"]] == [f"{SUMS}::a::two"]
    assert sequel["items"][0][0] == f"{SUMS}::a::two"
    log = folder.log()
    assert log.count("up a") == log.count("down a") >= 3


def test_test_cases_run_in_several_processes(folder: Folder) -> None:
    folder.write_plans()

    loads, by_scope = folder.run(["-n", "2"], ["-n", "2", "--dist", "loadscope"])

    for result in (loads, by_scope):
        assert result["outcomes"] == dict(
            zip(ALL, ["passed", "passed", "failed", "skipped", "passed", "passed"], strict=True)
        )
        text = result["texts"][f"{SUMS}::a::two"]
        assert ">   add: expect int: attribute value: sum: 3\nE   AssertionError: add.0\n" in text
    log = folder.log()
    assert log.count("up a") == log.count("down a") >= 2
    assert log.count("case four") == 2


MARKED = """
import pytest, unittest
from service import Base, HERE, ServicePlanTestCase, log
import test_sums

class Only(Base):
    custom_fixtures = (HERE + "/plans/a.pysoa",)

@pytest.mark.skip(reason="of the class")
class Skipped(Only):
    pass

@unittest.skip("of unittest")
class UnitTestSkipped(Only):
    def test_ordinary(self):
        raise AssertionError

@pytest.mark.xfail(reason="known")
class Expected(Only):
    pass

@pytest.mark.usefixtures("tmp_path")
@pytest.mark.slow
class Used(Only):
    pass

class Hidden(Only):
    __test__ = False

class Constructed(Only):
    def __init__(self):
        pass

class Made(Only):
    def __new__(cls):
        raise AssertionError

class Outer:
    pass

class SameName(Base):
    custom_fixtures = (HERE + "/plans/sub/b.pysoa", HERE + "/other/b.pysoa")

from test_sums import Sums
"""


def test_marks_of_the_class_and_odd_classes(folder: Folder) -> None:
    folder.write_plans()
    folder.write("other/b.pysoa", CASE.format(name="one", description="", a=1))
    folder.write("test_marked.py", MARKED)

    every, slow = folder.run(["test_marked.py", "-W", "default"], ["test_marked.py", "-m", "slow"])

    outcomes: dict[str, list[str]] = {}
    for node_id, outcome in every["outcomes"].items():
        outcomes.setdefault(node_id.split("::")[1], []).append(outcome)
    plain = ["passed", "failed", "skipped", "passed"]
    assert outcomes == {
        "Only": plain,
        "Skipped": ["skipped"] * 4,
        "UnitTestSkipped": ["skipped"] * 5,
        "Expected": ["passed", "skipped", "skipped", "passed"],
        "Used": plain,
        "SameName": ["passed", "passed"],
        "Sums": ["passed", *plain, "passed"],
    }
    assert every["skipped"]["test_marked.py::Skipped::a::three"][2] == "Skipped: of the class"
    assert every["skipped"]["test_marked.py::UnitTestSkipped::test_ordinary"][2] == "Skipped: of unittest"
    assert "test_marked.py::SameName::b::one[other]" in every["outcomes"]
    for name, method in (("Constructed", "__init__"), ("Made", "__new__")):
        assert f"cannot collect test class '{name}' because it has a {method} constructor" in folder.output
    assert {item[0].split("::")[1] for item in slow["items"]} == {"Used"}
    log = folder.log()
    assert log.count("up b") == log.count("down b") == 3
    assert log.count("up a") == log.count("down a")


def test_what_is_wrong_with_files_is_told_without_a_traceback(folder: Folder) -> None:
    good = CASE.format(name="one", description="x", a=1)
    folder.write("bad.pysoa", good.replace("expect int:", "expect int"))
    folder.write("twins.pysoa", f"{good}\n{good}")
    for name, files in (("bad", "bad"), ("twins", "twins"), ("missing", "missing")):
        plan = f"from service import Base\nclass P(Base):\n    custom_fixtures = ('{files}.pysoa',)\n"
        folder.write(f"test_{name}.py", plan)
    folder.write("test_path.py", "from service import Base\nclass P(Base):\n    fixture_path = '/no/where'\n")

    [result] = folder.run([])

    texts = result["texts"]
    assert texts["test_bad.py::P"] == (
        "bad.pysoa:5: FixtureSyntaxError\n"
        "    add: expect int attribute value: sum: 3\n"
        f"    {' ' * 16}^\n"
        "Failed to parse line: add: expect int attribute value: sum: 3\nin file: bad.pysoa:5\n"
        "Expected end of text\ncolumn 17: expected ':'"
    )
    assert texts["test_twins.py::P"] == 'Duplicate test name "one" in fixture "twins.pysoa"'
    assert texts["test_missing.py::P"] == "[Errno 2] No such file or directory: 'missing.pysoa'"
    assert texts["test_path.py::P"].startswith('Tried loading fixtures from "/no/where", however')
    assert result["code"] == 2


CUSTOM = """
import pyparsing
from pysoa.test.plan.grammar.directive import ActionDirective, register_directive

class SizeDirective(ActionDirective):
    @classmethod
    def name(cls):
        return "expect_body_size"

    @classmethod
    def get_full_grammar(cls):
        number = pyparsing.Word(pyparsing.nums).setResultsName("size")
        return super().get_full_grammar() + pyparsing.Literal("expect body size") + ":" + number

    def ingest_from_parsed_test_fixture(self, action_case, test_case, parse_results, file_name, line_number):
        action_case["body_size"] = int(parse_results.size)

    def assert_test_case_action_results(
        self, action_name, action_case, test_case, test_fixture, action_response, job_response, msg=None, **kwargs
    ):
        if "body_size" in action_case:
            assert len(action_response.body) == action_case["body_size"], msg

register_directive(SizeDirective)
"""


def test_a_directive_of_a_user_is_shown_where_it_fails(folder: Folder) -> None:
    folder.write("conftest.py", CUSTOM)
    folder.write("test_size.py", "from service import Base\nclass P(Base):\n    custom_fixtures = ('s.pysoa',)\n")
    case = CASE.format(name="{}", description="x", a=1)
    folder.write(
        "s.pysoa", f"{case.format('one')}add: expect body size: 1\n\n{case.format('two')}add: expect body size: 2\n"
    )

    [result] = folder.run(["-W", "error"])

    assert result["outcomes"] == {"test_size.py::P::s::one": "passed", "test_size.py::P::s::two": "failed"}
    text = result["texts"]["test_size.py::P::s::two"]
    assert ">   add: expect body size: 2\nE   AssertionError: add.0\n" in text
    assert text.endswith("\n\ns.pysoa:13: AssertionError")


def test_who_has_no_test_plans_pays_nothing(folder: Folder) -> None:
    folder.write(
        "test_nothing.py", "def test_nothing():\n    pass\n\nclass TestNothing:\n    def test(self):\n        pass\n"
    )

    folder.write(
        "conftest.py",
        "import sys\n\ndef pytest_unconfigure():\n    print('loaded:', *sorted(sys.modules), file=sys.stderr)\n",
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_nothing.py"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )

    loaded = set(done.stderr.partition("loaded: ")[2].split())
    assert {name for name in loaded if name.partition(".")[0] == "pysoa"} == {
        "pysoa",
        "pysoa.version",
        "pysoa.test",
        "pysoa.test.plugins",
        "pysoa.test.plugins.pytest",
        "pysoa.test.plugins.pytest.fixtures",
        "pysoa.test.plugins.pytest.plans",
    }
    assert not loaded & {"pyparsing", "redis", "attr", "hiredis", "msgspec"}
    assert "2 passed" in done.stdout


def test_the_plugin_and_what_it_needs_are_found_by_their_names() -> None:
    import importlib.metadata

    names = {point.name: point.value for point in importlib.metadata.entry_points(group="pytest11")}
    needed: dict[str, set[str]] = {}
    for requirement in importlib.metadata.requires("pysoa") or []:
        what, _, extra = requirement.partition("; extra == ")
        needed.setdefault(extra.strip("'\""), set()).add(what)

    assert names["pysoa_test_plan"] == "pysoa.test.plugins.pytest.plans"
    assert names["pysoa_test_fixtures"] == "pysoa.test.plugins.pytest.fixtures"
    assert needed["test-plans"] == needed["test_plans"] >= {"pyparsing>=3.1"}
