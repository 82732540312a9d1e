"""What texts become, and values that equal many others."""

from __future__ import annotations

import copy
import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from pysoa.test.plan.errors import DataTypeConversionError
from pysoa.test.plan.grammar import data_types
from pysoa.test.plan.grammar.data_types import (
    AnyValue,
    RegexValue,
    get_all_data_type_names,
    get_parsed_data_type_value,
    get_typed_value,
)
from pysoa.test.plan.grammar.parts import DATA_TYPE_NAMES

NOW = datetime.datetime(2031, 5, 6, 7, 8, 9, 123_456, datetime.UTC)


@pytest.mark.parametrize(
    ("data_type", "text", "expected"),
    [
        ("str", "12", "12"),
        ("str", "", ""),
        ("int", "0042", 42),
        ("int", "", 0),
        ("float", "1e3", 1000.0),
        ("float", "", 0.0),
        ("decimal", "3.50", Decimal("3.50")),
        ("decimal", "", Decimal("0.0")),
        ("bool", "TRUE", True),
        ("bool", "1", False),
        ("bool", "", False),
        ("bytes", "é", b"\xc3\xa9"),
        ("bytes", "", b""),
        ("base64_bytes", "cGVhcg==", b"pear"),
        ("base64_bytes", "cG Vhcg==", b"pear"),
        ("base64_bytes", "", b""),
        ("encoded_ascii", r"a\tb\x0b\u2603\101", "a\tb\x0b\u2603A"),
        ("encoded_ascii", r"\q \\", "\\q \\"),
        ("encoded_ascii", "", ""),
        ("encoded_unicode", r"ü\u2603ü\U0001f351 \N{PEACH}", "ü\u2603ü\U0001f351 \U0001f351"),
        ("emptystr", "x", ""),
        ("emptylist", "x", []),
        ("emptydict", "x", {}),
        ("none", "x", None),
        ("None", "", None),
        ("null", "", None),
        ("datetime", "2021,6,5", datetime.datetime(2021, 6, 5)),
        ("datetime", "2021,6,5,4,3,2,1", datetime.datetime(2021, 6, 5, 4, 3, 2, 1)),
        ("date", "2021,6,5", datetime.date(2021, 6, 5)),
        ("time", "23,59", datetime.time(23, 59)),
        ("time", "1,2,3,4", datetime.time(1, 2, 3, 4)),
        ("int", "[[users.0.id]]", "[[users.0.id]]"),
        ("none", "a [[GET_USER.id]]", "a [[GET_USER.0.id]]"),
        ("regex", r"\[[abc]]", RegexValue(r"\[[abc]]")),
        ("not regex", "x", RegexValue("x", negate=True)),
        ("regex", "", RegexValue("")),
    ],
)
def test_a_text_becomes_a_value(data_type: str, text: str, expected: Any) -> None:
    value = get_typed_value(data_type, text)

    assert value == expected
    assert type(value) is type(expected)
    assert get_parsed_data_type_value(SimpleNamespace(data_type=data_type), text) == expected


@pytest.mark.parametrize(
    ("data_type", "text", "expected"),
    [
        ("datetime", "now", datetime.datetime(2031, 5, 6, 7, 8, 9)),
        ("datetime", "midnight", datetime.datetime(2031, 5, 6)),
        ("datetime", "utc_now", datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)),
        ("datetime", "utc_midnight", datetime.datetime(2031, 5, 6, tzinfo=datetime.UTC)),
        ("datetime", "now +1", datetime.datetime(2031, 5, 7, 7, 8, 9)),
        ("datetime", "now  -0,6", datetime.datetime(2031, 5, 6, 13, 8, 9)),
        ("datetime", "midnight 0,3,30,-1,5", datetime.datetime(2031, 5, 6, 3, 29, 59, 5)),
        ("date", "today", datetime.date(2031, 5, 6)),
        ("date", "utc_today", datetime.date(2031, 5, 6)),
        ("time", "now", datetime.time(7, 8, 9)),
        ("time", "utc_now 0,17", datetime.time(0, 8, 9)),
        ("time", "midnight -0,0,-1", datetime.time(23, 59)),
    ],
)
def test_words_for_moments_are_told_by_the_clock(data_type: str, text: str, expected: Any) -> None:
    with time_machine.travel(NOW, tick=False):
        value = get_typed_value(data_type, text)

    assert value == expected


