"""The floors of the house: imports point down, and pure modules stay pure."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch

import pytest

from tests.support.imports import ROOT, all_imports, modules

# From the bottom up. A module belongs to the longest name that it begins with.
FLOORS = {
    "pysoa": 0,  # version and utils
    "pysoa.common": 0,
    "pysoa.common.transport.errors": 0,  # values, whose home is their public path
    "pysoa.common.protocol": 1,
    "pysoa.common.serializer": 1,
    "pysoa.common.transport": 2,
    "pysoa.client": 3,
    "pysoa.server": 4,
    "pysoa.cli.broker": 4,  # finds one or starts one, for commands and for tests of users
    "pysoa.test": 5,
    "pysoa.observability": 5,
    "pysoa.cli": 6,  # pysoa plan reads test plans
    "pysoa.__main__": 7,
}

PURE = (
    "pysoa.common.types",
    "pysoa.common.errors",
    "pysoa.common.constants",
    "pysoa.common.fields",
    "pysoa.common.old_names",
    "pysoa.common.switches",
    "pysoa.common.protocol*",
    "pysoa.common.serializer*",
    "pysoa.common.transport.errors",
    "pysoa.cli.upgrade.classes",
    "pysoa.cli.upgrade.findings",
    "pysoa.cli.upgrade.imported",
    "pysoa.cli.upgrade.names",
    "pysoa.cli.upgrade.project",
    "pysoa.cli.upgrade.requirements",
    "pysoa.cli.upgrade.settings",
    "pysoa.cli.upgrade.usages",
    "pysoa.cli.upgrade.values",
    "pysoa.client.calls",
    "pysoa.client.errors",
    "pysoa.client.expander",
    "pysoa.client.expansion",
    "pysoa.server.errors",
    "pysoa.server.jobs",
    "pysoa.server.schemas",
    "pysoa.server.internal.types",
)

# Not pure, but pure modules may use them: the decorator that says what a class is configured by, and the base of
# settings, which import what these name.
USED_BY_PURE = {"pysoa.common.plugins", "pysoa.common.settings"}

# What waits, or looks at the world.
IMPURE = {
    "asyncio",
    "concurrent",
    "hiredis",
    "multiprocessing",
    "os",
    "random",
    "redis",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}

# A process that only calls services pays for nothing else.
CLIENT_MAY_LOAD = {"attr", "attrs", "hiredis", "msgpack", "msgspec", "ormsgpack", "pysoa"}
CLIENT_MAY_LOAD |= {"typing_extensions", "cython_runtime", "_cython"}  # which the codecs load
CLIENT_MUST_NOT_LOAD = {
    "asyncio",
    "click",
    "conformity",
    "currint",
    "greenlet",
    "multiprocessing",
    "opentelemetry",
    "pydantic",
    "redis",
    "rich",
}

LONGEST_FILE = 500
LONGER_FOR_A_REASON = {
    "src/pysoa/common/fields.py": "every field of the small schema language, side by side",
}


def floor_of(module: str) -> tuple[str, int]:
    home = max((name for name in FLOORS if module == name or module.startswith(f"{name}.")), key=len)
    return home, FLOORS[home]


def is_pure(module: str) -> bool:
    return any(fnmatch(module, pattern) for pattern in PURE)


def modules_loaded_by(statement: str) -> set[str]:
    code = (
        f"import sys; before = set(sys.modules)\n{statement}\n"
        "import json; print(json.dumps([name for name in sys.modules if name not in before]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return {name.partition(".")[0] for name in json.loads(output)}


def test_imports_point_down_or_sideways_in_one_package() -> None:
    wrong = []
    for found in all_imports():
        if found.imported.partition(".")[0] != "pysoa":
            continue
        home, floor = floor_of(found.importer)
        other, other_floor = floor_of(found.imported)
        if other_floor > floor or (other_floor == floor and floor > 0 and other != home):
            wrong.append(
                f"{found.place()}: {found.importer} ({home}, floor {floor}) imports {found.imported} "
                f"({other}, floor {other_floor})"
            )

    assert not wrong, (
        "imports must point to a lower floor or stay in their package; that goes for imports in functions and for type "
        "checkers too. Name a typing.Protocol below, or move the type:\n" + "\n".join(wrong)
    )


def test_pure_modules_import_nothing_that_waits_or_looks_at_the_world() -> None:
    wrong = [
        f"{found.place()}: {found.importer} imports {found.imported}"
        for found in all_imports()
        if is_pure(found.importer) and found.imported.partition(".")[0] in IMPURE
    ]

    assert not wrong, "time, random numbers and ids come in as arguments:\n" + "\n".join(wrong)


def test_pure_modules_import_no_module_of_ours_that_is_not_pure() -> None:
    wrong = [
        f"{found.place()}: {found.importer} imports {found.imported}"
        for found in all_imports()
        if is_pure(found.importer) and found.imported.startswith("pysoa.")
        if not is_pure(found.imported) and found.imported not in USED_BY_PURE
    ]

    assert not wrong, "\n".join(wrong)


def test_every_pure_module_named_here_is_one_that_may_exist() -> None:
    unknown = [name for name in PURE if not any(fnmatch(module, name) for module in modules())]

    assert not unknown


def test_the_client_loads_nothing_but_attrs_the_codecs_and_hiredis() -> None:
    baseline = modules_loaded_by("pass")

    loaded = modules_loaded_by("import pysoa.client.client") - baseline

    assert "pysoa" in loaded
    assert not loaded & CLIENT_MUST_NOT_LOAD
    foreign = {re.sub(r"_\d+_\d+_\d+$", "", name) for name in loaded if name not in sys.stdlib_module_names}
    assert foreign <= CLIENT_MAY_LOAD


@pytest.mark.parametrize("module", ["pysoa", "pysoa.client", "pysoa.server"])
def test_a_package_loads_its_modules_only_when_they_are_used(module: str) -> None:
    assert not modules_loaded_by(f"import {module}") & (CLIENT_MUST_NOT_LOAD | {"hiredis", "attr"})


def test_no_file_is_longer_than_one_can_read() -> None:
    too_long = []
    for folder in ("src", "tests", "scripts", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name, lines = str(path.relative_to(ROOT)), len(path.read_text().splitlines())
            if lines > LONGEST_FILE and name not in LONGER_FOR_A_REASON:
                too_long.append(f"{name}: {lines} lines")

    assert not too_long, f"split these, or name the reason in LONGER_FOR_A_REASON:\n{chr(10).join(too_long)}"


def test_every_reason_for_length_is_still_needed() -> None:
    short = [name for name in LONGER_FOR_A_REASON if len((ROOT / name).read_text().splitlines()) <= LONGEST_FILE]

    assert not short
