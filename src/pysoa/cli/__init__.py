"""The ``pysoa`` command, one module per subcommand.

Help is shown by click alone; what a command needs besides is imported when it runs.
"""

from __future__ import annotations

__all__ = ("main",)


def main() -> None:
    """Run what the command line says, and exit."""
    from pysoa.cli.root import main as run_root

    run_root()
