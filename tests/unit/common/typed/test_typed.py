from __future__ import annotations

import dataclasses
import datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from pysoa.common.typed import TypedSchema

UTC = datetime.UTC
T = TypeVar("T")


class StructLine(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(min_length=1)]
    qty: Annotated[int, msgspec.Meta(ge=1, le=99)]
    note: str | None = None


class StructOrder(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(gt=0)]
    lines: Annotated[list[StructLine], msgspec.Meta(min_length=1, max_length=3)]
    tags: dict[str, int] = {}
    dry_run: bool = False


@dataclasses.dataclass
class DataLine:
    sku: Annotated[str, msgspec.Meta(min_length=1)]
    qty: Annotated[int, msgspec.Meta(ge=1, le=99)]
    note: str | None = None


@dataclasses.dataclass
class DataOrder:
    id: Annotated[int, msgspec.Meta(gt=0)]
    lines: Annotated[list[DataLine], msgspec.Meta(min_length=1, max_length=3)]
    tags: dict[str, int] = dataclasses.field(default_factory=dict)
    dry_run: bool = False


class DictLine(TypedDict):
    sku: Annotated[str, msgspec.Meta(min_length=1)]
    qty: Annotated[int, msgspec.Meta(ge=1, le=99)]
    note: NotRequired[str | None]


class DictOrder(TypedDict):
    id: Annotated[int, msgspec.Meta(gt=0)]
    lines: Annotated[list[DictLine], msgspec.Meta(min_length=1, max_length=3)]
    tags: NotRequired[dict[str, int]]
    dry_run: NotRequired[bool]


class ModelLine(pydantic.BaseModel):
    sku: str = pydantic.Field(min_length=1)
    qty: int = pydantic.Field(ge=1, le=99)
    note: str | None = None


class ModelOrder(pydantic.BaseModel):
    id: int = pydantic.Field(gt=0)
    lines: list[ModelLine] = pydantic.Field(min_length=1, max_length=3)
    tags: dict[str, int] = {}
    dry_run: bool = False


@dataclasses.dataclass
class MixedOrder:
    """A dataclass that holds models and pydantic's constraints."""

    id: Annotated[int, pydantic.Field(gt=0)]
    lines: Annotated[list[ModelLine], pydantic.Field(min_length=1, max_length=3)]
    tags: dict[str, int] = dataclasses.field(default_factory=dict)
    dry_run: bool = False


ORDERS = [StructOrder, DataOrder, DictOrder, ModelOrder, MixedOrder]


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


@pytest.mark.parametrize("order", ORDERS)
def test_all_faults_are_found_with_codes_and_dotted_pointers(order: Any) -> None:
    body = {
        "id": 0,
        "lines": [{"qty": "x"}, {"sku": "", "qty": 100, "note": 5, "huh": 1}, 3],
        "tags": {"a": "b"},
        "dry_run": "yes",
        "extra": 1,
    }

    assert is_refused(order, body) == [
        ("INVALID", "id", "Value not > 0"),
        ("MISSING", "lines.0.sku", "Missing key: sku"),
        ("INVALID", "lines.0.qty", "Not an integer"),
        ("INVALID", "lines.1.sku", "String must have a length of at least 1"),
        ("INVALID", "lines.1.qty", "Value not <= 99"),
        ("INVALID", "lines.1.note", "Not a unicode string"),
        ("UNKNOWN", "lines.1.huh", "Extra keys present: huh"),
        ("INVALID", "lines.2", "Not a dict"),
        ("INVALID", "tags.a", "Not an integer"),
        ("INVALID", "dry_run", "Not a boolean"),
        ("UNKNOWN", "extra", "Extra keys present: extra"),
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("MISSING", "id", "Missing key: id"), ("MISSING", "lines", "Missing key: lines")]),
        ([], [("INVALID", None, "Not a dict")]),
        (None, [("INVALID", None, "Not a dict")]),
        ({"id": 1, "lines": []}, [("INVALID", "lines", "List is shorter than 1")]),
        ({"id": 1, "lines": [{"sku": "a", "qty": 1}] * 4}, [("INVALID", "lines", "List is longer than 3")]),
        ({"id": 1, "lines": {}}, [("INVALID", "lines", "Not a list")]),
        ({"id": 1, "lines": [{"sku": b"a", "qty": 1}]}, [("INVALID", "lines.0.sku", "Not a unicode string")]),
        ({"id": 1, "lines": [{"sku": "a", "qty": 1}], "tags": []}, [("INVALID", "tags", "Not a dict")]),
    ],
    ids=["empty", "list", "null", "short", "long", "no-list", "bytes", "no-map"],
)
def test_shapes_that_do_not_fit_are_faults(order: Any, body: Any, expected: list[tuple[str, str | None, str]]) -> None:
    assert is_refused(order, body) == expected


