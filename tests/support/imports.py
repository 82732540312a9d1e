"""Reads what the modules of the package import, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


class Import(NamedTuple):
    """One module that another one names in an import, wherever in it that stands."""

    importer: str
    imported: str
    path: Path
    line: int

    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@cache
def modules() -> dict[str, Path]:
    """Dotted names of all modules of the package, and their files."""
    found = {}
    for path in sorted((SOURCE / "pysoa").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def all_imports() -> tuple[Import, ...]:
    """Every import of the package: at the top, inside functions, for type checkers only, and by ``import_module``."""
    return tuple(found for name, path in modules().items() for found in imports_of(name, path))


def imports_of(name: str, path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        for imported in _imported_by(node, name, is_package=path.name == "__init__.py"):
            yield Import(name, imported, path, getattr(node, "lineno", 0))


def _imported_by(node: ast.AST, importer: str, *, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = importer.split(".")[: None if is_package and node.level == 1 else (is_package - node.level)]
            base = ".".join([*parts, *filter(None, [base])])
        for alias in node.names:  # a name that is imported may be a module
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules() else base
    elif isinstance(node, ast.Call):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)
