"""The lines of the built-in directives, and directives of users' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyparsing
import pytest

from pysoa.test.plan.grammar.directive import (
    ActionDirective,
    VarNameGrammar,
    VarValueGrammar,
    get_all_directives,
    register_directive,
)
from pysoa.test.plan.grammar.directives import BUILT_IN_DIRECTIVES
from pysoa.test.plan.grammar.parts import LineMatch, expected_after
from pysoa.test.plan.parser import _by_pyparsing

VECTORS = Path(__file__).parents[4] / "vectors" / "test-plans" / "fixtures"

# One line for each directive, with and without what may be left out, and what is found in it.
LINES = [
    ("# anything: at all", "fixture_comment", {"comment": "anything: at all"}),
    ("test name: 1_a", "test_name", {"test_name": "1_a"}),
    ("test description:", "test_description", {"description": ""}),
    ("test skip: why: so", "test_skip", {"reason": "why: so"}),
    ("test skip global : why", "test_skip", {"is_global": "global", "reason": "why"}),
    ("foo:input int:a:5", "input", {"action": "foo", "data_type": "int", "variable_name": "a", "value": "5"}),
    (
        "foo . 2 : global input : a.0.{b.c} : x # y: z",
        "input",
        {
            "action": "foo",
            "action_index": "2",
            "is_global": "global",
            "variable_name": "a.0.{b.c}",
            "value": "x # y: z",
        },
    ),
    ("input_x: job control input: a:", "input", {"action": "input_x", "job_slot": "job control", "value": ""}),
    ("expects: job context input bool: a: true", "input", {"action": "expects", "job_slot": "job context"}),
    ("global: input not regex: a: b", "input", {"action": "global", "data_type": "not regex"}),
    (
        "a: expect: not exact job error: code = X-1 , field = a.{b}[0], message=No, really",
        "expect_error_field_message",
        {"not": "not", "exact": "exact", "job": "job", "field_name": "a.{b}[0]", "error_message": "No, really"},
    ),
    ("a: expect: error: code=X, message=a, field=b", "expect_error_message", {"error_message": "a, field=b"}),
    ("a: expect: job error: code=X, field=b", "expect_error_field", {"job": "job", "error_code": "X"}),
    ("a: expect: exact error: code=X", "expect_error", {"exact": "exact"}),
    ("a.1: global expect: no errors", "expect_no_errors", {"action_index": "1", "is_global": "global"}),
    ("a: expect: attribute value: b:", "expect_value", {"variable_name": "b", "value": ""}),
    ("a: expect regex: not attribute value: b: ^c", "expect_value", {"data_type": "regex", "not": "not"}),
    ("a: expect any: attribute value: b", "expect_any_value", {"variable_name": "b"}),
    ("a: expect any datetime: attribute value: b :", "expect_any_value", {"data_type": "datetime"}),
    ("a: expect NoNe: attribute value: b", "expect_none", {"variable_name": "b"}),
    ("a: expect not present: attribute value: b:", "expect_not_present", {"variable_name": "b"}),
    (
        "mock: a.B.c_1: expect called d.E: [[], {}]",
        "mock_assert_called_for_test",
        {"mock_target": "a.B.c_1", "mock_path": "d.E", "value": "[[], {}]"},
    ),
    ("mock: a: expect not called:", "mock_assert_called_for_test", {"not": "not", "mock_target": "a"}),
    ("b: mock: a: expect called: [[], {}]", "mock_assert_called_for_action", {"action": "b"}),
    ('mock: a: return_value: {"b": 1}', "mock_result_for_test", {"mock_path": "return_value", "value": '{"b": 1}'}),
    ("mock: a: b.c: delete", "mock_result_for_test", {"delete": "delete", "value": ""}),
    ("b: mock: a: side_effect: exception x:Y", "mock_result_for_action", {"exception": "exception", "value": "x:Y"}),
    (
        "stub action: s_1: a.b: body int: c: 5",
        "stub_action_body_for_test",
        {"stub_service": "s_1", "stub_action": "a.b", "data_type": "int", "variable_name": "c"},
    ),
    ("x: stub action: s: a: body: c: 5", "stub_action_body_for_action", {"action": "x", "value": "5"}),
    (
        "stub action: s: a: error: code=X, field=none, message=",
        "stub_action_error_for_test",
        {"field_name": "none", "error_message": ""},
    ),
    (
        "x: stub action: s: a: error: code=X, field=f, message=m, n",
        "stub_action_error_for_action",
        {"error_message": "m, n"},
    ),
    ("stub action: s: a: expect called:", "stub_action_called_for_test", {"stub_action": "a"}),
    ("stub action: s: a: expect called: b: c", "stub_action_called_for_test", {"variable_name": "b", "value": "c"}),
    ("x: stub action: s: a: expect not called:", "stub_action_called_for_action", {"not": "not"}),
    ("x: stub action: s: a: expect called int: b: 5", "stub_action_called_for_action", {"data_type": "int"}),
    ("freeze time: now", "freeze_time_test", {"when": "now"}),
    ("x: freeze time: 2031-05-06T07:08:09Z", "freeze_time_action", {"when": "2031-05-06T07:08:09Z"}),
]

# What looks like a directive and is none.
MISFITS = [
    "test  name: a",
    "test name: a-b",
    "foo: inputint: a: 5",
    "foo: input integer: a: 5",
    "foo: input: a b: 5",
    "foo: input: a",
    "foo.x: input: a: 5",
    "foo: globalinput: a: 5",
    "foo: expect any list: attribute value: a",
    "foo: expect NONE: attribute value: a: b",
    "foo: expect: exact not error: code=X",
    "foo: expect: error: code=X, message",
    "foo: expect not present: attribute value: a: b",
    "mock: a: expect called b [[], {}]",
    "mock: global a: return_value: 1",
    "stub action: s: a: error: code=X",
    "stub action: s-t: a: body: c: 5",
    "freeze  time: now",
    "test names: x",
    "job control input: a: 5",
]


def found_in(line: str) -> tuple[str, dict[str, str]] | None:
    for directive in BUILT_IN_DIRECTIVES:
        pattern = directive.line()
        assert pattern is not None
        match = pattern.match(line)
        if match is not None:
            return directive.name(), match
    return None


@pytest.mark.parametrize(("line", "name", "results"), LINES, ids=[line for line, _, _ in LINES])
def test_a_line_is_that_of_a_directive(line: str, name: str, results: dict[str, str]) -> None:
    found = found_in(line)

    assert found is not None
    assert found[0] == name
    assert results.items() <= found[1].items()


@pytest.mark.parametrize("line", MISFITS)
def test_a_line_is_that_of_no_directive(line: str) -> None:
    assert found_in(line) is None


def test_every_directive_has_lines_here() -> None:
    assert {name for _, name, _ in LINES} == {directive.name() for directive in BUILT_IN_DIRECTIVES}
    assert len(BUILT_IN_DIRECTIVES) == 26


def all_lines() -> list[str]:
    written = [line for path in sorted(VECTORS.iterdir()) for line in path.read_text("utf-8").splitlines() if line]
    return [line.rstrip() for line in [*written, *(line for line, _, _ in LINES), *MISFITS]]


@pytest.mark.parametrize("directive", BUILT_IN_DIRECTIVES, ids=lambda directive: directive.name())
def test_the_pyparsing_grammar_finds_what_the_reader_finds(directive: Any) -> None:
    line_pattern, by_pyparsing = directive.line(), _by_pyparsing(directive)

    differences = []
    for line in all_lines():
        ours, theirs = line_pattern.match(line), by_pyparsing(line)
        if (ours is None) != (theirs is None) or (ours is not None and dict(ours) != dict(theirs.items())):
            differences.append((line, ours, theirs))

    assert differences == []


def test_what_is_not_there_is_empty_as_in_pyparsing() -> None:
    match = LineMatch(a="b")

    assert (match.a, match.c, match.get("c")) == ("b", "", None)
    with pytest.raises(AttributeError):
        match.__wrapped__  # noqa: B018 - that is the question


@pytest.mark.parametrize(
    ("line", "position", "expected"),
    [
        ("weigh: expect no errors", 14, ["':'", "a data type", "'any'", "'none'", "'not present'"]),
        ("weigh: input integer: a: 5", 13, ["a data type", "':'"]),
        ("weigh: input: a b: 5", 16, ["':'"]),
        ("weigh: expect: error: cod=X", 22, ["'code'"]),
        ("mock: a.b: expect called c [[], {}]", 27, ["':'"]),
        ("test nme: a", 5, ["':'", "'.'"]),
        ("!", 0, ["'#'", "'test name'", "'test description'", "'test skip'", "an action", "'mock'"]),
    ],
)
def test_how_far_a_line_can_be_read_and_what_may_follow(line: str, position: int, expected: list[str]) -> None:
    found, following = expected_after(line, [directive.line() for directive in BUILT_IN_DIRECTIVES])  # type: ignore[misc]

    assert found == position
    assert set(expected) <= set(following)


# Directives of users' own


class BodySizeDirective(ActionDirective):
    """How many keys the body has, written as directives of the first PySOA are."""

    @classmethod
    def name(cls) -> str:
        return "expect_body_size"

    @classmethod
    def get_full_grammar(cls) -> Any:
        return super().get_full_grammar() + pyparsing.Literal("expect body size") + ":" + pyparsing.Word("123")("size")

    def ingest_from_parsed_test_fixture(self, action_case: Any, *args: Any) -> None:
        action_case["body_size"] = int(args[1].size)

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        pass


def test_registered_directives_come_after_the_built_in_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysoa.test.plan.grammar.directive._registered", [])

    register_directive(BodySizeDirective)
    register_directive(BodySizeDirective)

    assert get_all_directives() == [*BUILT_IN_DIRECTIVES, BodySizeDirective]
    assert repr(BodySizeDirective()) == "{action}[.{action_index}]: [global] expect body size: {size}"


class EntryPoint:
    def __init__(self, value: Any) -> None:
        self.value = f"module:{value}"
        self._loaded = value

    def __str__(self) -> str:
        return self.value

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def with_entry_points(monkeypatch: pytest.MonkeyPatch, *loaded: Any) -> None:
    monkeypatch.setattr("pysoa.test.plan.grammar.directive._from_entry_points", None)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [EntryPoint(one) for one in loaded])


def test_directives_of_entry_points_come_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_entry_points(monkeypatch, ImportError("gone"), BodySizeDirective)

    assert get_all_directives()[-1] is BodySizeDirective
    assert capsys.readouterr().err == "Warning: could not resolve module:gone: gone\n"


def test_an_entry_point_has_to_be_a_directive(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, int)

    with pytest.raises(
        AssertionError, match=r"module:<class 'int'> is not a pysoa.test.plan.grammar.directive.Directive"
    ):
        get_all_directives()


def test_grammars_for_names_and_values_are_pyparsing_s() -> None:
    both = VarNameGrammar + pyparsing.Literal(":") + VarValueGrammar

    assert both.parse_string("a.{b}: c d").as_dict() == {"variable_name": "a.{b}", "value": "c d"}


def test_directives_have_a_reference() -> None:
    import pysoa.test.plan
    import pysoa.test.plan.grammar

    text = pysoa.test.plan.__doc__

    assert text is not None
    assert text.startswith("Test plans: tests of a service in plain text files.")
    assert "* input: {action}[.{action_index}]: [global] [(job control | job context)] input [{data_type}]:" in text
    assert "* datetime: A date and time" in text
    assert (pysoa.test.plan.grammar.__doc__ or "").startswith("The language of fixture files.")
    assert len([directive for directive in get_all_directives() if f"* {directive.name()}: " in text]) == 26
