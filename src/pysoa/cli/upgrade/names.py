"""What names in a source file stand for, as far as its imports and definitions tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ("Scope", "Source", "imported_module", "walk")

_LONGEST_CHAIN: Final = 50

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Source(NamedTuple):
    """A source file that has been read.

    Attributes:
        path: the file, as it was given.
        module: the name by which it is imported.
        is_package: whether it is the ``__init__`` of a package.
        tree: its syntax tree.
    """

    path: str
    module: str
    is_package: bool
    tree: ast.Module


class _Binding(NamedTuple):
    """What one statement makes of a name: a dotted path, an expression that has one, or something else."""

    path: str | None = None
    alias: ast.expr | None = None


_OTHER = _Binding()


class Scope:
    """A module, class or function, and what its names stand for.

    Args:
        source: the file that it is in.
        node: its node.
        parent: the scope around it, if any.

    Attributes:
        path: the dotted path of what is defined in it.
        enclosing_class: the path of the class whose method this is or is in, if any.
    """

    def __init__(self, source: Source, node: ast.AST, parent: Scope | None = None) -> None:
        self.source = source
        self.node = node
        self.parent = parent
        self.path: str = source.module
        self.enclosing_class: str | None = None
        if parent is not None:
            self.path = f"{parent.path}.{getattr(node, 'name', '<lambda>')}"
            is_class = isinstance(parent.node, ast.ClassDef)
            self.enclosing_class = parent.path if is_class else parent.enclosing_class
        self._bindings: dict[str, list[_Binding]] = {}
        self._paths: dict[str, str | None] = {}
        self._stars: list[str] = []
        self._bind_all()

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    def resolve(self, expression: ast.expr | None, depth: int = 0) -> str | None:
        """The dotted path that a name or an attribute stands for; None where that is not certain."""
        attributes: list[str] = []
        while isinstance(expression, ast.Attribute):
            attributes.insert(0, expression.attr)
            expression = expression.value
        home = self.home_of(expression.id) if isinstance(expression, ast.Name) else None
        if home is None or depth > _LONGEST_CHAIN:
            return None
        path = home._resolve_own(expression.id, depth)  # type: ignore[union-attr] # it is a name
        return None if path is None else ".".join([path, *attributes])

    def home_of(self, name: str) -> Scope | None:
        """The scope that a name, used in this one, is bound in."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope._bindings and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None

    def times_bound(self, name: str) -> int:
        """How many statements of this scope bind a name."""
        return len(self._bindings.get(name, ()))

    def star_imports(self) -> list[str]:
        """The modules all of whose names the module of this scope takes in."""
        return self._stars if self.parent is None else self.parent.star_imports()

    def is_bound(self, name: str) -> bool:
        """Whether anything in the file may give the name a meaning here."""
        return self.home_of(name) is not None or bool(self.star_imports())

    def names(self) -> frozenset[str]:
        """All names that are bound in it."""
        return frozenset(self._bindings)

    def _resolve_own(self, name: str, depth: int) -> str | None:
        if name not in self._paths:
            self._paths[name] = None  # while it is being found out: who asks again goes round in a circle
            paths = [
                self.resolve(binding.alias, depth + 1) if binding.alias is not None else binding.path
                for binding in self._bindings[name]
            ]
            if None not in paths:
                self._paths[name] = next((path for path in paths if path and path.startswith("pysoa.")), paths[0])
        return self._paths[name]

    def _bind(self, name: str, binding: _Binding) -> None:
        self._bindings.setdefault(name, []).append(binding)

    def _bind_all(self) -> None:
        node = self.node
        if isinstance(node, _FUNCTIONS):
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    self._bind(argument.arg, _OTHER)
        body = [node.body] if isinstance(node, ast.Lambda) else getattr(node, "body", [])
        waiting: list[ast.AST] = body[::-1]  # without recursion: generated code may be nested deeply
        while waiting:
            waiting += self._bind_node(waiting.pop())[::-1]

    def _bind_node(self, node: ast.AST) -> list[ast.AST]:
        """Note the names that a node binds here; what is left are the nodes in it, but for those of scopes within."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self._bind(name, _Binding(alias.name if alias.asname else name))
        elif isinstance(node, ast.ImportFrom):
            module = imported_module(self.source, node)
            for alias in node.names:
                if alias.name == "*":
                    self._stars.append(module)
                else:
                    self._bind(alias.asname or alias.name, _Binding(f"{module}.{alias.name}"))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            self._bind(node.name, _Binding(f"{self.path}.{node.name}"))
            return []
        elif isinstance(node, ast.Lambda):
            return []
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._bind_assignment(node.targets[0].id, node.value)
            return [node.value]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            self._bind(node.id, _OTHER)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            self._bind(node.name, _OTHER)
        return list(ast.iter_child_nodes(node))

    def _bind_assignment(self, name: str, value: ast.expr) -> None:
        if isinstance(value, ast.Constant) and value.value is None and name in self._bindings:
            return  # what stands in where an import has failed
        is_alias = isinstance(value, ast.Name | ast.Attribute) and not (
            isinstance(value, ast.Name) and value.id == name
        )
        self._bind(name, _Binding(alias=value) if is_alias else _OTHER)


def imported_module(source: Source, node: ast.ImportFrom) -> str:
    """The full name of the module that a ``from ... import`` takes from."""
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    parts = parts[: len(parts) - node.level + source.is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def walk(source: Source) -> Iterator[tuple[ast.AST, Scope]]:
    """All nodes of a file, in their order, each with the scope that it is in."""
    waiting: list[tuple[ast.AST, Scope]] = [(source.tree, Scope(source, source.tree))]
    while waiting:
        node, scope = waiting.pop()
        yield node, scope
        inner = scope
        outside: list[ast.AST] = []
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = Scope(scope.source, node, scope)
            outside = _evaluated_outside(node)
        for child in reversed(list(ast.iter_child_nodes(node))):
            waiting.append((child, scope if child in outside else inner))


def _evaluated_outside(node: ast.AST) -> list[ast.AST]:
    """The parts of a definition whose names are those of the scope around it."""
    parts: list[ast.AST] = [*getattr(node, "decorator_list", [])]
    if isinstance(node, ast.ClassDef):
        parts += [*node.bases, *node.keywords]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts += [node.returns] if node.returns else []
    return parts
