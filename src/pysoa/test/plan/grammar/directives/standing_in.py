"""When what stands in for something else, mocks and stubs, comes, goes, and is asked how it was called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar.directive import (
    ActionCase,
    ActionLineDirective,
    ActionResults,
    LineDirective,
    TestCase,
    TestFixture,
)

__all__ = ("ActionStandInDirective", "PlanStandInDirective", "StandIns")

__test_plan_prune_traceback = True  # failure reports leave out frames of this module


class StandIns(NamedTuple):
    """What to do with the stand-ins of a test case or of an action.

    Attributes:
        key: under which they stand in the case.
        start: puts all of them in place, or none.
        stop: takes away those that are in place.
        check: compares calls with those that are expected.
    """

    key: str
    start: Callable[[dict[str, Any]], None]
    stop: Callable[[dict[str, Any]], None]
    check: Callable[[dict[str, Any]], None]


class PlanStandInDirective(LineDirective):
    """Looks after the stand-ins that are there for a whole test case; one directive does so for all of a kind."""

    stand_ins: ClassVar[StandIns]

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Put them in place."""
        if self.stand_ins.key in test_case:
            self.stand_ins.start(test_case)

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Take them away."""
        self.stand_ins.stop(test_case)

    def assert_test_case_results(
        self,
        test_action_results_dict: ActionResults,
        test_case: TestCase,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Compare calls with those that are expected."""
        self.stand_ins.check(test_case)


class ActionStandInDirective(ActionLineDirective):
    """Looks after the stand-ins that are there for one action."""

    stand_ins: ClassVar[StandIns]

    def set_up_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Put them in place."""
        if self.stand_ins.key in action_case:
            self.stand_ins.start(action_case)

    def tear_down_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Take them away."""
        self.stand_ins.stop(action_case)

    def assert_test_case_action_results(
        self,
        action_name: str,
        action_case: ActionCase,
        test_case: TestCase,
        test_fixture: TestFixture,
        action_response: ActionResponse | None,
        job_response: JobResponse,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Compare calls with those that are expected."""
        self.stand_ins.check(action_case)
