"""The golden vectors: loads a file of them, and turns their typed notation into values and back.

``tests/vectors/README.md`` tells what they are and how values are noted.
"""

from __future__ import annotations

import collections
import enum
import functools
import json
import pathlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from pysoa.common.serializer.amount import Amount

__all__ = ("amount", "from_notation", "load", "same", "to_notation")

DIRECTORY = pathlib.Path(__file__).parent.parent / "vectors"
_LARGEST_PLAIN_INTEGER = 2**53 - 1


def load(name: str) -> dict[str, Any]:
    """One file of vectors, by its name with or without ``.json``."""
    content: dict[str, Any] = json.loads((DIRECTORY / f"{name.removesuffix('.json')}.json").read_text("utf-8"))
    return content


def amount(currency: str, value: int) -> Any:
    """An amount of money as a serializer reads it: currint's, where that is installed."""
    try:
        import currint
    except ImportError:
        return Amount(currency, value)
    return currint.Amount.from_code_and_minor(currency, value)


class Opaque:
    """An object of a plain class."""


class IntSwitch(enum.IntEnum):
    ONE = 1


class Color(enum.Enum):
    RED = "red"


class Text(str):
    """A subclass of ``str``."""

    __slots__ = ()


def _namedtuple(pairs: list[list[Any]]) -> tuple[Any, ...]:
    kind = collections.namedtuple("Pair", [name for name, _ in pairs])  # type: ignore[misc]
    return kind(*(from_notation(value) for _, value in pairs))


def _nested_maps(of: list[Any]) -> dict[str, Any]:
    key, depth = of
    inside: dict[str, Any] = {}
    for _ in range(depth):
        inside = {key: inside}
    return inside


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$map": lambda pairs: {from_notation(key): from_notation(value) for key, value in pairs},
    "$int": int,
    "$float": float,
    "$bytes": bytes.fromhex,
    "$codepoints": lambda points: "".join(map(chr, points)),
    "$tuple": lambda items: tuple(map(from_notation, items)),
    "$set": lambda items: set(map(from_notation, items)),
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$time_stdlib_utc": lambda text: time.fromisoformat(text).replace(tzinfo=UTC),
    "$datetime": datetime.fromisoformat,
    "$datetime_utc": lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    "$datetime_stdlib_utc": lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    "$datetime_offset": lambda of: datetime.fromisoformat(of[0]).replace(tzinfo=timezone(timedelta(minutes=of[1]))),
    "$timedelta_seconds": lambda seconds: timedelta(seconds=seconds),
    "$decimal": Decimal,
    "$decimal_repeat": lambda of: Decimal(of[0] * of[1]),
    "$amount": lambda of: amount(*of),
    "$str_repeat": lambda of: of[0] * of[1],
    "$nested_maps": _nested_maps,
    "$complex": lambda parts: complex(*map(from_notation, parts)),
    "$object": lambda _: Opaque(),
    "$type": lambda _: int,
    "$range": range,
    "$enum": Color,
    "$int_enum": IntSwitch,
    "$str_subclass": Text,
    "$namedtuple": _namedtuple,
}


def from_notation(noted: Any) -> Any:
    """The value that is noted."""
    if isinstance(noted, list):
        return [from_notation(item) for item in noted]
    if isinstance(noted, dict):
        ((kind, content),) = noted.items()
        return _DECODERS[kind](content)
    return noted


def to_notation(value: Any) -> Any:
    """How the vectors note a value that serializers read."""
    kind = type(value)
    if kind is list:
        return [to_notation(item) for item in value]
    if kind is dict:
        return {"$map": [[to_notation(key), to_notation(item)] for key, item in value.items()]}
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if abs(value) <= _LARGEST_PLAIN_INTEGER else {"$int": str(value)}
    if kind is str:
        return value if _is_encodable(value) else {"$codepoints": [ord(character) for character in value]}
    if kind.__name__ == "Amount":
        return {"$amount": [getattr(value.currency, "code", value.currency), value.value]}
    return _noted_single(value)


@functools.singledispatch
def _noted_single(value: object) -> dict[str, Any]:
    raise TypeError(f"no notation for {value!r}")


_noted_single.register(float, lambda value: {"$float": repr(value)})
_noted_single.register(bytes, lambda value: {"$bytes": value.hex()})
_noted_single.register(date, lambda value: {"$date": value.isoformat()})
_noted_single.register(time, lambda value: {"$time": value.isoformat("microseconds")})
_noted_single.register(Decimal, lambda value: {"$decimal": str(value)})
_noted_single.register(tuple, lambda value: {"$tuple": [to_notation(item) for item in value]})
_noted_single.register(set, lambda value: {"$set": [to_notation(item) for item in value]})


@_noted_single.register(datetime)
def _(value: datetime) -> dict[str, Any]:
    text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if value.tzinfo is None:
        return {"$datetime": text}
    offset = value.utcoffset() or timedelta(0)
    return {"$datetime_offset": [text, offset // timedelta(minutes=1)]} if offset else {"$datetime_utc": text}


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: of equal types, digits, signs of zero, zones and order; NaN is itself."""
    pairs = [(one, other)]  # a list instead of recursion, for values that are nested deep
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            one, other = (
                [part for item in one.items() for part in item],
                [part for item in other.items() for part in item],
            )
        if isinstance(one, (list, tuple)):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif to_notation(one) != to_notation(other):
            return False
    return True
