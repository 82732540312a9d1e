"""From the values that bodies may hold to those that every format knows: dicts, lists and single values."""

from __future__ import annotations

from typing import Any

from pysoa.common.serializer.amount import Amount
from pysoa.common.serializer.errors import InvalidField

__all__ = ("opened", "plain")

_SINGLE = frozenset((str, int, float, bool, type(None), bytes))


def plain(value: Any) -> Any:
    """A copy in which attrs values are dicts, and tuples, sets and frozensets are lists, at every level.

    Keys of dicts and all other values stay as they are.

    Raises:
        InvalidField: it holds itself, or is nested so deep that it cannot be copied.
    """
    try:
        return _plain(value)
    except RecursionError as error:
        raise InvalidField.from_cause(error) from None


def _plain(value: Any) -> Any:
    if type(value) in _SINGLE:
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    inside = opened(value)
    return value if inside is None else _plain(inside)


def opened(value: Any) -> dict[str, Any] | list[Any] | None:
    """One step of ``plain``: the dict or list for an attrs value, tuple or set; None for anything else."""
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    fields = getattr(type(value), "__attrs_attrs__", None)
    if fields is not None and not isinstance(value, Amount):  # an amount is a value of the wire
        return {field.name: getattr(value, field.name) for field in fields}
    return None
