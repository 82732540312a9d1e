"""From instances of types back to what serializers write."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ("plain_value",)

_ALREADY_PLAIN = frozenset(
    (str, int, float, bool, type(None), bytes, datetime.datetime, datetime.date, datetime.time, decimal.Decimal)
)


def plain_value(value: Any) -> Any:
    """Dicts, lists and plain values for whatever there is; what is not known stays for the serializer to judge.

    Models, structs and dataclasses become dicts, under the names that they have on the wire; fields that pydantic
    computes are left out, as the type itself would refuse them. Enums become their values, UUIDs and durations text.
    """
    kind = type(value)
    if kind in _ALREADY_PLAIN:
        return value
    if kind is dict:
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(kind, "__attrs_attrs__"):
        return [plain_value(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _from_struct(value)
    if hasattr(kind, "model_dump"):
        return plain_value(value.model_dump(by_alias=True, round_trip=True))
    if hasattr(kind, "__dataclass_fields__"):
        return {name: plain_value(getattr(value, name)) for name in kind.__dataclass_fields__ if hasattr(value, name)}
    if isinstance(value, enum.Enum):
        return plain_value(value.value)
    if isinstance(value, uuid.UUID | datetime.timedelta):
        return msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    return value


def _from_struct(value: msgspec.Struct) -> Any:
    config = value.__struct_config__
    fields = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    items = {name: getattr(value, attribute) for name, attribute in fields}
    if config.array_like:
        return [plain_value(item) for item in items.values()]
    tagged = {config.tag_field: config.tag} if config.tag_field is not None else {}
    return tagged | {name: plain_value(item) for name, item in items.items() if item is not msgspec.UNSET}
