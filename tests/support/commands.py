"""The ``pysoa`` command and the example services, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pysoa.cli.broker import Broker
from tests.support.processes import ROOT, Process, python
from tests.support.raw import command, wait_until

EXAMPLES = ROOT / "examples"
LIMIT_IN_SECONDS = 30


class Outcome(NamedTuple):
    """How a command has ended, and what it has written to standard output and to standard error."""

    code: int
    output: str
    said: str


def pysoa(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
    without: tuple[str, ...] = ("REDIS_URL",),
) -> Outcome:
    """Run ``pysoa`` to its end."""
    environment = {key: value for key, value in os.environ.items() if key not in without}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pysoa", *arguments],
        env={**environment, **(env or {})},
        cwd=cwd or ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_IN_SECONDS,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start_example(
    start_process: Callable[..., Process], broker: Broker, package: str, service: str | None = None
) -> Process:
    """Start one of the example services, as 1.x services are started, and wait until it has announced itself."""
    process = start_process(
        *python("-W", "error", "-m", f"{package}.standalone", "-s", f"{package}.settings"),
        env={"REDIS_URL": broker.url, "PYTHONPATH": str(EXAMPLES)},
        cwd=EXAMPLES,
    )
    process.wait_for_line("starting up")
    wait_until_served(broker, service or package)
    return process


def wait_until_served(broker: Broker, service: str) -> None:
    """Wait until a worker of the service is present."""
    wait_until(
        lambda: command(broker.url, "ZCOUNT", f"pysoa:presence.{service}", "(0", "+inf"), f"{service} is present", 20
    )
