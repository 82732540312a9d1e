"""Makes a virtual environment for work on this repository, or brings it up to date.

Usage: python scripts/environment.py FOLDER [--extras A,B] [--groups A,B] [--optional-groups A,B] [--constraints FILE]
       [--force REQUIREMENT] [--apart FILE]
       python scripts/environment.py FOLDER --without-package FILE

It needs pip and nothing else. A stamp in the environment remembers what went into it, so that a second run with
nothing changed returns at once.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extras", default="", help="extras of the package to install")
    parser.add_argument("--groups", default="", help="dependency groups to install")
    parser.add_argument("--optional-groups", default="", help="dependency groups to install where that is possible")
    parser.add_argument("--constraints", type=Path, help="file with the versions to take")
    parser.add_argument("--force", action="append", default=[], help="a requirement to install against pip's judgement")
    parser.add_argument("--apart", type=Path, help="file of requirements to install apart, where that is possible")
    parser.add_argument("--without-package", type=Path, help="file of requirements to install, and nothing else")
    options = parser.parse_args()
    make(
        options.folder,
        extras=tuple(filter(None, options.extras.split(","))),
        groups=tuple(filter(None, options.groups.split(","))),
        optional_groups=tuple(filter(None, options.optional_groups.split(","))),
        constraints=options.constraints,
        force=tuple(options.force),
        apart=options.apart,
        without_package=options.without_package,
    )


def make(
    folder: Path,
    *,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    optional_groups: tuple[str, ...] = (),
    constraints: Path | None = None,
    force: tuple[str, ...] = (),
    apart: Path | None = None,
    without_package: Path | None = None,
) -> Path:
    """Make or update the environment with the Python that runs this, and return the path of its Python.

    What the file ``without_package`` requires takes the place of the package and of all that belongs to it. Exits with
    pip's own words if it fails. What optional groups need may be missing: the next run tries again. What the
    file ``apart`` requires, which may be missing, too, goes into a folder of that name, without its own dependencies:
    only a process that has the folder on its ``PYTHONPATH`` sees it.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    target = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    requirements = ["--editable", target]
    for group in groups:
        requirements += project["dependency-groups"][group]
    if constraints is not None:
        requirements += ["--constraint", str(constraints)]
    if without_package is not None:
        requirements = without_package.read_text().split()
    optional = {group: project["dependency-groups"][group] for group in optional_groups}
    requirements_apart = apart.read_text().split() if apart else []
    ingredients = [sys.version, requirements, optional, force, requirements_apart]
    if without_package is None:
        ingredients += [project["project"], project["build-system"]]
    ingredients.append(constraints.read_text() if constraints else "")
    fingerprint = hashlib.sha256(repr(ingredients).encode()).hexdigest()
    stamp = folder / f"stamp-{'-'.join(groups) or 'run'}"
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == fingerprint and python.exists():
        return python
    began = time.monotonic()
    what = ", ".join([*groups, *optional, *extras])
    what = what or (str(without_package) if without_package else "the package alone")
    print(f"{folder}: installing {what} (Python {sys.version.split()[0]})", flush=True)
    other_python = not (folder / f"python-{sys.version_info.major}.{sys.version_info.minor}").exists()
    venv.create(folder, clear=other_python, symlinks=True, with_pip=other_python)
    (folder / f"python-{sys.version_info.major}.{sys.version_info.minor}").touch()
    install(python, *requirements)
    missing = [group for group, needed in optional.items() if not pip(python, *requirements, *needed)]
    for requirement in force:
        install(python, "--upgrade", "--no-deps", requirement)
    if requirements_apart:
        limits = ["--constraint", str(constraints)] if constraints else []
        alone = ["--upgrade", "--no-deps", "--target", str(folder / "apart"), *limits]
        if not pip(python, *alone, *requirements_apart):
            missing.append(str(apart))
    if missing:
        print(
            f"{folder}: without {', '.join(missing)}, which pip could not install; their tests are skipped", flush=True
        )
    else:
        stamp.write_text(fingerprint)
    print(f"{folder}: ready after {time.monotonic() - began:.0f} s", flush=True)
    return python


def install(python: Path, *arguments: str) -> None:
    if not pip(python, *arguments):
        sys.exit(f"{python.parents[1]}: pip could not install the packages")


def pip(python: Path, *arguments: str) -> bool:
    """Run ``pip install``, and say whether it has installed all."""
    command = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT).returncode == 0


if __name__ == "__main__":
    main()
