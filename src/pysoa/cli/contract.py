"""``pysoa contract``: what tests take for granted about other services, kept in a file and held against them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from pysoa.cli.terminal import EXIT_ERRORS, EXIT_USAGE, Command, Failure, Group, say

__all__ = ("contract",)

DEFAULT_FILE = "pysoa-contract.json"
_TESTS_FAILED = 1


@click.group(cls=Group, short_help="Hold stubs in tests against the real services.")
def contract() -> None:
    """Find out whether stubs in tests answer as the real services do.

      pysoa contract record tests
      pysoa contract verify other_service

    The tests of a service stub the actions of others that it calls. `record` runs
    the tests and keeps in a file what the stubs were asked and what they answered.
    `verify`, where the other service is at hand, holds that against its schemas.

    `pysoa contract COMMAND --help` tells more.
    """


@contract.command(
    cls=Command,
    short_help="Run tests, and keep what their stubs did.",
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.option("--file", "file", metavar="FILE", default=DEFAULT_FILE, show_default=True, help="The file to write.")
@click.argument("arguments", metavar="[PYTEST ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def record(file: str, arguments: tuple[str, ...]) -> None:
    """Run tests with pytest, and write what their stubs did into a file.

      pysoa contract record
      pysoa contract record --file cart.json tests/unit -n 4

    Each body of a request and of a response that went through `stub_action` is
    kept once, with the names of the tests; the same tests give the same file.
    Stubs may keep out of it: see their arguments named register_...

    All arguments but --file go to pytest. Without this command, its option
    --pysoa-contract-file FILE does the same.

    Exit codes: 0 all tests passed, 1 some did not, 2 they could not be run. The
    file is written in the first two cases.
    """
    import subprocess

    if importlib.util.find_spec("pytest") is None:
        raise Failure(f"pytest is not installed here: {sys.executable} -m pip install pytest")
    path = Path(file).absolute()
    command = [sys.executable, "-m", "pytest", "-p", "pysoa_test_fixtures", *arguments]
    code = subprocess.run([*command, "--pysoa-contract-file", str(path)], check=False).returncode
    if code not in (0, _TESTS_FAILED):
        raise Failure(f"pytest could not run the tests (exit code {code}), so {file} was not written")
    from pysoa.test.contracts import read_contract

    entries = read_contract(path)
    for service in sorted({entry.service for entry in entries}):
        kinds = [entry.kind for entry in entries if entry.service == service]
        requests, responses = (_counted(kinds.count(kind), kind) for kind in ("request", "response"))
        say(f"{file}: {requests} and {responses} of {service}")
    if not entries:
        say(f"{file}: no stub was called")
    sys.exit(EXIT_ERRORS if code else 0)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@contract.command(cls=Command, short_help="Hold what was recorded against a service.")
@click.argument("target", metavar="MODULE[:SERVER]")
@click.argument("files", metavar="[FILE]...", nargs=-1)
def verify(target: str, files: tuple[str, ...]) -> None:
    """Hold what stubs of a service did against the schemas of its actions.

      pysoa contract verify other_service
      pysoa contract verify other_service.server:Server cart.json orders.json

    MODULE is looked for here and among the installed ones; SERVER may be left
    out where it has one server class. FILE was written by `pysoa contract record`;
    without one it is pysoa-contract.json. What it has about other services is
    passed over.

    Told are: an action that the service does not have, a request that it would
    refuse, and a response that it would not give; each with the field, what is
    wrong with it, and the tests. Of responses with errors only the action is
    looked at. Of an action with several variants, one has to fit.

    Exit codes: 0 all fits, 1 something does not, 2 wrong arguments, or a file
    could not be read.
    """
    from pysoa.cli.services import check_actions, load_server
    from pysoa.test.contracts import BadContractFile, ServiceContract, read_contract

    server_class = load_server(target)
    check_actions(server_class)
    service = ServiceContract(server_class)
    try:
        entries = [entry for file in files or (DEFAULT_FILE,) for entry in read_contract(Path(file))]
    except BadContractFile as error:
        raise Failure(str(error), EXIT_USAGE) from error
    own = [entry for entry in entries if entry.service == service.service_name]
    unfit = 0
    for entry in own:
        faults = entry.faults(service)
        unfit += bool(faults)
        for fault in faults:
            click.echo(f"{entry.kind} of {entry.service}.{entry.action}: {fault}")
        for test in entry.tests if faults else ():
            click.echo(f"    in {test}")
    if not own:
        others = ", ".join(sorted({entry.service for entry in entries})) or "no service"
        click.echo(f"nothing is recorded about {service.service_name}, only about {others}")
    else:
        bodies = f"{len(own)} {'body' if len(own) == 1 else 'bodies'}"
        click.echo(
            f"{bodies} of {service.service_name}: " + (f"{unfit} not as the service has it" if unfit else "all fit")
        )
    if unfit:
        sys.exit(EXIT_ERRORS)
