"""Directives about the values in the body of a response."""

from __future__ import annotations

from typing import Any, Final

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.errors import DataTypeConversionError
from pysoa.test.plan.grammar.assertions import assert_not_expected, assert_not_present, assert_subset_structure
from pysoa.test.plan.grammar.data_types import (
    DATA_TYPES_WITH_ONE_VALUE,
    REGEX_DATA_TYPES,
    AnyValue,
    get_parsed_data_type_value,
)
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, TestCase, TestFixture
from pysoa.test.plan.grammar.parts import ACTION, COLON, DATA_TYPE, VALUE, VARIABLE, Keyword, Maybe
from pysoa.test.plan.grammar.tools import path_put

__all__ = (
    "ActionExpectsAnyValueDirective",
    "ActionExpectsNoneDirective",
    "ActionExpectsNotPresentDirective",
    "ActionExpectsValueDirective",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_ATTRIBUTE: Final = (COLON, Keyword("attribute value"), COLON, VARIABLE)

_CHECKS: Final = (
    ("expects", assert_subset_structure),
    ("not_expects", assert_not_expected),
    ("expects_not_present", assert_not_present),
)


class ActionExpectsValueDirective(ActionLineDirective):
    """A value that the body has at a path or, with `not`, has not: there is another one, or none."""

    parts = (
        *ACTION,
        Keyword("expect"),
        Maybe((DATA_TYPE,)),
        COLON,
        Maybe((Keyword("not", "not"),)),
        Keyword("attribute value"),
        COLON,
        VARIABLE,
        COLON,
        VALUE,
    )

    @classmethod
    def name(cls) -> str:
        return "expect_value"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        path_put(
            action_case.setdefault("not_expects" if parse_results.get("not") else "expects", {}),
            parse_results.variable_name,
            get_parsed_data_type_value(parse_results, parse_results.value),
        )

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
        """Compare the body with all that is said of its values."""
        for key, check in _CHECKS:
            if key not in action_case:
                continue
            if action_response is None:
                raise AssertionError(
                    f"{msg}: Expected values in the body of a response, but got job errors: {job_response.errors}"
                )
            check(action_case[key], action_response.body, msg=msg)


class _OfBody(ActionLineDirective):
    """Its expectations are checked with those of ``ActionExpectsValueDirective``."""


class ActionExpectsAnyValueDirective(_OfBody):
    """Any value of a data type at a path; None is none."""

    parts = (*ACTION, Keyword("expect"), Keyword("any"), Maybe((DATA_TYPE,)), *_ATTRIBUTE, Maybe((COLON,)))

    @classmethod
    def name(cls) -> str:
        return "expect_any_value"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        data_type = parse_results.data_type or "str"
        if data_type in DATA_TYPES_WITH_ONE_VALUE | REGEX_DATA_TYPES:
            raise DataTypeConversionError(f"There is no `any {data_type}`: no value is just of that type")
        path_put(action_case.setdefault("expects", {}), parse_results.variable_name, AnyValue(data_type))


class ActionExpectsNoneDirective(_OfBody):
    """None at a path."""

    parts = (*ACTION, Keyword("expect"), Keyword("none", any_case=True), *_ATTRIBUTE, Maybe((COLON,)))

    @classmethod
    def name(cls) -> str:
        return "expect_none"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        path_put(action_case.setdefault("expects", {}), parse_results.variable_name, None)


class ActionExpectsNotPresentDirective(_OfBody):
    """Nothing at a path, not even None."""

    parts = (*ACTION, Keyword("expect"), Keyword("not present"), *_ATTRIBUTE, Maybe((COLON,)))

    @classmethod
    def name(cls) -> str:
        return "expect_not_present"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        path_put(action_case.setdefault("expects_not_present", {}), parse_results.variable_name, AnyValue("str"))
