"""Directives about the test case itself: comments, name, description, skipping."""

from __future__ import annotations

from typing import Any

from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar.directive import ActionCase, LineDirective, TestCase
from pysoa.test.plan.grammar.parts import COLON, Keyword, Maybe, Pattern, Rest, Sign

__all__ = (
    "FixtureCommentDirective",
    "PlanDescriptionDirective",
    "PlanNameDirective",
    "PlanSkipDirective",
)


class FixtureCommentDirective(LineDirective):
    """A comment: `#` in the first column. It may stand anywhere, and does not end a test case."""

    parts = (Sign("#"), Rest("comment", "a comment"))

    @classmethod
    def name(cls) -> str:
        return "fixture_comment"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        pass


class PlanNameDirective(LineDirective):
    """The name of the test case, which no other of the file may have. Each test case has one."""

    parts = (Keyword("test name"), COLON, Pattern(r"[A-Za-z0-9_]+", "test_name", "a name of letters, digits and `_`"))

    @classmethod
    def name(cls) -> str:
        return "test_name"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        if "name" in test_case:
            raise FixtureSyntaxError("Duplicate test name directive for test case", file_name, line_number)
        test_case["name"] = parse_results.test_name


class PlanDescriptionDirective(LineDirective):
    """What the test case is about. Each test case has one; it may be empty."""

    parts = (Keyword("test description"), COLON, Rest("description", "a description"))

    @classmethod
    def name(cls) -> str:
        return "test_description"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        if "description" in test_case:
            raise FixtureSyntaxError("Duplicate test description directive for test case", file_name, line_number)
        test_case["description"] = f"{parse_results.description}\n{file_name}"


class PlanSkipDirective(LineDirective):
    """Skips the test case or, with `global`, all that end after this line. Without a reason it skips nothing."""

    parts = (Keyword("test skip"), Maybe((Keyword("global", "is_global"),)), COLON, Rest("reason", "a reason"))

    @classmethod
    def name(cls) -> str:
        return "test_skip"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        test_case["skip"] = parse_results.reason
