"""Puts what global lines say under what a test case says itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pysoa.test.plan.grammar.tools import joined, key_path

__all__ = ("CannotMerge", "merged")


class CannotMerge(Exception):
    """A test case puts something below a global value that has no elements.

    Attributes:
        path: of the value.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def merged(below: Any, above: Any, path: str = "") -> Any:
    """A value of a test case over the global one, leaf by leaf; lists are merged by index.

    Args:
        below: the global value; copied.
        above: that of the test case. An empty dict or list is a leaf.
        path: where they are, for people.

    Raises:
        CannotMerge: a dict or list is to be put over something else.
    """
    if isinstance(above, Mapping) and above:
        if isinstance(below, Mapping):
            return _merged_dicts(below, above, path)
    elif type(above) is list and above:
        if type(below) is list:
            return _merged_lists(below, above, path)
    else:
        return above
    if isinstance(below, Mapping | list) and not below:
        return above
    raise CannotMerge(path)


def _merged_dicts(below: Mapping[Any, Any], above: Mapping[Any, Any], path: str) -> Any:
    result: Any = type(above)()
    for key, value in below.items():
        result[key] = merged(value, above[key], key_path(path, key)) if key in above else copy.deepcopy(value)
    for key, value in above.items():
        if key not in below:
            result[key] = value
    return result


def _merged_lists(below: list[Any], above: list[Any], path: str) -> list[Any]:
    result = []
    for index in range(max(len(below), len(above))):
        if index >= len(above) or (index < min(len(above) - 1, len(below)) and above[index] in ({}, [])):
            # What is empty before an element of a path such as `a.1` only fills the list.
            result.append(copy.deepcopy(below[index]))
        elif index >= len(below):
            result.append(above[index])
        else:
            result.append(merged(below[index], above[index], joined(path, str(index))))
    return result
