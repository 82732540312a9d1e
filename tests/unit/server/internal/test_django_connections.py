from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="django is not installed")

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import DatabaseError, connections, transaction

from pysoa.server.internal.django_connections import (
    caches_here,
    close_broken,
    close_caches,
    close_connections,
    close_old_connections,
    connections_here,
    end_transactions,
    forget_queries,
)
from tests.support.django_project import django_settings, sqlite
from tests.support.processes import ROOT


@pytest.fixture(autouse=True)
def _databases(tmp_path: Path) -> Iterator[None]:
    entries = {"default": sqlite(tmp_path, CONN_MAX_AGE=None), "other": sqlite(tmp_path, "other", CONN_MAX_AGE=None)}
    with django_settings(DATABASES=entries):
        yield


def use(alias: str = "default") -> Any:
    connections[alias].ensure_connection()
    return connections[alias]


class Refusing:
    """A connection that cannot be closed."""

    autocommit = True
    in_atomic_block = False
    errors_occurred = True
    connection = object()

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def close(self) -> None:
        raise self._error

    is_usable = close_if_unusable_or_obsolete = close


CLOSING: list[Callable[[Any], None]] = [end_transactions, close_connections, close_broken]


@pytest.mark.parametrize("close", CLOSING)
@pytest.mark.parametrize(
    ("error", "level"),
    [(DatabaseError("gone"), logging.WARNING), (RuntimeError("of the driver"), logging.ERROR)],
)
def test_what_cannot_be_closed_is_logged_and_the_rest_is_closed(
    close: Callable[[Any], None],
    error: Exception,
    level: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pysoa.server.internal.django_connections._faults._last_line", {})
    last = use()
    last.errors_occurred, last.is_usable, last.close_at = True, lambda: False, 0.0

    close([Refusing(error), last])

    assert last.connection is None
    [record] = caplog.records
    assert (record.levelno, record.name) == (level, "pysoa.server.django")
    assert str(error) in record.getMessage()
    assert (record.exc_info is None) is (level == logging.WARNING)


@pytest.mark.parametrize("error", [RuntimeError('Database access not allowed, use the "django_db" mark'), None])
def test_tests_that_may_not_use_a_database_hear_nothing_of_it(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    failed = pytest.fail.Exception("Database access not allowed")

    end_transactions([Refusing(error or failed)])

    assert caplog.records == []


def test_what_ends_a_process_is_not_held_up() -> None:
    with pytest.raises(SystemExit):
        end_transactions([Refusing(SystemExit(1))])


def test_a_transaction_that_is_left_open_is_ended_and_one_that_somebody_comes_back_to_is_not() -> None:
    left, within = use(), use("other")
    left.set_autocommit(False)

    with transaction.atomic("other"):
        end_transactions(connections_here())
        assert (left.connection, within.connection is None) == (None, False)


def test_connections_that_work_are_not_broken() -> None:
    connection = use()
    connection.errors_occurred = True

    close_broken([connection])

    assert connection.connection is not None


def test_without_settings_there_are_no_connections_and_no_caches() -> None:
    from django.conf import settings
    from django.utils.functional import empty

    configured, settings._wrapped = settings._wrapped, empty
    try:
        assert (connections_here(), caches_here()) == ([], [])
        forget_queries()
        close_old_connections()
    finally:
        settings._wrapped = configured


class Curt(BaseCache):
    """A backend of somebody's that knows nothing of shutdowns."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Failing(BaseCache):
    def __init__(self) -> None:
        """Needs nothing."""

    def close(self, **kwargs: Any) -> None:
        raise TypeError("not today")


def test_caches_are_closed_as_they_can_be(caplog: pytest.LogCaptureFixture) -> None:
    curt = Curt()

    close_caches([Failing(), curt], for_shutdown=True)

    assert curt.closed
    assert ["TypeError: not today" in record.getMessage() for record in caplog.records] == [True]


def test_only_caches_that_are_used_are_found() -> None:
    assert caches_here() == []

    used = caches["default"]

    assert caches_here() == [used]


FORK = """
import json, os, sys, warnings
from tests.support.django_project import django_settings
warnings.simplefilter("ignore")
from django.core.cache import caches
from django.db import connections
from pysoa.server.internal import django_connections


class Raw:
    "A connection of a driver: two ends of a pipe, of which one tells the other when it is closed."
    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
    def fileno(self):
        return self.writer
    def close(self):
        os.write(self.writer, b"farewell")


with django_settings(DATABASES=json.loads(sys.argv[1])):
    inherited, memory, file = connections["default"], connections["memory"], connections["file"]
    raw = inherited.connection = Raw()
    inherited.vendor = "other"
    memory.ensure_connection()
    file.ensure_connection()
    cache = caches["default"]
    cache.set("a", 1)
    child = os.fork()
    if child == 0:
        fine = connections["default"] is not inherited and connections["default"].connection is None
        fine = fine and connections["memory"] is memory and memory.connection is not None
        fine = fine and connections["file"].connection is None
        raw.close()
        os._exit(0 if fine and caches["default"] is not cache and caches["default"].get("a") == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connections["default"] is inherited and inherited.connection is raw and caches["default"] is cache
    assert file.connection is None  # closed before the fork, as SQLite wants it
    try:
        heard = os.read(raw.reader, 100)
    except BlockingIOError:
        heard = b"nothing"
    inherited.connection = None
    print(heard.decode())
"""


def test_a_child_process_has_connections_and_caches_of_its_own(tmp_path: Path) -> None:
    import json

    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    entries = {"default": sqlite(tmp_path), "memory": memory, "file": sqlite(tmp_path, "file")}

    run = subprocess.run(
        [sys.executable, "-c", FORK, json.dumps(entries)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert run.stdout == "nothing\n", run.stderr
