"""Paths, variables, and grammars as text."""

from __future__ import annotations

import re
import time
from typing import Any

import pyparsing
import pytest

from pysoa.test.plan.errors import StatusError
from pysoa.test.plan.grammar.tools import (
    PathError,
    get_all_paths,
    path_get,
    path_put,
    recursive_parse_expr_repr,
    substitute_variables,
    with_action_indexes,
)

PATHS = [
    ("a.b.c", {"a": {"b": {"c": 1}}}),
    ("a.0", {"a": [1]}),
    ("a.0.b", {"a": [{"b": 1}]}),
    ("a.1.2", {"a": [[], [{}, {}, 1]]}),
    ("a.2", {"a": [{}, {}, 1]}),
    ("a.2.b", {"a": [{}, {}, {"b": 1}]}),
    ("a.{b.c}.d", {"a": {"b.c": {"d": 1}}}),
    ("a.{0}", {"a": {"0": 1}}),
    ("a.{{b}}", {"a": {"{b}": 1}}),
    ("a.{b.{c.d}}.e", {"a": {"b.{c.d}": {"e": 1}}}),
    ("a..b", {"a": {"": {"b": 1}}}),
    (".a", {"": {"a": 1}}),
    ("a.", {"a": 1}),
    ("a-b_C", {"a-b_C": 1}),
    ("", {}),
]


@pytest.mark.parametrize(("path", "expected"), PATHS, ids=[path or "empty" for path, _ in PATHS])
def test_a_path_makes_the_dicts_and_lists_that_it_leads_through(path: str, expected: Any) -> None:
    out: dict[str, Any] = {}

    path_put(out, path, 1)

    assert out == expected
    assert not path or path_get(out, path) == 1


def test_paths_are_put_one_after_the_other() -> None:
    out: dict[str, Any] = {}

    for path, value in [("a.b", 1), ("l.1.x", 2), ("l.0.0", 3), ("l.3", 4), ("a.b", 5), ("e", []), ("e.0", 6)]:
        path_put(out, path, value)

    assert out == {"a": {"b": 5}, "l": [[3], {"x": 2}, {}, 4], "e": [6]}


def test_a_leaf_takes_the_place_of_a_structure_but_not_the_other_way_round() -> None:
    out: dict[str, Any] = {}
    path_put(out, "a.b", "v")
    path_put(out, "a", "w")

    with pytest.raises(PathError, match=re.escape("`a.b`: b cannot be put into 'w'")) as caught:
        path_put(out, "a.b", "x")

    assert isinstance(caught.value, TypeError)
    assert out == {"a": "w"}


def test_a_list_has_no_names() -> None:
    with pytest.raises(PathError, match=re.escape("`a.b.c`: b should be an integer for a list")):
        path_put({"a": [1]}, "a.b.c", 1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.x", 1), ("a.{y.z}", 2), ("l.1", "b"), ("t.0", 3), ("s.1", "q"), ("a.7", 4), ("i.7", 5), ("n", None)],
)
def test_a_path_leads_to_a_value(path: str, expected: Any) -> None:
    data = {"a": {"x": 1, "y.z": 2, "7": 4}, "l": ["a", "b"], "t": (3,), "s": {"q", "p"}, "i": {7: 5}, "n": None}

    assert path_get(data, path) == expected


