"""Files with marks that say what ``pysoa upgrade-check`` has to find in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from pysoa.cli.upgrade.reading import Report, check

_MARK = re.compile(r"#! (must change|works with a warning|worth knowing): (.*?)(?= #! |$)")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files; their common indentation and the marks in Python files are left away."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r" *#! .*", "", textwrap.dedent(text)))


def marked(files: Mapping[str, str]) -> list[tuple[str, int, str, str]]:
    """What the marks ``#! severity: what`` say: file, line, severity and what is found."""
    return sorted(
        (name, number, severity, what.strip())
        for name, text in files.items()
        for number, line in enumerate(textwrap.dedent(text).splitlines(), 1)
        for severity, what in _MARK.findall(line)
    )


def found(folder: Path) -> list[tuple[str, int, str, str]]:
    """What is found in a folder, as ``marked`` has it."""
    return sorted(
        (str(Path(each.path).relative_to(folder)), each.line, each.severity.value, each.what)
        for each in report_of(folder).findings
    )


def report_of(folder: Path) -> Report:
    return check([str(folder)])
