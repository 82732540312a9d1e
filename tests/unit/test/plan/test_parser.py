"""From lines of fixture files to test cases, and what is wrong with them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyparsing
import pytest

from pysoa.common.errors import Error
from pysoa.test.compatibility import mock
from pysoa.test.plan.errors import FixtureLoadError, FixtureSyntaxError
from pysoa.test.plan.grammar.data_types import AnyValue, RegexValue
from pysoa.test.plan.grammar.directive import ActionDirective
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

Cases = list[dict[str, Any]]
Read = Callable[..., Cases]

HEAD = "test name: a\ntest description: b\n"


def only(cases: Cases) -> dict[str, Any]:
    [case] = cases
    return case


# What a file looks like


def test_a_test_case_is_a_dict_of_what_its_lines_say(read: Read, tmp_path: Path) -> None:
    lines = [
        "# A comment.",
        "test name: a",
        "test description: what for",
        "foo: input int: n: 5",
        "bar.2: job context input: locale: de",
        "# Inside.",
        "foo: job control input bool: x: true",
        "foo: expect: attribute value: b.0: c",
        "bar.2: expect any int: attribute value: d",
        "foo: expect: not attribute value: e: f",
        "bar.2: expect: no errors",
        "test skip: later",
    ]
    text = "\n".join(lines)

    case = only(read(f"\n{text}\n\n"))

    file_name = str(tmp_path / "x.pysoa")
    del case["_directive_lines"]
    assert case == {
        "name": "a",
        "description": f"what for\n{file_name}",
        "skip": "later",
        "actions": ["foo.0", "bar.2"],
        "foo.0": {
            "inputs": {"n": 5},
            "job_control_inputs": {"x": True},
            "expects": {"b": ["c"]},
            "not_expects": {"e": "f"},
        },
        "bar.2": {"job_context_inputs": {"locale": "de"}, "expects": {"d": AnyValue("int")}, "expects_no_errors": True},
        "fixture_name": "x",
        "fixture_file_name": file_name,
        "line_number": 3,
        "source": lines,
        "fixture_source": ["", *lines, ""],
    }


def test_blank_lines_part_test_cases_and_comments_do_not(read: Read) -> None:
    cases = read(
        "\n\ntest name: a\n# x\ntest description: b\nf: expect: no errors\n \t \n\n# y\n"
        "f.0: expect: no errors\ntest description: c\ntest name: d"
    )

    assert [(case["name"], case["line_number"], len(case["source"])) for case in cases] == [("a", 3, 4), ("d", 10, 4)]
    assert cases[0]["fixture_source"] is cases[1]["fixture_source"]
    assert len(cases[0]["fixture_source"]) == 12


def test_values_are_trimmed_and_tabs_become_blanks(read: Read) -> None:
    case = only(read(f'{HEAD}f:\tinput:\ta:\tx\ty \t \nf: input: b: "q" # ü: z\r\nf: input: c: \r\n'))

    assert case["f.0"]["inputs"] == {"a": f"x{' ' * 7}y", "b": '"q" # ü: z', "c": ""}


def test_all_kinds_of_expected_errors_are_kept_apart(read: Read) -> None:
    kinds = ["", "exact ", "job ", "exact job ", "not ", "not exact ", "not job ", "not exact job "]
    lines = [f"f: expect: {kind}error: code=C{number}, field=f, message=m" for number, kind in enumerate(kinds)]

    case = only(read(HEAD + "\n".join(lines)))["f.0"]

    assert {key: [error.code for error in errors] for key, errors in case.items()} == {
        "expects_error": ["C0"],
        "expects_exact_error": ["C1"],
        "expects_job_error": ["C2"],
        "expects_job_exact_error": ["C3"],
        "expects_not_error": ["C4"],
        "expects_not_exact_error": ["C5"],
        "expects_not_job_error": ["C6"],
        "expects_not_job_exact_error": ["C7"],
    }


def test_an_expected_error_equals_all_that_it_says_nothing_of(read: Read) -> None:
    case = only(read(f"{HEAD}f: expect: error: code=C\nf: expect: error: code=C, field=f, message=m\n"))

    anyone, one = case["f.0"]["expects_error"]
    error = Error("C", "m", "f", "trace", {"v": "1"}, ["p"], True)
    assert [anyone == error, one == error, anyone == Error("C", "x"), one == Error("C", "x", "f")] == [
        True,
        True,
        True,
        False,
    ]
    assert anyone != Error("D", "m")


def test_mocks_and_stubs_belong_to_the_test_case_or_to_an_action(read: Read) -> None:
    case = only(
        read(
            f"{HEAD}"
            "mock: a.B: c.side_effect: 1\n"
            'mock: a.B: c.side_effect: {"x": {"y": [{"mock.ANY": true}]}}\n'
            "mock: a.B: c.d: exception pysoa.common.errors:Error\n"
            "f: mock: a.B: return_value: exception KeyError\n"
            "f: mock: a.B: expect called: [[1], {}]\n"
            "stub action: s: t: body int: n: 5\n"
            "f: stub action: s: t: error: code=C, field=None, message=\n"
            "f: stub action: s: t: expect called regex: a.0: ^b\n"
            "f: stub action: s: u: expect called:\n"
            "f: stub action: s: v: expect not called:\n"
        )
    )

    results = case["mock_patches"]["a.B"]["results"]
    assert results == {"c.side_effect": [1, {"x": {"y": [mock.ANY]}}], "c.d": Error}
    assert results["c.side_effect"][1].x.y == [mock.ANY]
    assert case["f.0"]["mock_patches"]["a.B"] == {"results": {"return_value": KeyError}, "calls": {"": [[[1], {}]]}}
    assert case["stubbed_actions"] == {("s", "t"): {"body": {"n": 5}}}
    assert case["f.0"]["stubbed_actions"] == {
        ("s", "t"): {
            "errors": [Error("C", None, None)],  # type: ignore[arg-type]
            "expected_call": {"a": [RegexValue("^b")]},
        },
        ("s", "u"): {"expected_call": {}},
        ("s", "v"): {"not_called": True},
    }


# What is wrong


@pytest.mark.parametrize(
    ("line", "column", "hint"),
    [
        ("f: expect no errors", 11, "expected ':', a data type, 'any', 'none' or 'not present'"),
        ("  f: expect: no errors", 3, "a line begins in the first column"),
        (" # x", 2, "a line begins in the first column"),
        ("f: input integer: a: 5", 10, "expected a data type or ':'"),
        ("f:", 3, None),
        ("?", 1, None),
    ],
)
def test_a_line_that_fits_no_directive_is_told_with_its_column(
    error: Callable[[str], FixtureSyntaxError], line: str, column: int, hint: str | None
) -> None:
    found = error(f"{HEAD}{line}\n")

    first, second, third, fourth = (found.msg or "").split("\n")
    assert (first, third) == (f"Failed to parse line: {line}", "Expected end of text")
    assert second == f"in file: {found.filename}:3"
    assert fourth.startswith(f"column {column}: {hint or 'expected '}")
    assert (found.lineno, found.offset, found.text) == (3, column, line)
    assert isinstance(found, SyntaxError)


def test_a_byte_order_mark_and_directives_over_several_lines_are_no_syntax(
    error: Callable[[str | bytes], FixtureSyntaxError],
) -> None:
    assert error(b"\xef\xbb\xbf" + HEAD.encode()).lineno == 1
    assert error(f"{HEAD}f:\ninput: a: b\n").lineno == 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("f: input int: a: x", "invalid literal for int() with base 10: 'x'"),
        ("f: input date: a: 2021,13,1", "month must be in 1..12"),
        ("f: input datetime: a: nowhere", "nowhere is no datetime"),
        ("f: expect regex: attribute value: a: (", "missing ), unterminated subpattern at position 0"),
        ("f: expect any emptydict: attribute value: a", "There is no `any emptydict`: no value is just of that type"),
        ("f: stub action: s: t: body int: a: x", "invalid literal for int() with base 10: 'x'"),
    ],
)
def test_a_value_that_is_none_of_its_type_is_told_with_its_line(
    error: Callable[[str], FixtureSyntaxError], line: str, text: str
) -> None:
    found = error(f"{HEAD}{line}\n")

    assert (found.msg or "").startswith(f"Data type conversion error\nin file: {found.filename}:3\n{text}")
    assert (found.lineno, found.offset, found.text) == (3, len(line), line)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("test name: a", "Duplicate test name directive for test case"),
        ("test description: b", "Duplicate test description directive for test case"),
        ("freeze time: never", "Could not parse datetime value for time freeze"),
        ("freeze time: now\nfreeze time: now", "Time is already frozen here by another line"),
        ("f: freeze time: now\nf: freeze time: now", "Time is already frozen here by another line"),
        ("mock: a: b: {", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (
            "mock: a: expect called: [1]",
            'Expected call JSON syntax must be in the form: [[arg1, ...], {"kwarg1": val1, ...}]',
        ),
        (
            "mock: a: expect called b: [[], {}]\nmock: a: expect not called b:",
            'Cannot combine not-called expectations with other expectations for path "b"',
        ),
        (
            "mock: a: expect not called:\nmock: a: expect called: [[], {}]",
            'Cannot combine not-called expectations with other expectations for path "None"',
        ),
        (
            "mock: a: b.side_effect: delete",
            "Cannot delete paths ending in special Mock attributes `return_value` or `side_effect`",
        ),
        (
            "mock: a: b: exception Nothing",
            'Could not resolve python path for value "<builtins:Nothing>" due to error: '
            "\"module 'builtins' has no attribute 'Nothing'\"",
        ),
        (
            "mock: a: b: exception no.where:X",
            'Could not resolve python path for value "<no.where:X>" due to error: "No module named \'no\'"',
        ),
        (
            "stub action: s: t: body: a: b\nstub action: s: t: error: code=C, field=f, message=m",
            "Cannot combine stub action body and errors (must choose one) for s.t",
        ),
        (
            "stub action: s: t: expect not called:\nstub action: s: t: expect called:",
            'Cannot combine "expect called" and "expect not called" on the same stub action for s.t',
        ),
    ],
)
def test_lines_that_contradict_are_refused(error: Callable[[str], FixtureSyntaxError], lines: str, text: str) -> None:
    found = error(f"{HEAD}{lines}\n")

    last = lines.splitlines()[-1]
    assert found.msg == text
    assert (found.lineno, found.offset, found.text) == (2 + len(lines.splitlines()), len(last), last)


def test_a_path_through_a_leaf_is_told_with_its_line(error: Callable[[str], FixtureSyntaxError]) -> None:
    found = error(f"{HEAD}f: input: a: v\nf: input: a.b: w\n")

    assert (found.lineno, found.text) == (4, "f: input: a.b: w")
    assert (found.msg or "").endswith("`a.b`: b cannot be put into 'v'")


@pytest.mark.parametrize(
    ("text", "what", "line", "last"),
    [
        ("f: expect: no errors\n\n", "Test case without name", 1, "f: expect: no errors"),
        ("test name: a\nf: input: a: b\n", "Test case without description", 2, "f: input: a: b"),
        (HEAD.rstrip(), "Empty test case", 2, "test description: b"),
    ],
)
def test_a_test_case_that_lacks_something_is_told_with_the_line_below_it(
    error: Callable[[str], FixtureSyntaxError], text: str, what: str, line: int, last: str
) -> None:
    found = error(text)

    assert found.msg == f"{found.filename}:{line + 1}: {what}"
    assert (found.lineno, found.offset, found.text) == (line, len(last), last)


def test_files_without_test_cases_and_without_readable_text_are_refused(read: Read, tmp_path: Path) -> None:
    with pytest.raises(FixtureLoadError, match=r"^Failed to find any test cases in file: .*x\.pysoa$"):
        read("# x\nf: global input: a: b\n")
    with pytest.raises(FixtureLoadError, match="is not in UTF-8"):
        read(b"\xff")
    with pytest.raises(FixtureLoadError, match="No such file or directory"):
        ServiceTestPlanFixtureParser(str(tmp_path / "no.pysoa"), "no").parse_test_fixture()


def test_all_that_is_wrong_in_a_file_is_found_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.pysoa"
    path.write_text(
        f"{HEAD}f: expect no errors\nf: input int: a: x\n\n"
        "test name: b\nf: expect: no errors\n\n"
        "test name: c\ntest description: d\nf: expect: no errors\n\n"
        "test name: c\ntest description: d\nf: expect: no errors\n"
    )

    errors = ServiceTestPlanFixtureParser(str(path), "x").find_errors()

    assert [error.lineno for error in errors] == [3, 4, 7, 13]
    assert errors[-1].msg == f'Duplicate test name "c" in fixture "{path}"'


def test_a_line_of_a_file_is_read_for_an_error_that_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "x.pysoa"
    path.write_text("one\n  two  \n")

    errors = [
        FixtureSyntaxError("m", str(path), 2),
        FixtureSyntaxError("m", str(path), 9),
        FixtureSyntaxError("m", str(tmp_path / "no"), 1),
        FixtureSyntaxError("m", str(path)),
        FixtureSyntaxError("m", str(path), 1, 2, "text"),
    ]

    assert [(error.text, error.offset, error.lineno) for error in errors] == [
        ("two", 3, 2),
        ("[unknown]", 0, 9),
        ("[io error]", 0, 1),
        ("", 0, 0),
        ("text", 2, 1),
    ]
    assert [error.msg for error in errors] == ["m"] * 5


# Time


def test_time_stands_still_from_the_line_that_freezes_it(read: Read) -> None:
    case = only(
        read(
            f"{HEAD}freeze time: 2019-02-03T04:05:06Z\n"
            "f: input datetime: a: now\n"
            "f: freeze time: 2020-01-02T03:04:05Z\n"
            "f: input datetime: b: now\n"
            "g: input datetime: c: now\n"
            "f: input datetime: d: now\n"
        )
    )

    frozen, of_action = datetime.datetime(2019, 2, 3, 4, 5, 6), datetime.datetime(2020, 1, 2, 3, 4, 5)
    assert case["f.0"]["inputs"] == {"a": frozen, "b": of_action, "d": frozen}
    assert case["g.0"]["inputs"] == {"c": frozen}
    assert case["_freezegun_freeze_time"] == frozen.replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize("end", ["f: expect: no errors\n", "f: expect no errors\n", "freeze time: now\n", ""])
def test_time_runs_again_whatever_comes_of_a_file(tmp_path: Path, end: str) -> None:
    path = tmp_path / "x.pysoa"
    path.write_text(f"{HEAD}freeze time: 2019-02-03T04:05:06Z\nf: freeze time: now\n{end}")

    ServiceTestPlanFixtureParser(str(path), "x").find_errors()

    assert datetime.datetime.now().year > 2019
    first = time.time()
    assert any(time.time() > first for _ in range(1_000_000))


# Directives of users' own


class CountDirective(ActionDirective):
    """Written as directives of the first PySOA are, with names that pyparsing has given up."""

    called: list[tuple[str, Any]] = []

    @classmethod
    def name(cls) -> str:
        return "count"

    @classmethod
    def get_full_grammar(cls) -> Any:
        number = pyparsing.Word(pyparsing.nums).setResultsName("number")
        return super().get_full_grammar() + pyparsing.Literal("count") + ":" + number

    def ingest_from_parsed_test_fixture(
        self, action_case: dict[str, Any], test_case: Any, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        action_case["count"] = int(parse_results.number)
        self.called.append(("ingest", (line_number, Path(file_name).name, action_case is test_case)))

    def post_parse_test_case_action(self, action_case: Mapping[str, Any], test_case: Any) -> None:
        self.called.append(("action", dict(action_case)))

    def post_parse_test_case(self, test_case: Mapping[str, Any]) -> None:
        self.called.append(("case", test_case["f.0"]["count"]))

    def assert_test_case_action_results(self, *args: Any, **kwargs: Any) -> None:
        pass


def test_directives_of_users_own_read_their_lines_and_are_told_of_ends(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pysoa.test.plan.grammar.directive._registered", [CountDirective])
    monkeypatch.setattr(CountDirective, "called", [])

    case = only(read(f"f: global count: 7\n\n{HEAD}g: count : 5\nf: expect: no errors\ng: count: 6\n"))

    assert (case["f.0"], case["g.0"]) == ({"count": 7, "expects_no_errors": True}, {"count": 6})
    assert CountDirective.called == [
        ("ingest", (1, "x.pysoa", False)),
        ("action", {"count": 7}),
        ("ingest", (5, "x.pysoa", False)),
        ("action", {"count": 5}),
        ("action", {"expects_no_errors": True}),
        ("ingest", (7, "x.pysoa", False)),
        ("action", {"count": 6}),
        ("case", 7),
    ]


def test_a_built_in_directive_has_a_line_before_one_of_a_user(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysoa.test.plan.grammar.directive._registered", [CountDirective])

    case = only(read(f"{HEAD}f: input: count: 5\nf: count: 5\n"))

    assert case["f.0"] == {"inputs": {"count": "5"}, "count": 5}


def test_a_thousand_test_cases_are_read_in_a_moment(read: Read) -> None:
    lines = [
        f"test name: case_{number}\ntest description: number {number}\n"
        "f: input int: a.b: 5\nf: input: c.0.d: text\nf: expect: no errors\nf: expect any int: attribute value: a\n"
        "f: expect: attribute value: b.c.0: x\nf: mock: a.b: return_value: 5\n"
        for number in range(1000)
    ]

    began = time.process_time()
    cases = read("\n".join(lines))

    assert len(cases) == 1000
    assert time.process_time() - began < 20  # a tenth of a second, in truth
