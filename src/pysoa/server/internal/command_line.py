"""From the command line to a server: arguments, settings, logging, going into the background."""

from __future__ import annotations

import argparse
import importlib
import logging.config
import os
import sys
from typing import TYPE_CHECKING, Any

from pysoa.common.logging import PySOALogContextFilter
from pysoa.server.internal.old_ways import make_server_of
from pysoa.server.internal.upkeep import keep_from_children

if TYPE_CHECKING:
    from pysoa.server.server import Server
    from pysoa.server.settings import ServerSettings

__all__ = (
    "add_concurrency",
    "load_django_settings",
    "load_settings",
    "make_server",
    "number_of_workers",
    "parse_arguments",
    "transport_fault",
    "with_concurrency",
)


def make_server(server_class: type[Server], forked_process_id: int | None) -> Server:
    """Do all that comes before a server runs, in the order that services rely on.

    Raises:
        ValueError, ImportError: there are no settings.
        ImproperlyConfigured: there is something wrong with them.
        AttributeError: the class has no name for its service.
        SystemExit: the command line is wrong, or the transport cannot be used with asyncio, which is wanted.
    """
    arguments = parse_arguments(server_class.service_name, needs_settings=not server_class.use_django)
    found = load_django_settings() if server_class.use_django else load_settings(arguments.settings)
    settings = server_class.settings_class(with_concurrency(found, arguments.concurrency))
    if (fault := transport_fault(settings)) is not None:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)
    if not server_class.service_name:
        raise AttributeError("Server subclass must set service_name")
    PySOALogContextFilter.set_service_name(server_class.service_name)
    logging.config.dictConfig(settings["logging"])
    if arguments.daemon:
        detach()
    return make_server_of(server_class.initialize(settings), settings, forked_process_id)


def parse_arguments(service_name: str | None, needs_settings: bool) -> argparse.Namespace:
    """Read the server's own arguments from the command line; those of the runner around it are passed over."""
    parser = argparse.ArgumentParser(description=f"Server for the {service_name} SOA service")
    parser.add_argument("-d", "--daemon", action="store_true", help="run the server process as a daemon")
    if needs_settings:
        parser.add_argument("-s", "--settings", required=True, help="the settings module to use")
    add_concurrency(parser)
    return parser.parse_known_args()[0]


def add_concurrency(parser: argparse.ArgumentParser) -> None:
    """Let a parser know ``--concurrency``, which stands above the setting."""
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=_number_of_jobs,
        help=(
            "how many jobs each process runs at a time: 1 for the blocking loop of 1.x, more for an asyncio loop "
            "(default: the setting concurrency, which is 1 where it is not set)"
        ),
    )


def number_of_workers(text: str) -> int:
    """How many workers ``-f`` and ``--workers`` ask for: a number, or ``cpu`` for as many as there are cores.

    Raises:
        ArgumentTypeError: the text is neither.
    """
    if text == "cpu":
        import multiprocessing  # which a server that forks no workers does without

        return multiprocessing.cpu_count()
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: it takes one, or cpu") from None


def _number_of_jobs(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs: it takes 1 or more")
    return number


def with_concurrency(settings: Any, concurrency: int | None) -> Any:
    """The settings dict with the concurrency that the command line asks for, if it asks for one."""
    return settings if concurrency is None else {**settings, "concurrency": concurrency}


def transport_fault(settings: ServerSettings) -> str | None:
    """What is wrong with the transport of a server that is to run in an asyncio loop, in a line; None if nothing is."""
    transport = settings["transport"]
    if settings["concurrency"] == 1 or transport["object"].async_server_class() is not None:
        return None
    return (
        f"concurrency {settings['concurrency']}: the transport {transport['path']} has no twin for asyncio "
        "(its method async_server_class names none); use concurrency 1"
    )


def load_settings(module_name: str) -> Any:
    """The settings dict of a module.

    Raises:
        ValueError: there is no such module, or nothing in it that has the name of settings.
    """
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"Cannot import settings module `{module_name}`: {error}") from error
    for name in ("SOA_SERVER_SETTINGS", "settings"):
        if hasattr(module, name):
            return getattr(module, name)
    raise ValueError(f"Cannot find `SOA_SERVER_SETTINGS` or `settings` variable in settings module `{module_name}`.")


def load_django_settings() -> Any:
    """The settings dict of a service that runs within Django.

    Raises:
        ImportError: Django is not installed.
        ValueError: its settings have none for a server.
    """
    try:
        settings = importlib.import_module("django.conf").settings
    except ImportError as error:
        raise ImportError(
            "Could not import Django. You must install Django if you enable Django support in your service."
        ) from error
    try:
        return settings.SOA_SERVER_SETTINGS
    except AttributeError as error:
        raise ValueError("Cannot find `SOA_SERVER_SETTINGS` in the Django settings.") from error


def detach() -> None:
    """Go on in a forked child; the parent prints its process id and ends."""
    sys.stdout.flush()  # what is still to be written is not for both to write
    keep_from_children()
    process_id = os.fork()
    if process_id > 0:
        sys.stdout.write(f"PID={process_id}\n")  # in one piece, unlike print: the child may write, too
        sys.exit(0)
