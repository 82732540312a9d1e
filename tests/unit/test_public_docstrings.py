"""Public modules, classes and functions say what they are for."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.imports import modules

# These run something when they are imported.
NOT_IMPORTED = {"pysoa.__main__"}


def public_modules() -> list[str]:
    return [name for name in modules() if not any(part.startswith("_") for part in name.split("."))]


@pytest.mark.parametrize("name", [*public_modules(), *NOT_IMPORTED & set(modules())])
def test_a_module_opens_with_what_it_is_for(name: str) -> None:
    text = modules()[name].read_text()

    assert ast.get_docstring(ast.parse(text)) or not text.strip()


@pytest.mark.parametrize("name", public_modules())
def test_public_names_of_a_module_have_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "pysoa").partition(".")[0] == "pysoa":
            raise
        pytest.skip(f"needs {error.name}")

    silent = list(names_without_docstring(module))

    assert not silent, f"in {name}: {', '.join(silent)}"


def names_without_docstring(module: ModuleType) -> Iterator[str]:
    """Classes without a docstring of their own, and functions and methods without one that need one.

    A function of one statement may speak for itself, and a method may have its docstring from a base class.
    """
    public = getattr(module, "__all__", None)
    for name, value in vars(module).items():
        if name.startswith("_") or (public is not None and name not in public):
            continue
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            if not value.__doc__:
                yield name
            yield from (f"{name}.{method}" for method in methods_without_docstring(value))
        elif inspect.isfunction(value) and not value.__doc__ and has_several_statements(value):
            yield name


def methods_without_docstring(cls: type[Any]) -> Iterator[str]:
    for name, value in vars(cls).items():
        if name.startswith("_") or inspect.isclass(value):
            continue
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not inspect.isfunction(function) or inspect.getdoc(getattr(cls, name)):
            continue
        if has_several_statements(function):
            yield name


def has_several_statements(function: Any) -> bool:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError:
        return False  # written by attrs
    definition = ast.parse(source).body[0]
    return isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef) and len(definition.body) > 1
