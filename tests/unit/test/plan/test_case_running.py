"""Test cases that run: what passes, what fails and where, and what is left afterwards."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tests.support.plans
from pysoa.client.client import Client
from pysoa.test.plan import FixtureTestCaseData, ServicePlanTestCase
from pysoa.test.plan.errors import FixtureLoadError, StatusError
from pysoa.test.plan.grammar.directive import get_all_directives
from pysoa.test.plan.grammar.directives.plans import FixtureCommentDirective
from pysoa.test.plan.places import place_of
from tests.support.plans import CASE, GOOD, EchoPlan, cases_of, run


class Plan(EchoPlan):
    pass


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., list[FixtureTestCaseData]]:
    """Makes the test cases of a fixture file."""
    return lambda *cases, plan_class=Plan: cases_of(tmp_path, *cases, plan_class=plan_class)


@pytest.fixture
def real() -> Iterator[None]:
    Plan.setup_class()
    send_request = Client.send_request
    yield
    assert Client.send_request is send_request
    assert datetime.datetime.now().year > 2020


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    "lines",
    [
        GOOD,
        "echo: input: a.b: c\necho: expect: attribute value: body.a.b: c",
        "echo: job context input: locale: de\necho: expect: attribute value: locale: de",
        "echo: freeze time: 2019-02-03T04:05:06Z\necho: expect datetime: attribute value: now: 2019,2,3,4,5,6",
        "plant: input: row: 1\nplant: expect: attribute value: got.row: 1",
        "plant: input: row: bad\nplant: expect: exact error: code=BAD, field=row",
        "plant: input: row: response\nplant: expect: attribute value: from: response",
        "plant: input: row: job\nplant: expect: exact job error: code=JOB",
        "storm: expect: job error: code=POWER_CUT, message=dark",
        "nothing: expect: exact error: code=UNKNOWN, field=action",
        "status: expect any str: attribute value: pysoa",
        "plant: input: a: [[not a variable]]\nplant: expect: attribute value: got.a: [[not a variable]]",
        "echo.1: input: a: x\necho.0: input: b: [[ECHO.1.body.a]]\necho.0: expect: attribute value: body.b: x",
        "echo: mock: tests.support.plans.notify: x: 1\necho: mock: tests.support.plans.notify: expect not called:",
    ],
    ids=lambda lines: lines.splitlines()[0],
)
def test_a_test_case_passes(plan: Any, lines: str) -> None:
    assert run(plan(lines), Plan) == [{}]


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("lines", "text", "line"),
    [
        ("echo: input: a: b\necho: expect: attribute value: body.a: c", "echo.0\n", 4),
        (
            "echo: input: a: b\necho: expect: attribute value: body.a: b\necho: expect: attribute value: locale: c\n"
            "echo: expect: not attribute value: body.a: x",
            "echo.0\n",
            5,
        ),
        ("echo: input: a: [[no.body]]\necho: expect: no errors", "Could not find value no.body for [[no.body]] in", 3),
        (
            "nothing: input: a: b\nnothing: expect: no errors",
            "nothing.0: Expected no action errors, but got: [Error",
            4,
        ),
        ("storm: input: a: b\nstorm: expect: no errors", "storm.0: Expected no job errors, but got: [Error", 4),
        (
            "storm: input: a: b\nstorm: expect: attribute value: a: b",
            "storm.0: Expected values in the body of a response, but got job errors: [Error(code='POWER_CUT'",
            4,
        ),
        ("echo: input: a: b\necho: expect: error: code=X", "EXPECTED ERRORS: echo.0\n", 4),
        ("echo: input: a: b\necho.1: expect: exact job error: code=X", "EXPECTED EXACT ERRORS: echo.1\n", 4),
        ("mock: no.where: return_value: 1\necho: expect: no errors", "No module named 'no'", 3),
        ("echo: expect: no errors\nmock: tests.support.plans.notify: expect called: [[], {}]", "Calls not found.", 4),
        ("echo: expect: no errors\nstub action: s: t: expect called:", "Calls not found.", 4),
        ("echo: stub action: s: t: expect called:\necho: expect: no errors", "Calls not found.", 3),
    ],
)
def test_a_test_case_fails_with_a_text_and_a_line_of_its_file(plan: Any, lines: str, text: str, line: int) -> None:
    [errors] = run(plan(lines), Plan)

    error = errors["test"]
    place = place_of(error)
    assert set(errors) == {"test"}
    assert str(error).startswith(text)
    assert place is not None
    assert (Path(place.file_name).name, place.first_line, place.line) == ("f.pysoa", 1, line)


@pytest.mark.usefixtures("real")
def test_nothing_is_left_of_an_action_whose_call_fails(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "echo: stub action: s: t: body: a: b\necho: freeze time: 2019-02-03T04:05:06Z\n"
        "echo: mock: tests.support.plans.notify: x: 1\nmock: tests.support.plans.notify: x: 2\n"
        "stub action: s: u: body: a: b\n"
        "freeze time: 2018-02-03T04:05:06Z\necho: expect: attribute value: a: [[NO.body]]"
    )

    [errors] = run(plan(lines), Plan)

    assert type(errors["test"]) is StatusError


@pytest.mark.usefixtures("real")
def test_mocks_of_the_user_outlive_a_test_case(plan: Any) -> None:
    from unittest import mock

    patch = mock.patch("tests.support.plans.notify", "mine")
    patch.start()
    try:
        assert run(plan("mock: tests.support.plans.notify: x: 1\n" + GOOD), Plan) == [{}]
        assert tests.support.plans.notify == "mine"
    finally:
        patch.stop()


@pytest.mark.usefixtures("real")
def test_texts_of_responses_are_not_taken_for_variables(plan: Any) -> None:
    lines = "plant: input: a: x\nplant: expect: attribute value: got.a: x\necho: input: b: [[PLANT.got]]"

    Plan.model_constants = {"odd": "[[nobody.name]]"}
    try:
        assert run(plan(f"{lines}\necho: input: c: [[odd]]\necho: expect: no errors"), Plan) == [{}]
    finally:
        Plan.model_constants = {}


@pytest.mark.usefixtures("real")
def test_a_test_case_may_run_twice(plan: Any) -> None:
    counter = iter(range(10))

    class Counting(Plan):
        def _process_stub_action_next(self, body: Any) -> Any:
            return {"number": next(counter)}

    lines = (
        "next: expect any int: attribute value: number\necho: input: n: [[NEXT.number]]\n"
        "echo: expect: attribute value: body.n: [[NEXT.number]]"
    )
    data = plan(lines, plan_class=Counting)
    Counting.setup_class()

    assert run(data, Counting) == run(data, Counting) == [{}]
    assert data[0].test_fixture[0]["echo.0"]["inputs"] == {"n": 1}


@pytest.mark.usefixtures("real")
def test_results_of_the_test_cases_that_ran_are_given_to_the_last_assertion(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Last(FixtureCommentDirective):
        def assert_test_fixture_results(self, results: Any, fixture: Any, *args: Any, **kwargs: Any) -> None:
            seen.append([{path: response and response.body for path, response in each.items()} for each in results])

    monkeypatch.setattr(Plan, "_all_directives", [*get_all_directives(), Last])

    run(plan("plant: input: row: 1", "storm: expect: no errors", "plant: input: row: 2\nplant.1: input: row: 3"), Plan)

    one, two, three = ({"got": {"row": str(n)}} for n in (1, 2, 3))
    assert seen == [[{"plant.0": one}, {"storm.0": None}, {"plant.0": two, "plant.1": three}]]


# Fixtures


def test_test_cases_know_their_fixture(plan: Any, tmp_path: Path) -> None:
    skipped = "test skip: x\n" + GOOD

    all_data = plan(skipped, GOOD, skipped, GOOD, skipped)

    flags = [(data.is_first_fixture_case, data.is_last_fixture_case, data.skip) for data in all_data]
    assert flags == [
        (True, False, "x"),
        (True, False, None),
        (False, False, "x"),
        (False, True, None),
        (False, False, "x"),
    ]
    second = all_data[1]
    path = str(tmp_path / "f.pysoa")
    assert (second.name, second.fixture_name, second.fixture_file, second.line_number) == ("case1", "f", path, 7)
    assert second.description == second.callable.__doc__ == f"of case1\n{path}"
    assert [data.callable._last_fixture_test for data in all_data] == [False, False, False, True, False]
    assert second.test_fixture is all_data[0].test_fixture


def test_files_are_found_in_a_folder_and_those_below(tmp_path: Path) -> None:
    for name in ("b.pysoa", "a.pysoa", "sub/c.pysoa", ".hidden.pysoa", "d.txt", "e.:pysoa", "pysoa"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    class Found(Plan):
        fixture_path = str(tmp_path)
        custom_fixtures = ()

    names = [str(Path(name).relative_to(tmp_path)) for name in Found.get_fixture_file_names()]

    assert names == ["a.pysoa", "b.pysoa", "e.:pysoa", "sub/c.pysoa"]
    Found.custom_fixtures = ("z", "y")  # type: ignore[assignment]
    assert Found.get_fixture_file_names() == ("z", "y")
    Found.custom_fixtures, Found.fixture_path = (), ""  # type: ignore[assignment]
    assert Found.get_fixture_file_names() == []


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (
            {"fixture_path": "/nowhere/at/all"},
            'Tried loading fixtures from "/nowhere/at/all", however this path does not exist. '
            "Please specify the correct path by setting `cls.fixture_path`.",
        ),
        (
            {"fixture_path": str(Path(__file__).parent)},
            f'Could not find any fixture files in `cls.fixture_path` "{Path(__file__).parent}" that matched '
            r'`cls.fixture_regex` "^[^.].*?\.(:?pysoa)$". '
            "To customize this regex, please override `cls.fixture_regex`.",
        ),
    ],
)
def test_missing_files_are_told_of(attributes: Mapping[str, Any], text: str) -> None:
    plan = type("Missing", (ServicePlanTestCase,), dict(attributes))

    with pytest.raises(FixtureLoadError) as caught:
        list(plan.get_fixture_test_information())

    assert str(caught.value) == text


def test_a_name_may_stand_once_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f.pysoa"
    path.write_text(f"{CASE.format(name='a', lines=GOOD)}\n{CASE.format(name='a', lines=GOOD)}")
    plan = type("Twins", (ServicePlanTestCase,), {"custom_fixtures": (str(path),)})

    with pytest.raises(StatusError) as caught:
        list(plan.get_fixture_test_information())

    assert str(caught.value) == f'Duplicate test name "a" in fixture "{path}"'
