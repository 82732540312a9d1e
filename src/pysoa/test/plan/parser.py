"""Reads fixture files: from lines to test cases, with no service at hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pysoa.test.plan.errors import DataTypeConversionError, FixtureLoadError, FixtureSyntaxError
from pysoa.test.plan.frozen_time import ReadingTime, reading_time
from pysoa.test.plan.grammar.directive import ActionCase, Directive, LineDirective, TestCase, get_all_directives
from pysoa.test.plan.grammar.directives.plans import FixtureCommentDirective
from pysoa.test.plan.grammar.parts import Line, expected_after
from pysoa.test.plan.grammar.tools import PathError
from pysoa.test.plan.merging import CannotMerge, merged

__all__ = ("DIRECTIVE_LINES", "DirectiveLine", "ServiceTestPlanFixtureParser")

DIRECTIVE_LINES = "_directive_lines"
"""The key of a test case under which is which line says what; for reports of failures."""

_Match: TypeAlias = Any  # a LineMatch, or pyparsing's ParseResults
_Reader: TypeAlias = tuple[type[Directive], Callable[[str], _Match | None]]


class DirectiveLine(NamedTuple):
    """A line of a test case, or a global line that bears on it.

    Attributes:
        number: from 1.
        directive: what kind of line it is.
        action: name and index of the action that it is about; None for lines about the test case.
        path: the path in it, if there is one.
        is_global: whether it is global.
    """

    number: int
    directive: type[Directive]
    action: str | None
    path: str
    is_global: bool


class _Block:
    """What has been read of a test case since the blank line above it.

    Attributes:
        case: the test case.
        lines: its lines, but for comments and global lines.
        line_number: the first of them.
        source: all lines, as they are written.
        has_errors: whether one of them is wrong.
        action_case: that of the action which the line above was about.
        case_of_action: what that belongs to, the test case or the global lines.
    """

    def __init__(self) -> None:
        self.case: TestCase = {"actions": []}
        self.lines: list[DirectiveLine] = []
        self.line_number = 0
        self.source: list[str] = []
        self.has_errors = False
        self.action_case: ActionCase | None = None
        self.case_of_action: TestCase = {}


class ServiceTestPlanFixtureParser:
    """Reads one fixture file.

    Args:
        fixture_file_name: the file.
        fixture_name: what the fixture is called.

    Attributes:
        test_cases: what has been read.
    """

    def __init__(self, fixture_file_name: str, fixture_name: str) -> None:
        self._file_name = fixture_file_name
        self._fixture_name = fixture_name
        self.test_cases: list[TestCase] = []
        self._readers = _readers(tuple(get_all_directives()))
        self._fixture_source: list[str] = []
        self._globals: dict[str, Any] = {}
        self._global_actions: set[str] = set()
        self._global_lines: list[DirectiveLine] = []
        self._time = ReadingTime()
        self._found_errors: list[FixtureSyntaxError] | None = None
        self._block = _Block()

    def parse_test_fixture(self) -> list[TestCase]:
        """Read the file.

        Raises:
            FixtureSyntaxError: something is wrong in it.
            FixtureLoadError: it cannot be read, or has no test cases.
        """
        self._read()
        if not self.test_cases:
            raise FixtureLoadError(f"Failed to find any test cases in file: {self._file_name}")
        return self.test_cases

    def find_errors(self) -> list[FixtureSyntaxError]:
        """Read the file, and go on after what is wrong in it.

        Raises:
            FixtureLoadError: it cannot be read, or has neither test cases nor errors.
        """
        self._found_errors = []
        self._read()
        errors = self._found_errors
        names = set()
        for case in self.test_cases:
            if case["name"] in names:
                message = f'Duplicate test name "{case["name"]}" in fixture "{self._file_name}"'
                errors.append(FixtureSyntaxError(message, self._file_name, case["line_number"]))
            names.add(case["name"])
        if not self.test_cases and not errors:
            raise FixtureLoadError(f"Failed to find any test cases in file: {self._file_name}")
        return sorted(errors, key=lambda error: error.lineno or 0)

    # Lines

    def _read(self) -> None:
        lines = self._load()
        with reading_time() as self._time:
            for number, line in enumerate(lines, 1):
                with self._collected_errors():
                    self._read_line(number, line)
            with self._collected_errors():
                self._end_test_case(len(lines) + 1)

    @contextmanager
    def _collected_errors(self) -> Iterator[None]:
        """Keep the errors of a block, where the rest is to be read nevertheless."""
        try:
            yield
        except FixtureSyntaxError as error:
            if self._found_errors is None:
                raise
            self._found_errors.append(error)

    def _load(self) -> list[str]:
        try:
            text = Path(self._file_name).read_bytes().decode("utf-8")
        except OSError as error:
            raise FixtureLoadError(str(error)) from error
        except UnicodeDecodeError as error:
            raise FixtureLoadError(f"{self._file_name} is not in UTF-8: {error}") from error
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        return [line.removesuffix("\r") for line in lines]

    def _read_line(self, number: int, raw: str) -> None:
        self._fixture_source.append(raw)
        line = raw.expandtabs(8).rstrip(" ")
        if not line:
            self._end_test_case(number)
            return
        self._block.source.append(raw)
        block, had_errors = self._block, self._block.has_errors
        block.has_errors = True
        directive, results = self._fitting(number, line)
        if directive is not FixtureCommentDirective:
            self._ingest(directive, results, number, line)
        block.has_errors = had_errors

    def _fitting(self, number: int, line: str) -> tuple[type[Directive], _Match]:
        """The first directive that fits a line, and what it finds there."""
        for directive, match in self._readers:
            results = match(line)
            if results is not None:
                return directive, results
        raise self._misfit(number, line)

    def _misfit(self, number: int, line: str) -> FixtureSyntaxError:
        """What is wrong with a line that no directive fits."""
        column = len(line) - len(line.lstrip(" "))
        hint = "a line begins in the first column"
        if not column:
            lines = [one.line() for one in get_all_directives() if issubclass(one, LineDirective)]
            column, expected = expected_after(line, filter(None, lines))
            hint = f"expected {_or(expected)}"
        return FixtureSyntaxError(
            f"Failed to parse line: {line}\nin file: {self._file_name}:{number}\n"
            f"Expected end of text\ncolumn {column + 1}: {hint}",
            self._file_name,
            number,
            column + 1,
            line,
        )

    def _ingest(self, directive: type[Directive], results: _Match, number: int, line: str) -> None:
        is_global = bool(results.get("is_global"))
        case = self._globals if is_global else self._block.case
        action_case = case
        action = results.get("action")
        action_path = f"{action}.{results.get('action_index') or '0'}" if action else None
        if not is_global and not self._block.line_number:
            self._block.line_number = number
        if action_path:
            action_case = self._move_to(case, action_path, is_global)
        says = DirectiveLine(number, directive, action_path, str(results.get("variable_name") or ""), is_global)
        (self._global_lines if is_global else self._block.lines).append(says)
        try:
            directive().ingest_from_parsed_test_fixture(action_case, case, results, self._file_name, number)
        except DataTypeConversionError as error:
            raise self._wrong("Data type conversion error", str(error), number, line) from error
        except PathError as error:
            raise self._wrong("Invalid path", str(error), number, line) from error

    def _wrong(self, what: str, detail: str, number: int, line: str) -> FixtureSyntaxError:
        message = f"{what}\nin file: {self._file_name}:{number}\n{detail}"
        return FixtureSyntaxError(message, self._file_name, number, len(line), line)

    def _move_to(self, case: dict[str, Any], action_path: str, is_global: bool) -> dict[str, Any]:
        """The action case of a line, after the end of the one before if it is another."""
        if is_global:
            self._global_actions.add(action_path)
        elif action_path not in self._block.case["actions"]:
            self._block.case["actions"].append(action_path)
        action_case: dict[str, Any] = case.setdefault(action_path, {})
        if self._block.action_case is not action_case:
            self._end_action()
            self._block.action_case, self._block.case_of_action = action_case, case
        return action_case

    def _end_action(self) -> None:
        block = self._block
        if block.action_case is not None:
            self._call_directives("post_parse_test_case_action", block.action_case, block.case_of_action)
        block.action_case = None
        self._time.end_action()

    # Test cases

    def _end_test_case(self, number: int) -> None:
        """Close the test case above a line."""
        try:
            self._end_action()
            if self._block.lines and not self._block.has_errors:
                self._complete(number)
        finally:
            self._time.end_case()
            self._block = _Block()

    def _complete(self, number: int) -> None:
        case = self._block.case
        for is_missing, what in (
            ("name" not in case, "Test case without name"),
            ("description" not in case, "Test case without description"),
            (not case["actions"] and not self._globals, "Empty test case"),
        ):
            if is_missing:
                last = self._fixture_source[number - 2]
                message = f"{self._file_name}:{number}: {what}"
                raise FixtureSyntaxError(message, self._file_name, number - 1, len(last), last)
        self._put_globals_under(case)
        case.update(
            line_number=self._block.line_number,
            fixture_name=self._fixture_name,
            fixture_file_name=self._file_name,
            source=self._block.source,
            fixture_source=self._fixture_source,
        )
        actions = {None, *case["actions"]}
        case[DIRECTIVE_LINES] = [*(line for line in self._global_lines if line.action in actions), *self._block.lines]
        self._call_directives("post_parse_test_case", case)
        self.test_cases.append(case)

    def _put_globals_under(self, case: TestCase) -> None:
        for key, value in self._globals.items():
            if key in self._global_actions and key not in case["actions"]:
                continue  # it is not run
            try:
                case[key] = merged(value, case[key], _in_braces(key)) if key in case else deepcopy(value)
            except CannotMerge as error:
                raise FixtureSyntaxError(
                    f"Invalid path: `{error.path}`", self._file_name, self._block.line_number
                ) from error

    def _call_directives(self, hook: str, *arguments: Any) -> None:
        for directive, _ in self._readers:
            if getattr(directive, hook) is not getattr(Directive, hook):
                getattr(directive(), hook)(*arguments)


@lru_cache(maxsize=8)
def _readers(directives: tuple[type[Directive], ...]) -> tuple[_Reader, ...]:
    """What compares a line with each directive."""
    return tuple((directive, _matcher(directive)) for directive in directives)


def _matcher(directive: type[Directive]) -> Callable[[str], _Match | None]:
    line: Line | None = directive.line() if issubclass(directive, LineDirective) else None
    return _by_pyparsing(directive) if line is None else line.match


def _by_pyparsing(directive: type[Directive]) -> Callable[[str], _Match | None]:
    import pyparsing

    with warnings.catch_warnings():
        # Directives use the names that pyparsing had before its third release, for these are what it had then.
        warnings.simplefilter("ignore", DeprecationWarning)
        grammar = directive.get_full_grammar()

    def match(line: str) -> _Match | None:
        try:
            return grammar.parse_string(line, parse_all=True)
        except pyparsing.ParseBaseException:
            return None

    return match


def _in_braces(key: str) -> str:
    return f"{{{key}}}" if "." in key else key


def _or(choices: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
