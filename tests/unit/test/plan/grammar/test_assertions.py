"""Assertions about structures, and their texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.test.plan.grammar.assertions import (
    assert_actual_list_not_subset,
    assert_exact_structure,
    assert_expected_list_subset_of_actual,
    assert_lists_match_any_order,
    assert_not_expected,
    assert_not_present,
    assert_subset_structure,
)
from pysoa.test.plan.grammar.data_types import AnyValue

LINE = "-" * 70


def text_of(function: Callable[..., None], *arguments: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        function(*arguments, **kwargs)
    assert type(caught.value) is AssertionError
    return str(caught.value)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1]}, {"a": [1, 2]}),
        ({"a": {}, "b": []}, {"a": {}, "b": []}),
        ({"a": AnyValue("str")}, {"a": "x"}),
        ({"a": 1}, {"a": True}),
    ],
)
def test_a_subset_is_found(expected: Any, actual: Any) -> None:
    assert_subset_structure(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual", "missing", "mismatched"),
    [
        ({"a": {"b": 1, "c": [{"d": 2}]}}, {}, ["a.b", "a.c.0.d"], []),
        ({"a": {}, "b": [], "c": {"d": {}}}, {}, ["a", "b", "c.d"], []),
        ({"a": [1, 2]}, {"a": [1]}, ["a.1"], []),
        ({"a": [2, 1]}, {"a": [1, 2]}, [], ["a.0", "a.1"]),
        ({"a": {}}, {"a": {"b": 1}}, [], ["a"]),
        ({"a": []}, {"a": [1]}, [], ["a"]),
        ({"a": {"b": 1}}, {"a": None}, [], ["a"]),
        ({"a.b": "1", "0": 1}, {"a.b": 1}, ["{0}"], ["{a.b}"]),
    ],
)
def test_what_is_missing_or_another_is_named(
    expected: Any, actual: Any, missing: list[str], mismatched: list[str]
) -> None:
    text = text_of(assert_subset_structure, expected, actual)

    before, _, _ = text.partition("Full body expected:")
    missing_part, _, mismatched_part = before.partition("\nMismatch values:")
    assert [line.strip(" `") for line in missing_part.splitlines()[2:]] == missing
    assert [path for path in mismatched if f"\n`{path}` is incorrect:\n" not in mismatched_part] == []
    assert mismatched_part.count(" is incorrect:") == len(mismatched)


def test_the_text_of_a_subset_that_is_not_there() -> None:
    expected = {"total": {"vat": 1, "tax": 2}, "status": "accepted"}

    text = text_of(assert_subset_structure, expected, {"total": {}, "status": "pending"}, msg="order.0")

    assert text == (
        f"order.0\n{LINE}\nDATA ERROR:\n"
        "Missing values:\n  `total.tax`\n  `total.vat`\n"
        "Mismatch values:\n  `status`\n"
        "\n`status` is incorrect:\n  Expected: accepted (<class 'str'>)\n  Actual:   pending (<class 'str'>)\n"
        "\nFull body expected:\n{'status': 'accepted', 'total': {'tax': 2, 'vat': 1}}\n"
        "\nFull body actual:\n{'status': 'pending', 'total': {}}\n"
    )
    assert text_of(assert_subset_structure, {"a": 1}, {}).startswith("\nMissing values:\n  `a`\nFull body expected:")


def test_single_values_may_be_looked_for_in_lists() -> None:
    assert_subset_structure(
        {"a": "x", "b": ["y"], "c": [{"d": 1}]}, {"a": ["w", "x"], "b": ["x", "y"], "c": [{"d": 1}]}, True
    )

    text = text_of(assert_subset_structure, {"a": "x", "b": ["y"]}, {"a": [], "b": ["x"]}, subset_lists=True)

    assert text.startswith("\nMissing values:\n  `a.x`\n  `b.0.y`\nFull body")


def test_nothing_may_be_there_besides_an_exact_structure() -> None:
    assert_exact_structure({"a": {"b": [1]}, "c": AnyValue("dict")}, {"a": {"b": [1]}, "c": {"d": 1}})

    text = text_of(
        assert_exact_structure, {"a": [1], "b": {}, "m": 1}, {"a": [1, 2], "b": {"c": 3}, "x.y": {}}, msg="here"
    )

    assert text.startswith(
        f"here\n{LINE}\nDATA ERROR:\nMissing values:\n  `m`\nExtra values:\n   `a.1`\n   `b.c`\n   `{{x.y}}`\n"
        "\nMismatch values:\n  `b`\n\n`b` is incorrect:"
    )


@pytest.mark.parametrize(
    "actual",
    [{}, {"a": None}, {"a": "y"}, {"a": ["y"]}, {"a": {"x": "x"}}],
    ids=["absent", "none", "another", "list without it", "dict"],
)
def test_an_unwanted_value_is_not_there(actual: Any) -> None:
    assert_not_expected({"a": "x"}, actual)


@pytest.mark.parametrize(
    ("unwanted", "actual", "paths"),
    [
        ({"a": "x"}, {"a": "x"}, ["a"]),
        ({"a": "x"}, {"a": ["y", "x"]}, ["a"]),
        ({"a": ["aa", "bb"]}, {"a": ["bb"]}, ["a.1"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.b"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, ["a.0.b"]),
        ({"a": None, "b": {}}, {"a": None, "b": {}}, ["a", "b"]),
    ],
)
def test_an_unwanted_value_is_named(unwanted: Any, actual: Any, paths: list[str]) -> None:
    text = text_of(assert_not_expected, unwanted, actual, msg="x.0")

    listed = "".join(f"\n   `{path}`" for path in paths)
    assert text.startswith(
        f"x.0\n{LINE}\nDATA ERROR:\nNot Expected fields present:{listed}\nFull body NOT expected:\n{{"
    )
    assert "\n\nFull body actual:\n{" in text


def test_paths_that_lead_to_something_are_named() -> None:
    not_present = {"a": {"x": 1}, "b": 1, "c": {"0": 1}, "l": [{}, {}, 1], "d": {"e": {"f": 1}}}
    assert_not_present(not_present, {"a": None, "c": [], "l": [1, {}], "d": {"e": "text"}})

    text = text_of(assert_not_present, not_present, {"b": None, "a": {"x": 0}}, msg="x.0")

    assert text == (
        f"x.0\n{LINE}\nDATA ERROR:\nNot present:\nFull body SHOULD NOT be present:\n['a.x', 'b']\n"
        "\nFull body actual:\n{'a': {'x': 0}, 'b': None}\n"
    )


def test_lists_are_compared_in_any_order() -> None:
    assert_lists_match_any_order([1, 2], [2, 1])
    assert_expected_list_subset_of_actual([2], [2, 1])
    assert_actual_list_not_subset([3], [2, 1])

    exact = text_of(assert_lists_match_any_order, [1], [1, 2], msg="EXPECTED EXACT ERRORS: a.0")
    subset = text_of(assert_expected_list_subset_of_actual, [3], [1])
    unwanted = text_of(assert_actual_list_not_subset, [1], [1], msg="m")

    assert exact == (
        f"EXPECTED EXACT ERRORS: a.0\n{LINE}\nDATA ERROR:\nEncountered values were incorrect:\n"
        "  Expected exact:  [1] (<class 'list'>)\n  Actual:          [1, 2] (<class 'list'>)\n"
    )
    assert subset == (
        "\nEncountered values were incorrect:\n"
        "  Expected subset: [3] (<class 'list'>)\n  Actual:          [1] (<class 'list'>)\n"
    )
    assert unwanted.endswith(
        "\n  Expected not present: [1] (<class 'list'>)\n  Actual:               [1] (<class 'list'>)\n"
    )


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        (assert_subset_structure, ([], {}), "expected value is not a dict"),
        (assert_exact_structure, ({}, None), "actual value is not a dict"),
        (assert_not_expected, (1, {}), "not-expected value is not a dict"),
        (assert_lists_match_any_order, ({}, []), "expected value is not a list"),
        (assert_expected_list_subset_of_actual, ([], ()), "actual value is not a list"),
        (assert_actual_list_not_subset, ("", []), "not-expected value is not a list"),
    ],
)
def test_what_cannot_be_compared_is_said(function: Callable[..., None], arguments: Any, text: str) -> None:
    assert text_of(function, *arguments) == text
