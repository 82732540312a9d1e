"""Dicts and other values as source files write them, as far as they can be read without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pysoa.cli.upgrade.names import Scope
from pysoa.cli.upgrade.project import Project

__all__ = ("UNKNOWN", "Entry", "Value", "assigned", "value_of")

UNKNOWN: Final[Any] = object()
"""The constant of a value that cannot be read."""

_DEEPEST: Final = 30


class Value(NamedTuple):
    """What an expression gives, and where it stands.

    Attributes:
        path: the file.
        line: where in it.
        constant: the number, text, truth value or None that it is, or ``UNKNOWN``.
        entries: of a dict: its keys and values; None of anything else.
        elements: of a list, tuple or set; None of anything else.
        is_whole: whether nothing but what is here can be in a dict.
    """

    path: str
    line: int
    constant: Any = UNKNOWN
    entries: tuple[Entry, ...] | None = None
    elements: tuple[Value, ...] | None = None
    is_whole: bool = True

    @property
    def is_dict(self) -> bool:
        return self.entries is not None

    def get(self, *keys: str) -> Value | None:
        """What is under a key of a dict, under a key of that, and so on; None where nothing is."""
        value: Value | None = self
        for key in keys:
            entries = value.entries if value is not None else None
            value = next((entry.value for entry in reversed(entries or ()) if entry.key == key), None)
        return value

    def text(self) -> str | None:
        """The text that it is."""
        return self.constant if isinstance(self.constant, str) else None

    def number(self) -> float | None:
        """The number that it is."""
        is_number = isinstance(self.constant, int | float) and not isinstance(self.constant, bool)
        return self.constant if is_number else None


class Entry(NamedTuple):
    """A key of a dict, where it stands, and its value."""

    key: str
    path: str
    line: int
    value: Value


def value_of(project: Project, expression: ast.expr, scope: Scope, depth: int = 0) -> Value:
    """Read an expression; names are followed to the one assignment that they have, in other files, too."""
    path, line = scope.source.path, expression.lineno
    if depth > _DEEPEST:
        return Value(path, line, is_whole=False)

    def read(inner: ast.expr) -> Value:
        return value_of(project, inner, scope, depth + 1)

    if isinstance(expression, ast.Constant):
        return Value(path, line, constant=expression.value)
    if isinstance(expression, ast.List | ast.Tuple | ast.Set):
        return Value(path, line, elements=tuple(map(read, expression.elts)))
    if isinstance(expression, ast.Dict):
        entries: list[Entry] = []
        is_whole = True
        for key, inner in zip(expression.keys, expression.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                entries.append(Entry(key.value, path, key.lineno, read(inner)))
                continue
            added = read(inner) if key is None else None
            is_whole = is_whole and added is not None and added.is_dict and added.is_whole
            entries += (added.entries or ()) if added is not None else ()
        return Value(path, line, entries=tuple(entries), is_whole=is_whole)
    if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name) and expression.func.id == "dict":
        return _dict_call(expression, path, read)
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.BitOr):
        return _merged(path, line, [read(expression.left), read(expression.right)])
    if isinstance(expression, ast.Name | ast.Attribute):
        found = _assignment_of(project, expression, scope)
        if found is not None:
            return value_of(project, found[0], found[1], depth + 1)
    return Value(path, line, is_whole=False)


def _dict_call(call: ast.Call, path: str, read: Any) -> Value:
    parts: list[Value] = [read(argument) for argument in call.args]
    for keyword in call.keywords:
        inner: Value = read(keyword.value)
        if keyword.arg is not None:
            entry = Entry(keyword.arg, path, keyword.value.lineno, inner)
            inner = Value(path, keyword.value.lineno, entries=(entry,))
        parts.append(inner)
    return _merged(path, call.lineno, parts)


def _merged(path: str, line: int, parts: list[Value]) -> Value:
    entries = tuple(entry for part in parts for entry in part.entries or ())
    return Value(path, line, entries=entries, is_whole=all(part.is_dict and part.is_whole for part in parts))


def _assignment_of(project: Project, expression: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """The expression that a name has been assigned, and its scope; None unless there is just one."""
    module, _, name = (scope.resolve(expression) or "").rpartition(".")
    home = project.module_scope(module)
    if home is None and isinstance(expression, ast.Name):
        home, name = scope.home_of(expression.id), expression.id
    if home is None or home.times_bound(name) != 1:
        return None
    return next(((value, home) for value in assigned(home, name)), None)


def assigned(scope: Scope, name: str) -> Iterator[ast.expr]:
    """What the outermost statements of a scope assign to a name."""
    for statement in getattr(scope.node, "body", []):
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            yield statement.value
