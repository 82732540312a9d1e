from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="django is not installed")

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import connections, transaction

from pysoa.client import Client
from pysoa.server import Server
from pysoa.server.action import Action
from tests.support.django_project import django_settings, sqlite
from tests.support.django_service.caches import NotedCache
from tests.support.scripted import answer, job, make_server, run_script

PATH = "pysoa.server.django.cache"
REQUEST = {"BACKEND": f"{PATH}.PySOARequestScopedMemoryCache", "LOCATION": "of test_django_upkeep"}
NOTED = {"BACKEND": "tests.support.django_service.caches.NotedCache"}

SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> Iterator[None]:
    entries = {"default": sqlite(tmp_path, CONN_MAX_AGE=0), "kept": sqlite(tmp_path, "kept", CONN_MAX_AGE=None)}
    SEEN.clear()
    NotedCache.closings.clear()
    with django_settings(DATABASES=entries, CACHES={"default": REQUEST, "noted": NOTED}, DEBUG=True):
        yield


def ask(alias: str = "default") -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
    return connections[alias].connection


def are_open() -> list[str]:
    return [alias for alias in connections if connections[alias].connection is not None]


class Ask(Action):
    """Uses databases and caches, and notes what there was before."""

    def run(self, request: Any) -> Any:
        SEEN.append((are_open(), sum(len(connections[alias].queries) for alias in connections)))
        ask(), ask("kept")
        return {"cached": self.remember(), "open": are_open()}

    def remember(self) -> Any:
        caches["noted"].get("a")
        cached = caches["default"].get("a")
        caches["default"].set("a", "there")
        return cached


class AskAsync(Ask):
    async def run(self, request: Any) -> Any:
        connection = await sync_to_async(ask)("kept")
        threads = [threading.current_thread(), await sync_to_async(threading.current_thread)()]
        SEEN.append((connection, [thread is threading.main_thread() for thread in threads]))
        return {"cached": self.remember()}


class AskLater(Action):
    """Asks in a coroutine that outlives the job."""

    async def run(self, request: Any) -> Any:
        request.run_coroutine(self._ask())
        return {}

    async def _ask(self) -> None:
        raw = await sync_to_async(ask)()
        SEEN.append((raw, await sync_to_async(threading.current_thread)()))


class Asking(Server):
    service_name = "x"
    use_django = True
    action_class_map = {"ask": Ask, "ask_async": AskAsync, "ask_later": AskLater}


@pytest.fixture
def server() -> Iterator[Any]:
    server = make_server(Asking)
    yield server
    server._process.shut_down()


def test_queries_are_forgotten_and_old_connections_closed_around_each_job(server: Any) -> None:
    ask(), ask("kept")

    answer(server, job("ask"))
    answer(server, job("ask"))

    assert SEEN == [(["kept"], 0), (["kept"], 0)]
    assert are_open() == ["kept"]


def test_tooling_can_keep_a_server_from_closing_connections(server: Any) -> None:
    server._skip_django_database_cleanup = True
    ask()

    answer(server, job("ask"))
    server.perform_idle_actions()

    assert SEEN == [(["default"], 0)]
    assert are_open() == ["default", "kept"]


def test_an_idle_server_closes_old_connections(server: Any) -> None:
    ask(), ask("kept")

    server.perform_idle_actions()

    assert are_open() == ["kept"]


def test_caches_are_closed_after_each_job_and_for_good_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.server")

    responses = run_script(make_server(Asking), job("ask"), job("ask"))

    assert [response["actions"][0]["body"]["cached"] for response in responses] == [None, None]
    assert NotedCache.closings == [False, False, True]
    assert "Closing all Django caches" in caplog.messages


def test_no_connection_is_left_at_the_end() -> None:
    run_script(make_server(Asking), job("ask"))

    assert are_open() == []


def test_the_database_work_of_an_asynchronous_action_is_the_workers(server: Any) -> None:
    raw = ask("kept")

    responses = [answer(server, job("ask_async")) for _ in range(2)]

    assert [(raw, [False, True])] * 2 == SEEN
    assert [response["actions"][0]["body"]["cached"] for response in responses] == [None, None]


def test_that_of_a_coroutine_beside_the_job_is_not_and_leaves_no_connection() -> None:
    run_script(make_server(Asking), job("ask_later"))

    [(raw, thread)] = SEEN
    assert thread is not threading.main_thread()
    assert not thread.is_alive()
    with pytest.raises(Exception, match="closed database"):
        raw.execute("SELECT 1")


def test_a_server_in_the_thread_of_its_client_leaves_the_clients_transaction_alone() -> None:
    transport = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": Asking, "server_settings": {}},
    }

    with transaction.atomic(), Client({"x": {"transport": transport}}) as client:
        raw = ask()
        client.call_action("x", "ask")
        assert ask() is raw
        connections["kept"].set_autocommit(False)
        client.call_action("x", "ask")
        client.call_action("x", "ask_async")
        client.close()
        assert are_open() == ["default", "kept"]
        assert connections["default"].in_atomic_block

    connections["kept"].set_autocommit(True)
    assert True not in NotedCache.closings


def test_over_a_network_what_a_job_has_left_without_autocommit_is_closed(server: Any) -> None:
    class Leave(Action):
        def run(self, request: Any) -> Any:
            connections["kept"].set_autocommit(False)
            return {}

    Asking.action_class_map["leave"] = Leave
    try:
        answer(server, job("leave"))
    finally:
        del Asking.action_class_map["leave"]

    assert are_open() == []
    assert connections["kept"].get_autocommit()


def test_a_hook_that_is_overridden_without_super_does_no_harm() -> None:
    class Odd(Asking):
        def perform_pre_request_actions(self) -> None:
            """Nothing at all."""

    server = make_server(Odd)

    assert answer(server, job("ask"))["errors"] == []
    assert are_open() == ["kept"]
    server._process.shut_down()
