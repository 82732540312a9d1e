"""Counts what a MessagePack blob holds without building it, so that memory stays in proportion to the limits."""

from __future__ import annotations

from typing import Final

from pysoa.common.serializer.limits import MAXIMUM_EXTENSION_VALUES, MAXIMUM_ITEMS

__all__ = ("CONTAINERS", "FEWER_VALUES_FIT_INTO", "check_counts")

FEWER_VALUES_FIT_INTO: Final = 600_000
"""Blobs of up to so many bytes need not be counted: an item has at least one byte, an extension value six."""

_LISTS: Final = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
_MAPS: Final = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
CONTAINERS: Final = _LISTS | _MAPS
"""The first bytes of lists and maps."""
_EXTENSIONS: Final = frozenset((*range(0xC7, 0xCA), *range(0xD4, 0xD9)))

# By the first byte of a value that is no list, map or extension, and has no length in bytes of its own: its size.
_SIZES = [1] * 256
for _first in range(0xA0, 0xC0):
    _SIZES[_first] = 1 + (_first & 0x1F)
for _first, _size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
    _SIZES[_first] = 1 + _size
for _first in (*CONTAINERS, *_EXTENSIONS, *range(0xC4, 0xC7), *range(0xD9, 0xDC)):
    _SIZES[_first] = 0

# How many bytes a length or a number of items has; it stands behind the first byte.
_WIDTHS = dict(zip(range(0xC4, 0xCA), (1, 2, 4, 1, 2, 4), strict=True))
_WIDTHS.update(zip(range(0xD9, 0xE0), (1, 2, 4, 2, 4, 2, 4), strict=True))

# The length of extension values that have none there; and the number of items in such lists and maps.
_NUMBERS = dict(zip(range(0xD4, 0xD9), (1, 2, 4, 8, 16), strict=True))
_NUMBERS.update((first, first & 0x0F) for first in range(0x80, 0xA0))


def check_counts(blob: bytes | memoryview) -> None:
    """Refuse a blob with more items or extension values than the limits; what else is wrong with it is not looked at.

    Raises:
        ValueError: it has more.
    """
    end = len(blob)
    position = items = extension_values = 0
    values_left = 1
    while values_left and position < end:
        first = blob[position]
        values_left -= 1
        size = _SIZES[first]
        if size:
            position += size
            continue
        width = _WIDTHS.get(first, 0)
        position += 1 + width
        number = int.from_bytes(blob[position - width : position], "big") if width else _NUMBERS[first]
        if first in CONTAINERS:
            items += number
            values_left += number * 2 if first in _MAPS else number
            if items > MAXIMUM_ITEMS:
                raise ValueError(f"more than {MAXIMUM_ITEMS} items")
            continue
        position += number
        if first in _EXTENSIONS:
            position += 1  # the extension code
            extension_values += 1
            if extension_values > MAXIMUM_EXTENSION_VALUES:
                raise ValueError(f"more than {MAXIMUM_EXTENSION_VALUES} extension values")
