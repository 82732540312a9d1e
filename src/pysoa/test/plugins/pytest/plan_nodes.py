"""What pytest collects of test plans: the plan, its fixtures, and their test cases."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from pysoa.test.plan.case import FixtureTestCaseData, ServicePlanTestCase
from pysoa.test.plan.errors import FixtureLoadError, FixtureSyntaxError, StatusError
from pysoa.test.plan.places import entries_of, place_of, pruned, with_place
from pysoa.test.plugins.pytest.plans import PLUGIN_STATISTICS

__all__ = ("Fixture", "FixtureTest", "Plan")

__test_plan_prune_traceback = True  # failure reports leave out frames of this module


class Plan(pytest.Class):
    """A test plan: ordinary tests of the class, then the test cases of its fixtures."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Collect them all.

        Raises:
            FixtureLoadError, FixtureSyntaxError, StatusError: something is wrong with the fixture files.
        """
        if getattr(self.obj, "__unittest_skip__", False):
            reason = getattr(self.obj, "__unittest_skip_why__", "")
            self.add_marker(pytest.mark.skip(reason=reason))
        tests = list(super().collect())
        if not getattr(self.obj, "__test__", True) or self._has_constructor():
            return tests
        fixtures = list(self._fixtures())
        return [*tests, *fixtures, *self._tests_asked_for_by_name(fixtures)]

    def _has_constructor(self) -> bool:
        return self.obj.__init__ is not object.__init__ or self.obj.__new__ is not object.__new__

    def _fixtures(self) -> Iterator[Fixture]:
        by_file: dict[str, list[FixtureTestCaseData]] = {}
        for data in self.obj.get_fixture_test_information():
            by_file.setdefault(data.fixture_file, []).append(data)
        taken: set[tuple[str, str]] = set()
        for file_name, all_data in by_file.items():
            yield Fixture.from_parent(
                self, name=all_data[0].fixture_name, file_name=file_name, all_data=all_data, taken=taken
            )

    def _tests_asked_for_by_name(self, fixtures: list[Fixture]) -> list[FixtureTest]:
        """Test cases that the command line names as if they were methods: ``Class::plan__fixture__test``."""
        asked_for = _names_in_arguments(self)
        return [test for fixture in fixtures for test in fixture.tests() if test.name.partition("[")[0] in asked_for]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Show what is wrong in a fixture file without a traceback."""
        error = excinfo.value
        if isinstance(error, FixtureSyntaxError):
            return "\n".join(_syntax_error_lines(error))
        if isinstance(error, FixtureLoadError | StatusError):
            return str(error)
        return super().repr_failure(excinfo)


def _names_in_arguments(collector: pytest.Collector) -> set[str]:
    """What stands in arguments of the command line after the node id of a collector."""
    own = collector.nodeid.partition("::")[2]
    names = set()
    for argument in collector.config.args:
        _, _, rest = argument.partition("::")
        if rest.startswith(f"{own}::"):
            names.add(rest[len(own) + 2 :].partition("[")[0])
    return names


def _syntax_error_lines(error: FixtureSyntaxError) -> Iterator[str]:
    yield f"{error.filename}:{error.lineno}: {type(error).__name__}"
    if error.text and error.offset:
        yield f"    {error.text}"
        yield "    " + " " * (error.offset - 1) + "^"
    yield error.msg


