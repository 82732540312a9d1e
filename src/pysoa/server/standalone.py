"""Starts a service from the command line, in one process or in several.

A service has a small module for it, which is run with ``python -m`` or by a console script::

    from pysoa.server.standalone import simple_main

    def main() -> None:
        from my_service.server import Server

        simple_main(lambda: Server)

    if __name__ == "__main__":
        main()
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from pysoa import utils

__all__ = ("simple_main",)

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
        SystemExit: help was asked for, or the command line is wrong.
    """
    arguments = _parser().parse_known_args()[0]
    if arguments.use_file_watcher is not False:
        print("error: --use-file-watcher: this release cannot watch files", file=sys.stderr)
        sys.exit(2)

    server_class = server_getter()
    if arguments.fork_processes <= 1:
        server_class.main()
        return

    from pysoa.server.internal import command_line
    from pysoa.server.internal.supervisor import supervise

    # The supervisor goes to the background, not each of its workers.
    remaining = [argument for argument in sys.argv if argument not in ("-d", "--daemon")]
    if len(remaining) < len(sys.argv):
        sys.argv[:] = remaining
        command_line.detach()
    supervise(
        server_class,
        arguments.fork_processes,
        respawn=not arguments.no_respawn,
        give_up_after=arguments.give_up_after,
    )


def _parser() -> argparse.ArgumentParser:
    from pysoa.server.internal.command_line import add_concurrency, number_of_workers

    parser = argparse.ArgumentParser(
        description="Run a service.",
        epilog="Also: -s MODULE, --settings MODULE: the module with the settings; -d, --daemon: run in the background.",
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
    parser.add_argument("--use-file-watcher", nargs="?", metavar="MODULES", default=False, help=argparse.SUPPRESS)
    return parser
