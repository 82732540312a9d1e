"""How commands speak: their help, messages on standard error without tracebacks, and the exit codes."""

from __future__ import annotations

import inspect
import os
import sys
from typing import IO, TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = (
    "Command",
    "EXIT_ERRORS",
    "EXIT_INTERRUPTED",
    "EXIT_NO_ANSWER",
    "EXIT_USAGE",
    "Failure",
    "Group",
    "concurrency_option",
    "did_you_mean",
    "say",
    "screen",
)

EXIT_ERRORS: Final = 1
EXIT_USAGE: Final = 2
EXIT_NO_ANSWER: Final = 3
EXIT_INTERRUPTED: Final = 130


concurrency_option = click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many jobs each process runs at a time; the default is the setting, or else 1.",
)


class Failure(click.ClickException):
    """Ends a command with a message of a few lines.

    Args:
        message: what is wrong, and what helps.
        exit_code: what the process exits with.
    """

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click says that this is how to set it

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as it is."""
        click.echo(self.message, file=file or sys.stderr)


class Command(click.Command):
    """A command whose help is shown with the lines that it is written in."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring as it stands, and not as paragraphs to be filled."""
        lines = inspect.cleandoc(self.help or "").splitlines()
        formatter.write("\n" + "".join(f"  {line}\n" if line else "\n" for line in lines))


class Group(Command, click.Group):
    """A group of commands, listed in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def screen() -> Console:
    """Standard output, in colour where it is a terminal and ``NO_COLOR`` is not set."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, color_system=None if os.environ.get("NO_COLOR") else "auto")


def say(line: str) -> None:
    """Tell people something that is not the result of the command."""
    click.echo(line, err=True)


def did_you_mean(name: str, names: list[str]) -> str | None:
    """The one of several names that comes near a misspelt one."""
    import difflib

    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), None)
