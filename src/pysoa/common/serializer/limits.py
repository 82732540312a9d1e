"""How much one message may hold, whoever sends it. Size is the transport's matter: see its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = (
    "MAXIMUM_DEPTH",
    "MAXIMUM_EXTENSION_VALUES",
    "MAXIMUM_ITEMS",
    "MAXIMUM_NUMBER_KEYS",
    "check_depth",
    "levels",
)

MAXIMUM_DEPTH: Final = 512
"""Lists and maps inside each other."""

MAXIMUM_ITEMS: Final = 1_000_000
"""Elements of lists and entries of maps, in all."""

MAXIMUM_EXTENSION_VALUES: Final = 100_000
"""Dates, times, decimals and amounts, in all."""

MAXIMUM_NUMBER_KEYS: Final = 20_000
"""Keys of maps that are numbers, booleans or null, in all.

The hash of a number is no secret, so numbers can be chosen for which a dict takes a time that grows with the square.
"""


def levels(value: Any) -> Iterator[list[Any]]:
    """The lists, tuples and dicts in a value: first those at the outermost level, then those in them, and so on.

    What holds itself has no last level.
    """
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    while level:
        yield level
        inside = {
            id(child): child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list, tuple))
        }
        level = list(inside.values())


def check_depth(value: Any) -> None:
    """Refuse what is nested deeper than ``MAXIMUM_DEPTH``.

    Raises:
        ValueError: it is.
    """
    for depth, _ in enumerate(levels(value), 1):
        if depth > MAXIMUM_DEPTH:
            raise ValueError(f"nested more than {MAXIMUM_DEPTH} levels deep")
