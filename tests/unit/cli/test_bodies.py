from __future__ import annotations

import datetime
import decimal
import json
from types import SimpleNamespace
from typing import Any

import pytest

from pysoa.cli.bodies import BadArgument, body_of, json_of
from pysoa.common.serializer.amount import Amount


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("x=7", 7),
        ("x=-1.5", -1.5),
        ("x=true", True),
        ("x=null", None),
        ("x=[1, 2]", [1, 2]),
        ('x={"y": 1}', {"y": 1}),
        ('x="7"', "7"),
        ("x=seven", "seven"),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ("x=007", "007"),
        ("x=NaN", "NaN"),
        ("x=[Infinity]", "[Infinity]"),
        ("x=2018-07-15", "2018-07-15"),
        pytest.param("x=" + "[" * 100_000, "[" * 100_000, id="too deep to be JSON"),
    ],
)
def test_a_value_is_json_where_it_parses_and_text_elsewhere(pair: str, value: Any) -> None:
    assert body_of([pair]) == {"x": value}


def test_dots_nest() -> None:
    assert body_of(["order.id=5", "order.lines=[]", "name=Ada"]) == {"order": {"id": 5, "lines": []}, "name": "Ada"}


def test_pairs_are_added_to_a_whole_body() -> None:
    assert body_of(["order.id=5"], '{"order": {"name": "x"}}') == {"order": {"name": "x", "id": 5}}


@pytest.mark.parametrize(
    ("pairs", "json_text", "message"),
    [
        (["x"], None, "'x' is not KEY=VALUE"),
        (["=1"], None, "'=1' is not KEY=VALUE"),
        (["a..b=1"], None, "'a..b=1' is not KEY=VALUE"),
        (["x=1", "x=2"], None, "'x' has a value already"),
        (["x=1", "x.y=2"], None, "'x' has a value already, and so cannot have parts"),
        (["x=1"], '{"x": 2}', "'x' has a value already"),
        ([], "{", "--json is not JSON"),
        ([], "[]", "--json is not a JSON object"),
        ([], '{"x": NaN}', "--json is not JSON: NaN is no JSON"),
    ],
)
def test_what_is_no_body_is_refused(pairs: list[str], json_text: str | None, message: str) -> None:
    with pytest.raises(BadArgument) as raised:
        body_of(pairs, json_text)

    assert str(raised.value).find(message) >= 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime.date(2018, 7, 15), "2018-07-15"),
        (datetime.datetime(2018, 7, 15, 7, 45, tzinfo=datetime.UTC), "2018-07-15T07:45:00+00:00"),
        (datetime.time(7, 45), "07:45:00"),
        (decimal.Decimal("12.30"), "12.30"),
        (Amount("USD", 199), {"currency": "USD", "value": 199}),
        (SimpleNamespace(currency=SimpleNamespace(code="EUR"), value=5), {"currency": "EUR", "value": 5}),
        (b"\x00\xff", "AP8="),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        ([1, None, True, 1.5], [1, None, True, 1.5]),
        ((1, 2), [1, 2]),
    ],
)
def test_values_without_json_are_rendered(value: Any, shown: Any) -> None:
    assert json.loads(json_of({"x": value})) == {"x": shown}


def test_text_of_all_languages_stays_readable() -> None:
    assert json_of({"x": "Zürich 東京"}) == '{"x": "Zürich 東京"}'


@pytest.mark.parametrize("text", ["\x1b[31m", "\x7f", "\x9b31m", "\u202e", "\n", "\U000e0041", "\ud800"])
def test_characters_that_command_a_terminal_are_escaped(text: str) -> None:
    shown = json_of({"x": text})

    assert shown.isprintable()
    assert json.loads(shown) == {"x": text}


def test_indented_json_has_lines() -> None:
    assert json_of({"x": [1, "\x1b"]}, indent=2) == '{\n  "x": [\n    1,\n    "\\u001b"\n  ]\n}'
