from __future__ import annotations

import decimal
from typing import Any

import pytest

from pysoa.common import fields
from pysoa.common.fields import (
    MOST_ERRORS,
    Any_,
    Anything,
    Boolean,
    Constant,
    Dictionary,
    FieldError,
    Float,
    Integer,
    List,
    Nullable,
    SchemalessDictionary,
    Set,
    Tuple,
    UnicodeString,
)
from tests.support.vectors import from_notation, load

PLACE_ORDER = Dictionary(
    {
        "order": Dictionary(
            {
                "id": Integer(gt=0),
                "lines": List(
                    Dictionary(
                        {
                            "sku": UnicodeString(min_length=1),
                            "qty": Integer(gte=1, lte=99),
                            "note": Nullable(UnicodeString()),
                        },
                        optional_keys=("note",),
                    ),
                    min_length=1,
                    max_length=3,
                ),
            }
        ),
        "dry_run": Boolean(),
        "tags": SchemalessDictionary(key_type=UnicodeString(), value_type=Integer()),
    },
    optional_keys=("dry_run", "tags"),
)
SCHEMAS = {"square": Dictionary({"number": Integer()}), "place_order": PLACE_ORDER}

CASES = [
    pytest.param(case, id=case["name"])
    for case in load("behaviour")["cases"]
    if case["group"] == "validation" and case["name"].startswith(("square", "order")) and case["name"] != "square_big"
]


def seen(errors: list[FieldError]) -> list[tuple[str, str, str | None]]:
    return [(error.code, error.message, error.pointer) for error in errors]


@pytest.mark.parametrize("case", CASES)
def test_faults_of_a_body_are_those_that_conformity_finds(case: dict[str, Any]) -> None:
    request = from_notation(case["job_request"])["actions"][0]
    response = from_notation(case["job_response"])["actions"][0]

    errors = SCHEMAS[request["action"]].errors(request["body"])

    assert seen(errors) == [(e["code"], e["message"], e["field"]) for e in response["errors"]]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param(Integer(lt=5), 5, "Value not < 5", id="lt"),
        pytest.param(Integer(), 5.0, "Not an integer", id="integral-float"),
        pytest.param(Float(), "5", "Not a float", id="text-for-float"),
        pytest.param(Float(), True, "Not a float", id="boolean-for-float"),
        pytest.param(Float(), float("nan"), "Not a finite number", id="nan"),
        pytest.param(Float(gt=0), 0, "Value not > 0", id="zero"),
        pytest.param(UnicodeString(max_length=2), "abc", "String must have a length no more than 2", id="long"),
        pytest.param(UnicodeString(allow_blank=False), " ", "String cannot be blank", id="blank"),
        pytest.param(Constant("a"), "b", 'Value is not "a"', id="one-constant"),
        pytest.param(Constant("b", "a", 1), [], 'Value is not one of: "a", "b", 1', id="unhashable"),
        pytest.param(List(Anything(), max_length=1), [1, 2], "List is longer than 1", id="long-list"),
        pytest.param(Set(Integer()), [1], "Not a set or frozenset", id="list-for-set"),
        pytest.param(Tuple(Integer()), [1], "Not a tuple", id="list-for-tuple"),
        pytest.param(Tuple(Integer()), (1, 2), "Number of elements 2 does not match expected 1", id="tuple-length"),
    ],
)
def test_a_value_that_does_not_fit_is_one_fault(field: fields.Field, value: Any, message: str) -> None:
    errors = field.errors(value)

    assert [error.message for error in errors] == [message]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(Float(gt=0), 1, id="integer-for-float"),
        pytest.param(Nullable(Integer()), None, id="null"),
        pytest.param(Any_(Integer(), UnicodeString()), "x", id="second-option"),
        pytest.param(Set(UnicodeString()), frozenset({"a"}), id="frozenset"),
        pytest.param(Tuple(Integer(), UnicodeString()), (1, "a"), id="tuple"),
        pytest.param(Constant(None, 1), None, id="null-constant"),
        pytest.param(Anything(), decimal.Decimal(1), id="anything"),
    ],
)
def test_a_value_that_fits_has_no_fault(field: fields.Field, value: Any) -> None:
    assert field.errors(value) == []


def test_a_constant_that_does_not_fit_is_unknown() -> None:
    assert seen(Constant("a", "b").errors("c")) == [("UNKNOWN", 'Value is not one of: "a", "b"', None)]


