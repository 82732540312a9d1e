"""Where in a fixture file a test case has failed, and tracebacks that lead there."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pysoa.test.plan.parser import DIRECTIVE_LINES, DirectiveLine

__all__ = (
    "Place",
    "directives_before",
    "entries_of",
    "place_of",
    "pruned",
    "put_directive",
    "put_place",
    "with_place",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_PLACE = "_pysoa_place"
_DIRECTIVE = "_pysoa_directive"
_PRUNE = "__test_plan_prune_traceback"
_LINES_BEFORE = 3


class Place(NamedTuple):
    """Where a test case has failed.

    Attributes:
        file_name: the fixture file.
        first_line: the first line of the test case, from 1.
        line: the line that is not fulfilled, as far as that is known; else the first line.
        values: what helps to see why, by name.
    """

    file_name: str
    first_line: int
    line: int
    values: Mapping[str, Any]


def put_directive(error: BaseException, directive: type[Any], before: list[type[Any]]) -> None:
    """Keep with an exception which directive has raised it, and which have had their turn before."""
    _keep(error, _DIRECTIVE, (directive, before))


def directives_before(error: BaseException) -> list[type[Any]]:
    """The directives that had their turn before the one that has raised an exception."""
    before: list[type[Any]] = getattr(error, _DIRECTIVE, (None, []))[1]
    return before


def put_place(
    error: BaseException, test_case: Mapping[str, Any], action: str | None, values: Mapping[str, Any]
) -> None:
    """Keep with an exception where in the fixture file it belongs; the innermost place in a test case counts.

    Args:
        error: the exception; its attribute ``paths``, where it has one, names what is not as expected.
        test_case: the test case that was run.
        action: name and index of the action that was run, if one was.
        values: what helps to see why.
    """
    if not isinstance(test_case, Mapping):
        return
    file_name, first = str(test_case.get("fixture_file_name")), test_case.get("line_number", 1)
    known = place_of(error)
    if known is None or (known.file_name, known.first_line) != (file_name, first):  # it may have been raised before
        _keep(error, _PLACE, Place(file_name, first, _failed_line(error, test_case, action) or first, values))


def place_of(error: BaseException) -> Place | None:
    """Where an exception belongs in a fixture file; None where nobody has said."""
    place: Place | None = getattr(error, _PLACE, None)
    return place


def _keep(error: BaseException, name: str, value: Any) -> None:
    try:
        setattr(error, name, value)
    except (AttributeError, TypeError):
        return  # an exception of a class that takes no attributes is told of without a place


def _failed_line(error: BaseException, test_case: Mapping[str, Any], action: str | None) -> int | None:
    """The first line of the test case that fits best what is known of a failure."""
    lines: list[DirectiveLine] = test_case.get(DIRECTIVE_LINES, [])
    own = [line for line in lines if not line.is_global and line.action == action]
    directive = getattr(error, _DIRECTIVE, (None, []))[0]
    of_kind = [line for line in own if directive is not None and line.directive.__module__ == directive.__module__]
    paths = set(getattr(error, "paths", ()))
    for candidates in ([line for line in of_kind if line.path in paths], of_kind, own if action else []):
        if candidates:
            return candidates[0].number
    return None


def pruned(entries: Iterable[types.TracebackType]) -> list[types.TracebackType]:
    """The entries of a traceback without those of modules that wish to be left out."""
    return [entry for entry in entries if not entry.tb_frame.f_globals.get(_PRUNE)]


def entries_of(error: BaseException) -> list[types.TracebackType]:
    """The entries of the traceback of an exception, the outermost first."""
    entries, entry = [], error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def with_place(entries: Iterable[types.TracebackType], place: Place, name: str) -> types.TracebackType:
    """A traceback that ends in a fixture file.

    Args:
        entries: those before its end.
        place: where it ends.
        name: what stands there for the name of a function.
    """
    following = _entry(place, name)
    for entry in reversed(list(entries)):
        following = types.TracebackType(following, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return following


def _entry(place: Place, name: str) -> types.TracebackType:
    """The entry of a traceback for a line of a file that is no Python.

    It needs a frame, and a frame needs code: a function that begins a little above the test case and raises something
    on just that line.
    """
    begins = max(1, place.first_line - _LINES_BEFORE)
    source = "\n" * (begins - 1) + f"def place({', '.join(place.values)}):" + "\n" * (place.line - begins)
    tree = ast.parse(f"{source} raise Exception")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.col_offset = node.end_col_offset = -1  # columns of that code mean nothing in the fixture file
    [code] = [one for one in compile(tree, place.file_name, "exec").co_consts if isinstance(one, types.CodeType)]
    function = types.FunctionType(code.replace(co_name=name, co_qualname=name), {"Exception": Exception})
    try:
        function(**place.values)
    except Exception as error:  # boundary: this is how one gets at a frame
        return entries_of(error)[-1]
    raise AssertionError