@pytest.mark.parametrize("order", ORDERS)
def test_an_unknown_field_below_sound_ones_is_refused(order: Any) -> None:
    body = {"id": 1, "lines": [{"sku": "a", "qty": 1}, {"sku": "a", "qty": 1, "huh": 2}]}

    assert is_refused(order, body) == [("UNKNOWN", "lines.1.huh", "Extra keys present: huh")]


@pytest.mark.parametrize("order", ORDERS)
def test_a_sound_body_becomes_the_typed_value_and_back(order: Any) -> None:
    body = {"id": 5, "lines": [{"sku": "a", "qty": 1, "note": None}], "tags": {"a": 1}, "dry_run": True}

    value = fits(order, body)

    assert isinstance(value, dict if order is DictOrder else order)
    assert TypedSchema(order).to_body(value) == body


def test_faults_in_tuples_point_at_their_items() -> None:
    assert is_refused(tuple[int, str], [1, 2]) == [("INVALID", "1", "Not a unicode string")]
    assert is_refused(tuple[int, str], [1]) == [("INVALID", None, "Number of elements 1 does not match expected 2")]
    assert is_refused(tuple[int, ...], ["a", 1, "b"]) == [
        ("INVALID", "0", "Not an integer"),
        ("INVALID", "2", "Not an integer"),
    ]


def test_plain_annotations_are_schemas() -> None:
    assert fits(dict[str, int], {"a": 1}) == {"a": 1}
    assert is_refused(dict[str, int], {"a": "1", 5: 1, "b": None}) == [
        ("INVALID", "a", "Not an integer"),
        ("INVALID", "5", "Not a unicode string"),
        ("INVALID", "b", "Not an integer"),
    ]
    assert fits(list[StructLine] | None, None) is None
    assert fits(Optional[list[DataLine]], [{"sku": "a", "qty": 1}]) == [DataLine("a", 1)]  # noqa: UP045
    assert is_refused(list[StructLine] | None, [{"sku": "a", "qty": 1, "x": 1}]) == [
        ("UNKNOWN", "0.x", "Extra keys present: x")
    ]
    assert fits(Any, {"a": object}) == {"a": object}
    assert is_refused(None | int, "x") == [("INVALID", None, "Not an integer")]


def test_lengths_of_maps_and_patterns_of_texts_are_checked() -> None:
    short = Annotated[dict[str, int], msgspec.Meta(min_length=1, max_length=2)]
    code = Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]

    assert is_refused(short, {}) == [("INVALID", None, "Dict contains fewer than 1 value(s)")]
    assert is_refused(short, {"a": 1, "b": 2, "c": 3}) == [("INVALID", None, "Dict contains more than 2 value(s)")]
    assert is_refused(code, "A1") == [("INVALID", None, "String does not match ^[a-z]+$")]
    assert is_refused(Annotated[int, msgspec.Meta(multiple_of=5)], 7) == [
        ("INVALID", None, "Value not a multiple of 5")
    ]


def test_datetimes_with_and_without_zone_can_be_told_apart() -> None:
    aware = Annotated[datetime.datetime, msgspec.Meta(tz=True)]

    assert fits(aware, datetime.datetime(2018, 1, 1, tzinfo=UTC))
    assert is_refused(aware, datetime.datetime(2018, 1, 1))


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class ModelCircle(pydantic.BaseModel):
    kind: Literal["circle"]
    radius: float


