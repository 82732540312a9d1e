"""A service in a Django project: its database connections, its caches, and its command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client import Client
from tests.support.django_project import Databases, run_jobs, sqlite, start_notes
from tests.support.processes import Process
from tests.support.raw import wait_until

pytest.importorskip("django", reason="django is not installed")

AT_ONCE = 10
LOOPS = [pytest.param(1, id="blocking loop"), pytest.param(AT_ONCE, id="asyncio loop")]
WRITERS = ("write", "write_async", "write_blocking")


@pytest.fixture
def client(broker: Broker) -> Any:
    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [broker.url]}}
    with Client({"notes": {"transport": {"kwargs": {**kwargs, "receive_timeout_in_seconds": 20}}}}) as client:
        yield client


def writers(at_once: int) -> tuple[str, ...]:
    """The actions that write in such a loop; a plain one may not use a database in an event loop."""
    return WRITERS if at_once == 1 else WRITERS[1:]


def connections_in(answer: Any) -> list[int]:
    found: list[int] = answer.body["backends"]
    return found


@pytest.mark.parametrize("at_once", LOOPS)
def test_ten_thousand_jobs_leave_no_connection_behind(tmp_path: Path, at_once: int) -> None:
    kept, closed = {"alias": "default"}, {"alias": "closed"}
    actions = [["ask", kept], ["ask", closed], *[["ask", kept]] * 6, ["ask_async", kept], ["ask_async", closed]]

    report = run_jobs(
        {"actions": actions, "jobs": 10_000, "at_once": at_once},
        DATABASES={
            "default": sqlite(tmp_path, "kept", CONN_MAX_AGE=None),
            "closed": sqlite(tmp_path, "closed", CONN_MAX_AGE=0),
        },
    )

    threads = 2 * at_once if at_once > 1 else 1  # in the asyncio loop, those of blocking actions are others
    assert report["answers"] == 10_000
    assert 1 <= report["opened"] - 2_000 <= threads
    assert report["peak"] <= 2 * threads
    # The connection of a thread that runs a server by the local transport is the thread's own.
    assert report["left open"] == (1 if at_once == 1 else 0)
    assert (report["threads"], report["descriptors"]) == ([], 0)


@pytest.mark.parametrize("at_once", LOOPS)
def test_persistent_connections_are_as_many_as_jobs_at_a_time(databases: Databases, at_once: int) -> None:
    entry = databases.make(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True, ATOMIC_REQUESTS=True)
    actions = [["count_async"]] if at_once > 1 else [["count"], ["count_async"]]

    report = run_jobs({"actions": actions, "jobs": 300, "at_once": at_once}, DATABASES={"default": entry})

    assert report["answers"] == 300
    assert 1 <= report["opened"] <= at_once
    assert report["left open"] == (1 if at_once == 1 else 0)
    assert report["descriptors"] == 0


@pytest.mark.parametrize("at_once", LOOPS)
def test_coroutines_beside_jobs_share_a_connection_and_leave_none(tmp_path: Path, at_once: int) -> None:
    report = run_jobs(
        {"actions": [["write_beside"]], "jobs": 100, "at_once": at_once},
        DATABASES={"default": sqlite(tmp_path, CONN_MAX_AGE=0)},
    )

    assert report["answers"] == 100
    assert (report["peak"], report["left open"], report["descriptors"]) == (1, 0, 0)


@pytest.mark.parametrize("at_once", LOOPS)
def test_workers_and_supervisor_have_connections_of_their_own(
    databases: Databases, broker: Broker, client: Any, start_process: Callable[..., Process], at_once: int
) -> None:
    entries = {"default": databases.make(CONN_MAX_AGE=60), "other": databases.make(CONN_MAX_AGE=0)}
    service = start_notes(start_process, broker, "-f", "2", "--concurrency", str(at_once), DATABASES=entries)
    said = service.wait_for_line("supervisor .* has connection")
    supervisor, connection_of_supervisor = map(int, re.findall(r"\d+", said))

    actions = [{"action": name, "body": {"aliases": ["default", "other"]}} for name in writers(at_once)]
    answers: list[Any] = []
    while len({answer.body["pid"] for answer in answers}) < 2:
        answers += client.call_actions_parallel("notes", actions * 4)
    service.terminate()

    assert service.wait() == 0
    assert supervisor not in {answer.body["pid"] for answer in answers}
    seen = service.wait_for_line("supervisor sees")
    if databases.kind == "postgres":  # which gives each connection a number of its own
        assert connection_of_supervisor not in {number for answer in answers for number in connections_in(answer)}
        assert seen.endswith(f"supervisor sees {len(answers)} notes by connection {connection_of_supervisor}")
    else:  # which is closed before a fork, as SQLite wants it
        assert f"supervisor sees {len(answers)} notes" in seen
    assert service.output.count("Closing all Django caches") == 2
    assert " ERROR " not in service.output


@pytest.mark.parametrize("at_once", LOOPS)
@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_connections_that_break_or_grow_old_are_replaced(
    databases: Databases, broker: Broker, client: Any, start_process: Callable[..., Process], at_once: int
) -> None:
    checked = databases.make(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    unchecked = databases.make(CONN_MAX_AGE=None)
    aging = databases.make(CONN_MAX_AGE=1)
    start_notes(
        start_process,
        broker,
        *("--concurrency", str(at_once)),
        make_tables=True,
        DATABASES={"default": checked, "unchecked": unchecked, "aging": aging},
    )

    def write(name: str, aliases: list[str], **options: Any) -> Any:
        return client.call_action("notes", name, {"aliases": aliases}, **options)

    for name in writers(at_once):
        write(name, ["unchecked", "aging", "default"])
        databases.break_connections(checked)
        assert write(name, ["default"]).errors == []  # it is tried before it is used

        databases.break_connections(unchecked)
        write(name, ["unchecked"], raise_action_errors=False)  # may be the one that notices
        assert write(name, ["unchecked"]).errors == []

    wait_until(lambda: databases.connections(aging) == 0, "connections that are too old are closed", 20)
    assert databases.connections(checked) >= 1


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_jobs_that_end_do_not_disturb_one_that_reads(
    databases: Databases, broker: Broker, client: Any, start_process: Callable[..., Process]
) -> None:
    start_notes(
        start_process,
        broker,
        *("--concurrency", str(AT_ONCE)),
        make_tables=True,
        DATABASES={"default": databases.make(CONN_MAX_AGE=0)},
    )
    client.call_actions_parallel("notes", [{"action": "write_async"}] * 60)

    reading = client.call_actions_parallel_future("notes", [{"action": "read_slowly"}] * 5)
    for _ in range(10):
        client.call_actions_parallel("notes", [{"action": "count_async"}] * 5)

    assert [answer.body for answer in reading.result()] == [{"seen": 60}] * 5


@pytest.mark.parametrize("at_once", LOOPS)
def test_a_transaction_that_a_job_leaves_open_is_not_the_next_ones(
    databases: Databases, broker: Broker, client: Any, start_process: Callable[..., Process], at_once: int
) -> None:
    service = start_notes(
        start_process,
        broker,
        *("--concurrency", str(at_once)),
        make_tables=True,
        DATABASES={"default": databases.make(CONN_MAX_AGE=None)},
    )

    for _ in range(3):
        client.call_action("notes", "leave_open")
    client.call_action("notes", "write_async")

    assert client.call_action("notes", "count").body == {"notes": 1}
    service.terminate()
    assert service.wait() == 0


@pytest.mark.parametrize("at_once", LOOPS)
def test_caches_hold_what_their_names_say(
    broker: Broker, client: Any, start_process: Callable[..., Process], at_once: int
) -> None:
    service = start_notes(start_process, broker, "--concurrency", str(at_once))

    def remember(name: str, count: int) -> list[Any]:
        actions = [{"action": name, "body": {"text": f"{name} {number}"}} for number in range(count)]
        return [answer.body for answer in client.call_actions_parallel("notes", actions)]

    answers = [*remember("remember", 5), *remember("remember_blocking", 5), *remember("remember_async", 20)]

    assert [answer["request"] for answer in answers] == [None] * 30
    assert [answer["process"] for answer in answers].count(None) == 1
    for number, answer in enumerate(answers[10:]):
        assert answer["later"] == answer["in thread"] == f"remember_async {number}"
    service.terminate()
    service.wait()
    assert service.output.count("Closing all Django caches") == 1


def test_asynchronous_actions_are_in_the_transaction_of_their_worker(
    databases: Databases, broker: Broker, client: Any, start_process: Callable[..., Process]
) -> None:
    from tests.support.django_service import settings

    atomic = {"path": "tests.support.django_service.middleware:Atomic"}
    start_notes(
        start_process,
        broker,
        make_tables=True,
        DATABASES={"default": databases.make(CONN_MAX_AGE=60)},
        SOA_SERVER_SETTINGS={**settings.SOA_SERVER_SETTINGS, **broker_of(broker), "middleware": [atomic]},
    )

    failed = client.call_actions(
        "notes", [{"action": "write"}, {"action": "write_async"}, {"action": "fail"}], raise_action_errors=False
    )
    notes_before = client.call_action("notes", "count").body
    client.call_actions("notes", [{"action": "write"}, {"action": "write_async"}, {"action": "write_async"}])

    assert [len(answer.errors) for answer in failed.actions] == [0, 0, 1]
    assert connections_in(failed.actions[0]) == connections_in(failed.actions[1])
    assert (notes_before, client.call_action("notes", "count_async").body) == ({"notes": 0}, {"notes": 3})


def broker_of(broker: Broker) -> dict[str, Any]:
    """The part of the server's settings that says where the broker is."""
    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [broker.url]}}
    return {"transport": {"kwargs": kwargs}}


@pytest.mark.parametrize("at_once", LOOPS)
def test_connections_that_cannot_be_closed_end_no_worker(
    tmp_path: Path, broker: Broker, client: Any, start_process: Callable[..., Process], at_once: int
) -> None:
    service = start_notes(
        start_process,
        broker,
        *("--concurrency", str(at_once)),
        make_tables=True,
        DATABASES={"default": sqlite(tmp_path, ENGINE="tests.support.django_service.faulty", CONN_MAX_AGE=0)},
    )

    for _ in range(3):
        for name in writers(at_once):
            assert client.call_action("notes", name).errors == []

    service.wait_for_line("A database connection could not be closed .*ZeroDivisionError")
    service.terminate()
    assert service.wait() == 0
