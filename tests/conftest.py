"""Fixtures for all tests. With several processes (pytest-xdist) each has brokers of its own."""

from __future__ import annotations

import os
import signal

from tests.support.brokers import (
    _session_broker,
    broker,
    fault_proxy,
    fresh_broker,
    sentinel,
    start_brokers,
    timeless,
    tls_broker,
)
from tests.support.django_project import database_server, databases
from tests.support.gateway import gateway, is_async
from tests.support.leaks import nothing_is_left_behind, nothing_is_lost_in_event_loops
from tests.support.postgres import session_postgres
from tests.support.processes import start_module, start_process
from tests.support.scripted_broker import scripted_broker

__all__ = (
    "_session_broker",
    "broker",
    "database_server",
    "databases",
    "fault_proxy",
    "fresh_broker",
    "gateway",
    "is_async",
    "nothing_is_left_behind",
    "nothing_is_lost_in_event_loops",
    "scripted_broker",
    "sentinel",
    "session_postgres",
    "start_brokers",
    "start_module",
    "start_process",
    "timeless",
    "tls_broker",
)

collect_ignore = ["functional/data"]  # services and tests of other people, which tests run as they would


def pytest_configure() -> None:
    # A shell has commands in the background ignore the one, nohup the other, and whatever they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # What a CI says of its screen changes what the programs that tests run print.
    for name in ("BUILD_NUMBER", "CI", "FORCE_COLOR", "NO_COLOR", "PY_COLORS"):
        os.environ.pop(name, None)
