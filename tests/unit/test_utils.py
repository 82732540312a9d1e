"""The small helpers."""

from __future__ import annotations

import sys

import pytest

from pysoa.utils import dict_to_hashable, get_python_interpreter_arguments


def test_equal_dicts_have_one_hashable_value_whatever_their_order() -> None:
    one = {"a": 1, "b": {"c": [1, {"d": {2, 3}}], "e": (4,)}}
    other = {"b": {"e": (4,), "c": [1, {"d": {3, 2}}]}, "a": 1}

    assert dict_to_hashable(one) == dict_to_hashable(other)
    assert len({dict_to_hashable(one), dict_to_hashable(other)}) == 1


@pytest.mark.parametrize(
    "other", [{"a": [1, 3]}, {"a": (1, 2)}, {"a": {1: 2}}, {"a": {1, 2}}, {"b": [1, 2]}, {}, {"a": [1, 2], "b": None}]
)
def test_different_dicts_have_different_values(other: dict[str, object]) -> None:
    assert dict_to_hashable(other) != dict_to_hashable({"a": [1, 2]})


def test_what_is_not_hashable_is_refused() -> None:
    with pytest.raises(TypeError, match="unhashable type: 'bytearray'"):
        dict_to_hashable({"a": bytearray()})


@pytest.mark.parametrize(
    ("command_line", "expected"),
    [
        (["python", "-m", "service.main", "-f", "2"], ["python", "-m", "service.main"]),
        (["python", "-W", "error", "-X", "dev", "-m", "s"], ["python", "-W", "error", "-X", "dev", "-m", "s"]),
        (["python", "-Werror", "-Bmservice"], ["python", "-W", "error", "-B", "-m", "service"]),
        (["python", "-c", "pass", "-m"], ["python", "-c", "pass"]),
        (["python", "service.py", "-m", "x"], ["python"]),
        (["python", "--check-hash-based-pycs", "always", "s.py"], ["python", "--check-hash-based-pycs", "always"]),
        (["python", "-"], ["python"]),
        (["python"], ["python"]),
    ],
)
def test_interpreter_arguments_end_where_the_programs_own_begin(
    monkeypatch: pytest.MonkeyPatch, command_line: list[str], expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "orig_argv", command_line)

    assert get_python_interpreter_arguments() == expected
