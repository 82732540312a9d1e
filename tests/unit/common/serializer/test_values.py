from __future__ import annotations

from collections import OrderedDict, namedtuple
from datetime import date
from typing import Any

import attr
import pytest

from pysoa.common.serializer.errors import InvalidField
from pysoa.common.serializer.values import plain

Pair = namedtuple("Pair", "a b")


@attr.s(auto_attribs=True)
class Point:
    x: int
    y: Any = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Corner(Point):
    z: int = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param((1, (2,)), [1, [2]], id="tuples"),
        pytest.param(Pair(1, [Pair(2, 3)]), [1, [[2, 3]]], id="named tuples"),
        pytest.param({1}, [1], id="set"),
        pytest.param(frozenset({"a"}), ["a"], id="frozenset"),
        pytest.param(Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}, id="attrs values"),
        pytest.param(Corner(1), {"x": 1, "y": None, "z": 3}, id="frozen attrs value with slots"),
        pytest.param(OrderedDict(a=(1,)), {"a": [1]}, id="ordered dict"),
        pytest.param({(1, 2): {3}, None: b"x"}, {(1, 2): [3], None: b"x"}, id="keys stay"),
        pytest.param(date(2020, 1, 2), date(2020, 1, 2), id="single value"),
        pytest.param(Point, Point, id="an attrs class is no attrs value"),
    ],
)
def test_what_the_formats_do_not_know_becomes_dicts_and_lists(value: Any, expected: Any) -> None:
    result = plain(value)

    assert result == expected
    assert type(result) is type(expected) or isinstance(value, dict)


def test_dicts_and_lists_are_copied_at_every_level() -> None:
    inside: list[int] = [1]
    value = {"a": {"b": inside}}

    result = plain(value)
    inside.append(2)

    assert result == {"a": {"b": [1]}}


def test_a_value_that_holds_itself_is_refused() -> None:
    itself: list[Any] = []
    itself.append(itself)

    with pytest.raises(InvalidField):
        plain(itself)
