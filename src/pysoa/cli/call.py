"""``pysoa call``: one call of one action."""

from __future__ import annotations

import sys

import click

from pysoa.cli.terminal import EXIT_ERRORS, EXIT_NO_ANSWER, Command, Failure, screen

__all__ = ("call",)


@click.command(cls=Command, short_help="Call an action of a service.")
@click.argument("service")
@click.argument("action")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--json", "json_text", metavar="JSON", help="The body, a JSON object; - reads it from standard input.")
@click.option("--broker", metavar="URL", help="Where the service is, as redis://HOST:6379.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    default=5.0,
    show_default=True,
    help="How long to wait for the answer.",
)
def call(
    service: str, action: str, pairs: tuple[str, ...], json_text: str | None, broker: str | None, timeout: float
) -> None:
    """Call ACTION of SERVICE and print what it answers, as JSON.

      pysoa call example square number=7
      pysoa call shop add_item order.id=5 'item={"sku": "A1", "count": 2}'
      pysoa call example introspect action_name=square

    A VALUE that is JSON is taken as that (7, true, null, [1, 2], '"7"'), any other
    as text. Dots nest: order.id=5 is {"order": {"id": 5}}. Every service has the
    actions `status`, which tells how it is, and `introspect`, which tells its
    actions and their fields.

    The broker is the one of --broker, or of the environment variable REDIS_URL, or
    of a `pysoa dev` that runs.

    Exit codes: 0 answered, 1 answered with errors, 2 wrong arguments, 3 no answer.
    """
    from pysoa.cli.bodies import BadArgument, body_of, json_of

    try:
        body = body_of(pairs, sys.stdin.read() if json_text == "-" else json_text)
    except BadArgument as error:
        raise Failure(str(error)) from error

    from pysoa.cli.caller import Caller, error_lines

    with Caller(service, _broker_url(broker), timeout) as caller:
        caller.see_who_serves()
        errors, answer = caller.call(action, body)
        if errors:
            raise Failure("\n".join([*error_lines(errors), *caller.hints(errors, action, body)]), EXIT_ERRORS)
    if sys.stdout.isatty():
        from rich.highlighter import JSONHighlighter

        screen().print(JSONHighlighter()(json_of(answer, indent=2)))
    else:
        click.echo(json_of(answer))


def _broker_url(given: str | None) -> str:
    """Where to call.

    Raises:
        Failure: nothing says where, or what says so is no URL of a broker.
    """
    from pysoa.cli.broker import BrokerNotFound, find_broker, find_dev_broker
    from pysoa.cli.urls import checked_url

    try:
        url = find_broker(given, allow_start=False).url
    except BrokerNotFound as error:
        dev_broker = find_dev_broker()
        if dev_broker is None:
            raise Failure(
                "no broker is set, and no `pysoa dev` is running. Any of these helps:\n"
                "  add --broker redis://HOST:6379 to the command\n"
                "  export REDIS_URL=redis://HOST:6379\n"
                "  pysoa dev MODULE in another terminal",
                EXIT_NO_ANSWER,
            ) from error
        url = dev_broker.url
    return checked_url(url)
