from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from pysoa.common.fields import Integer
from pysoa.common.typed import TypedSchema, as_schema


class StructLine(msgspec.Struct):
    sku: str


class StructOrder(msgspec.Struct):
    id: int


def test_schemas_and_none_stay_what_they_are() -> None:
    field = Integer()

    assert as_schema(field) is field
    assert as_schema(None) is None
    assert isinstance(as_schema(dict[str, int]), TypedSchema)
    typed = TypedSchema(int)
    assert as_schema(typed) is typed


class WithErrors(msgspec.Struct):
    """Fields of these names do not make it a schema."""

    errors: list[str]
    introspect: bool = False


def test_a_type_with_fields_of_those_names_is_still_a_type() -> None:
    assert TypedSchema(WithErrors).convert({"errors": ["a"]}) == WithErrors(["a"])


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        ({"number": int}, "is not a schema: a schema is an object with errors"),
        ("Order", "is not a schema"),
        (5, "is not a schema"),
        (Integer, "Integer is a class of schemas: give an instance, Integer(...)"),
        (lambda body: body, "is not a schema"),
        (StructLine | StructOrder, "cannot be a schema"),
        (object(), "cannot be a schema"),
    ],
    ids=["dict", "text", "number", "field-class", "function", "untagged-union", "instance"],
)
def test_what_cannot_be_a_schema_is_refused_at_once(thing: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        as_schema(thing)

    assert text in str(caught.value)
    assert "a pydantic model" in str(caught.value) or "class of schemas" in str(caught.value)


def test_conformity_fields_are_schemas_as_they_are() -> None:
    theirs = pytest.importorskip("conformity.fields")
    field = theirs.Dictionary({"number": theirs.Integer()})

    assert as_schema(field) is field
    with pytest.raises(TypeError, match="give an instance, Integer"):
        as_schema(theirs.Integer)


def test_plain_types_do_not_load_pydantic() -> None:
    code = (
        "import sys, dataclasses, datetime\n"
        "from pysoa.common.typed import as_schema\n"
        "@dataclasses.dataclass\n"
        "class A:\n"
        "    x: datetime.date\n"
        "as_schema(list[A] | None).convert([{'x': '2018-07-15'}])\n"
        "print('pydantic' in sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert run.stdout.strip() == "False"


def test_the_package_of_actions_offers_the_same_names() -> None:
    from pysoa.server.action import typed

    assert typed.as_schema is as_schema
    assert typed.TypedSchema is TypedSchema
