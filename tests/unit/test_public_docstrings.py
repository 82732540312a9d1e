"""Public modules, classes and functions say what they are for."""

from __future__ import annotations

import ast
import importlib
import inspect
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
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            if not value.__doc__:  # not an inherited one: a class has a purpose of its own
                yield name
            yield from (f"{name}.{method}" for method in methods_without_docstring(value))
        elif inspect.isfunction(value) and not value.__doc__:
            yield name


def methods_without_docstring(cls: type[Any]) -> Iterator[str]:
    """Methods without a docstring of their own or of a base class, if they have more than one statement.

    A method of one statement may speak for itself.
    """
    for name, value in vars(cls).items():
        if name.startswith("_") or inspect.isclass(value):
            continue
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if inspect.isfunction(function) and not inspect.getdoc(getattr(cls, name)) and statements_in(function) > 1:
            yield name


def statements_in(function: Any) -> int:
    try:
        source = inspect.getsource(function)
    except OSError:
        return 0  # written by attrs
    definition = ast.parse(inspect.cleandoc(f"if True:\n{source}") if source[0] == " " else source).body[0]
    if isinstance(definition, ast.If):
        definition = definition.body[0]
    return len(definition.body) if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef) else 0
