"""Starts a service from the command line, in one process or in several.

A service has a small module for it, which is run with ``python -m`` or by a console script::

    from pysoa.server.standalone import simple_main

    def main() -> None:
        from my_service.server import Server

        simple_main(lambda: Server)

    if __name__ == "__main__":
        main()

One in a Django project has ``django_main`` in place of ``simple_main``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from pysoa import utils

__all__ = ("django_main", "simple_main")

_DOUBLE_IMPORT_EXIT_CODE = 99


def is_double_import() -> bool:
    """Whether this program was started by the path of a file, as in ``python my_service/standalone.py``.

    Then the directory of the package is the first on the import path, and its modules may be imported twice, under two
    names, each with classes and state of its own. Console scripts, ``-m``, ``-c``, interactive use, archives and test
    runners do not count.
    """
    first_path = sys.path[0] if sys.path else ""
    if not first_path or not os.path.isdir(first_path) or sys.flags.safe_path or "pytest" in sys.modules:
        return False
    if os.path.basename(first_path) in ("bin", "sbin", "Scripts"):
        return False
    arguments = utils.get_python_interpreter_arguments()
    return "-m" not in arguments and "-c" not in arguments


if is_double_import():
    print(
        "ERROR: You have triggered a double-import trap (see http://python-notes.curiousefficiency.org/en/latest/"
        "python_concepts/import_traps.html#the-double-import-trap for more information on what this is).\n"
        "The file was started by its path, so its directory is first on the import path and its modules can be "
        "imported twice, under two names.\n"
        "Start the service with `python -m module.to.standalone`, or with the executable of its entry point.\n"
        f"Debug information: {sys.path[0]} / {sys.argv}",
        flush=True,
    )
    sys.exit(_DOUBLE_IMPORT_EXIT_CODE)


def simple_main(server_getter: Callable[[], Any]) -> None:
    """Run a service as the command line says; return when it has ended.

    Arguments that are not known here, such as ``-s`` and ``-d``, are for ``Server.main``, as is ``--concurrency``.

    Args:
        server_getter: gives the server class. Called once, after the command line has been read.

    Raises:
        SystemExit: help was asked for, the command line is wrong, or the service has ended with an exit code.
    """
    _run(_parser().parse_known_args()[0], server_getter)


def django_main(server_getter: Callable[[], Any]) -> None:
    """The same for a service that lives in a Django project, with Django set up before the server class is asked for.

    Args:
        server_getter: imports the server class and gives it; nothing that needs Django's applications may be imported
            before it is called.

    Raises:
        ValueError: the module with Django's settings cannot be imported, or has no ``SOA_SERVER_SETTINGS``.
        ImportError: Django is not installed.
        SystemExit: help was asked for, the command line is wrong, or the service has ended with an exit code.
    """
    parser = _parser()
    variable = "DJANGO_SETTINGS_MODULE"
    parser.epilog = _EPILOG.replace(_SETTINGS_HELP, "")  # here it is one of the parser's own
    parser.add_argument(
        "-s",
        "--settings",
        metavar="MODULE",
        required=not os.environ.get(variable),
        help=f"the module with Django's settings (default: that of the environment variable {variable})",
    )
    arguments = parser.parse_known_args()[0]

    def server_class() -> Any:
        from pysoa.server.internal.django_setup import set_up_django

        set_up_django(arguments.settings or os.environ[variable])
        return server_getter()

    _run(arguments, server_class)


def _run(arguments: argparse.Namespace, server_getter: Callable[[], Any]) -> None:
    if arguments.use_file_watcher is False:
        _serve(arguments, server_getter())
        return

    from pysoa.server import autoreload

    reloader = autoreload.get_reloader(
        autoreload.main_module_name(), arguments.use_file_watcher, signal_forks=arguments.fork_processes > 1
    )
    try:
        # In the original, too: it should end at once if the service cannot be started at all.
        server_class = server_getter()
    except Exception as error:
        if not autoreload.is_copy():
            raise
        reloader.wait_for_mending(error)
    _go_to_background_if_told()
    reloader.main(_serve, (arguments, server_class))


def _serve(arguments: argparse.Namespace, server_class: Any) -> None:
    """Run the server in this process, or in workers of it."""
    if arguments.fork_processes <= 1:
        server_class.main()
        return

    from pysoa.server.internal.supervisor import supervise

    _go_to_background_if_told()  # not each of the workers
    if arguments.use_file_watcher is not False:
        _import_settings()
    supervise(
        server_class,
        arguments.fork_processes,
        respawn=not arguments.no_respawn,
        give_up_after=arguments.give_up_after,
    )


def _go_to_background_if_told() -> None:
    remaining = [argument for argument in sys.argv if not _means_daemon(argument)]
    if len(remaining) < len(sys.argv):
        from pysoa.server.internal.command_line import detach

        sys.argv[:] = remaining
        detach()


def _means_daemon(argument: str) -> bool:
    return argument == "-d" or (len(argument) > len("--") and "--daemon".startswith(argument))


def _import_settings() -> None:
    """Import the settings, which only workers do otherwise, so that their file is watched and a fault in it is seen."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-s", "--settings")
    settings = parser.parse_known_args()[0].settings
    if settings:
        importlib.import_module(settings)


_SETTINGS_HELP = """\
  -s MODULE, --settings MODULE
                        the module with the settings
"""
_EPILOG = f"""\
also:
{_SETTINGS_HELP}\
  -d, --daemon          run in the background: print PID=<n>, and go on

examples:
  python -m my_service.standalone -s my_service.settings
  python -m my_service.standalone -s my_service.settings --fork cpu
  python -m my_service.standalone -s my_service.settings --use-file-watcher my_service

signals:
  SIGTERM, SIGINT (Ctrl+C) and SIGHUP end the service when it has answered what it has taken; another one over a
  second later ends it at once. Send them to the process that was started: it passes them on to its workers.
"""


def _parser() -> argparse.ArgumentParser:
    from pysoa.server.internal.command_line import add_concurrency, number_of_workers

    parser = argparse.ArgumentParser(
        description="Run a service, in this process or in several that this one watches over.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-f",
        "--fork",
        "--fork-processes",
        dest="fork_processes",
        metavar="N",
        type=number_of_workers,
        default=0,
        help=(
            "how many worker processes to run, or cpu for one per core, at most five per core "
            "(default: none, the service runs in this process)"
        ),
    )
    parser.add_argument("--no-respawn", action="store_true", help="do not start workers again that have ended")
    parser.add_argument(
        "--give-up-after",
        metavar="N",
        type=int,
        help=(
            "do not start a worker again that has ended N times in a row, each time within 30 seconds "
            "(default: workers are started again for ever, after pauses of up to 2 seconds)"
        ),
    )
    add_concurrency(parser)  # for the help, and to find mistakes before there are workers
    parser.add_argument(
        "--use-file-watcher",
        nargs="?",
        metavar="MODULES",
        type=_module_names,
        default=False,
        help=(
            "for development: start the service again when an imported module has changed; "
            "MODULES limits that to those whose names begin so, with commas between"
        ),
    )
    return parser


def _module_names(text: str) -> list[str]:
    return [name for each in text.split(",") if (name := each.strip())]
