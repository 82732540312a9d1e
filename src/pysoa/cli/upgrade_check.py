"""``pysoa upgrade-check``: what has to change in the code of a service for 0.42 or 1.x."""

from __future__ import annotations

import sys

import click

from pysoa.cli.terminal import EXIT_ERRORS, EXIT_USAGE, Command, say

__all__ = ("upgrade_check",)


@click.command("upgrade-check", cls=Command, short_help="Find what to change in a service for 1.x.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def upgrade_check(paths: tuple[str, ...], as_json: bool) -> None:
    """List what to change in a service that was written for PySOA 0.42 or 1.x.

      pysoa upgrade-check .
      pysoa upgrade-check my_service tests requirements.txt
      pysoa upgrade-check --json my_service | jq '.findings[].path'

    A PATH is a file or a folder. Python files are read, settings among them, and
    requirements in setup.py, setup.cfg, pyproject.toml, Pipfile and
    requirements*.txt. Nothing is imported, run or changed. Give all folders of a
    service at once: what one file says of a class is used in the others.

    Each line names a file and a line in it, how much it matters, what is there,
    and what to do:

      must change            it fails, or does something else, with PySOA 2
      works with a warning   it works, and gives a DeprecationWarning at run time
      worth knowing          it works; what is around it has changed

    Only what certainly is PySOA's is listed, so that some things are missed: names
    in texts, classes that are made at run time, settings that are put together.
    Run your tests with python -W error::DeprecationWarning, too.

    Exit codes: 0 nothing must change, 1 something must, 2 wrong arguments, or a
    file could not be read.
    """
    from pysoa.cli.upgrade.findings import Severity
    from pysoa.cli.upgrade.reading import check

    report = check(list(paths))
    if as_json:
        import json

        findings = [{**each._asdict(), "severity": each.severity.value} for each in report.findings]
        counts = {severity.value: report.count(severity) for severity in Severity}
        document = {"files": report.files, "counts": counts, "findings": findings, "unreadable": report.problems}
        click.echo(json.dumps(document, indent=2))
    else:
        for finding in report.findings:
            click.echo(finding.text())
        click.echo(_summary(report.files, *map(report.count, Severity)))
    for problem in report.problems:
        say(f"cannot be read: {problem}")
    if report.problems:
        sys.exit(EXIT_USAGE)
    if report.count(Severity.MUST_CHANGE):
        sys.exit(EXIT_ERRORS)


def _summary(files: int, must: int, warnings: int, notes: int) -> str:
    read = f"{files} file{'' if files == 1 else 's'} read"
    if not must + warnings + notes:
        return f"{read}: nothing to change"
    work = "works" if warnings == 1 else "work"
    return f"{read}: {must} must change, {warnings} {work} with a warning, {notes} worth knowing"
