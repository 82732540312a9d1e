"""A real PostgreSQL for tests, where its programs are found: on ``PATH``, or where Debian puts them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process

_SETTINGS = {"fsync": "off", "listen_addresses": "", "max_connections": "200", "log_min_messages": "warning"}


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where they are not installed."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [Path(folder) for folder in sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Postgres:
    """A server on a socket in a folder of its own.

    Attributes:
        folder: the folder; also what a client takes for the host.
        databases: the names of those that tests have made.
    """

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pysoa-postgres-", dir="/tmp"))  # the path of a socket is short
        self.databases: list[str] = []
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
            user = pwd.getpwnam("nobody")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        data = str(self.folder / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "pysoa", "-E", "UTF8", "--no-locale", "-N"]
        done = subprocess.run(
            [*self._as_user, *initdb], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        settings.append(f"--unix_socket_directories={self.folder}")
        self._process = Process(*self._as_user, str(programs / "postgres"), "-D", data, *settings, cwd=self.folder)
        self._process.wait_for_line("ready to accept connections")

    def database(self, **settings: Any) -> dict[str, Any]:
        """An entry of Django's ``DATABASES`` for it."""
        own = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "pysoa", "HOST": str(self.folder)}
        return {**own, **settings}

    def stop(self) -> None:
        """End it, and take its folder away."""
        self._process.interrupt()  # a fast shutdown, which lets go of shared memory
        try:
            self._process.wait()
        finally:
            self._process.close()
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def session_postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    server = Postgres(found)
    yield server
    server.stop()
