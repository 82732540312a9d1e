"""``pysoa plan``: test plans without the service that they test."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pysoa.cli.terminal import EXIT_ERRORS, Command, Failure, Group, did_you_mean, say

if TYPE_CHECKING:
    from pysoa.test.plan.errors import FixtureSyntaxError

__all__ = ("plan",)

_ENDING = ".pysoa"


@click.group(cls=Group, short_help="Check test plans.")
def plan() -> None:
    """Test plans: tests of a service in plain text files.

      pysoa plan check tests/plans

    They are run by pytest: a class that extends ServicePlanTestCase of
    pysoa.test.plan names the service and the files.
    """


@plan.command(cls=Command, short_help="Read fixture files, and say what is wrong in them.")
@click.argument("paths", metavar="FILES...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--import", "modules", metavar="MODULE", multiple=True, help="A module that registers directives.")
def check(paths: tuple[Path, ...], modules: tuple[str, ...]) -> None:
    """Read fixture files, and say in which line and column something is wrong.

      pysoa plan check tests/plans
      pysoa plan check orders.pysoa returns.pysoa --import my_service.directives

    In folders, files that end in .pysoa are read. No service is needed, and no
    broker. A file has test cases with blank lines between, each with a name, a
    description and lines about actions:

      test name: seven_is_squared
      test description: A number is multiplied by itself
      square: input int: number: 7
      square: expect: no errors
      square: expect int: attribute value: square: 49

    Directives of your own are known by their entry points, or by --import.

    Exit codes: 0 nothing is wrong, 1 something is, 2 wrong arguments.
    """
    sys.path.insert(0, os.getcwd())
    for module in modules:
        _import(module)
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise Failure(f"there is no file that ends in {_ENDING} in {', '.join(map(str, paths))}")
    count = problems = 0
    for file in files:
        number, errors = _check(file)
        count += number
        problems += len(errors)
        for error in errors:
            click.echo(error)
    if problems:
        say(f"{_counted(problems, 'error')} in {_counted(len(files), 'file')}")
        sys.exit(EXIT_ERRORS)
    click.echo(f"{_counted(len(files), 'file')}, {_counted(count, 'test case')}: nothing is wrong")


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise Failure(f"cannot import {module}: {error}") from error


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob(f"[!.]*{_ENDING}") if file.is_file())
    else:
        yield path


def _check(file: Path) -> tuple[int, list[str]]:
    """How many test cases a file has, and what is wrong in it."""
    from pysoa.test.plan.errors import FixtureLoadError
    from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

    parser = ServiceTestPlanFixtureParser(str(file), file.stem)
    try:
        errors = parser.find_errors()
    except FixtureLoadError as error:
        return 0, [f"{file}: {error}"]
    return len(parser.test_cases), ["\n".join(_lines(error)) for error in errors]


def _lines(error: FixtureSyntaxError) -> Iterator[str]:
    """An error as compilers show theirs: place and text, the line, and a mark under the column."""
    column = error.offset or 1
    text = re.sub(r"^(column \d+|.*:\d+): ", "", (error.msg or "").splitlines()[-1])
    yield f"{error.filename}:{error.lineno}:{column}: {text}{_hint(error, column)}"
    if error.text:
        yield f"    {error.text}"
        yield f"    {' ' * (column - 1)}^"


def _hint(error: FixtureSyntaxError, column: int) -> str:
    """The data type that was meant, where one is misspelt."""
    from pysoa.test.plan.grammar.data_types import get_all_data_type_names

    word = re.match(r"\w{3,}", (error.text or "")[column - 1 :])
    if word is None or "a data type" not in (error.msg or ""):
        return ""
    meant = {"integer": "int", "string": "str", "text": "str", "boolean": "bool", "number": "int", "null": "none"}
    name = meant.get(word[0]) or did_you_mean(word[0], get_all_data_type_names())
    return f"; did you mean {name!r}?" if name else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
