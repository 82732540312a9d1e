"""Small public helpers."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

__all__ = ("dict_to_hashable", "get_python_interpreter_arguments")


def dict_to_hashable(d: Mapping[Any, Any]) -> Hashable:
    """A value that stands for the dict as a key: equal for equal dicts, whatever the order of their keys.

    Dicts, lists, tuples and sets inside are taken along.

    Raises:
        TypeError: something else inside is not hashable.
    """
    return _hashable(d)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return dict, frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return list if isinstance(value, list) else tuple, tuple(map(_hashable, value))
    if isinstance(value, AbstractSet):
        return frozenset(value)
    hash(value)
    return value  # type: ignore[no-any-return]  # just shown to be hashable


def get_python_interpreter_arguments() -> list[str]:
    """The part of this process's command line that is for the interpreter: up to ``-m module`` or ``-c command``.

    An option and its value are two items, even where the command line has them in one: ``-Bmmodule`` gives
    ``-B``, ``-m``, ``module``.
    """
    return [sys.orig_argv[0], *_interpreter_options(sys.orig_argv[1:])]


_LONG_OPTIONS_WITH_VALUE = frozenset({"--check-hash-based-pycs"})


def _interpreter_options(arguments: Sequence[str]) -> Iterator[str]:
    remaining = iter(arguments)
    for argument in remaining:
        if argument in ("-", "--") or not argument.startswith("-"):
            return
        if argument.startswith("--"):
            yield argument
            if argument in _LONG_OPTIONS_WITH_VALUE:
                yield next(remaining, "")
            continue
        for position, letter in enumerate(argument[1:], start=2):
            yield f"-{letter}"
            if letter in "cmWX":
                yield argument[position:] or next(remaining, "")
                if letter in "cm":
                    return
                break
