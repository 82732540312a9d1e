"""Reads the files of a project and puts the rules to them; the one module here that looks at the world."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pysoa
from pysoa.cli.upgrade import classes, imported, requirements, settings, usages
from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.names import Scope, Source
from pysoa.cli.upgrade.project import Project
from pysoa.version import __version_info__

__all__ = ("Report", "check")

_SKIPPED_FOLDERS: Final = ("__pycache__", "build", "dist", "node_modules", "site-packages")
_REQUIREMENTS: Final = re.compile(r"(requirements|constraints).*\.txt|setup\.cfg|pyproject\.toml|Pipfile")
_FOLDER_OF_REQUIREMENTS: Final = "requirements"
_LOWEST: Final = re.compile(r"([\w.-]+)>=([0-9.]+)")
_PACKAGE: Final = Path(pysoa.__file__).parent


class Report(NamedTuple):
    """What has been found.

    Attributes:
        files: how many files were read.
        findings: what is in them, in their order.
        problems: what could not be read, and why.
    """

    files: int
    findings: list[Finding]
    problems: list[str]

    def count(self, severity: Severity) -> int:
        """How many findings are of one severity."""
        return sum(finding.severity is severity for finding in self.findings)


class _PysoaNames:
    """What there is in this PySOA, read from its files."""

    def __init__(self) -> None:
        self._found: dict[str, frozenset[str] | None] = {}

    def names_in(self, module: str) -> frozenset[str] | None:
        """As ``KnownNames`` has it."""
        if module not in self._found:
            self._found[module] = self._read(module)
        return self._found[module]

    def _read(self, module: str) -> frozenset[str] | None:
        first, *parts = module.split(".")
        if first != "pysoa":
            return None
        folder = _PACKAGE.joinpath(*parts)
        file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        if not file.is_file():
            return None
        tree = ast.parse(file.read_bytes())
        names = Scope(Source(str(file), module, folder.is_dir(), tree), tree).names()
        if folder.is_dir():
            names |= {each.stem for each in folder.iterdir() if each.is_dir() or each.suffix == ".py"}
        return names


def check(paths: list[str]) -> Report:
    """Read files and folders, and everything in these, and say what PySOA 2 takes otherwise."""
    found: list[Finding] = []
    problems: list[str] = []
    sources: list[Source] = []
    required: list[requirements.Requirement] = []
    count = 0
    for path in dict.fromkeys(file for each in paths for file in _files_in(Path(each), problems)):
        try:
            content = path.read_bytes()
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
            continue
        count += 1
        if path.suffix == ".py":
            source = _parsed(path, content)
            if isinstance(source, Finding):
                found.append(source)
                continue
            sources.append(source)
            if path.name == "setup.py":
                required += requirements.in_setup(source)
            continue
        try:
            required += requirements.requirements_in(path.name, str(path), content.decode("utf-8", "replace"))
        except requirements.Unreadable as error:
            todo = "Look at its requirements yourself"
            found.append(Finding(str(path), 1, Severity.NOTE, f"this cannot be read: {error}", todo))

    project = Project(sources, _PysoaNames())
    found += imported.findings(project)
    found += classes.findings(project)
    found += usages.findings(project)
    found += settings.findings(project, _known_settings())
    found += requirements.findings(project, required, _needs())
    return Report(count, sorted(set(found), key=lambda each: (each.path, each.line, each.what)), problems)


def _files_in(path: Path, problems: list[str]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, onerror=lambda error: problems.append(str(error))):
        here = Path(folder)
        folders[:] = sorted(each for each in folders if not _is_skipped(here / each))
        is_for_requirements = here.name == _FOLDER_OF_REQUIREMENTS
        for name in sorted(files):
            if name.endswith(".py") or _REQUIREMENTS.fullmatch(name) or (is_for_requirements and name.endswith(".txt")):
                yield here / name


def _is_skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _SKIPPED_FOLDERS or (folder / "pyvenv.cfg").exists()


def _parsed(path: Path, content: bytes) -> Source | Finding:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in texts and the like, which are not our business
            tree = ast.parse(content, str(path))
    except SyntaxError as error:
        what = f"this is not Python {sys.version_info.major}.{sys.version_info.minor}: {error.msg.rstrip('.?')}"
        return Finding(str(path), error.lineno or 1, Severity.MUST_CHANGE, what, "Convert the file, and check it again")
    except (ValueError, RecursionError, MemoryError) as error:
        what = f"this cannot be read: {error or type(error).__name__}"
        return Finding(str(path), 1, Severity.NOTE, what, "Look at it yourself")
    return Source(str(path), _module_of(path), path.name == "__init__.py", tree)


def _module_of(path: Path) -> str:
    path = path.absolute()
    parts = [] if path.name == "__init__.py" else [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").exists():
            break
        parts.insert(0, folder.name)
    return ".".join(parts)


def _known_settings() -> settings.KnownSettings:
    from pysoa.client.settings import ClientSettings
    from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPES
    from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema, RedisTransportSchema
    from pysoa.server.settings import ServerSettings

    client = RedisTransportSchema()
    backend = client.contents["backend_layer_kwargs"]
    return settings.KnownSettings(
        server=frozenset(ServerSettings.schema),
        client=frozenset(ClientSettings.schema),
        redis_server=frozenset(RedisServerTransportSchema().contents),
        redis_client=frozenset(client.contents),
        backend=frozenset(getattr(backend, "contents", ())),
        backend_types=REDIS_BACKEND_TYPES,
    )


def _needs() -> requirements.Needs:
    lowest: dict[str, tuple[int, ...]] = {}
    try:
        metadata = importlib.metadata.metadata("pysoa")
    except importlib.metadata.PackageNotFoundError:
        return requirements.Needs(lowest, __version_info__)
    for line in metadata.get_all("Requires-Dist") or ():
        if (match := _LOWEST.match(line)) is not None:
            lowest[match[1].lower()] = requirements.version_of(match[2])
    for line in metadata.get_all("Requires-Python") or ():
        if (match := _LOWEST.match(f"python{line}")) is not None:
            lowest["python"] = requirements.version_of(match[2])
    return requirements.Needs(lowest, __version_info__)
