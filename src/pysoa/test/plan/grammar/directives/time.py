"""Directives that freeze the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.frozen_time import current_reading_time, frozen
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, LineDirective, TestCase, TestFixture
from pysoa.test.plan.grammar.parts import ACTION, COLON, Keyword, Part, Rest

__all__ = ("ActionFreezeTimeDirective", "PlanFreezeTimeDirective")

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_FREEZE: Final[tuple[Part, ...]] = (
    Keyword("freeze time"),
    COLON,
    Rest("when", "`now`, or a moment such as `2031-05-06T07:08:09Z`"),
)
_KEY: Final = "_freezegun_freeze_time"  # other directives know it by that name
_RUNNING: Final = "_frozen_time"


class _FreezeTimeDirective(LineDirective):
    def _keep(self, case: dict[str, Any], parse_results: Any, file_name: str, line_number: int) -> datetime | None:
        if _KEY in case:
            raise FixtureSyntaxError("Time is already frozen here by another line", file_name, line_number)
        try:
            import time_machine  # noqa: F401 - it is optional, and slow to load
        except ImportError:
            raise FixtureSyntaxError(
                "Could not import time_machine to support freeze time syntax. Perhaps you need to install it?",
                file_name,
                line_number,
            ) from None
        when = None
        if parse_results.when != "now":
            try:
                when = datetime.strptime(parse_results.when, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            except ValueError:
                raise FixtureSyntaxError(
                    "Could not parse datetime value for time freeze", file_name, line_number
                ) from None
        case[_KEY] = when
        return when


def _freeze(case: dict[str, Any]) -> None:
    if _KEY in case:
        case[_RUNNING] = frozen(case[_KEY])
        case[_RUNNING].__enter__()


def _thaw(case: dict[str, Any]) -> None:
    if _RUNNING in case:
        case.pop(_RUNNING).__exit__(None, None, None)


class PlanFreezeTimeDirective(_FreezeTimeDirective):
    """Freezes the time for the whole test case; for values such as `now` on the lines below, too."""

    parts: ClassVar[tuple[Part, ...]] = _FREEZE

    @classmethod
    def name(cls) -> str:
        return "freeze_time_test"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        when = self._keep(test_case, parse_results, file_name, line_number)
        reading = current_reading_time()
        if reading is not None:
            reading.freeze_for_case(when)

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Freeze the time."""
        _freeze(test_case)

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Let it run again."""
        _thaw(test_case)


class ActionFreezeTimeDirective(ActionLineDirective, _FreezeTimeDirective):
    """Freezes the time for one action; for values on the lines below that are about the same action, too."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_FREEZE)

    @classmethod
    def name(cls) -> str:
        return "freeze_time_action"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        when = self._keep(action_case, parse_results, file_name, line_number)
        reading = current_reading_time()
        if reading is not None:
            reading.freeze_for_action(when)

    def set_up_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Freeze the time."""
        _freeze(action_case)

    def tear_down_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Let it run again."""
        _thaw(action_case)
