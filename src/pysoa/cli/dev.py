"""``pysoa dev``: a service on the machine of whoever writes it."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pysoa.cli.terminal import Command, Failure, concurrency_option, say

if TYPE_CHECKING:
    from pysoa.cli.broker import Broker
    from pysoa.server.server import Server

__all__ = ("dev",)

_SETTINGS_MODULE = "pysoa.cli.development_settings"
_GATEWAY = "pysoa.common.transport.redis_gateway."


@click.command(cls=Command, short_help="Run a service while you write it.")
@click.argument("target", metavar="MODULE[:SERVER]")
@click.option("-s", "--settings", metavar="MODULE", help="The settings; all of them count but the broker.")
@click.option("--broker", metavar="URL", help="The broker to use, as redis://HOST:6379.")
@click.option("--reload", is_flag=True, help="Start the service again when its code has changed.")
@concurrency_option
def dev(target: str, settings: str | None, broker: str | None, reload: bool, concurrency: int | None) -> None:
    """Run a service in this terminal, with a broker that needs no set-up.

      pysoa dev my_service
      pysoa dev my_service --reload
      pysoa dev my_service.server:Server -s my_service.settings

    SERVER may be left out where MODULE, or its submodule `server`, has one server
    class. No settings are needed; those of -s count, but for the broker.

    The broker is the one of --broker, or of the environment variable REDIS_URL, or
    of another `pysoa dev`; otherwise one is started, and ends with this command.
    The service finds it in REDIS_URL, too.

    With --reload the service starts again when a module of its package, or of that
    of its settings, has changed. No call is lost, and code that cannot be imported
    is told of and waited out.

    With --concurrency 1 jobs are served one after another, as in 1.x; with more so
    many are under way at a time in an asyncio loop.
    """
    from pysoa.cli.broker import BrokerNotFound, BrokerStartFailed, find_broker
    from pysoa.cli.urls import checked_url

    try:
        found = find_broker(broker, allow_start=True)
    except (BrokerNotFound, BrokerStartFailed) as error:
        raise Failure(str(error)) from error
    with found:
        # Before the service is imported, which may read it.
        os.environ["REDIS_URL"] = checked_url(found.url)
        if reload:
            _run_again_and_again(target, settings, found, concurrency)
        server_class = _prepared(target, settings, found.url, concurrency)
        say(found.line())
        _say_how_to_call(server_class)
        _run(server_class, concurrency)
    say(f"{server_class.service_name}: ended")


def _run_again_and_again(target: str, settings: str | None, found: Broker, concurrency: int | None) -> NoReturn:
    """Run the service in a copy of this process, and in another one each time that its code has changed."""
    from pysoa.server import autoreload

    packages = [name.partition(":")[0].partition(".")[0] for name in (target, settings) if name]
    reloader = autoreload.get_reloader(autoreload.main_module_name(), packages)
    try:
        server_class = _prepared(target, settings, found.url, concurrency)
    except Failure as error:
        if not autoreload.is_copy():
            raise
        reloader.wait_for_mending(error, error.message)
    if autoreload.is_copy():
        _say_how_to_call(server_class)
    else:
        say(found.line())  # a copy finds it in the environment
    reloader.main(_run, (server_class, concurrency))


def _prepared(target: str, settings: str | None, url: str, concurrency: int | None) -> type[Server]:
    """Find the service, and leave the settings that its ``main`` reads.

    Raises:
        Failure: something is wrong with it; the text says what.
    """
    from pysoa.cli.services import check_actions, check_settings, load_server, settings_of

    server_class = load_server(target, settings)
    check_actions(server_class)
    if server_class.use_django:
        from django.conf import settings as of_django

        of_django.SOA_SERVER_SETTINGS = development_settings(settings_of(server_class, None, concurrency), url)
        return server_class
    if settings is None:
        own: Any = {}
        check_settings(server_class, development_settings(own, url), "without settings (-s MODULE)", concurrency)
    else:
        own = settings_of(server_class, settings, concurrency)
    module = ModuleType(_SETTINGS_MODULE)
    module.__dict__["SOA_SERVER_SETTINGS"] = development_settings(own, url)
    sys.modules[_SETTINGS_MODULE] = module
    return server_class


def _run(server_class: type[Server], concurrency: int | None) -> None:
    sys.argv = ["pysoa dev", "-s", _SETTINGS_MODULE]
    if concurrency is not None:
        sys.argv += ["--concurrency", str(concurrency)]
    server_class.main()


def _say_how_to_call(server_class: type[Server]) -> None:
    say(f"{server_class.service_name}: Ctrl+C ends it; call it by  {_example_call(server_class)}")


def development_settings(settings: Any, url: str) -> dict[str, Any]:
    """A service's settings with all that concerns the broker replaced.

    Args:
        settings: its settings; empty for none.
        url: the broker, for the service itself and for the services that it calls.
    """
    changed: dict[str, Any] = dict(settings)
    changed["transport"] = _on_broker(changed.get("transport"), f"{_GATEWAY}server:RedisServerTransport", url)
    changed["client_routing"] = {
        name: {
            **routing,
            "transport": _on_broker(routing.get("transport"), f"{_GATEWAY}client:RedisClientTransport", url),
        }
        for name, routing in (changed.get("client_routing") or {}).items()
    }
    return changed


def _on_broker(transport: Any, default_path: str, url: str) -> dict[str, Any]:
    changed: dict[str, Any] = {"path": default_path, **(transport or {})}
    if not str(changed["path"]).startswith(_GATEWAY):
        return changed  # it is not on a broker
    changed["kwargs"] = {
        **(changed.get("kwargs") or {}),
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [url]},
    }
    return changed


def _example_call(server_class: type[Server]) -> str:
    """A command that calls the action with the fewest required fields, if these can be told."""
    from pysoa.cli.hints import example_arguments
    from pysoa.common.typed import as_schema

    command = f"pysoa call {server_class.service_name}"
    candidates = []
    for name, action in server_class.action_class_map.items():
        source = getattr(action, "request_schema", None)
        if name in ("status", "introspect") or isinstance(source, property):
            continue
        schema = as_schema(source)
        arguments = example_arguments(None if schema is None else schema.introspect())
        if arguments is not None:
            # Best is what can be typed as it stands and shows how arguments are given.
            likes = ("..." in arguments, arguments == "", arguments.count("="))
            candidates.append((likes, f"{command} {name} {arguments}".rstrip()))
    if not candidates:
        return f"{command} introspect"
    return min(candidates, key=lambda candidate: candidate[0])[1]
