"""The switches of a request, as a set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pysoa.common.switches import SupportsIntValue, Switch, get_switch, is_switch

__all__ = ("RequestSwitchSet", "SupportsIntValue", "SwitchSet", "get_switch", "is_switch")


class SwitchSet(frozenset[int]):
    """A set of switches, kept as their numbers.

    Raises:
        TypeError: an item, or what is looked for with ``in``, is not a switch.
    """

    def __new__(cls, switches: Iterable[Switch] | None = None) -> Self:
        return frozenset.__new__(cls, map(get_switch, switches) if switches else ())

    def __contains__(self, item: Any) -> bool:
        return super().__contains__(get_switch(item))


class RequestSwitchSet(SwitchSet):
    """The switches that are active in a request."""

    def is_active(self, switch: Switch) -> bool:
        return switch in self
