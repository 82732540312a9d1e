"""Switches: small integers by which callers turn features of a service on."""

from __future__ import annotations

from typing import Any, Protocol, SupportsInt, TypeAlias, runtime_checkable

__all__ = ("SupportsIntValue", "Switch", "get_switch", "is_switch")


@runtime_checkable
class SupportsIntValue(Protocol):
    """Has a ``value`` that is a switch, as members of an ``Enum`` do."""

    value: SupportsInt


Switch: TypeAlias = SupportsInt | SupportsIntValue


def get_switch(item: Switch) -> int:
    """The number of a switch.

    Raises:
        TypeError: it is not a switch; texts are not, digits or no.
    """
    if hasattr(item, "__int__"):
        return item.__int__()
    value: Any = getattr(item, "value", None)
    if hasattr(value, "__int__"):
        number: int = value.__int__()
        return number
    raise TypeError("switch does not implement the switch constant interface")


def is_switch(item: object) -> bool:
    """Whether ``get_switch`` takes it."""
    return hasattr(item, "__int__") or hasattr(getattr(item, "value", None), "__int__")