def test_pointers_lead_through_tuples_sets_and_options() -> None:
    field = Dictionary({"pair": Tuple(Integer(), Integer()), "names": Set(UnicodeString()), "n": Any_(Integer())})

    errors = field.errors({"pair": (1, "x"), "names": {5}, "n": None})

    assert [error.pointer for error in errors] == ["pair.1", "names.[5]", "n"]


def test_a_misspelt_key_hints_at_the_right_one() -> None:
    errors = Dictionary({"queue_capacity": Integer()}, optional_keys=("queue_capacity",)).errors({"que_capacity": 1})

    assert errors[0].hint == 'did you mean "queue_capacity"?'


def test_a_subclass_hard_codes_what_arguments_override() -> None:
    class Point(Dictionary):
        contents = {"x": Integer(), "y": Integer()}
        optional_keys = ("y",)

    assert seen(Point().errors({"z": 1})) == [
        ("MISSING", "Missing key: x", "x"),
        ("UNKNOWN", "Extra keys present: z", None),
    ]
    assert Point(allow_extra_keys=True, optional_keys=("x", "y")).errors({"z": 1}) == []


def test_an_extended_dictionary_has_both_kinds_of_keys() -> None:
    base = Dictionary({"x": Integer()}, description="a point")

    extended = base.extend({"y": Integer()}, optional_keys=("y",))

    assert extended.errors({"x": 1}) == []
    assert extended.introspect()["description"] == "a point"
    assert seen(base.errors({"x": 1, "y": 1})) == [("UNKNOWN", "Extra keys present: y", None)]


def test_a_dictionary_without_contents_is_refused() -> None:
    with pytest.raises(ValueError, match="'contents' is a required argument"):
        Dictionary()


def test_introspection_has_the_shape_that_clients_know() -> None:
    assert PLACE_ORDER.introspect() == {
        "type": "dictionary",
        "contents": {
            "order": {
                "type": "dictionary",
                "contents": {
                    "id": {"type": "integer", "gt": 0},
                    "lines": {
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
                        "max_length": 3,
                        "min_length": 1,
                    },
                },
                "optional_keys": [],
                "allow_extra_keys": False,
            },
            "dry_run": {"type": "boolean"},
            "tags": {
                "type": "schemaless_dictionary",
                "key_type": {"type": "unicode"},
                "value_type": {"type": "integer"},
            },
        },
        "optional_keys": ["dry_run", "tags"],
        "allow_extra_keys": False,
    }


def test_foreign_schemas_may_give_none_for_no_errors() -> None:
    class Lenient:
        def errors(self, value: Any) -> None:
            return None

        def introspect(self) -> dict[str, Any]:
            return {"type": "lenient"}

    field = Dictionary({"a": List(Lenient()), "b": Nullable(Lenient()), "c": Any_(Lenient())})

    assert field.errors({"a": [1], "b": 2, "c": 3}) == []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": 1, "n": "x", "zz": 1, "yy": 2}, id="wrong"),
        pytest.param({"n": None}, id="missing"),
        pytest.param(None, id="null"),
        pytest.param({"a": 6, "n": None}, id="right"),
        pytest.param({"a": 6, "n": {}}, id="other-type"),
    ],
)
def test_conformity_finds_the_same(value: Any) -> None:
    theirs = pytest.importorskip("conformity.fields")

    def schema(kind: Any, any_: Any) -> Any:
        return kind.Dictionary(
            {"a": kind.Integer(gt=5), "n": kind.Nullable(any_(kind.Integer(), kind.Constant("a", "b")))}
        )

    expected, found = schema(theirs, theirs.Any).errors(value), schema(fields, Any_).errors(value)

    assert seen(found) == [(error.code, error.message, error.pointer) for error in expected]
    assert schema(fields, Any_).introspect() == schema(theirs, theirs.Any).introspect()


def test_conformity_fields_fit_into_ours() -> None:
    theirs = pytest.importorskip("conformity.fields")
    field = Dictionary({"a": List(theirs.Integer()), "b": theirs.Dictionary({"c": theirs.Boolean()})})

    errors = field.errors({"a": [1, "x"], "b": {}})

    assert seen(errors) == [("INVALID", "Not an integer", "a.1"), ("MISSING", "Missing key: c", "b.c")]


def test_a_value_with_a_million_faults_is_not_looked_at_to_its_end() -> None:
    faulty = ["x"] * 1_000_000

    assert len(List(Integer()).errors(faulty)) == MOST_ERRORS
    assert len(SchemalessDictionary(UnicodeString()).errors(dict.fromkeys(range(100_000)))) == MOST_ERRORS
    (error,) = Dictionary({}).errors(dict.fromkeys(map(str, range(100_000))))
    assert error.message.count(",") == MOST_ERRORS - 1
