"""In which order plans and directives are called, and what becomes of what they raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pysoa.test.plan import FixtureTestCaseData, ServicePlanTestCase
from pysoa.test.plan.errors import DirectiveError, StatusError
from pysoa.test.plan.grammar.directives import BUILT_IN_DIRECTIVES
from tests.support.plans import GOOD, EchoServer, cases_of, run


class Interrupt(BaseException):
    """Like ``KeyboardInterrupt``, which pytest would take for itself."""


class Recording:
    """A directive whose hooks are written down, and fail where they are told to."""

    log: list[str] = []
    failing: dict[str, BaseException] = {}


def _recording_hook(name: str) -> Callable[..., None]:
    return lambda *args, **kwargs: note(f"directive {name}")


for _name in ("test_fixture", "test_case", "test_case_action"):
    for _hook in (f"set_up_{_name}", f"tear_down_{_name}", f"assert_{_name}_results"):
        setattr(Recording, _hook, _recording_hook(_hook))


def note(event: str) -> None:
    Recording.log.append(event)
    if event in Recording.failing:
        raise Recording.failing[event]


class Plan(ServicePlanTestCase):
    server_class = EchoServer
    server_settings = {}

    def set_up_test_fixture(self, test_fixture: Any, **kwargs: Any) -> None:
        assert not hasattr(self, "client")
        note("set_up_test_fixture")

    def tear_down_test_fixture(self, test_fixture: Any, **kwargs: Any) -> None:
        note("tear_down_test_fixture")

    def set_up_test_case(self, test_case: Any, test_fixture: Any, **kwargs: Any) -> None:
        note("set_up_test_case")

    def tear_down_test_case(self, test_case: Any, test_fixture: Any, **kwargs: Any) -> None:
        note("tear_down_test_case")

    def set_up_test_case_action(self, action_name: str, *args: Any, **kwargs: Any) -> None:
        note("set_up_test_case_action")

    def tear_down_test_case_action(self, action_name: str, *args: Any, **kwargs: Any) -> None:
        note("tear_down_test_case_action")


@pytest.fixture(autouse=True)
def log() -> Iterator[list[str]]:
    Recording.log, Recording.failing = [], {}
    yield Recording.log
    Plan._all_directives = []


Run = Callable[..., list[BaseException | None]]


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., list[FixtureTestCaseData]]:
    """Makes the test cases of a fixture file."""
    return lambda *cases: cases_of(tmp_path, *cases, plan_class=Plan)


@pytest.fixture
def recorded() -> None:
    Plan.setup_class()
    Plan._all_directives = [Recording]  # type: ignore[list-item]


WHOLE = [
    "set_up_test_fixture",
    "directive set_up_test_fixture",
    "set_up_test_case",
    "directive set_up_test_case",
    "set_up_test_case_action",
    "directive set_up_test_case_action",
    "directive assert_test_case_action_results",
    "directive tear_down_test_case_action",
    "tear_down_test_case_action",
    "directive assert_test_case_results",
    "directive tear_down_test_case",
    "tear_down_test_case",
    "directive assert_test_fixture_results",
    "directive tear_down_test_fixture",
    "tear_down_test_fixture",
]


@pytest.mark.usefixtures("recorded")
def test_plans_and_directives_are_called_in_order(plan: Any, log: list[str]) -> None:
    assert run(plan(GOOD), Plan) == [{}]

    assert log == WHOLE


@pytest.mark.usefixtures("recorded")
def test_a_fixture_is_set_up_before_its_first_and_torn_down_after_its_last_test_case(plan: Any, log: list[str]) -> None:
    run(plan(GOOD, GOOD, GOOD), Plan)

    of_fixture = [event for event in log if "fixture" in event or event == "set_up_test_case"]
    assert of_fixture == [
        "set_up_test_fixture",
        "directive set_up_test_fixture",
        *["set_up_test_case"] * 3,
        "directive assert_test_fixture_results",
        "directive tear_down_test_fixture",
        "tear_down_test_fixture",
    ]


BODY = ("set_up_test_case_action", "directive assert_test_case_action_results", "directive assert_test_case_results")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("kind", [ValueError, Interrupt])
@pytest.mark.parametrize("event", [event for event in WHOLE if "fixture" not in event])
def test_what_was_set_up_is_torn_down_whatever_fails(
    plan: Any, log: list[str], event: str, kind: type[BaseException]
) -> None:
    Recording.failing = {event: kind("x")}

    [errors] = run(plan(GOOD), Plan)

    assert errors == {"test": Recording.failing[event]}
    for level in ("test_case_action", "test_case", "test_fixture"):
        was_set_up = f"directive set_up_{level}" in log and event not in (
            f"set_up_{level}",
            f"directive set_up_{level}",
        )
        assert (f"directive tear_down_{level}" in log) is was_set_up
        plan_was_set_up = f"set_up_{level}" in log and event not in (f"set_up_{level}", f"directive tear_down_{level}")
        assert (f"tear_down_{level}" in log) is plan_was_set_up
    assert "directive assert_test_fixture_results" in log


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    "later", ["directive tear_down_test_case", "tear_down_test_case", "tear_down_test_case_action"]
)
def test_the_first_failure_is_raised_and_later_ones_are_told_of(
    plan: Any, later: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = AssertionError("first"), Interrupt("second")
    Recording.failing = {"directive assert_test_case_action_results": first, later: second}

    [errors] = run(plan(GOOD), Plan)

    assert errors == {"test": first}
    said = capsys.readouterr().err
    assert said.startswith("\nAdditionally, a `Interrupt` error occurred: second\nTraceback (most recent call last):\n")
    assert said.count("Additionally") == 1


def test_a_failure_without_a_text_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    Plan.add_error(ValueError, ValueError(), None)

    assert capsys.readouterr().err.startswith("\nAdditionally, a `ValueError` error occurred: No details\n")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("event", ["set_up_test_fixture", "directive set_up_test_fixture"])
def test_a_fixture_whose_set_up_fails_runs_nothing(plan: Any, log: list[str], event: str) -> None:
    Recording.failing = {event: Interrupt("x")}

    first, second = run(plan(GOOD, GOOD), Plan)

    assert first["set-up"] is Recording.failing[event]
    assert str(first["test"]) == str(second["test"]) == "Test fixture f not set up"
    assert type(first["test"]) is StatusError
    assert set(second) == {"test"}
    assert log == WHOLE[: WHOLE.index(event) + 1] + (["tear_down_test_fixture"] if "directive" in event else [])


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("event", ["directive tear_down_test_fixture", "tear_down_test_fixture"])
def test_a_fixture_whose_tear_down_fails_says_so(plan: Any, event: str) -> None:
    Recording.failing = {event: Interrupt("x")}

    [errors] = run(plan(GOOD), Plan)
    Plan.teardown_class()

    assert errors == {"tear-down": Recording.failing[event]}


@pytest.mark.usefixtures("recorded")
def test_a_fixture_is_torn_down_when_a_test_is_not(plan: Any, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> None:
        raise Interrupt("x")

    monkeypatch.setattr("pysoa.test.server.PyTestServerTestCase.teardown_method", fail)

    [errors] = run(plan(GOOD), Plan)

    assert type(errors["tear-down"]) is Interrupt
    assert log == WHOLE


@pytest.mark.usefixtures("recorded")
def test_a_fixture_whose_last_test_case_has_not_run_is_torn_down_with_the_class(plan: Any, log: list[str]) -> None:
    first, _ = plan(GOOD, GOOD)
    test = Plan()
    test._pytest_first_fixture_case = first
    test.setup_method()
    first.callable(test)
    test.teardown_method()
    Recording.failing = {"tear_down_test_fixture": Interrupt("x")}

    with pytest.raises(Interrupt):
        Plan.teardown_class()
    Plan.teardown_class()

    assert log[-2:] == ["directive tear_down_test_fixture", "tear_down_test_fixture"]
    assert log.count("tear_down_test_fixture") == 1


def test_without_directives_and_without_a_hook_nothing_runs(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DirectiveError, match="FATAL: No directives found!"):
        Plan._run_directive_hook("set_up_test_case", {}, [])

    monkeypatch.setattr(Plan, "_all_directives", [int])

    with pytest.raises(DirectiveError, match=r"Directive class int has no method set_up_test_case\."):
        Plan._run_directive_hook("set_up_test_case", {}, [])


# Set-up of directives


class Undoing(BUILT_IN_DIRECTIVES[0]):  # type: ignore[name-defined,misc]
    """Says when it is called, under a name of its own."""

    def set_up_test_case(self, *args: Any, **kwargs: Any) -> None:
        note(f"{type(self).__name__} up")

    def tear_down_test_case(self, *args: Any, **kwargs: Any) -> None:
        note(f"{type(self).__name__} down")


class First(Undoing):
    pass


class Second(Undoing):
    pass


class Third(Undoing):
    pass


def test_only_directives_that_were_set_up_are_torn_down(plan: Any, log: list[str]) -> None:
    Plan.setup_class()
    Plan._all_directives = [First, Second, Third]
    Recording.failing = {"Second up": Interrupt("x")}

    [errors] = run(plan(GOOD), Plan)

    assert type(errors["test"]) is Interrupt
    assert [event for event in log if event.endswith((" up", " down"))] == ["First up", "Second up", "First down"]