class ModelSquare(pydantic.BaseModel):
    kind: Literal["square"]
    side: float


def test_a_tag_says_which_struct_of_a_union_is_judged() -> None:
    shapes = list[Circle | Square]

    assert fits(shapes, [{"type": "square", "side": 1}]) == [Square(1.0)]
    assert is_refused(shapes, [{"type": "circle", "side": 1}]) == [
        ("MISSING", "0.radius", "Missing key: radius"),
        ("UNKNOWN", "0.side", "Extra keys present: side"),
    ]
    assert is_refused(shapes, [{"type": "square", "side": 1, "x": 1}]) == [("UNKNOWN", "0.x", "Extra keys present: x")]
    assert all(pointer for _, pointer, _ in is_refused(shapes, [{"type": "star"}]))
    assert TypedSchema(shapes).to_body([Circle(1.0)]) == [{"type": "circle", "radius": 1.0}]


def test_pointers_into_unions_of_models_lead_through_the_value_only() -> None:
    errors = is_refused(dict[str, ModelCircle | ModelSquare], {"a": {"kind": "square", "side": "x"}})

    assert ("INVALID", "a.side", "Not a float") in errors
    assert {pointer for _, pointer, _ in errors} <= {"a.kind", "a.side", "a.radius"}


def test_unions_that_msgspec_cannot_tell_apart_are_checked_by_pydantic() -> None:
    assert fits(datetime.date | Literal["never"], "never") == "never"
    assert fits(datetime.date | Literal["never"], "2018-07-15") == datetime.date(2018, 7, 15)
    assert is_refused(datetime.date | Literal["never"], 5)


def test_a_fault_in_a_union_names_every_type() -> None:
    assert is_refused(int | str, None) == [("INVALID", None, "Not an integer; or Not a unicode string")]
    assert is_refused(list[int] | int, ["x"]) == [("INVALID", "0", "Not an integer")]


class Node(msgspec.Struct):
    value: int
    children: list[Node] = []


class ModelNode(pydantic.BaseModel):
    value: int
    children: list[ModelNode] = []


@pytest.mark.parametrize("node", [Node, ModelNode])
def test_types_may_mention_themselves(node: Any) -> None:
    schema = TypedSchema(node)

    assert seen(schema, {"value": 1, "children": [{"value": 2, "children": [{"value": "x", "y": 1}]}]}) == [
        ("INVALID", "children.0.children.0.value", "Not an integer"),
        ("UNKNOWN", "children.0.children.0.y", "Extra keys present: y"),
    ]
    assert schema.convert({"value": 1, "children": [{"value": 2}]}).children[0].value == 2
    assert schema.introspect()["contents"]["children"]["contents"] == {
        "type": "dictionary",
        "description": f"{node.__name__}, as above",
    }


class Lenient(pydantic.BaseModel, extra="ignore"):
    a: int


class Open(pydantic.BaseModel, extra="allow"):
    a: int


class Holder(pydantic.BaseModel):
    lenient: Lenient
    open: Open


def test_models_that_say_so_take_extra_fields() -> None:
    part = {"a": 1, "b": 2}

    value = fits(Holder, {"lenient": part, "open": part})

    assert value.open.b == 2
    assert is_refused(Holder, {"lenient": part, "open": part, "c": 1}) == [("UNKNOWN", "c", "Extra keys present: c")]


class Renamed(msgspec.Struct, rename="camel"):
    departure_date: datetime.date


class ModelRenamed(pydantic.BaseModel):
    departure_date: datetime.date = pydantic.Field(alias="departureDate")


@pytest.mark.parametrize("renamed", [Renamed, ModelRenamed])
def test_names_on_the_wire_are_those_of_faults_and_bodies(renamed: Any) -> None:
    schema = TypedSchema(renamed)

    assert seen(schema, {"departureDate": 5}) == [("INVALID", "departureDate", "Not a date, nor its ISO text")]
    assert seen(schema, {}) == [("MISSING", "departureDate", "Missing key: departureDate")]
    assert schema.to_body(schema.convert({"departureDate": "2018-07-15"})) == {
        "departureDate": datetime.date(2018, 7, 15)
    }


