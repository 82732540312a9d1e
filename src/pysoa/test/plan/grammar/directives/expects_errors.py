"""Directives about the errors of a response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar.assertions import (
    assert_actual_list_not_subset,
    assert_expected_list_subset_of_actual,
    assert_lists_match_any_order,
)
from pysoa.test.plan.grammar.data_types import AnyValue
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, LineDirective, TestCase, TestFixture
from pysoa.test.plan.grammar.parts import ACTION, COLON, COMMA, EQUALS, Keyword, Maybe, Part, Pattern, Rest

__all__ = (
    "ActionExpectsErrorDirective",
    "ActionExpectsFieldErrorDirective",
    "ActionExpectsFieldMessageErrorDirective",
    "ActionExpectsMessageErrorDirective",
    "ActionExpectsNoErrorsDirective",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

CODE: Final[tuple[Part, ...]] = (Keyword("code"), EQUALS, Pattern(r"[A-Za-z0-9_-]+", "error_code", "an error code"))
FIELD: Final[tuple[Part, ...]] = (
    COMMA,
    Keyword("field"),
    EQUALS,
    Pattern(r"[A-Za-z0-9_.{}[\]-]+", "field_name", "the path of a field"),
)
MESSAGE: Final[tuple[Part, ...]] = (COMMA, Keyword("message"), EQUALS, Rest("error_message", "a message"))

_BEGINNING: Final[tuple[Part, ...]] = (
    *ACTION,
    Keyword("expect"),
    COLON,
    Maybe((Keyword("not", "not"),)),
    Maybe((Keyword("exact", "exact"),)),
    Maybe((Keyword("job", "job"),)),
    Keyword("error"),
    COLON,
    *CODE,
)

_Check = Callable[[list[Any], list[Any], str | None], None]

# Whether it is about the job, the key of the action case, and how it is checked and headed.
_CHECKS: Final[tuple[tuple[bool, str, _Check, str], ...]] = tuple(
    (bool(job), f"expects_{negation}{job}{exact}error", check, header)
    for job in ("", "job_")
    for negation, exact, check, header in (
        ("", "", assert_expected_list_subset_of_actual, "EXPECTED ERRORS"),
        ("", "exact_", assert_lists_match_any_order, "EXPECTED EXACT ERRORS"),
        ("not_", "", assert_actual_list_not_subset, "NOT EXPECTED ERRORS"),
        ("not_", "exact_", assert_actual_list_not_subset, "NOT EXPECTED ERRORS"),
    )
)


class ActionExpectsErrorDirective(ActionLineDirective):
    """An error that the response has or, with `not`, has not; with `exact`, all its errors have to be expected so.

    With `job` it is one of the errors of the job.
    """

    parts: ClassVar[tuple[Part, ...]] = _BEGINNING

    @classmethod
    def name(cls) -> str:
        return "expect_error"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        words = "".join(f"{word}_" for word in ("not", "job", "exact") if parse_results.get(word))
        action_case.setdefault(f"expects_{words}error", []).append(
            Error(
                code=parse_results.error_code,
                message=parse_results.error_message or AnyValue("str"),  # type: ignore[arg-type] # equals any text
                field=parse_results.field_name or AnyValue("str", permit_none=True),  # type: ignore[arg-type]
                traceback=AnyValue("str", permit_none=True),  # type: ignore[arg-type]
                variables=AnyValue("dict", permit_none=True),  # type: ignore[arg-type]
                denied_permissions=AnyValue("list", permit_none=True),  # type: ignore[arg-type]
                is_caller_error=AnyValue("bool"),  # type: ignore[arg-type]
            )
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
        """Compare the errors of job and action with all that are expected."""
        action_errors = action_response.errors if action_response else []
        for is_about_job, key, check, header in _CHECKS:
            if key not in action_case:
                continue
            errors = job_response.errors if is_about_job else action_errors
            try:
                check(action_case[key], errors, f"{header}: {msg}")
            except AssertionError as error:
                explained = AssertionError(f"{error}{_server_error(errors)}")
                raise explained from None


def _server_error(errors: list[Error]) -> str:
    """The message of an exception in the server, if there was one."""
    for error in errors:
        if error.code == ERROR_CODE_SERVER_ERROR:
            return f"\n\nSERVER_ERROR: {error.message}"
    return ""


class _WithMore(ActionExpectsErrorDirective):
    assert_test_case_action_results = LineDirective.assert_test_case_action_results  # the other compares them all


class ActionExpectsFieldErrorDirective(_WithMore):
    """An error of a field."""

    parts = (*_BEGINNING, *FIELD)

    @classmethod
    def name(cls) -> str:
        return "expect_error_field"


class ActionExpectsMessageErrorDirective(_WithMore):
    """An error with just this message, which is the rest of the line. An empty one stands for any."""

    parts = (*_BEGINNING, *MESSAGE)

    @classmethod
    def name(cls) -> str:
        return "expect_error_message"


class ActionExpectsFieldMessageErrorDirective(_WithMore):
    """An error of a field, with just this message."""

    parts = (*_BEGINNING, *FIELD, *MESSAGE)

    @classmethod
    def name(cls) -> str:
        return "expect_error_field_message"


class ActionExpectsNoErrorsDirective(ActionLineDirective):
    """Neither the job nor the action has errors."""

    parts = (*ACTION, Keyword("expect"), COLON, Keyword("no errors"))

    @classmethod
    def name(cls) -> str:
        return "expect_no_errors"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        action_case["expects_no_errors"] = True

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
        """Look for errors of the job and of the action."""
        if not action_case.get("expects_no_errors"):
            return
        if job_response.errors:
            raise AssertionError(f"{msg}: Expected no job errors, but got: {job_response.errors}")
        if action_response is None:
            raise AssertionError(f"{msg}: Expected no action errors, but got no action response")
        if action_response.errors:
            raise AssertionError(f"{msg}: Expected no action errors, but got: {action_response.errors}")
