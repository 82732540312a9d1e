"""Counts what a MessagePack blob holds without building it, so that memory stays in proportion to the limits."""

from __future__ import annotations

from typing import Final

from pysoa.common.serializer.limits import MAXIMUM_EXTENSION_VALUES, MAXIMUM_ITEMS

__all__ = ("CONTAINERS", "FEWER_VALUES_FIT_INTO", "check_counts")

FEWER_VALUES_FIT_INTO: Final = 600_000
"""Blobs of up to so many bytes need not be counted: an item has at least one byte, an extension value six."""

# By a value's first byte: how many bytes to the next value; 0 where the length stands in bytes of its own.
_SIZES = [1] * 256
# How many items are in a list or map; 0 where the number stands in bytes of its own.
_ITEMS = [0] * 256
# How many bytes that number or length has.
_WIDTHS = [0] * 256
_LISTS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
_MAPS = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
CONTAINERS: Final = _LISTS | _MAPS
"""The first bytes of lists and maps."""
_EXTENSIONS = frozenset((*range(0xC7, 0xCA), *range(0xD4, 0xD9)))

for _first in range(0x80, 0xA0):
    _ITEMS[_first] = _first & 0x0F
for _first in range(0xA0, 0xC0):
    _SIZES[_first] = 1 + (_first & 0x1F)
for _first, _size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
    _SIZES[_first] = 1 + _size
for _first, _size in zip(range(0xD4, 0xD9), (1, 2, 4, 8, 16), strict=True):
    _SIZES[_first] = 2 + _size
for _first, _width in zip(range(0xC4, 0xCA), (1, 2, 4, 1, 2, 4), strict=True):
    _WIDTHS[_first] = _width
for _first, _width in zip(range(0xD9, 0xE0), (1, 2, 4, 2, 4, 2, 4), strict=True):
    _WIDTHS[_first] = _width


def check_counts(blob: bytes) -> None:
    """Refuse a blob with more items or extension values than the limits; what else is wrong with it is not looked at.

    Raises:
        ValueError: it has more.
    """
    size = len(blob)
    position = items = extension_values = 0
    values_left = 1
    while values_left and position < size:
        first = blob[position]
        values_left -= 1
        width = _WIDTHS[first]
        if width:
            number = int.from_bytes(blob[position + 1 : position + 1 + width], "big")
            position += 1 + width
            if first not in CONTAINERS:
                position += number
        else:
            number = _ITEMS[first]
            position += _SIZES[first]
        if first in CONTAINERS:
            items += number
            values_left += number * 2 if first in _MAPS else number
            if items > MAXIMUM_ITEMS:
                raise ValueError(f"more than {MAXIMUM_ITEMS} items")
        elif first in _EXTENSIONS:
            position += 1 if width else 0
            extension_values += 1
            if extension_values > MAXIMUM_EXTENSION_VALUES:
                raise ValueError(f"more than {MAXIMUM_EXTENSION_VALUES} extension values")
