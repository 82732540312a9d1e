from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="django is not installed")

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import connections

from pysoa.client import AsyncClient
from pysoa.server import Server
from pysoa.server.action import Action
from tests.support.django_project import django_settings, sqlite
from tests.support.django_service.caches import NotedCache
from tests.support.scripted import make_server
from tests.unit.server.internal.test_django_upkeep import NOTED, REQUEST, are_open, ask

OPENED: list[Any] = []


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> Iterator[None]:
    entries = {"default": sqlite(tmp_path, CONN_MAX_AGE=0), "kept": sqlite(tmp_path, "kept", CONN_MAX_AGE=None)}
    OPENED.clear()
    NotedCache.closings.clear()
    with django_settings(DATABASES=entries, CACHES={"default": REQUEST, "noted": NOTED}, DEBUG=True):
        yield


def is_open(raw: Any) -> bool:
    try:
        raw.total_changes  # noqa: B018
    except Exception:
        return False
    return True


def ask_both() -> Any:
    """Ask both databases; what there was before."""
    before = are_open(), sum(len(connections[alias].queries) for alias in connections)
    OPENED.extend([ask(), ask("kept")])
    return {"before": before, "thread": threading.get_ident()}


class AskAsync(Action):
    async def run(self, request: Any) -> Any:
        first = await sync_to_async(ask_both)()
        await asyncio.sleep(0.001)
        second = await sync_to_async(ask_both)()
        caches["noted"].get("a")
        return {**first, "then": second}


class AskBlocking(Action):
    blocking = True

    def run(self, request: Any) -> Any:
        caches["noted"].get("a")
        return ask_both()


class AskUnsafely(Action):
    def run(self, request: Any) -> Any:
        return ask_both()


class Asking(Server):
    service_name = "x"
    use_django = True
    action_class_map = {"ask_async": AskAsync, "ask_blocking": AskBlocking, "ask_unsafely": AskUnsafely}


def run_jobs(*names: str, at_once: bool = False) -> list[Any]:
    transport = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": Asking, "server_settings": {"concurrency": 3}},
    }

    async def run() -> list[Any]:
        async with AsyncClient({"x": {"transport": transport}}) as client:
            calls = [client.call_action("x", name) for name in names]
            answers = await asyncio.gather(*calls) if at_once else [await call for call in calls]
            return [answer.body for answer in answers]

    return asyncio.run(run())


def test_each_job_has_a_thread_and_connections_of_its_own() -> None:
    bodies = run_jobs(*["ask_async"] * 3, at_once=True)

    assert len({body["thread"] for body in bodies}) == 3
    for body in bodies:
        assert body["then"]["thread"] == body["thread"]
        assert body["then"]["before"] == [["default", "kept"], 2]
    assert len({*map(id, OPENED)}) == 6
    assert [is_open(raw) for raw in OPENED] == [False] * 12


@pytest.mark.parametrize("name", ["ask_async", "ask_blocking"])
def test_queries_are_forgotten_and_old_connections_closed_around_each_job(name: str) -> None:
    bodies = run_jobs(*[name] * 20)

    assert [body["before"] for body in bodies if body["before"] not in ([[], 0], [["kept"], 0])] == []
    assert len({*map(id, OPENED[1::2])}) <= 3  # those that are kept
    assert not any(map(is_open, OPENED))


def test_a_plain_action_in_the_loop_may_use_a_database_only_where_django_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AsyncClient.CallActionError, match="cannot call this from an async context"):
        run_jobs("ask_unsafely")
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

    bodies = run_jobs(*["ask_unsafely"] * 3)

    assert [body["before"] for body in bodies] == [[[], 0]] * 3
    assert [is_open(raw) for raw in OPENED] == [False] * 6


@pytest.mark.parametrize("name", ["ask_async", "ask_blocking"])
def test_caches_that_go_with_a_job_are_closed_for_good(name: str) -> None:
    run_jobs(*[name] * 2)

    assert NotedCache.closings == [True, True]


def test_connections_of_threads_that_run_no_action_are_closed_when_they_grow_old() -> None:
    server: Any = make_server(Asking, concurrency=2)
    upkeep = server._upkeep
    running, may_end = threading.Event(), threading.Event()

    def act(wait: bool) -> None:
        ask("kept")
        connections["kept"].close_at = 0.0
        OPENED.append(connections["kept"].connection)
        if wait:
            running.set()
            may_end.wait()
            connections["kept"].close_at = None

    for wait in (False, True):
        thread = threading.Thread(target=upkeep.on_thread(act), args=[wait])
        connections_of_thread = upkeep.on_thread(act)
        assert connections_of_thread is not act
        thread.start()
        if wait:
            running.wait()
        else:
            thread.join()
    upkeep.when_idle()
    upkeep._executors.submit(int).result()
    assert [is_open(raw) for raw in OPENED] == [False, True]
    may_end.set()
    thread.join()

    asyncio.run(wait_for(upkeep.end()))

    assert [is_open(raw) for raw in OPENED] == [False, False]


async def wait_for(awaitable: Any) -> None:
    await awaitable


def test_connections_that_were_opened_before_the_loop_obey_their_age(tmp_path: Path) -> None:
    ask(), ask("kept")
    server: Any = make_server(Asking, concurrency=2)

    server._upkeep.when_idle()
    server._upkeep._executors.submit(int).result()
    assert are_open() == ["kept"]
    asyncio.run(wait_for(server._upkeep.end()))

    assert are_open() == []
