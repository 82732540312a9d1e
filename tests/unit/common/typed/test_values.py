"""One table of values, for a struct and for a model: both kinds of types accept and refuse the same."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any, Literal

import msgspec
import pydantic
import pytest

from pysoa.common.typed import TypedSchema

UTC = datetime.UTC


class Cabin(enum.Enum):
    ECONOMY = "economy"
    BUSINESS = "business"


class Rank(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Amount:
    """An amount of money, as a value that no checker knows."""

    def __init__(self, minor_units: int) -> None:
        self.minor_units = minor_units


def seen(schema: Any, value: Any) -> list[tuple[str, str | None, str]]:
    return [(error.code, error.pointer, error.message) for error in schema.errors(value)]


def fits(type_: Any, value: Any) -> Any:
    schema = TypedSchema(type_)
    assert seen(schema, value) == []
    return schema.convert(value)


def is_refused(type_: Any, value: Any) -> list[tuple[str, str | None, str]]:
    schema = TypedSchema(type_)
    errors = seen(schema, value)
    assert errors
    with pytest.raises(Exception):  # noqa: B017 - any: the errors say what is wrong
        schema.convert(value)
    return errors


class AllStruct(msgspec.Struct, kw_only=True):
    date: datetime.date | None = None
    moment: datetime.datetime | None = None
    time: datetime.time | None = None
    span: datetime.timedelta | None = None
    price: decimal.Decimal | None = None
    key: uuid.UUID | None = None
    raw: bytes | None = None
    cabin: Cabin | None = None
    rank: Rank | None = None
    mode: Literal["a", "b"] | None = None
    number: float | None = None
    count: int | None = None
    flag: bool | None = None
    text: str | None = None
    amount: Amount | None = None
    names: set[str] | None = None
    pair: tuple[int, str] | None = None
    many: tuple[int, ...] | None = None
    anything: Any = None


class AllModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    date: datetime.date | None = None
    moment: datetime.datetime | None = None
    time: datetime.time | None = None
    span: datetime.timedelta | None = None
    price: decimal.Decimal | None = None
    key: uuid.UUID | None = None
    raw: bytes | None = None
    cabin: Cabin | None = None
    rank: Rank | None = None
    mode: Literal["a", "b"] | None = None
    number: float | None = None
    count: int | None = None
    flag: bool | None = None
    text: str | None = None
    amount: Amount | None = None
    names: set[str] | None = None
    pair: tuple[int, str] | None = None
    many: tuple[int, ...] | None = None
    anything: Any = None


KEY = uuid.UUID(int=5)
AMOUNT = Amount(1050)

ACCEPTED = [
    ("date", datetime.date(2018, 7, 15), datetime.date(2018, 7, 15)),
    ("date", "2018-07-15", datetime.date(2018, 7, 15)),
    ("moment", datetime.datetime(2018, 7, 15, 1, 2, 3), datetime.datetime(2018, 7, 15, 1, 2, 3)),
    ("moment", datetime.datetime(2018, 7, 15, tzinfo=UTC), datetime.datetime(2018, 7, 15, tzinfo=UTC)),
    ("moment", "2018-07-15T01:02:03Z", datetime.datetime(2018, 7, 15, 1, 2, 3, tzinfo=UTC)),
    ("time", datetime.time(1, 2), datetime.time(1, 2)),
    ("time", "01:02:03", datetime.time(1, 2, 3)),
    ("span", "PT5S", datetime.timedelta(seconds=5)),
    ("price", decimal.Decimal("19.990"), decimal.Decimal("19.990")),
    ("price", "19.990", decimal.Decimal("19.990")),
    ("price", 19, decimal.Decimal(19)),
    ("price", 19.5, decimal.Decimal("19.5")),
    ("key", KEY, KEY),
    ("key", str(KEY), KEY),
    ("raw", b"\x00\xff", b"\x00\xff"),
    ("raw", "AP8=", b"\x00\xff"),
    ("cabin", "business", Cabin.BUSINESS),
    ("cabin", Cabin.ECONOMY, Cabin.ECONOMY),
    ("rank", 2, Rank.SECOND),
    ("mode", "b", "b"),
    ("number", 7, 7.0),
    ("number", 7.5, 7.5),
    ("count", 2**70, 2**70),
    ("amount", AMOUNT, AMOUNT),
    ("names", ["a", "b"], {"a", "b"}),
    ("pair", [1, "a"], (1, "a")),
    ("many", [1, 2, 3], (1, 2, 3)),
    ("anything", {1: [b"x"]}, {1: [b"x"]}),
]


@pytest.mark.parametrize("all_types", [AllStruct, AllModel])
@pytest.mark.parametrize(("field", "given", "expected"), ACCEPTED, ids=[f"{f}-{g!r:.20}" for f, g, _ in ACCEPTED])
def test_values_of_msgpack_and_of_json_are_accepted(all_types: Any, field: str, given: Any, expected: Any) -> None:
    value = getattr(fits(all_types, {field: given}), field)

    assert value == expected
    assert type(value) is type(expected)


REFUSED = [
    *[("count", value, "INVALID", "Not an integer") for value in ("7", 7.0, True, b"7", [7], decimal.Decimal(7))],
    *[("number", value, "INVALID", "Not a float") for value in ("7.5", True, b"7")],
    *[("flag", value, "INVALID", "Not a boolean") for value in (1, 0, "true")],
    *[("text", value, "INVALID", "Not a unicode string") for value in (5, b"x", 1.5, ["x"])],
    *[
        ("date", value, "INVALID", "Not a date, nor its ISO text")
        for value in (5, 1531612800, "1531612800", "15.7.2018", datetime.datetime(2018, 7, 15), True)
    ],
    *[
        ("moment", value, "INVALID", "Not a datetime, nor its ISO text")
        for value in (5, 5.5, "1531612800", datetime.date(2018, 7, 15), "soon")
    ],
    *[("time", value, "INVALID", "Not a time of day, nor its ISO text") for value in (5, "noon", "3600")],
    *[("span", value, "INVALID", "Not a duration, nor its ISO text") for value in (5, "long", "3600")],
    *[("price", value, "INVALID", "Not a decimal, nor its text") for value in (True, "cheap", b"1")],
    *[("key", value, "INVALID", "Not a UUID, nor its text") for value in (5, "x")],
    *[("raw", value, "INVALID", "Not bytes, nor base64 text") for value in (5, "?", [1])],
    *[
        ("cabin", value, "UNKNOWN", 'Value is not one of: "business", "economy"')
        for value in ("first", 1, "BUSINESS", ["economy"])
    ],
    *[("rank", value, "UNKNOWN", "Value is not one of: 1, 2") for value in ("1", True, 1.0, 3)],
    ("names", {"a": 1}, "INVALID", "Not a list"),
    ("pair", {"a": 1}, "INVALID", "Not a list"),
    ("many", "abc", "INVALID", "Not a list"),
]


@pytest.mark.parametrize("all_types", [AllStruct, AllModel])
@pytest.mark.parametrize(
    ("field", "given", "code", "message"), REFUSED, ids=[f"{f}-{g!r:.20}" for f, g, _, _ in REFUSED]
)
def test_nothing_is_turned_from_one_json_type_into_another(
    all_types: Any, field: str, given: Any, code: str, message: str
) -> None:
    assert is_refused(all_types, {field: given}) == [(code, field, message)]


@pytest.mark.parametrize("all_types", [AllStruct, AllModel])
def test_a_literal_lists_what_is_allowed(all_types: Any) -> None:
    [(code, pointer, message)] = is_refused(all_types, {"mode": "c"})

    assert (code, pointer) == ("UNKNOWN", "mode")
    assert "a" in message
    assert "b" in message


@pytest.mark.parametrize("all_types", [AllStruct, AllModel])
def test_a_value_of_an_unknown_class_must_be_an_instance(all_types: Any) -> None:
    [(code, pointer, message)] = is_refused(all_types, {"amount": {"currency": "EUR", "value": 5}})

    assert (code, pointer) == ("INVALID", "amount")
    assert "instance of Amount" in message


@pytest.mark.parametrize("all_types", [AllStruct, AllModel])
def test_every_kind_of_field_can_be_introspected(all_types: Any) -> None:
    shown = TypedSchema(all_types).introspect()

    assert msgspec.json.encode(shown)  # plain throughout
