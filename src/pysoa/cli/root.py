"""The door to all subcommands."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import click

from pysoa.cli.call import call
from pysoa.cli.contract import contract
from pysoa.cli.demo import demo
from pysoa.cli.dev import dev
from pysoa.cli.plan import plan
from pysoa.cli.run import run
from pysoa.cli.terminal import EXIT_INTERRUPTED, Group, say
from pysoa.cli.upgrade_check import upgrade_check
from pysoa.version import __version__

__all__ = ("main", "pysoa")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(
    __version__, "-V", "--version", message=f"pysoa {__version__} (Python {platform.python_version()})"
)
def pysoa() -> None:
    """Run services and call their actions.

    See services call each other:     pysoa demo
    Run a service while you write it: pysoa dev my_service
    Call one of its actions:          pysoa call my_service square number=7
    Run it in production:             pysoa run my_service -s my_service.settings
    Check its test plans:             pysoa plan check tests/plans
    Hold stubs against a service:     pysoa contract verify my_service
    Bring a service from 1.x to 2:    pysoa upgrade-check my_service

    `pysoa COMMAND --help` tells more.
    """


for _command in (demo, dev, call, run, plan, contract, upgrade_check):
    pysoa.add_command(_command)


def main() -> None:
    """Run what the command line says, and exit; mistakes and Ctrl+C end in a message, not in a traceback."""
    try:
        result: Any = 0
        with pysoa.make_context("pysoa", sys.argv[1:]) as context:
            result = pysoa.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        result = exit_.exit_code
    except click.ClickException as error:
        error.show()
        result = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        result = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone. The interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        result = 1
    sys.exit(result if isinstance(result, int) else 0)
