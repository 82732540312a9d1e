"""Rules about what a project requires: pins that keep PySOA 2 out, and packages that 1.x brought along."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.names import Source, imported_module
from pysoa.cli.upgrade.project import Project

__all__ = ("Needs", "Requirement", "Unreadable", "findings", "highest", "in_setup", "requirements_in", "version_of")

_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*([^;#@]*)")
_CLAUSE: Final = re.compile(r"(~=|===|==|!=|<=|>=|<|>|\^|~)?\s*v?([0-9]+(?:\.[0-9]+)*)(\.\*)?")
_OPTIONS_OF_SETUP: Final = ("install_requires", "tests_require", "setup_requires")

_BROUGHT_BY_1X: Final = {
    "conformity": "Require pysoa[conformity]",
    "currint": "Require pysoa[currency]",
    "pymetrics": "Require pymetrics",
    "pytz": "Require pytz",
    "six": "Require six, or do without it",
}
"""What 1.x installed and PySOA 2 does not."""

_EXTRAS: Final = {"conformity": "conformity", "currint": "currency"}
_NO_OP_METRICS: Final = "pymetrics.recorders.noop"


class Requirement(NamedTuple):
    """One line of what a project requires; ``python`` is a name, too."""

    path: str
    line: int
    name: str
    extras: frozenset[str]
    versions: str


class Needs(NamedTuple):
    """What PySOA 2 needs: the lowest release of each package, and of Python.

    Attributes:
        lowest: by the name of the package.
        release: this release.
    """

    lowest: Mapping[str, tuple[int, ...]]
    release: tuple[int, ...]


class Unreadable(ValueError):
    """A file with requirements that cannot be read; the text says why."""


def requirements_in(name: str, path: str, text: str) -> list[Requirement]:
    """The requirements in a file.

    Args:
        name: its name, without folders.
        path: as it was given.
        text: what is in it.

    Raises:
        Unreadable: it is not written as such files are.
    """
    if name.endswith(".txt"):
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1)]
        return [_requirement(path, number, line) for number, line in lines if re.match(r"\s*[A-Za-z0-9]", line)]
    try:
        stated = list(_in_setup_cfg(text) if name == "setup.cfg" else _in_toml(tomllib.loads(text)))
    except (ValueError, configparser.Error) as error:  # TOML's error is a ValueError
        raise Unreadable(str(error).splitlines()[0]) from error
    return [_requirement(path, _line_of(text, pattern), written) for pattern, written in stated]


def _in_setup_cfg(text: str) -> Iterator[tuple[str, str]]:
    """The requirements, each after a pattern for the line that it is in."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    for section in parser.sections():
        for option, value in parser.items(section):
            if section == "options" and option == "python_requires":
                yield r"^\s*python_requires\b", f"python {value}"
            elif section == "options.extras_require" or (section == "options" and option in _OPTIONS_OF_SETUP):
                lines = filter(None, map(str.strip, value.splitlines()))
                yield from ((rf"(?:^|=)[ \t]*{re.escape(line)}[ \t]*$", line) for line in lines)


