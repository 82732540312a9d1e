from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pysoa.server.django.database import django_close_old_database_connections, django_reset_database_queries
from tests.support.django_project import django_settings, sqlite


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Any]:
    """Django's connections, to two databases, of which one keeps them."""
    pytest.importorskip("django", reason="django is not installed")
    from django.db import connections

    entries = {"default": sqlite(tmp_path, CONN_MAX_AGE=0), "kept": sqlite(tmp_path, "kept", CONN_MAX_AGE=None)}
    with django_settings(DATABASES=entries, DEBUG=True):
        yield connections


def are_open(connections: Any) -> list[str]:
    return [alias for alias in connections if connections[alias].connection is not None]


def use(connections: Any, *aliases: str) -> None:
    for alias in aliases:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")


def test_old_connections_are_closed_and_others_kept(connections: Any) -> None:
    use(connections, "default", "kept")

    django_close_old_database_connections()

    assert are_open(connections) == ["kept"]


def test_nothing_is_opened_to_be_closed(connections: Any) -> None:
    django_close_old_database_connections()
    use(connections, "kept")
    django_close_old_database_connections()

    assert are_open(connections) == ["kept"]
    assert connections["default"].queries_log.maxlen  # it has been made by now, and is not open


def test_a_connection_without_autocommit_is_left_alone(connections: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        use(connections, "default")
        django_close_old_database_connections()
        assert are_open(connections) == ["default"]
    connections["default"].set_autocommit(False)
    django_close_old_database_connections()
    assert are_open(connections) == ["default"]

    connections["default"].set_autocommit(True)
    django_close_old_database_connections()

    assert are_open(connections) == []


def test_a_connection_that_has_broken_is_closed_whatever_its_age(connections: Any) -> None:
    use(connections, "kept")
    connections["kept"].is_usable = lambda: False  # SQLite's always are
    with pytest.raises(Exception, match="syntax error"), connections["kept"].cursor() as cursor:
        cursor.execute("SELECT SELECT")

    django_close_old_database_connections()

    assert are_open(connections) == []


def test_the_queries_that_were_noted_are_forgotten(connections: Any) -> None:
    use(connections, "default", "kept")
    assert [len(connections[alias].queries) for alias in connections] == [1, 1]

    django_reset_database_queries()

    assert [len(connections[alias].queries) for alias in connections] == [0, 0]


def test_there_is_nothing_to_do_without_databases() -> None:
    pytest.importorskip("django", reason="django is not installed")
    with django_settings():
        django_close_old_database_connections()
        django_reset_database_queries()


def test_there_is_nothing_to_do_without_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django", None)
    monkeypatch.setitem(sys.modules, "django.conf", None)
    monkeypatch.delitem(sys.modules, "pysoa.server.internal.django_connections", raising=False)

    django_close_old_database_connections()
    django_reset_database_queries()
