"""All source files that are looked at together: the classes in them, and which of PySOA's classes these extend."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from pysoa.cli.upgrade.names import Scope, Source, imported_module, walk
from pysoa.common.old_names import replacement

__all__ = ("ClassInfo", "KnownNames", "Project", "canonical", "is_pysoa")

_HOMES: Final = {
    "pysoa.client.Client": "pysoa.client.client.Client",
    "pysoa.client.settings.LocalClientSettings": "pysoa.client.settings.ClientSettings",
    "pysoa.common.serializer.JSONSerializer": "pysoa.common.serializer.json_serializer.JSONSerializer",
    "pysoa.common.serializer.MsgpackSerializer": "pysoa.common.serializer.msgpack_serializer.MsgpackSerializer",
    "pysoa.common.types.Error": "pysoa.common.errors.Error",
    "pysoa.server.Server": "pysoa.server.server.Server",
    "pysoa.server.action.Action": "pysoa.server.action.base.Action",
    "pysoa.server.settings.LocalServerSettings": "pysoa.server.settings.ServerSettings",
}
"""Where a class is that has a second path."""

_SERVER_TRANSPORT: Final = "pysoa.common.transport.base.ServerTransport"
_CLIENT_TRANSPORT: Final = "pysoa.common.transport.base.ClientTransport"
_SERIALIZER: Final = "pysoa.common.serializer.base.Serializer"
_SETTINGS: Final = "pysoa.common.settings.Settings"

_BASES: Final = {
    "pysoa.client.settings.ClientSettings": (_SETTINGS,),
    "pysoa.common.serializer.json_serializer.JSONSerializer": (_SERIALIZER,),
    "pysoa.common.serializer.msgpack_serializer.MsgpackSerializer": (_SERIALIZER,),
    "pysoa.common.settings.SOASettings": (_SETTINGS,),
    "pysoa.common.transport.local.LocalClientTransport": (_CLIENT_TRANSPORT, _SERVER_TRANSPORT),
    "pysoa.common.transport.local.LocalServerTransport": (_SERVER_TRANSPORT,),
    "pysoa.common.transport.redis_gateway.client.RedisClientTransport": (_CLIENT_TRANSPORT,),
    "pysoa.common.transport.redis_gateway.server.RedisServerTransport": (_SERVER_TRANSPORT,),
    "pysoa.server.coroutine.DefaultCoroutineMiddleware": ("pysoa.server.coroutine.CoroutineMiddleware",),
    "pysoa.server.settings.ServerSettings": (_SETTINGS,),
}
"""What classes of PySOA extend, where a rule goes by it."""

_CLASS_FACTORIES: Final = {
    "pysoa.server.action.status.StatusActionFactory": "pysoa.server.action.status.BaseStatusAction",
    "pysoa.server.action.status.make_default_status_action_class": "pysoa.server.action.status.BaseStatusAction",
}


class KnownNames(Protocol):
    """Tells what there is in PySOA 2."""

    def names_in(self, module: str) -> frozenset[str] | None:
        """The names in a module of PySOA, modules in a package among them; None where there is no such module."""


class ClassInfo(NamedTuple):
    """A class of the project: its node, the scope that it is defined in, and its own."""

    node: ast.ClassDef
    scope: Scope
    path: str

    def methods(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """The methods in its body."""
        for statement in self.node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield statement

    def value_of(self, name: str) -> ast.expr | None:
        """What its body assigns to a name."""
        for statement in self.node.body:
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            else:
                continue
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return statement.value
        return None


def is_pysoa(path: str) -> bool:
    """Whether a dotted path leads into PySOA."""
    return path == "pysoa" or path.startswith("pysoa.")


def _imported(source: Source, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [imported_module(source, node)] if isinstance(node, ast.ImportFrom) else []


def canonical(path: str) -> str:
    """The one path by which rules know a thing of PySOA."""
    found = replacement(path)
    if found is not None:
        path = found.new.replace(":_", ".").replace(
            ":", "."
        )  # private ones stand in for the class they are named after
    return _HOMES.get(path, path)


class Project:
    """The source files that are looked at together.

    Args:
        sources: the files.
        known: what there is in PySOA 2.

    Attributes:
        nodes: all nodes of each file with their scopes, in their order.
        classes: all classes, by their paths.
    """

    def __init__(self, sources: Iterable[Source], known: KnownNames) -> None:
        self.sources = list(sources)
        self.known = known
        self.nodes = {source.path: list(walk(source)) for source in self.sources}
        self.modules = {source.module: source for source in self.sources}
        self._ancestors: dict[str | None, frozenset[str | None]] = {}
        self._uses_pysoa: dict[str, bool] = {}
        self.classes: dict[str, ClassInfo] = {}
        for nodes in self.nodes.values():
            for node, scope in nodes:
                if isinstance(node, ast.ClassDef):
                    path = f"{scope.path}.{node.name}"
                    self.classes.setdefault(path, ClassInfo(node, scope, path))

    def uses_pysoa(self, source: Source) -> bool:
        """Whether a file imports anything of PySOA."""
        if source.path not in self._uses_pysoa:
            self._uses_pysoa[source.path] = any(
                is_pysoa(name) for node, _ in self.nodes[source.path] for name in _imported(source, node)
            )
        return self._uses_pysoa[source.path]

    def module_scope(self, module: str) -> Scope | None:
        """The outermost scope of a module of the project."""
        source = self.modules.get(module)
        return None if source is None else self.nodes[source.path][0][1]

    def ancestors(self, path: str | None) -> frozenset[str | None]:
        """The classes of PySOA that a class is or extends; with None where it extends something that is not known."""
        if path in self._ancestors:
            return self._ancestors[path]
        found: set[str | None] = set()
        seen: set[str] = set()
        waiting = [path]
        while waiting:
            each = waiting.pop()
            each = None if each is None else self._definition_of(canonical(each))
            if each is None:
                found.add(None)
            elif each in self.classes and each not in seen:
                waiting += self._bases_of(self.classes[each])
            elif each.startswith("pysoa.") and each not in seen:
                found.add(each)
                waiting += _BASES.get(each, ())
            elif each not in seen and each not in ("object", "builtins.object"):
                found.add(None)
            seen.add(each or "")
        self._ancestors[path] = frozenset(found)
        return self._ancestors[path]

    def is_a(self, path: str | None, pysoa_class: str) -> bool:
        """Whether a class is, or extends, one of PySOA's."""
        return path is not None and pysoa_class in self.ancestors(path)

    def of_kind(self, pysoa_class: str) -> Iterator[ClassInfo]:
        """The classes of the project that extend one of PySOA's."""
        return (info for path, info in self.classes.items() if self.is_a(path, pysoa_class))

    def _bases_of(self, info: ClassInfo) -> Iterator[str | None]:
        for base in info.node.bases:
            if isinstance(base, ast.Call):
                function = info.scope.resolve(base.func)
                if function in _CLASS_FACTORIES:
                    yield _CLASS_FACTORIES[function]
                elif function == "six.with_metaclass":
                    yield from (info.scope.resolve(each) for each in base.args[1:])
                else:
                    yield None
            elif isinstance(base, ast.Name) and base.id == "object" and not info.scope.is_bound("object"):
                yield "object"
            else:
                yield info.scope.resolve(base.value if isinstance(base, ast.Subscript) else base)

    def _definition_of(self, path: str) -> str | None:
        """Follow a path through modules of the project that import what it names from elsewhere."""
        for _ in range(20):
            module, _, name = path.rpartition(".")
            scope = self.module_scope(module)
            if path in self.classes or scope is None:
                return path
            found = scope.resolve(ast.Name(name, ast.Load()))
            if found is None or found == path:
                return None
            path = canonical(found)
        return None
