"""JSON, for peers in other languages: no dates, decimals, amounts or binary, and keys of maps are text."""

from __future__ import annotations

import json
import re
from typing import Any

from pysoa.common.fields import Boolean, Dictionary
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.serializer.limits import MAXIMUM_DEPTH, MAXIMUM_ITEMS, check_depth
from pysoa.common.serializer.values import opened

__all__ = ("JSONSerializer",)

_FAULTS = (ValueError, TypeError, RecursionError)

# A string, to the end if it has none, or an empty list or map. It never goes back over what it has matched.
_STRING_OR_EMPTY = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|\[\s*+\]|\{\s*+\}', re.DOTALL)


@accepts_kwargs(
    Dictionary(
        {"strict_json": Boolean(description="Refuse NaN, Infinity, and keys that come twice in one map")},
        optional_keys=("strict_json",),
    )
)
class JSONSerializer(Serializer):
    """JSON as Python's ``json`` writes it by default, in UTF-8.

    Args:
        strict_json: refuse what JSON does not know or leaves open, in both directions: ``NaN``, ``Infinity`` and
            keys that come twice in one map. Otherwise they are written and read, and the last of two keys counts.
    """

    mime_type = "application/json"

    def __init__(self, strict_json: bool = False) -> None:
        self.strict_json = strict_json
        self._decode = (
            json.JSONDecoder(object_pairs_hook=_without_double_keys, parse_constant=_refuse_constant)
            if strict_json
            else json.JSONDecoder()
        ).decode
        self._encode = json.JSONEncoder(allow_nan=not strict_json).encode
        self._encode_message = json.JSONEncoder(allow_nan=not strict_json, default=_plain_step).encode

    def dict_to_blob(self, message: dict[str, Any]) -> bytes:
        return self._written(message, self._encode)

    def message_to_blob(self, message: dict[str, Any]) -> bytes:
        return self._written(message, self._encode_message)

    def blob_to_dict(self, blob: bytes | memoryview | str) -> dict[str, Any]:
        try:
            text = blob if isinstance(blob, str) else str(blob, "utf-8")
            _check_items(text)
            message: dict[str, Any] = self._decode(text)
            if _openings(text) > MAXIMUM_DEPTH:
                check_depth(message)
        except _FAULTS as error:
            raise InvalidMessage.from_cause(error) from error
        return message

    def _written(self, message: dict[str, Any], encode: Any) -> bytes:
        if not isinstance(message, dict):
            raise ValueError("Input must be a dict")
        try:
            text: str = encode(message)
            if _openings(text) > MAXIMUM_DEPTH:
                check_depth(message)
        except _FAULTS as error:
            raise InvalidField.from_cause(error) from error
        return text.encode("ascii")


def _openings(text: str) -> int:
    return text.count("{") + text.count("[")


def _check_items(text: str) -> None:
    # An item has at least two characters; and only where commas in strings may be the cause is it worth a closer look.
    if len(text) <= 2 * MAXIMUM_ITEMS or text.count(",") + _openings(text) <= MAXIMUM_ITEMS:
        return
    # An item has at most two of these, a key and a value.
    bare, strings = _STRING_OR_EMPTY.subn("0", text, 2 * MAXIMUM_ITEMS + 2)
    if strings > 2 * MAXIMUM_ITEMS + 1 or bare.count(",") + _openings(bare) > MAXIMUM_ITEMS:
        raise ValueError(f"more than {MAXIMUM_ITEMS} items")


def _plain_step(value: Any) -> Any:
    inside = opened(value)
    if inside is None:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return inside


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice in one map")
    return found