@pytest.mark.parametrize(
    ("path", "error"),
    [("b", KeyError), ("l.first", IndexError), ("l.5", IndexError), ("n.a", KeyError), ("s.0", KeyError)],
)
def test_what_is_absent_is_told_by_two_exceptions(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        path_get({"l": [1], "n": None, "s": "text"}, path)


def test_all_leaves_have_paths() -> None:
    data = {"a": {"b.c": 1, "0": 2}, "l": [{"x": None}, []], "s": {"q", "p"}, "e": {}}

    assert get_all_paths(data) == ["a.{b.c}", "a.{0}", "l.0.x", "s.0", "s.1"]
    assert get_all_paths(data, allow_blank=True) == ["a.{b.c}", "a.{0}", "l.0.x", "l.1", "s.0", "s.1", "e"]
    assert get_all_paths(data, "top")[0] == "top.a.{b.c}"
    assert get_all_paths({}) == get_all_paths({}, allow_blank=True) == []


RESPONSES = {
    "get_user.0": {"id": 5, "Name": "Ada", "tags": ["x"]},
    "get_user.1": {"id": 6},
    "get_user2.0": {"id": 7},
    "getUser.0": {"id": 8},
}
CONSTANTS = {"users": [{"id": "u0"}, {"id": "u1"}], "settings": {"color": "red"}, "none": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[GET_USER.id]]", 5),
        ("[[GET_USER.0.id]]", 5),
        ("[[get_user.1.id]]", 6),
        ("[[GET_USER.1.id]]", 6),
        ("[[{get_user.1}.id]]", 6),
        ("[[GET_USER.Name]]", "Ada"),
        ("[[GET_USER.tags.0]]", "x"),
        ("[[GET_USER.tags]]", ["x"]),
        ("[[GET_USER2.0.id]]", 7),
        ("[[GET_USER2.id]]", 7),
        ("[[getUser.id]]", 8),
        ("[[GET_USER.1]]", {"id": 6}),
        ("[[users.1.id]]", "u1"),
        ("[[settings.color]]", "red"),
        ("[[SETTINGS.COLOR]]", "red"),
        ("[[none]]", None),
        ("a [[users.0.id]], [[GET_USER.id]] and [[GET_USER.id]]", "a u0, 5 and 5"),
        ("[[a b]] [[]] [[a] [[users.0.id", "[[a b]] [[]] [[a] [[users.0.id"),
    ],
)
def test_variables_become_what_responses_and_constants_have(text: str, expected: Any) -> None:
    data = {"list": [{"deep": text}], "other": 1}

    substitute_variables(data, RESPONSES, CONSTANTS)

    assert data == {"list": [{"deep": expected}], "other": 1}


def test_what_a_variable_becomes_is_a_copy() -> None:
    data: dict[str, Any] = {"tags": "[[GET_USER.tags]]"}

    substitute_variables(data, RESPONSES)
    data["tags"].append("y")

    assert RESPONSES["get_user.0"]["tags"] == ["x"]


def test_an_unknown_variable_is_named_with_the_sources() -> None:
    with pytest.raises(
        StatusError, match=re.escape("Could not find value no.name for [[no.name]] in sources ({}, {'a': 1})")
    ):
        substitute_variables({"x": "[[no.name]]"}, {}, {"a": 1})


def test_the_name_after_an_action_keeps_its_case() -> None:
    with pytest.raises(StatusError):
        substitute_variables({"x": "[[GET_USER.name]]"}, RESPONSES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[GET_USER.id]]", "[[GET_USER.0.id]]"),
        ("a [[GET-USER.{x.y}]] b", "a [[GET-USER.0.{x.y}]] b"),
        ("[[users.id]]", "[[users.id]]"),
        ("[[GET_USER.2.id]]", "[[GET_USER.2.id]]"),
        ("[[{GET_USER}.id]]", "[[{GET_USER}.id]]"),
        ("[[A1.b]]", "[[A1.b]]"),
        ("[[X]]", "[[X]]"),
    ],
)
def test_actions_in_capitals_get_the_index_0(text: str, expected: str) -> None:
    assert with_action_indexes(text) == expected


def test_a_variable_without_an_end_does_not_take_for_ever() -> None:
    data = {"x": "[[" + "a" * 200_000}

    began = time.process_time()
    substitute_variables(data, {})

    assert time.process_time() - began < 10  # it would take longer than the universe has lasted


def test_grammars_are_shown_as_text() -> None:
    grammar = (
        pyparsing.Word(pyparsing.alphas)("action")
        + pyparsing.Optional(pyparsing.Literal(".") + pyparsing.Word(pyparsing.nums)("index"))
        + ":"
        + pyparsing.MatchFirst([pyparsing.Literal("a"), pyparsing.Keyword("b")])
        + pyparsing.Suppress("=")
        + pyparsing.Group(pyparsing.Word("x")("value"))
    )

    assert recursive_parse_expr_repr(grammar) == "{action}[.{index}]: (a | b)={value}"