def _in_toml(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The requirements of a ``pyproject.toml`` or a ``Pipfile``, each after a pattern for the line that it is in."""
    project = _table(document.get("project"))
    if isinstance(project.get("requires-python"), str):
        yield r"^\s*requires-python\b", f"python {project['requires-python']}"
    lists = [project.get("dependencies"), *_table(project.get("optional-dependencies")).values()]
    lists += _table(document.get("dependency-groups")).values()
    for each in lists:
        yield from ((rf"[\"']{re.escape(line)}[\"']", line) for line in each or () if isinstance(line, str))
    poetry = _table(_table(document.get("tool")).get("poetry"))
    groups = [_table(group).get("dependencies") for group in _table(poetry.get("group")).values()]
    tables = [poetry.get("dependencies"), poetry.get("dev-dependencies"), *groups]
    tables += [document.get("packages"), document.get("dev-packages")]  # of a Pipfile
    for table in tables:
        for name, value in _table(table).items():
            versions = _table(value).get("version", "") if isinstance(value, Mapping) else value
            extras = _table(value).get("extras", ()) if isinstance(value, Mapping) else ()
            if isinstance(versions, str):
                exact = f"=={versions}" if versions[:1].isdigit() else versions
                yield rf"^\s*[\"']?{re.escape(name)}[\"']?\s*=", f"{name}[{','.join(map(str, extras))}] {exact}"


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _line_of(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.end()) + 1


def in_setup(source: Source) -> list[Requirement]:
    """The requirements in a ``setup.py``: the texts in its lists that look like one, and ``python_requires``."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for element in node.elts:
                if isinstance(element, ast.Constant) and isinstance(element.value, str):
                    found.append(_requirement(source.path, element.lineno, element.value))
        elif isinstance(node, ast.keyword) and node.arg == "python_requires" and isinstance(node.value, ast.Constant):
            found.append(_requirement(source.path, node.value.lineno, f"python {node.value.value!s}"))
    return found


def _requirement(path: str, line: int, text: str) -> Requirement:
    match = _REQUIREMENT.match(text)
    if match is None:
        return Requirement(path, line, "", frozenset(), "")
    extras = frozenset(extra.strip() for extra in (match[2] or "").split(",") if extra.strip())
    name = re.sub(r"[-_.]+", "-", match[1]).lower()
    return Requirement(path, line, name, extras, match[3].strip(" \t()\\"))


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of a version."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:4])


def highest(versions: str) -> tuple[tuple[int, ...], bool] | None:
    """The highest release that version clauses allow, and whether that one is allowed itself; None without a limit."""
    limits = [limit for clause in versions.split(",") if (limit := _limit(clause.strip())) is not None]
    return min(limits, default=None)


def _limit(clause: str) -> tuple[tuple[int, ...], bool] | None:
    match = _CLAUSE.match(clause)
    if match is None:
        return None
    operator, version, wildcard = match[1], version_of(match[2]), match[3]
    if operator in ("==", "===") and wildcard is None:
        return version, True
    if operator == "==":
        return _next(version), False
    if operator in ("<", "<="):
        return version, operator == "<="
    if operator == "~=" and len(version) > 1:
        return _next(version[:-1]), False
    if operator == "~":
        return _next(version[:2]), False
    if operator == "^":
        first = next((place for place, number in enumerate(version) if number), len(version) - 1)
        return _next(version[: first + 1]), False
    return None


def _next(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version[:-1], version[-1] + 1)


def _excludes(requirement: Requirement, lowest: tuple[int, ...]) -> bool:
    limit = highest(requirement.versions)
    if limit is None:
        return False
    version, is_allowed = limit
    length = max(len(version), len(lowest))
    padded, needed = (each + (0,) * (length - len(each)) for each in (version, lowest))
    return padded < needed or (padded == needed and not is_allowed)


def findings(project: Project, requirements: Iterable[Requirement], needs: Needs) -> Iterator[Finding]:
    """What the requirements keep out, and what the code imports that nothing requires any more."""
    requirements = list(requirements)
    for requirement in requirements:
        yield from _pins(requirement, needs)
    named = {requirement.name for requirement in requirements}
    extras = {extra for requirement in requirements if requirement.name == "pysoa" for extra in requirement.extras}
    for package, (path, line) in _first_uses(project).items():
        if package in named or _EXTRAS.get(package) in extras:
            continue
        severity = Severity.MUST_CHANGE if "pysoa" in named else Severity.NOTE
        what = f"{package} is used here, and PySOA 2 does not install it as 1.x did"
        yield Finding(path, line, severity, what, _BROUGHT_BY_1X[package])


def _pins(requirement: Requirement, needs: Needs) -> Iterator[Finding]:
    name, path, line = requirement.name, requirement.path, requirement.line
    if name == "pysoa" and _excludes(requirement, needs.release):
        what = f"pysoa {requirement.versions} keeps this release out"
        yield Finding(path, line, Severity.MUST_CHANGE, what, f"Require pysoa>={_text(needs.release[:1])}")
    elif name in needs.lowest and _excludes(requirement, needs.lowest[name]):
        lowest = _text(needs.lowest[name])
        what = f"{name} {requirement.versions} cannot be had with PySOA 2, which needs {lowest} or newer"
        yield Finding(path, line, Severity.MUST_CHANGE, what, f"Allow {name}>={lowest}")
    elif name == "pymetrics":
        todo = "Keep it only for recorders that the settings name"
        yield Finding(path, line, Severity.NOTE, "PySOA does without pymetrics", todo)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _first_uses(project: Project) -> dict[str, tuple[str, int]]:
    """Where each package that 1.x brought along is used first."""
    found: dict[str, tuple[str, int]] = {}
    for source in project.sources:
        tried: set[ast.AST] = set()
        for node, _ in project.nodes[source.path]:
            if isinstance(node, ast.Try):
                tried.update(inner for statement in node.body for inner in ast.walk(statement))
            if node not in tried:
                for package in _used(source, node):
                    found.setdefault(package, (source.path, getattr(node, "lineno", 1)))
    return found


def _used(source: Source, node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [imported_module(source, node)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("pymetrics."):
        names = [] if node.value.startswith(_NO_OP_METRICS) else [node.value]
    return (package for name in names if (package := name.partition(".")[0]) in _BROUGHT_BY_1X)
