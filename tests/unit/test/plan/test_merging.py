"""Global lines, and what becomes of them below the lines of a test case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.test.plan.errors import FixtureSyntaxError

Cases = list[dict[str, Any]]
Read = Callable[..., Cases]

HEAD = "test name: a\ntest description: b\n"


def only(cases: Cases) -> dict[str, Any]:
    [case] = cases
    return case


def test_global_lines_bear_on_the_test_cases_that_end_below_them(read: Read) -> None:
    body = "f: expect: no errors\n"
    cases = read(
        f"test name: a\ntest description:\n{body}\n"
        "f: global input: x: 1\ng: global input: y: 2\n\n"
        f"test name: b\ntest description:\n{body}\n"
        f"test name: c\ntest description:\n{body}f: global input: z: 3\n\n"
        f"test name: d\ntest description:\ng: input: own: 4\n"
    )

    assert [case["actions"] for case in cases] == [["f.0"], ["f.0"], ["f.0"], ["g.0"]]
    assert [case.get("f.0", {}).get("inputs") for case in cases] == [None, {"x": "1"}, {"x": "1", "z": "3"}, None]
    assert [case.get("g.0") for case in cases] == [None, None, None, {"inputs": {"y": "2", "own": "4"}}]


@pytest.mark.parametrize(
    ("global_lines", "lines", "expected"),
    [
        (["a.0: p", "a.1: q"], ["a.0: z"], {"a": ["z", "q"]}),
        (["a.0: p", "a.1: q"], ["a.1: z"], {"a": ["p", "z"]}),
        (["a.0: p"], ["a.2: z"], {"a": ["p", {}, "z"]}),
        (["a.b: p", "a.c: q"], ["a.b: z"], {"a": {"b": "z", "c": "q"}}),
        (["a.b: p"], ["a: z"], {"a": "z"}),
    ],
)
def test_own_leaves_stand_over_global_ones(
    read: Read, global_lines: list[str], lines: list[str], expected: dict[str, Any]
) -> None:
    text = "".join(f"f: global input: {line}\n" for line in global_lines)
    own = "".join(f"f: input: {line}\n" for line in lines)

    assert only(read(f"{text}\n{HEAD}{own}"))["f.0"]["inputs"] == expected


def test_empty_structures_are_filled_from_above_and_replaced_by_own_ones(read: Read) -> None:
    text = "f: global input emptydict: a:\nf: global input emptylist: b:\nf: global input: c.x: 1\n"

    case = only(read(f"{text}\n{HEAD}f: input: a.y: 2\nf: input: b.0: 3\nf: input emptydict: c:\n"))

    assert case["f.0"]["inputs"] == {"a": {"y": "2"}, "b": ["3"], "c": {}}


def test_lists_that_directives_make_are_merged_by_index(read: Read) -> None:
    text = "f: global expect: error: code=A\nf: global expect: error: code=B\n"

    case = only(read(f"{text}\n{HEAD}f: expect: error: code=C\n"))

    assert [error.code for error in case["f.0"]["expects_error"]] == ["C", "B"]


def test_mocks_and_stubs_are_merged_too(read: Read) -> None:
    text = (
        'f: global mock: a.b: return_value: {"x": {"y": 1}}\n'
        'f: global mock: a.b: expect called: [[1, 2], {"z": 3}]\n'
        "f: global stub action: s: t: body: x.y: 1\n"
    )

    case = only(read(f"{text}\n{HEAD}f: mock: a.b: expect called: [[9], {{}}]\nf: stub action: s: t: body: x.z: 2\n"))

    settings = case["f.0"]["mock_patches"]["a.b"]
    assert settings["results"]["return_value"].x.y == 1
    assert settings["calls"] == {"": [[[9], {}]]}
    assert case["f.0"]["stubbed_actions"] == {("s", "t"): {"body": {"x": {"y": "1", "z": "2"}}}}


def test_test_cases_share_nothing_of_global_lines(read: Read) -> None:
    first, second = read(f"f: global input: a.0: x\n\n{HEAD}f: expect: no errors\n\n{HEAD}f: expect: no errors\n")

    first["f.0"]["inputs"]["a"].append("y")

    assert second["f.0"]["inputs"] == {"a": ["x"]}


def test_a_test_case_without_actions_of_its_own_runs_nothing_below_global_lines(read: Read) -> None:
    assert only(read(f"f: global input: a: x\n\n{HEAD}"))["actions"] == []


def test_own_reasons_to_skip_stand_over_global_ones(read: Read) -> None:
    body = "f: expect: no errors\n"

    cases = read(f"test skip global: g\n\n{HEAD}{body}\n{HEAD}test skip: own\n{body}\n{HEAD}test skip:\n{body}")

    assert [case["skip"] for case in cases] == ["g", "own", ""]


def test_nothing_is_put_below_a_global_leaf(error: Callable[[str], FixtureSyntaxError]) -> None:
    found = error(f"f: global input: a: x\n\n{HEAD}f: input: a.b: y\n")

    assert (found.msg, found.lineno) == ("Invalid path: `{f.0}.inputs.a`", 3)
