"""Types that msgspec checks: structs, dataclasses, typed dicts and plain annotations.

msgspec converts a sound value in one pass, and stops at the first fault of any other. So a type is compiled twice: by
msgspec itself for the sound values, and into fields that find every fault.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import typing
import uuid
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from pysoa.common.fields import Anything, Boolean, Constant, Field, FieldError
from pysoa.common.typed.parts import (
    Converted,
    FixedItems,
    Items,
    Map,
    Number,
    Object,
    Text,
    Union,
    from_msgspec,
    holds_objects,
)

__all__ = ("StructuralEngine", "is_for_pydantic")


class StructuralEngine:
    """Checks and converts values by msgspec.

    Raises:
        TypeError: msgspec cannot check the type.
    """

    def __init__(self, type_: Any) -> None:
        self._type = type_
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert(object(), type_)  # raises TypeError for unions that it cannot tell apart
        self._root = _Compiler().field(types.type_info(type_))
        # A struct's fields are looked up only where there is anything to look up.
        self._has_unknown = self._root.has_unknown if holds_objects(self._root) else None

    def convert(self, value: Any) -> Any:
        """The typed value for a plain one; any exception when it does not fit."""
        typed = msgspec.convert(value, self._type)
        if self._has_unknown is not None and self._has_unknown(value):
            raise ValueError("unknown fields")
        return typed

    def errors(self, value: Any) -> list[FieldError]:
        """Everything that is wrong with the value."""
        try:
            self.convert(value)
        except Exception as error:  # validators are users' code
            return self._root.errors(value) or [from_msgspec(error)]
        return []

    def introspect(self) -> dict[str, Any]:
        return self._root.introspect()

    def json_schema(self) -> dict[str, Any] | None:
        """The type in JSON Schema; None where that cannot say it."""
        try:
            return msgspec.json.schema(self._type)
        except TypeError:
            return None


def is_for_pydantic(type_: Any, _seen: set[int] | None = None) -> bool:
    """Whether a type is, or mentions, what only pydantic understands."""
    seen = set() if _seen is None else _seen
    if id(type_) in seen:
        return False
    seen.add(id(type_))
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return False
    if any(hasattr(type_, name) for name in ("__pydantic_core_schema__", "__get_pydantic_core_schema__")):
        return True
    parts = [*typing.get_args(type_)]
    for mark in getattr(type_, "__metadata__", ()):
        if type(mark).__module__.partition(".")[0] in ("pydantic", "annotated_types"):
            return True
    if isinstance(type_, type) and (hasattr(type_, "__dataclass_fields__") or typing.is_typeddict(type_)):
        parts += typing.get_type_hints(type_, include_extras=True).values()
    return any(is_for_pydantic(part, seen) for part in parts)


_NUMBERS: Final = (int, float, decimal.Decimal)

# Types of msgspec without parts: the Python type, the name in introspections, and what is said of other values.
_CONVERTED: Final[dict[type, tuple[Any, str, str]]] = {
    types.BytesType: (bytes, "bytes", "Not bytes, nor base64 text"),
    types.ByteArrayType: (bytearray, "bytes", "Not bytes, nor base64 text"),
    types.MemoryViewType: (memoryview, "bytes", "Not bytes, nor base64 text"),
    types.DateType: (datetime.date, "date", "Not a date, nor its ISO text"),
    types.TimeDeltaType: (datetime.timedelta, "timedelta", "Not a duration, nor its ISO text"),
    types.UUIDType: (uuid.UUID, "uuid", "Not a UUID, nor its text"),
    types.DecimalType: (decimal.Decimal, "decimal", "Not a decimal, nor its text"),
}


class _Compiler:
    """Makes fields of what msgspec says of a type."""

    def __init__(self) -> None:
        self._objects: dict[int, Object] = {}  # by the identity of their description: types may mention themselves

    def field(self, info: types.Type) -> Field:
        if isinstance(info, types.Metadata):
            return self.field(info.type)
        if isinstance(info, types.StructType) and info.array_like:
            return Converted(info.cls, "list", "")
        if isinstance(info, types.StructType | types.DataclassType | types.TypedDictType):
            return self._object(info)
        if isinstance(info, types.UnionType):
            options = [self.field(option) for option in info.types if not isinstance(option, types.NoneType)]
            return Union(options, is_nullable=len(options) < len(info.types))
        if isinstance(info, types.ListType | types.SetType | types.FrozenSetType | types.VarTupleType):
            return Items(self.field(info.item_type), info)
        if isinstance(info, types.CollectionType):
            return Items(self.field(info.item_type), info)
        if isinstance(info, types.TupleType):
            return FixedItems([self.field(item) for item in info.item_types])
        if isinstance(info, types.DictType):
            return Map(self.field(info.key_type), self.field(info.value_type), info)
        return _leaf(info)

    def _object(self, info: Any) -> Object:
        known = self._objects.get(id(info))
        if known is None:
            known = self._objects[id(info)] = Object(info, self.field)
            known.fill()
        return known


def _leaf(info: types.Type) -> Field:
    if isinstance(info, types.AnyType) or (isinstance(info, types.CustomType) and info.cls is object):
        return Anything()
    if isinstance(info, types.NoneType):
        return Constant(None)
    if isinstance(info, types.BoolType):
        return Boolean()
    if isinstance(info, types.IntType):
        return Number("integer", "Not an integer", (int,), info)
    if isinstance(info, types.FloatType):
        return Number("float", "Not a float", _NUMBERS, info)
    if isinstance(info, types.StrType):
        return Text(info)
    if isinstance(info, types.DateTimeType):
        return Converted(_with_zone(datetime.datetime, info.tz), "datetime", "Not a datetime, nor its ISO text")
    if isinstance(info, types.TimeType):
        return Converted(_with_zone(datetime.time, info.tz), "time", "Not a time of day, nor its ISO text")
    if isinstance(info, types.EnumType):
        return _choice(info.cls, [member.value for member in info.cls])
    if isinstance(info, types.LiteralType):
        return _choice(typing.Literal[tuple(info.values)], list(info.values))
    if type(info) in _CONVERTED:
        return Converted(*_CONVERTED[type(info)])
    cls = getattr(info, "cls", None)
    if cls is None:
        raise TypeError(f"{info} is not supported")
    return Converted(cls, "object_instance", "" if hasattr(cls, "_fields") else f"Not an instance of {cls.__name__}")


def _with_zone(type_: Any, has_zone: bool | None) -> Any:
    return type_ if has_zone is None else typing.Annotated[type_, msgspec.Meta(tz=has_zone)]


def _choice(type_: Any, values: list[Any]) -> Field:
    constant = Constant(*values)
    return Converted(type_, "constant", constant.errors(object())[0].message, values=constant.introspect()["values"])
