"""Types in JSON Schema."""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from pysoa.common.typed import TypedSchema
from tests.unit.common.typed.test_typed import DataOrder, DictOrder, ModelOrder, StructOrder


class Tolerant(pydantic.BaseModel, extra="ignore"):
    sku: str


class Keeping(pydantic.BaseModel, extra="allow"):
    sku: str


class Strict(pydantic.BaseModel, extra="forbid"):
    sku: str


@dataclasses.dataclass
class PlainData:
    sku: str


class PlainModel(pydantic.BaseModel):
    sku: str


class PlainDict(TypedDict):
    sku: str


class PlainStruct(msgspec.Struct):
    sku: str


@pytest.mark.parametrize("type_", [Tolerant, Keeping, Strict, PlainModel, PlainData, PlainDict, PlainStruct])
def test_json_schema_says_of_further_properties_what_is_judged_of_them(type_: Any) -> None:
    schema = TypedSchema(type_)

    told = schema.json_schema()

    assert told is not None
    objects = [one for one in (told, *told.get("$defs", {}).values()) if one.get("type") == "object"]
    assert [one["required"] for one in objects] == [["sku"]]
    allows = [bool(one["additionalProperties"]) for one in objects]
    assert allows == [not schema.errors({"sku": "a", "further": 1})]


def test_nested_objects_are_closed_in_json_schema() -> None:
    for type_ in (StructOrder, DataOrder, DictOrder, ModelOrder):
        told = TypedSchema(type_).json_schema()
        assert told is not None
        objects = [one for one in (told, *told["$defs"].values()) if "properties" in one]
        assert [one["additionalProperties"] for one in objects] == [False, False]


class Odd:
    pass


class HasOdd(pydantic.BaseModel, arbitrary_types_allowed=True):
    odd: Odd


def test_what_json_schema_cannot_say_is_none() -> None:
    assert TypedSchema(HasOdd).json_schema() is None
