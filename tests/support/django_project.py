"""Django for tests: its settings in the process of a test, and the service of ``django_service`` in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from tests.support.commands import wait_until_served
from tests.support.postgres import Postgres
from tests.support.processes import ROOT, Process, python

QUIET = {"version": 1, "disable_existing_loggers": False}


@contextlib.contextmanager
def django_settings(**values: Any) -> Iterator[None]:
    """Have Django go by these settings in this process, and by what it went by before at the end of the block."""
    from asgiref.local import Local
    from django.apps import apps
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections
    from django.utils.functional import empty

    handlers: tuple[Any, ...] = (connections, caches)
    before = settings._wrapped, [dict(handler.__dict__) for handler in handlers], apps.ready
    settings._wrapped = empty
    apps.ready = True  # else Django warns of queries
    settings.configure(**values)
    for handler in handlers:
        handler.__dict__.pop("settings", None)
        handler._settings, handler._connections = None, Local(handler.thread_critical)
    try:
        yield
    finally:
        connections.close_all()
        settings._wrapped, apps.ready = before[0], before[2]
        for handler, state in zip(handlers, before[1], strict=True):
            handler.__dict__.clear()
            handler.__dict__.update(state)


def sqlite(folder: Path, name: str = "notes", **settings: Any) -> dict[str, Any]:
    """An entry of ``DATABASES`` for a file in a folder."""
    own = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"{name}.sqlite3"), "OPTIONS": {"timeout": 30}}
    return {**own, **settings}


class Databases:
    """Where the databases of a test are.

    Attributes:
        kind: ``sqlite`` or ``postgres``.
    """

    def __init__(self, folder: Path, postgres: Postgres | None) -> None:
        self.kind = "sqlite" if postgres is None else "postgres"
        self._folder = folder
        self._postgres = postgres
        self._files = 0

    def make(self, **settings: Any) -> dict[str, Any]:
        """An entry of ``DATABASES`` for a new one."""
        if self._postgres is None:
            self._files += 1
            return sqlite(self._folder, f"notes_{self._files}", **settings)
        name = f"notes_{len(self._postgres.databases)}"
        self._postgres.databases.append(name)
        self.execute(f"CREATE DATABASE {name}")
        return self._postgres.database(NAME=name, **settings)

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Have PostgreSQL do something, by a connection that does not count."""
        import psycopg

        assert self._postgres is not None
        with psycopg.connect(host=str(self._postgres.folder), user="pysoa", dbname="postgres", autocommit=True) as own:
            cursor = own.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def connections(self, database: dict[str, Any]) -> int:
        """How many connections PostgreSQL has to it."""
        [(count,)] = self.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database["NAME"])
        return int(count)

    def break_connections(self, database: dict[str, Any]) -> None:
        """End all connections to it, from the other side."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", database["NAME"])


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database_server(request: pytest.FixtureRequest) -> Postgres | None:
    """What the databases of a test are in; None for files of SQLite."""
    server: Postgres | None = request.getfixturevalue("session_postgres") if request.param == "postgres" else None
    return server


@pytest.fixture
def databases(database_server: Postgres | None, tmp_path: Path) -> Databases:
    """Databases of a kind. Where PostgreSQL is not installed, only the tests with it are skipped."""
    return Databases(tmp_path, database_server)


def run_jobs(spec: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Run jobs in a process of their own, with these settings of Django; see ``django_jobs``."""
    done = subprocess.run(
        python("-W", "error", "-m", "tests.support.django_jobs", json.dumps(spec)),
        cwd=ROOT,
        env={**os.environ, "DJANGO_SERVICE": json.dumps({"LOGGING": QUIET, **settings})},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ResourceWarning" not in done.stderr, done.stderr  # it is printed where it cannot be raised
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def start_notes(
    start_process: Callable[..., Process],
    broker: Broker,
    *arguments: str,
    make_tables: bool = False,
    **settings: Any,
) -> Process:
    """Start the service with these settings of Django, and wait until it has announced itself."""
    process = start_process(
        *python("-W", "error", "-m", "tests.support.django_service.standalone"),
        *("-s", "tests.support.django_service.settings", *arguments),
        env={
            "REDIS_URL": broker.url,
            "DJANGO_SERVICE": json.dumps(settings),
            "DJANGO_SERVICE_TABLES": "1" if make_tables else "",
        },
    )
    process.wait_for_line("starting up")
    wait_until_served(broker, "notes")
    return process
