"""Directives: what one line of a fixture file may say, and what comes of it while the test runs.

For directives of your own extend ``ActionDirective``, for what is said of one action, or ``Directive``. Name the class
by an entry point of the group ``pysoa.test.plan.grammar.directives``, or give it to ``register_directive`` before tests
are collected.
"""

from __future__ import annotations

import abc
import importlib.metadata
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pysoa.common.types import ActionResponse, JobResponse
from pysoa.test.plan.grammar.parts import ACTION, VALUE, VARIABLE, Line, Part

if TYPE_CHECKING:
    from pysoa.test.plan.grammar.pyparsing_grammar import ParserElement

    VarNameGrammar: ParserElement
    VarValueGrammar: ParserElement

__all__ = (
    "ActionCase",
    "ActionDirective",
    "ActionResults",
    "Directive",
    "TestCase",
    "TestFixture",
    "TestFixtureResults",
    "VarNameGrammar",
    "VarValueGrammar",
    "get_all_directives",
    "register_directive",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

ActionCase: TypeAlias = dict[str, Any]
TestCase: TypeAlias = dict[str, Any]
TestFixture: TypeAlias = list[TestCase]
ActionResults: TypeAlias = dict[str, ActionResponse | None]
TestFixtureResults: TypeAlias = list[ActionResults]

_ENTRY_POINTS = "pysoa.test.plan.grammar.directives"


class Directive(abc.ABC):
    """One kind of line.

    Each hook is called on a new instance, for every test case: keep what you need in the dicts of test case and action
    case, under keys of your own.
    """

    @classmethod
    @abc.abstractmethod
    def name(cls) -> str:
        """A unique name, of ``[a-z_]``."""

    @classmethod
    @abc.abstractmethod
    def get_full_grammar(cls) -> ParserElement:
        """The pyparsing expression for the whole line."""

    @classmethod
    def supplies_additional_grammar_types(cls) -> Mapping[str, Any]:
        """Further expressions that the reference of directives describes, by name."""
        return {}

    # While the fixture file is read

    @abc.abstractmethod
    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        """Put what a line says into the dicts.

        Args:
            action_case: that of the line's action; the test case, where the line has no action.
            test_case: the test case. For global lines, both are those of all test cases.
            parse_results: what the expression has found, by name.
            file_name: the fixture file.
            line_number: the line, from 1.
        """

    def post_parse_test_case_action(self, action_case: ActionCase, test_case: TestCase) -> None:
        """Called when a line of another action follows, and when the test case ends."""

    def post_parse_test_case(self, test_case: TestCase) -> None:
        """Called at the end of each test case, when global lines have been put in."""

    # While tests run

    def set_up_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Called before the first test case of a fixture that runs, after the hook of the plan."""

    def tear_down_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Called after the last test case of a fixture that runs, before the hook of the plan."""

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Called before the actions of a test case, after the hook of the plan."""

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Called after the actions of a test case, before the hook of the plan."""

    def set_up_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Called before an action, after the hook of the plan."""

    def tear_down_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Called after an action, before the hook of the plan."""

    @abc.abstractmethod
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
        """Called after an action, to say what is wrong with its response.

        Args:
            action_name: the name of the action.
            action_case: what is said of it.
            test_case: the test case.
            test_fixture: all test cases of the fixture.
            action_response: the response; None where the job has errors.
            job_response: the response of the job.
            msg: name and index of the action.
            kwargs: what later releases may add.

        Raises:
            AssertionError: something is wrong.
        """

    def assert_test_case_results(
        self,
        test_action_results_dict: ActionResults,
        test_case: TestCase,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Called after all actions of a test case, with their responses by name and index."""

    def assert_test_fixture_results(
        self,
        test_fixture_results: TestFixtureResults,
        test_fixture: TestFixture,
        msg: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Called after the last test case of a fixture, with the responses of all test cases that ran."""

    def __repr__(self) -> str:
        from pysoa.test.plan.grammar.tools import recursive_parse_expr_repr

        return recursive_parse_expr_repr(self.get_full_grammar())


class ActionDirective(Directive):
    """A line that begins with an action, and may be global."""

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """The beginning of the line: action, index, colon, and ``global``."""
        from pysoa.test.plan.grammar.pyparsing_grammar import grammar_of

        return grammar_of(ACTION)


class LineDirective(Directive):
    """A built-in directive, whose line is made of parts."""

    parts: ClassVar[tuple[Part, ...]]

    @classmethod
    def get_full_grammar(cls) -> ParserElement:
        """The pyparsing expression for the parts; the reader of fixture files does without it."""
        from pysoa.test.plan.grammar.pyparsing_grammar import grammar_of

        return grammar_of(cls.parts)

    @classmethod
    def line(cls) -> Line | None:
        """What matches the line; None for a class with an expression of its own."""
        own = cls.get_full_grammar.__func__ is not LineDirective.get_full_grammar.__func__  # type: ignore[attr-defined]
        return None if own else Line(cls.parts)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is said of results."""


class ActionLineDirective(LineDirective, ActionDirective):
    """A built-in directive whose line begins with an action."""


# All directives

_registered: list[type[Directive]] = []
_from_entry_points: list[type[Directive]] | None = None


def register_directive(cls: type[Directive]) -> None:
    """Add a directive. Do it before tests are collected."""
    if cls not in _registered:
        _registered.append(cls)


def get_all_directives() -> list[type[Directive]]:
    """The built-in directives, registered ones, and those of entry points.

    The first whose expression fits a whole line has it.

    Raises:
        AssertionError: an entry point names something that is no directive.
    """
    global _from_entry_points  # noqa: PLW0603 - read once in the life of the process
    from pysoa.test.plan.grammar.directives import BUILT_IN_DIRECTIVES

    if _from_entry_points is None:
        _from_entry_points = _load_entry_points()
    return list(dict.fromkeys([*BUILT_IN_DIRECTIVES, *_registered, *_from_entry_points]))


def _load_entry_points() -> list[type[Directive]]:
    directives = []
    for entry_point in importlib.metadata.entry_points(group=_ENTRY_POINTS):
        try:
            directive = entry_point.load()
        except ImportError as error:
            print(f"Warning: could not resolve {entry_point}: {error}", file=sys.stderr)
            continue
        if not (isinstance(directive, type) and issubclass(directive, Directive)):
            raise AssertionError(f"{entry_point.value} is not a {Directive.__module__}.{Directive.__name__}")
        directives.append(directive)
    return directives


def __getattr__(name: str) -> Any:
    # pyparsing is loaded only for grammars that are not built in.
    parts: dict[str, Part] = {"VarNameGrammar": VARIABLE, "VarValueGrammar": VALUE}
    if name in parts:
        from pysoa.test.plan.grammar.pyparsing_grammar import grammar_of

        return grammar_of((parts[name],))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
