"""``pysoa run``: a service in production."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError

import click

from pysoa.cli.terminal import Command, concurrency_option

__all__ = ("run",)


@click.command(cls=Command, short_help="Run a service in production.")
@click.argument("target", metavar="MODULE[:SERVER]")
@click.option("-s", "--settings", metavar="MODULE", help="The module with the settings of the service.")
@click.option(
    "--workers",
    metavar="N",
    callback=lambda _context, _option, text: _number_of_workers(text),
    default="1",
    show_default=True,
    help="How many processes serve; `cpu` is one for each core.",
)
@click.option("--no-respawn", is_flag=True, help="Do not start workers again that have ended.")
@click.option(
    "--give-up-after",
    metavar="N",
    type=click.IntRange(min=1),
    help="Do not start a worker again that ends N times in a row, each time within 30 seconds.",
)
@concurrency_option
def run(
    target: str,
    settings: str | None,
    workers: int,
    no_respawn: bool,
    give_up_after: int | None,
    concurrency: int | None,
) -> None:
    """Run a service with its settings, on the broker that they name.

      pysoa run my_service -s my_service.settings --workers 4
      pysoa run my_service.server:Server -s my_service.settings --concurrency 50

    SERVER may be left out where MODULE, or its submodule `server`, has one server
    class. The settings module has a dict SOA_SERVER_SETTINGS. It may be Django's:
    without -s, DJANGO_SETTINGS_MODULE names it. A broker is never started: while
    it is away, workers wait and try again.

    SIGTERM and Ctrl+C drain: what was taken is finished, then the process ends.
    A second one, over a second later, ends it at once.

    Of several workers, one that dies is started again, for ever, after pauses
    of up to 2 seconds. --no-respawn starts none again, and the command ends with
    the last; --give-up-after 5 does so for one that has died 5 times in a row.

    With --concurrency 1 each worker serves one job after another, as in 1.x. With
    more it has an asyncio loop with so many jobs under way at a time: for actions
    that are `async def` and wait for other services. 4 workers with 50 each serve
    200 jobs at a time. It takes the place of the setting `concurrency`.
    """
    from pysoa.cli.services import check_actions, load_server, settings_of

    server_class = load_server(target, settings)
    settings_of(server_class, settings, concurrency)
    check_actions(server_class)

    sys.argv = ["pysoa run", *_given("-s", settings), *_given("--concurrency", concurrency)]  # read by Server.main
    if workers == 1:
        server_class.main()
        return
    from pysoa.server.internal.supervisor import supervise

    supervise(server_class, workers, respawn=not no_respawn, give_up_after=give_up_after)


def _number_of_workers(text: str) -> int:
    from pysoa.server.internal.command_line import number_of_workers

    try:
        number = number_of_workers(text)
    except ArgumentTypeError as error:
        raise click.BadParameter(str(error)) from error
    if number < 1:
        raise click.BadParameter(f"{text!r} is not a number of processes that can serve")
    return number


def _given(option: str, value: object) -> list[str]:
    return [] if value is None else [option, str(value)]