@pytest.mark.parametrize(
    ("data_type", "value", "detail"),
    [
        ("int", "abc", "invalid literal for int() with base 10: 'abc'"),
        ("decimal", "abc", "[<class 'decimal.ConversionSyntax'>]"),
        ("base64_bytes", "abc", "Incorrect padding"),
        ("encoded_ascii", "é", "'ascii' codec can't encode character '\\xe9' in position 0: ordinal not in range(128)"),
        ("regex", "(", "missing ), unterminated subpattern at position 0"),
        ("datetime", "", "Attempt to convert false-y value to datetime value"),
        ("date", "", "Attempt to convert false-y value to date value"),
        ("time", None, "Attempt to convert false-y value to time value"),
        ("datetime", 5, "Attempt to convert unknown type int to datetime value"),
        ("datetime", "2021,13,1", "month must be in 1..12"),
        ("datetime", "2021,x", "2021,x is no datetime: invalid literal for int() with base 10: 'x'"),
        ("date", "2021", "function missing required argument 'month' (pos 2)"),
        ("date", "now", "now is no date: invalid literal for int() with base 10: 'now'"),
        ("datetime", "nowhere", "nowhere is no datetime: use numbers, or one of now, midnight, utc_now, utc_midnight"),
        ("time", "utc_midnight", "utc_midnight is no time: use numbers, or one of now, midnight, utc_now"),
        ("datetime", "now + 1", "+ 1 is no delta: invalid literal for int() with base 10: '+ 1'"),
        ("datetime", "now 1,2,3,4,5,6", "1,2,3,4,5,6 has more than days, hours, minutes, seconds, microseconds"),
        ("datetime", "now 1000000000", "days=1000000000; must have magnitude <= 999999999"),
        ("list", "x", "Unknown type: list"),
    ],
)
def test_what_is_no_value_is_refused(data_type: str, value: Any, detail: str) -> None:
    with pytest.raises(DataTypeConversionError) as caught:
        get_typed_value(data_type, value)

    assert str(caught.value).startswith(detail)


def test_bytes_and_values_that_match_others_are_taken() -> None:
    anything = AnyValue("int")

    assert get_typed_value("int", b"12") == 12
    assert get_typed_value("bytes", b"\xff") == b"\xff"
    assert get_typed_value("str", anything) is anything
    assert get_typed_value("int", None) == 0


def test_every_data_type_is_described_and_known_to_the_grammar() -> None:
    names = get_all_data_type_names()

    assert names[:3] == ["base64_bytes", "bool", "bytes"]
    assert names == sorted(names, key=str.lower)
    assert set(names) == set(DATA_TYPE_NAMES) == set(data_types.data_type_descriptions)
    assert {name for name in names if data_types.DataTypeGrammar.parse_string(name, True)} == set(names)


class Decimal2(Decimal):
    pass


class FakeDatetime(datetime.datetime):
    """As freezegun's, which takes the place of the real class."""


@pytest.mark.parametrize(
    ("data_type", "same", "others"),
    [
        ("str", ["", "x"], [b"x", 1, None]),
        ("bytes", [b""], ["x"]),
        ("base64_bytes", [b""], ["x"]),
        ("int", [0, True], [1.0, "1", None]),
        ("float", [1.0], [1, "1.0"]),
        ("bool", [False], [0, "true"]),
        ("decimal", [Decimal(1), Decimal2(1)], [1, 1.0]),
        ("time", [datetime.time(1)], ["01:00"]),
        (
            "datetime",
            [NOW, FakeDatetime(2020, 1, 1), "2020-01-02T03:04:05Z", "2020-01-02T03:04:05.678Z and more"],
            [datetime.date(2020, 1, 1), "2020-01-02", "2020-01-02T03:04:05", 5],
        ),
        ("date", [datetime.date(2020, 1, 1), "2020-01-02", "2020-01-02 or so"], [NOW, "x 2020-01-02"]),
        ("list", [[]], [{}, ()]),
        ("dict", [{}], [[]]),
        ("Decimal", [Decimal(1)], [1]),
    ],
)
def test_any_value_equals_all_of_a_data_type(data_type: str, same: list[Any], others: list[Any]) -> None:
    anything, or_none = AnyValue(data_type), AnyValue(data_type, permit_none=True)

    assert [value for value in same if anything != value or or_none != value] == []
    assert [value for value in [*others, None] if anything == value] == []
    assert or_none == None  # noqa: E711 - that is the question
    assert [value for value in others if value is not None and or_none == value] == []


def test_values_that_match_others_equal_their_like_and_are_copied_as_they_are() -> None:
    assert AnyValue("int") == AnyValue("int", permit_none=True)
    assert AnyValue("int") != AnyValue("str")
    assert RegexValue("a") == RegexValue("a")
    assert RegexValue("a") != RegexValue("a", negate=True)
    for value in (AnyValue("int"), RegexValue("a")):
        assert copy.copy(value) is value
        assert copy.deepcopy([value])[0] is value
    assert repr([AnyValue("int"), AnyValue("str", True), RegexValue("^x"), RegexValue("^x", True)]) == (
        "[any int type value, any str type value or None, regex ^x, regex not ^x]"
    )


def test_regular_expressions_are_matched_at_the_beginning_of_texts_alone() -> None:
    assert RegexValue("b+") == "bb!"
    assert RegexValue("b+") != "abb"
    assert RegexValue("b+", negate=True) == "abb"
    assert RegexValue("b+", negate=True) != "bb"
    for value in (5, None, b"bb"):
        assert RegexValue("b+") != value
        assert RegexValue("b+", negate=True) != value
    assert RegexValue("x").re.pattern == RegexValue("x").pattern == "x"
