"""Paths into bodies, variables in texts, and grammars as text."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from pysoa.test.plan.errors import StatusError

__all__ = (
    "PathError",
    "get_all_paths",
    "has_variables",
    "path_get",
    "path_put",
    "recursive_parse_expr_repr",
    "substitute_variables",
    "with_action_indexes",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_VARIABLE: Final = re.compile(r"\[\[([A-Za-z0-9_.{}-]+)\]\]")
_WITHOUT_INDEX: Final = re.compile(r"\[\[([A-Z_-]+)\.(?!\d)([A-Za-z0-9_.{}-]+)\]\]")
_INDEXED_ACTION: Final = re.compile(r"([A-Za-z0-9_-]+)\.(\d+)(?:\.(.*))?")
_PLAIN_ACTION: Final = re.compile(r"([A-Za-z0-9_-]+)(?:\.(.*))?")
_ABSENT: Final = (KeyError, IndexError)


class PathError(TypeError):
    """A path leads through something that has no elements, or asks a list for a name."""


# Paths


class _Slot(NamedTuple):
    """One element of a path; digits without braces are the index of a list."""

    key: str
    is_index: bool = False


def _slots(path: str) -> list[_Slot]:
    """The elements of a path: ``a.{b.c}.0`` has ``a``, ``b.c`` and the index 0."""
    slots, depth, began = [], 0, 0
    for position, character in enumerate(path):
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        elif character == "." and depth <= 0:
            slots.append(_slot(path[began:position]))
            began = position + 1
    if began < len(path):
        slots.append(_slot(path[began:]))
    return slots


def _slot(text: str) -> _Slot:
    if text.isascii() and text.isdigit():
        return _Slot(text, is_index=True)
    if len(text) > 1 and text[0] == "{" and text[-1] == "}":
        return _Slot(text[1:-1])
    return _Slot(text)


def path_put(out: MutableMapping[str, Any], path: str, value: Any) -> None:
    """Put a value into a dict, with the dicts and lists that lead to it.

    What a list lacks before an index is filled with empty dicts or, where lists are its elements, empty lists. An empty
    path changes nothing.

    Args:
        out: changed in place.
        path: keys with dots between them; digits are indexes, ``{...}`` makes a key of anything.
        value: what to put there; it takes the place of what was there before.

    Raises:
        PathError: the path leads through a value that is neither dict nor list.
    """
    slots = _slots(path)
    container: Any = out
    for slot, following in zip(slots, [*slots[1:], None], strict=False):
        make = list if following is not None and following.is_index else dict
        if following is None:
            _put(container, slot, value, path)
        else:
            container = _step_into(container, slot, make, path)


def _put(container: Any, slot: _Slot, value: Any, path: str) -> None:
    if isinstance(container, MutableMapping):
        container[slot.key] = value
    elif isinstance(container, list) and slot.is_index:
        index = int(slot.key)
        container.extend({} for _ in range(index + 1 - len(container)))
        container[index] = value
    else:
        raise _no_way(container, slot, path)


def _step_into(container: Any, slot: _Slot, make: type[Any], path: str) -> Any:
    if isinstance(container, MutableMapping):
        return container.setdefault(slot.key, make())
    if isinstance(container, list) and slot.is_index:
        index = int(slot.key)
        container.extend(make() for _ in range(index + 1 - len(container)))
        if make is list and container[index] == {}:
            container[index] = []  # it filled a gap
        return container[index]
    raise _no_way(container, slot, path)


def _no_way(container: Any, slot: _Slot, path: str) -> PathError:
    if isinstance(container, list):
        return PathError(f"`{path}`: {slot.key} should be an integer for a list")
    return PathError(f"`{path}`: {slot.key} cannot be put into {container!r}")


def path_get(data: Any, path: str) -> Any:
    """What a path leads to. Sets are sorted and have indexes.

    Raises:
        KeyError: there is nothing.
        IndexError: a list or set is too short, or is asked for a name.
    """
    for slot in _slots(path):
        data = _element(data, slot)
    return data


def _element(data: Any, slot: _Slot) -> Any:
    if isinstance(data, Mapping):
        if slot.key in data or not slot.is_index:
            return data[slot.key]
        return data[int(slot.key)]
    if isinstance(data, AbstractSet):
        data = sorted(data)
    if isinstance(data, list | tuple):
        if not slot.is_index:
            raise IndexError(f"{slot.key} should be an integer for sequences and sets")
        return data[int(slot.key)]
    raise KeyError(slot.key)


def get_all_paths(data: Any, current_path: str = "", allow_blank: bool = False) -> list[str]:
    """The paths of all leaves.

    Args:
        data: dicts, lists, tuples and sets, and what is in them.
        current_path: stands before each path.
        allow_blank: whether an empty dict or list is a leaf; otherwise it has no path.
    """
    return list(_paths(data, current_path, allow_blank))


def _paths(data: Any, path: str, allow_blank: bool) -> Iterator[str]:
    if isinstance(data, Mapping):
        elements = [(_quoted(str(key)), value) for key, value in data.items()]
    elif isinstance(data, list | tuple | AbstractSet):
        items = sorted(data) if isinstance(data, AbstractSet) else data
        elements = [(str(index), value) for index, value in enumerate(items)]
    else:
        if path:
            yield path
        return
    if not elements and allow_blank and path:
        yield path
    for name, value in elements:
        yield from _paths(value, joined(path, name), allow_blank)


def _quoted(key: str) -> str:
    return f"{{{key}}}" if "." in key or key.isdigit() else key


def joined(path: str, name: str) -> str:
    """A path and one more element."""
    return f"{path}.{name}" if path else name


def key_path(path: str, key: Any) -> str:
    """A path and one more key, in braces where it would be read as something else."""
    return joined(path, _quoted(str(key)))


# Variables


def has_variables(text: str) -> bool:
    """Whether a text has ``[[...]]`` in it."""
    return "[[" in text and _VARIABLE.search(text) is not None


def with_action_indexes(text: str) -> str:
    """Put the index 0 after action names in capitals that have none: ``[[GET_USER.id]]``."""
    return _WITHOUT_INDEX.sub(r"[[\1.0.\2]]", text)


def substitute_variables(data: Any, *sources: Mapping[str, Any]) -> None:
    """Put values in the place of ``[[...]]`` in the texts of a dict or list, at every level.

    Args:
        data: changed in place.
        sources: where the values come from; the first that has one gives it.

    Raises:
        StatusError: none has it.
    """
    elements = data.items() if isinstance(data, MutableMapping) else enumerate(data)
    for key, value in list(elements):
        if isinstance(value, str):
            if "[[" in value:
                data[key] = _substituted(value, sources)
        elif isinstance(value, MutableMapping | list):
            substitute_variables(value, *sources)


def _substituted(text: str, sources: tuple[Mapping[str, Any], ...]) -> Any:
    whole = _VARIABLE.fullmatch(text)
    if whole is not None:
        return copy.deepcopy(_variable(whole, sources))
    return _VARIABLE.sub(lambda token: str(_variable(token, sources)), text)


def _variable(token: re.Match[str], sources: tuple[Mapping[str, Any], ...]) -> Any:
    paths = list(_readings(token[1]))
    for source in sources:
        for path in paths:
            try:
                return path_get(source, path)
            except _ABSENT:
                continue
    raise StatusError(f"Could not find value {token[1]} for {token[0]} in sources {sources!r}")


def _readings(path: str) -> Iterator[str]:
    """What the path of a variable may mean, the likeliest first."""
    yield path
    yield path.lower()
    for pattern in (_INDEXED_ACTION, _PLAIN_ACTION):
        match = pattern.fullmatch(path)
        if match is None:
            continue
        index, rest = (match[2], match[3]) if pattern is _INDEXED_ACTION else ("0", match[2])
        for name in dict.fromkeys((match[1], match[1].lower())):
            yield f"{{{name}.{index}}}" + (f".{rest}" if rest else "")


# Grammars


def recursive_parse_expr_repr(expr: Any) -> str:
    """A pyparsing expression as people write grammars: ``{action}[.{action_index}]:``."""
    from pysoa.test.plan.grammar.pyparsing_grammar import text_of

    return text_of(expr)
