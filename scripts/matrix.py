"""Runs the tests on many sets of Python, dependencies and broker, and prints a table of what came out.

Usage: python scripts/matrix.py [--only NAME]... [--list] [--jobs N]

Sets whose Python or broker is not on this machine are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOWEST = Path("constraints/lowest.txt")
ENTIRE = ("tests",)
WITHOUT_PROCESSES = ("tests/unit", "tests/contract")
FAILED = "failed"
WITH_BROKERS = ("tests/contract", "tests/integration", "tests/functional")
OF_DJANGO = (
    "tests/unit/server/django",
    "tests/unit/server/internal/test_*django*.py",
    "tests/functional/test_django.py",
)


@dataclass(frozen=True)
class Set:
    """One line of the matrix.

    Attributes:
        name: for ``--only``, and the name of the environment.
        version: the Python to take, such as ``3.12``; None takes the one that runs this.
        constraints: file with the versions to take; None takes the newest.
        extras: further extras to install.
        force: requirements to install against pip's judgement.
        server: the broker, by the name of a program on ``PATH``; None takes the bundled one.
        tests: patterns of the files and folders of tests to run.
        differs_from: the first Python with which this set is not the same as the newest one.
    """

    name: str
    version: str | None = None
    constraints: Path | None = None
    extras: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    server: str | None = None
    tests: tuple[str, ...] = ENTIRE
    differs_from: tuple[int, int] = (3, 0)


SETS = (
    Set("newest", extras=("fast", "reload")),
    # The oldest attrs is also the newest that Conformity allows, so its fields are tested here.
    Set("lowest", constraints=LOWEST, extras=("conformity", "fast", "reload")),
    Set("conformity", extras=("conformity",), tests=WITHOUT_PROCESSES),
    # Conformity with an attrs newer than it allows works, and is what many have to install.
    Set("conformity-attrs", extras=("conformity",), force=("attrs>=24",), tests=WITHOUT_PROCESSES),
    Set("redis-server", extras=("fast", "reload"), server="redis-server", tests=WITH_BROKERS),
    Set("valkey-server", extras=("fast", "reload"), server="valkey-server", tests=WITH_BROKERS),
    # 4.2 is in the lowest set. The newest needs Python 3.12, so before that 5.2 is the newest.
    Set("django-5.2", force=("django>=5.2,<5.3",), tests=OF_DJANGO, differs_from=(3, 12)),
    Set("django-newest", version="3.13", tests=OF_DJANGO),
    Set("python-3.11", version="3.11", extras=("fast", "reload")),
    Set("python-3.12", version="3.12", extras=("fast", "reload")),
    Set("python-3.13", version="3.13", extras=("fast", "reload")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [one.name for one in SETS]
    parser.add_argument("--only", action="append", choices=names, help="run this set, and others named so")
    parser.add_argument("--list", action="store_true", help="print the names of the sets and stop")
    parser.add_argument("--jobs", default="2", help="how many tests to run at a time")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names))
        return
    chosen = [one for one in SETS if not options.only or one.name in options.only]
    if len(chosen) == 1:
        result = run(chosen[0], options.jobs)
        # pytest's own last line is to stay the last one.
        sys.exit(0 if result == "passed" else 1 if result == FAILED else f"{chosen[0].name}: {result}")
    results = []
    for one in chosen:
        began = time.monotonic()
        results.append((one.name, run(one, options.jobs), time.monotonic() - began))
    print("\nset               result                          time")
    for name, result, seconds in results:
        print(f"{name:<17} {result:<30} {seconds:5.0f} s")
    sys.exit(any(result.startswith("failed") for _, result, _ in results))


def run(one: Set, jobs: str) -> str:
    """Run one set, and say in a few words what came out: what is not here is no failure."""
    python = sys.executable if one.version is None else find_python(one.version)
    if python is None:
        return f"left out: no Python {one.version}"
    if one.version == f"{sys.version_info.major}.{sys.version_info.minor}" or sys.version_info < one.differs_from:
        return "left out: same as newest"
    server = "bundled" if one.server is None else shutil.which(one.server)
    if server is None:
        return f"left out: no {one.server}"
    environment = ROOT / ".venvs" / (one.name if one.server is None else "newest")
    command = [python, "scripts/environment.py", str(environment.relative_to(ROOT)), "--groups", "test"]
    command += ["--extras", ",".join(("embedded", "currency", "django", "test-plans", *one.extras))]
    command += ["--apart", "tests/functional/data/requirements.txt"]
    # The oldest web frameworks are not ours to support.
    command += ["--constraints", str(one.constraints)] if one.constraints else []
    command += ["--optional-groups", "postgres" if one.constraints or one.tests == OF_DJANGO else "web,postgres"]
    for requirement in one.force:
        command += ["--force", requirement]
    if subprocess.run(command, check=False, cwd=ROOT).returncode:
        return "failed: not installed"
    tests = [str(path.relative_to(ROOT)) for pattern in one.tests for path in sorted(ROOT.glob(pattern))]
    print(f"{one.name}: {' '.join(tests)} on {describe(environment / 'bin' / 'python', server)}", flush=True)
    code = subprocess.run(
        [
            environment / "bin" / "python",
            "-m",
            "pytest",
            "-q",
            "-n",
            jobs,
            "--dist",
            "worksteal",
            "-p",
            "no:cacheprovider",
            *tests,
        ],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYSOA_TEST_BROKER": server},
    ).returncode
    return "passed" if code == 0 else FAILED


def describe(python: Path, server: str) -> str:
    """Python, broker and the versions that matter, in one line."""
    code = (
        "import sys, importlib.metadata as m\n"
        "names = 'attrs', 'conformity', 'django', 'hiredis', 'msgspec', 'ormsgpack', 'pydantic', 'redis'\n"
        "have = {d.name.lower(): d.version for d in m.distributions()}\n"
        "print('Python', sys.version.split()[0], *(f'{n} {have[n]}' for n in names if n in have), sep=', ')"
    )
    versions = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    return f"{versions.replace('Python, ', 'Python ')}; broker: {server}"


def find_python(version: str) -> str | None:
    """A working Python of that version: on ``PATH``, or among those of pyenv."""
    for python in candidates(version):
        check = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
        if subprocess.run([python, "-c", check], check=False, capture_output=True).returncode == 0:
            return python
    return None


def candidates(version: str) -> Iterator[str]:
    """Programs that may be a Python of that version."""
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for folder in sorted(pyenv.glob(f"versions/{version}.*"), reverse=True):
        yield str(folder / "bin" / "python")


if __name__ == "__main__":
    main()
