from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.test.assertions import (
    raises_call_action_error,
    raises_error_codes,
    raises_field_errors,
    raises_only_error_codes,
    raises_only_field_errors,
)

A, B = Error("A", "m A"), Error("B", "m B")
C_IN_F, D_IN_G = Error("C", "m C", field="f"), Error("D", "m D", field="g")


def fail(*errors: Error) -> None:
    raise CallActionError([ActionResponse("x", errors=list(errors)), ActionResponse("y", errors=[Error("Y", "m Y")])])


def text_of(run: Callable[[], Any]) -> str:
    with pytest.raises(pytest.fail.Exception) as failure:
        run()
    assert not isinstance(failure.value, AssertionError)
    return str(failure.value)


def check(raises: Callable[..., Any], expected: Any, *errors: Error, **kwargs: Any) -> None:
    with raises(expected, **kwargs):
        fail(*errors)


def test_the_errors_of_the_first_action_are_there_after_the_block() -> None:
    with raises_call_action_error() as info:
        assert not hasattr(info, "soa_errors")
        fail(A, C_IN_F)

    assert info.soa_errors == [A, C_IN_F]
    assert info.type is Client.CallActionError
    assert len(info.value.actions) == 2


def test_the_errors_are_there_when_the_check_of_codes_fails() -> None:
    with pytest.raises(pytest.fail.Exception), raises_error_codes("Z") as info:
        fail(A)

    assert info.soa_errors == [A]


@pytest.mark.parametrize(
    ("raises", "expected", "errors"),
    [
        (raises_error_codes, "A", [A]),
        (raises_error_codes, ["A"], [C_IN_F, B, A]),
        (raises_error_codes, {"A", "B"}, [B, A]),
        (raises_error_codes, (code for code in ("A", "A")), [A, A]),
        (raises_error_codes, [], [A]),
        (raises_only_error_codes, frozenset({"A", "B"}), [B, A]),
        (raises_field_errors, {"f": "C"}, [A, C_IN_F]),
        (raises_field_errors, {"f": ("C",), "g": {"D"}}, [D_IN_G, C_IN_F]),
        (raises_only_field_errors, {"f": ["C"], "g": "D"}, [D_IN_G, C_IN_F]),
    ],
)
def test_expected_errors_pass(raises: Callable[..., Any], expected: Any, errors: list[Error]) -> None:
    check(raises, expected, *errors)


@pytest.mark.parametrize(
    ("raises", "expected", "errors", "text"),
    [
        (raises_error_codes, "B", [A], "Expected errors not found in response: ['B']"),
        (raises_error_codes, "C", [C_IN_F], "Expected errors not found in response: ['C']"),
        (raises_error_codes, ["A", "A"], [A], "Expected errors not found in response: ['A']"),
        (raises_only_error_codes, "A", [A, A], "Unexpected errors found in response: [('A', 'm A')]"),
        (raises_only_error_codes, [], [A], "Unexpected errors found in response: [('A', 'm A')]"),
        (
            raises_only_error_codes,
            "B",
            [C_IN_F, A],
            "Expected errors not found in response: ['B']\n"
            "Unexpected errors found in response: [{'f': ('C', 'm C')}, ('A', 'm A')]",
        ),
        (
            raises_field_errors,
            {"f": "B", "g": ["D", "Z"]},
            [D_IN_G],
            "Expected field errors not found in response: [{'f': 'B'}, {'g': 'Z'}]",
        ),
        (
            raises_only_field_errors,
            {"f": "C"},
            [A, C_IN_F, D_IN_G],
            "Unexpected errors found in response: [('A', 'm A'), {'g': ('D', 'm D')}]",
        ),
    ],
)
def test_other_errors_fail_with_what_is_missing_and_what_is_not_expected(
    raises: Callable[..., Any], expected: Any, errors: list[Error], text: str
) -> None:
    assert text_of(lambda: check(raises, expected, *errors)) == text


def test_only_may_be_said_by_an_argument() -> None:
    text = "Unexpected errors found in response: [('B', 'm B')]"

    assert text_of(lambda: check(raises_error_codes, "A", A, B, only=True)) == text
    assert text_of(lambda: check(raises_field_errors, {"f": "C"}, C_IN_F, B, only=True)) == text


def test_what_is_passed_stays_as_it_is() -> None:
    codes, fields = {"A"}, {"f": {"C"}}

    check(raises_error_codes, codes, A)
    check(raises_only_field_errors, fields, C_IN_F)

    assert (codes, fields) == ({"A"}, {"f": {"C"}})


@pytest.mark.parametrize(
    "raises",
    [
        raises_call_action_error,
        lambda **kwargs: raises_error_codes([], **kwargs),
        lambda **kwargs: raises_only_error_codes([], **kwargs),
        lambda **kwargs: raises_field_errors({}, **kwargs),
        lambda **kwargs: raises_only_field_errors({}, **kwargs),
    ],
)
def test_a_block_has_to_raise_what_is_expected(raises: Callable[..., Any]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^DID NOT RAISE .*CallActionError"), raises():
        pass
    with pytest.raises(CallJobError), raises():
        raise CallJobError([A])
    with pytest.raises(AssertionError, match="pattern"), raises(match="nothing of the kind"):
        fail()


def test_they_are_decorators_too() -> None:
    raises_error_codes("A")(fail)(A)
    assert text_of(lambda: raises_error_codes("B")(fail)(A)) == "Expected errors not found in response: ['B']"