class Fixture(pytest.Collector):
    """A fixture file of a plan.

    Args:
        file_name: the file.
        all_data: its test cases.
        taken: names of fixtures and tests that the plan has already, to which those of this one are added.
    """

    parent: Plan

    def __init__(
        self, *, file_name: str, all_data: list[FixtureTestCaseData], taken: set[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._tests: list[FixtureTest] | None = None
        self._all_data = all_data
        self._file_name = file_name
        self._taken = taken

    def tests(self) -> list[FixtureTest]:
        """The items, each made once."""
        if self._tests is None:
            self._tests = [self._test(data) for data in self._all_data]
        return self._tests

    def _test(self, data: FixtureTestCaseData) -> FixtureTest:
        key = data.fixture_name, data.name
        # A second file of that name, in another folder, with a test case of that name.
        suffix = f"[{Path(self._file_name).parent.name}]" if key in self._taken else ""
        self._taken.add(key)
        return FixtureTest.from_parent(
            self,
            name=f"plan__{data.fixture_name}__{data.name}{suffix}",
            originalname=f"{data.name}{suffix}",
            data=data,
        )

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Collect the test cases, and once more those that the command line names as pytest shows them."""
        asked_for = _names_in_arguments(self)
        aliases = [
            _Alias.from_parent(self, name=test.originalname, test=test)
            for test in self.tests()
            if test.originalname.partition("[")[0] in asked_for
        ]
        return [*self.tests(), *aliases]


class _Alias(pytest.Collector):
    """Stands for a test case by the last part of its node id."""

    def __init__(self, *, test: FixtureTest, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._test = test

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        return [self._test]


class FixtureTest(pytest.Function):
    """A test case of a fixture.

    Attributes:
        fixture_test_case_data: the test case.
        next_item: what runs after it in this process, if anything does.
    """

    parent: Fixture
    obj: Any

    def __init__(self, *, data: FixtureTestCaseData, **kwargs: Any) -> None:
        self.fixture_test_case_data = data
        self.next_item: pytest.Item | None = None
        super().__init__(**kwargs)
        PLUGIN_STATISTICS["fixture_tests_collected"] += 1
        if data.skip:
            PLUGIN_STATISTICS["fixture_tests_skipped"] += 1
            if self.get_closest_marker("skip") is None:
                self.add_marker(pytest.mark.skip(reason=data.skip))

    @property
    def nodeid(self) -> str:
        """Class, fixture and test case; its name is what a method would be called."""
        return f"{self.parent.nodeid}::{self.originalname}"

    def _getobj(self) -> Any:
        """A method of an instance of its own, which is not an attribute of the plan."""
        return types.MethodType(self.fixture_test_case_data.callable, self.parent.parent.obj())

    @property
    def instance(self) -> Any:
        """The instance of the plan."""
        return self.obj.__self__

    def setup(self) -> None:
        """Say whether the fixture is to be set up before this test case, and torn down after it."""
        data = self.fixture_test_case_data
        plan: ServicePlanTestCase = self.instance
        called = type(plan)._test_fixture_setup_called.get(data.fixture_name)
        if not called or called[1] is not data.test_fixture:
            plan._pytest_first_fixture_case = data
        if not self._is_followed_by_another():
            plan._pytest_last_fixture_case = data
        super().setup()

    def _is_followed_by_another(self) -> bool:
        """Whether the fixture goes on after this test case, as far as this process knows."""
        following = self.next_item
        if not self._is_of_same_fixture(following):
            return False
        if not following.fixture_test_case_data.skip:
            return True
        behind = itertools.dropwhile(lambda item: item is not following, self.session.items)
        of_fixture = itertools.takewhile(self._is_of_same_fixture, behind)
        return any(not item.fixture_test_case_data.skip for item in of_fixture if isinstance(item, FixtureTest))

    def _is_of_same_fixture(self, other: pytest.Item | None) -> TypeGuard[FixtureTest]:
        return isinstance(other, FixtureTest) and other.parent is self.parent

    def runtest(self) -> None:
        """Run it."""
        PLUGIN_STATISTICS["fixture_tests_executed"] += 1
        super().runtest()

    def teardown(self) -> None:
        """Let go of the instance, which has a server; another run has another one."""
        super().teardown()
        self.obj = None

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """The fixture file, the line where the test case begins, from 0, and what stands above a failure."""
        data = self.fixture_test_case_data
        return Path(data.fixture_file).absolute(), data.line_number - 1, f"{self.parent.parent.name}.{self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Show the failure where it belongs in the fixture file, and leave out the frames of PySOA."""
        error = excinfo.value
        place = place_of(error)
        if place is None or self.config.getoption("pysoa_disable_tb_prune"):
            return super().repr_failure(excinfo)
        name = "::".join((self.parent.parent.name, self.parent.name, self.originalname))
        traceback = with_place(pruned(entries_of(error)), place, name)
        return super().repr_failure(pytest.ExceptionInfo.from_exc_info((type(error), error, traceback)))
