"""Rules about names of PySOA: those that have moved, and those that are gone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.names import Scope, imported_module
from pysoa.cli.upgrade.project import Project, is_pysoa
from pysoa.common.old_names import MOVED_MODULES, OLD_NAMES, replacement

__all__ = ("findings", "path_finding")

_UNUSED_PATCHES: Final = (
    "pysoa.common.transport.redis_gateway.core.StandardRedisClient",
    "pysoa.common.transport.redis_gateway.core.SentinelRedisClient",
    "redis.Redis",
    "redis.StrictRedis",
    "redis.sentinel.Sentinel",
)
"""What tests of 1.x could put a double in the place of, and PySOA 2 does not go through."""


def findings(project: Project) -> Iterator[Finding]:
    """What the files import, name and patch."""
    for source in project.sources:
        tried: set[ast.AST] = set()
        instead: set[ast.AST] = set()
        for node, scope in project.nodes[source.path]:
            found: Iterator[Finding] = iter(())
            if isinstance(node, ast.Try) and any(map(_catches_import_error, node.handlers)):
                tried.update(inner for statement in node.body for inner in ast.walk(statement))
                instead.update(inner for handler in node.handlers for inner in ast.walk(handler))
            elif isinstance(node, ast.Import):
                found = _imports(project, scope, node)
            elif isinstance(node, ast.ImportFrom):
                found = _imports_from(project, scope, node)
            elif isinstance(node, ast.Attribute):
                found = _attributes(project, scope, node)
            elif isinstance(node, ast.Call):
                found = _patches(project, scope, node, project.uses_pysoa(source))
            if node in tried:  # what is missing is expected
                found = (each for each in found if each.severity is not Severity.MUST_CHANGE)
            if node not in instead:
                yield from found


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {"ImportError", "ModuleNotFoundError", "Exception"}
    return any(each is None or (isinstance(each, ast.Name) and each.id in names) for each in caught)


def path_finding(project: Project, path: str, file: str, line: int) -> Finding | None:
    """What there is to say of the path of a thing, as settings have it; None where it is one of today."""
    if not is_pysoa(path) or "." not in path:
        return None
    moved = replacement(path)
    if moved is not None:
        return _moved(file, line, path, moved.advice(), "Name that")
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    return None if _is_there(project, module, name.partition(".")[0]) else _gone(file, line, path)


def _imports(project: Project, scope: Scope, node: ast.Import) -> Iterator[Finding]:
    file = scope.source.path
    for alias in node.names:
        if alias.name in MOVED_MODULES:
            yield _moved(file, node.lineno, alias.name, MOVED_MODULES[alias.name], "Import that")
        elif is_pysoa(alias.name) and project.known.names_in(alias.name) is None:
            yield _gone(file, node.lineno, alias.name)


def _imports_from(project: Project, scope: Scope, node: ast.ImportFrom) -> Iterator[Finding]:
    file, module = scope.source.path, imported_module(scope.source, node)
    if not is_pysoa(module):
        return
    if module in MOVED_MODULES:
        yield _moved(file, node.lineno, module, MOVED_MODULES[module], "Import from there")
        return
    if project.known.names_in(module) is None:
        yield _gone(file, node.lineno, module)
        return
    for alias in node.names:
        path = f"{module}.{alias.name}"
        moved = OLD_NAMES.get(f"{module}:{alias.name}")
        if moved is not None:
            yield _moved(file, alias.lineno, path, moved.advice(), "Use that")
        elif path in MOVED_MODULES:
            yield _moved(file, alias.lineno, path, MOVED_MODULES[path], "Import that")
        elif alias.name != "*" and not _is_there(project, module, alias.name):
            yield _gone(file, alias.lineno, path)


def _attributes(project: Project, scope: Scope, node: ast.Attribute) -> Iterator[Finding]:
    module = scope.resolve(node.value)
    if module is None or not is_pysoa(module):
        return
    path = f"{module}.{node.attr}"
    moved = OLD_NAMES.get(f"{module}:{node.attr}")
    if moved is not None:
        yield _moved(scope.source.path, node.lineno, path, moved.advice(), "Use that")
    elif (
        module not in MOVED_MODULES
        and project.known.names_in(module) is not None
        and not node.attr.startswith("__")
        and not _is_there(project, module, node.attr)
    ):
        yield _gone(scope.source.path, node.lineno, path)


def _patches(project: Project, scope: Scope, node: ast.Call, uses_pysoa: bool) -> Iterator[Finding]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    target = node.args[0] if node.args else None
    if name != "patch" or not isinstance(target, ast.Constant) or not isinstance(target.value, str):
        return
    file, path = scope.source.path, target.value
    if path in _UNUSED_PATCHES and (uses_pysoa or is_pysoa(path)):
        todo = "Put a transport of your own into the settings, or patch Client.send_request"
        yield Finding(file, node.lineno, Severity.NOTE, f"{path} is patched, and PySOA 2 does not go through it", todo)
        return
    if not is_pysoa(path) or "." not in path:
        return
    moved = replacement(path)
    if moved is not None:
        what = f"{path} is patched, which stands for {moved.advice()} now, so that the patch has no effect"
        yield Finding(file, node.lineno, Severity.MUST_CHANGE, what, "Patch that")
        return
    module = _longest_module(project, path)
    first = path.removeprefix(module).strip(".").partition(".")[0]
    if first and not _is_there(project, module, first):
        yield _gone(file, node.lineno, path)


def _longest_module(project: Project, path: str) -> str:
    while "." in path and project.known.names_in(path) is None:
        path = path.rpartition(".")[0]
    return path


def _is_there(project: Project, module: str, name: str) -> bool:
    names = project.known.names_in(module)
    return names is not None and name in names


def _moved(file: str, line: int, old: str, new: str, todo: str) -> Finding:
    return Finding(file, line, Severity.WARNING, f"{old} is now {new}", todo)


def _gone(file: str, line: int, path: str) -> Finding:
    return Finding(file, line, Severity.MUST_CHANGE, f"there is no {path} in this release", "Do without it")
