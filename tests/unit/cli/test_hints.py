from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from msgspec import Meta

from pysoa.cli.hints import action_hint, example_arguments, field_hint
from pysoa.common.fields import (
    Boolean,
    Constant,
    Dictionary,
    Integer,
    List,
    Nullable,
    SchemalessDictionary,
    UnicodeString,
)
from pysoa.common.typed import as_schema


def test_an_action_that_comes_near_is_named() -> None:
    assert action_hint("squar", ["square", "status"]) == "did you mean 'square'?"


def test_all_actions_are_named_where_none_comes_near() -> None:
    assert action_hint("xyz", ["square", "status"]) == "actions: square, status"


LINES = Dictionary({"lines": List(Dictionary({"quantity": Integer()})), "note": Nullable(UnicodeString())})


@pytest.mark.parametrize(
    ("schema", "body", "hint"),
    [
        (Dictionary({"number": Integer()}), {"numbr": 1}, "did you mean 'number' instead of 'numbr'?"),
        (Dictionary({"number": Integer()}), {"zzz": 1}, "fields: number"),
        (Dictionary({"number": Integer()}), {"number": "x"}, None),
        (Dictionary({"number": Integer()}, allow_extra_keys=True), {"numbr": 1}, None),
        (Dictionary({}), {"x": 1}, None),
        # What is missing is likelier than what is there already.
        (
            Dictionary({"name": Integer(), "names": Integer()}),
            {"name": 1, "nam": 2},
            "did you mean 'names' instead of 'nam'?",
        ),
        (
            LINES,
            {"lines": [{"quantity": 1}, {"quantty": 1}], "note": None},
            "did you mean 'lines.1.quantity' instead of 'lines.1.quantty'?",
        ),
        (LINES, {"lines": [{"zzz": 1}], "note": None}, "fields of 'lines.0': quantity"),
        (
            Nullable(Dictionary({"a": SchemalessDictionary(), "flag": Boolean()})),
            {"a": {"whatever": 1}, "flg": 2},
            "did you mean 'flag' instead of 'flg'?",
        ),
        (LINES, {"lines": 5}, None),
    ],
)
def test_misspelt_fields_are_found_by_the_schema(schema: Any, body: dict[str, Any], hint: str | None) -> None:
    assert field_hint(body, schema.introspect()) == hint


@pytest.mark.parametrize("schema", [None, {}, {"type": "dictionary"}, {"type": "list", "contents": None}, 5, "text"])
def test_a_schema_that_tells_nothing_gives_no_hint(schema: Any) -> None:
    assert field_hint({"x": 1}, schema) is None


@dataclass
class Typed:
    name: str
    day: date
    weight: Decimal
    share: Annotated[float, Meta(gt=2)]
    note: str = ""


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (None, ""),
        (Dictionary({}), ""),
        (Dictionary({"number": Integer()}), "number=7"),
        (Dictionary({"number": Integer(gte=10), "name": UnicodeString()}), "number=10 name=text"),
        (Dictionary({"number": Integer(lt=0), "flag": Boolean()}), "number=-1 flag=true"),
        (Dictionary({"kind": Constant("a", "b")}), "kind=a"),
        (Dictionary({"number": Integer(), "name": UnicodeString()}, optional_keys=["name"]), "number=7"),
        (Typed, "name=text day=2026-01-31 weight=1.50 share=3"),
        (Dictionary({"number": Integer(), "lines": List(Integer())}), "number=7 lines=..."),
        (SchemalessDictionary(), None),
        (Annotated[str, Meta(pattern="^x")], None),
    ],
)
def test_an_example_call_has_the_required_fields(schema: Any, arguments: str | None) -> None:
    ready = as_schema(schema)

    assert example_arguments(None if ready is None else ready.introspect()) == arguments


def test_a_field_of_a_pattern_cannot_be_made_up() -> None:
    @dataclass
    class Airport:
        code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    schema = as_schema(Airport)

    assert schema is not None
    assert example_arguments(schema.introspect()) == "code=..."