@dataclasses.dataclass
class Trip:
    out: datetime.date
    back: datetime.date

    def __post_init__(self) -> None:
        if self.back < self.out:
            raise ValueError("back before out")


class ModelTrip(pydantic.BaseModel):
    out: datetime.date
    back: datetime.date

    @pydantic.field_validator("out")
    @classmethod
    def not_long_ago(cls, value: datetime.date) -> datetime.date:
        if value.year < 2000:
            raise ValueError("long ago")
        return value


def test_checks_of_the_type_itself_are_faults_beside_others() -> None:
    trips = [{"out": "2018-07-20", "back": "2018-07-15"}, {"out": 5, "back": "2018-07-15"}]

    assert is_refused(list[Trip], trips) == [
        ("INVALID", "0", "back before out"),
        ("INVALID", "1.out", "Not a date, nor its ISO text"),
    ]
    assert is_refused(ModelTrip, {"out": "1999-01-01", "back": 5}) == [
        ("INVALID", "out", "Value error, long ago"),
        ("INVALID", "back", "Not a date, nor its ISO text"),
    ]


def test_an_exception_of_a_type_is_a_fault_and_not_a_crash() -> None:
    class Fragile(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def breaks(cls, value: int) -> int:
            raise KeyError("no such thing")

    @dataclasses.dataclass
    class FragileData:
        a: int

        def __post_init__(self) -> None:
            raise KeyError("no such thing")

    for type_ in (Fragile, FragileData):
        [(code, _, message)] = is_refused(type_, {"a": 1})
        assert code == "INVALID"
        assert "no such thing" in message


def test_instances_pass_where_plain_values_do() -> None:
    assert fits(list[DataLine], [DataLine("a", 1)]) == [DataLine("a", 1)]
    assert fits(StructOrder, StructOrder(1, [])) == StructOrder(1, [])
    assert fits(ModelOrder, {"id": 1, "lines": [ModelLine(sku="a", qty=1)]}).lines[0].qty == 1


class Point(NamedTuple):
    x: int
    y: int = 0


class Row(msgspec.Struct, array_like=True):
    a: int
    b: str = "x"


def test_types_that_are_lists_on_the_wire_are_schemas() -> None:
    assert fits(list[Point], [[1, 2], [3]]) == [Point(1, 2), Point(3)]
    assert fits(Row, [1, "y"]) == Row(1, "y")
    assert is_refused(list[Point], [[1, "x"]])[0][:2] == ("INVALID", "0.1")
    assert is_refused(dict[str, Row], {"r": ["x"]})[0][:2] == ("INVALID", "r.0")
    assert TypedSchema(Row).to_body(Row(1)) == [1, "x"]


class Box(msgspec.Struct, Generic[T]):
    content: T


def test_generic_structs_are_schemas() -> None:
    assert fits(Box[int], {"content": 5}) == Box(5)
    assert is_refused(Box[int], {"content": "5"}) == [("INVALID", "content", "Not an integer")]


@pytest.mark.parametrize("order", [StructOrder, DataOrder, DictOrder, ModelOrder])
def test_introspection_has_the_shape_of_other_schemas(order: Any) -> None:
    shown = TypedSchema(order).introspect()

    assert {key: value for key, value in shown.items() if key != "contents"} == {
        "type": "dictionary",
        "optional_keys": ["dry_run", "tags"],
        "allow_extra_keys": False,
    }
    assert shown["contents"]["id"] == {"type": "integer", "gt": 0}
    assert shown["contents"]["lines"] == {
        "type": "list",
        "contents": {
            "type": "dictionary",
            "contents": {
                "sku": {"type": "unicode", "min_length": 1},
                "qty": {"type": "integer", "gte": 1, "lte": 99},
                "note": {"type": "nullable", "nullable": {"type": "unicode"}},
            },
            "optional_keys": ["note"],
            "allow_extra_keys": False,
        },
        "min_length": 1,
        "max_length": 3,
    }
    assert shown["contents"]["tags"]["type"] == "schemaless_dictionary"
    assert shown["contents"]["tags"]["value_type"] == {"type": "integer"}
