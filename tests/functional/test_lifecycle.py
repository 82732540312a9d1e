"""Services from their start to their end: supervised workers, stuck actions, poison, signals."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from tests.support.brokers import frozen, start
from tests.support.faults import BOTH_ENGINES, SERVICE, Calls, Services, echo, load, standard, workers_of
from tests.support.processes import children_of, is_alive
from tests.support.raw import command, wait_until

pytestmark = BOTH_ENGINES

TIMEOUT = 2.0


@pytest.fixture
def client(broker: Broker, services: Services) -> Iterator[Client]:
    client = services.client(standard(broker.url))
    yield client
    client.close()


def serving_pids(client: Client, count: int) -> set[int]:
    """The processes that answer, once there are so many."""
    pids: set[int] = set()

    def enough() -> bool:
        actions = [{"action": "measure"}] * 8
        for answer in client.call_actions_parallel(SERVICE, actions, timeout=TIMEOUT, catch_transport_errors=True):
            if not isinstance(answer, Exception):
                pids.add(answer.body["pid"])
        return len(pids) >= count

    wait_until(enough, f"{count} workers answer")
    return pids


def test_a_killed_worker_is_replaced_and_the_service_whole_within_five_seconds(
    broker: Broker, services: Services, client: Client
) -> None:
    supervisor = services.start(standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2)
    before = children_of(supervisor.pid)
    assert len(before) == 2
    calls = Calls()

    with load(calls, echo(client, TIMEOUT), timeout=TIMEOUT, threads=4):
        wait_until(lambda: len(calls.right) > 100, "the load is on")
        for victim in before:
            os.kill(victim, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: len(children_of(supervisor.pid) - before) == 2, "both are replaced", timeout=5)
        assert serving_pids(client, 2) == children_of(supervisor.pid)
        whole_at = time.monotonic()

    print(f"whole again after {whole_at - killed_at:.2f} s, {len(calls.failed)} calls failed {dict(calls.outcomes())}")
    assert whole_at - killed_at < 5
    assert not calls.broken
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert not any(map(is_alive, before))


def test_poison_that_kills_every_worker_cannot_end_the_service(
    broker: Broker, services: Services, client: Client
) -> None:
    supervisor = services.start(standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2)

    for _ in range(12):
        with contextlib.suppress(PySOAError):
            client.call_action(SERVICE, "die", timeout=0.15)
    last_at = time.monotonic()

    wait_until(lambda: len(children_of(supervisor.pid)) == 2, "the pool is whole again", timeout=5)
    assert len(serving_pids(client, 2)) >= 2
    print(f"whole again {time.monotonic() - last_at:.2f} s after the last of 12 deaths")
    assert time.monotonic() - last_at < 5
    assert supervisor.returncode is None


def test_workers_end_within_ten_seconds_of_their_supervisors_death(
    broker: Broker, services: Services, client: Client
) -> None:
    supervisor = services.start(standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2)
    workers = children_of(supervisor.pid)
    assert len(workers) == 2
    # One of them is in the middle of something.
    future = client.call_action_future(SERVICE, "note", {"token": "busy", "seconds": 1.0}, timeout=5)
    wait_until(lambda: "busy" in services.noted(), "one works")

    supervisor.kill()
    killed_at = time.monotonic()

    wait_until(lambda: not any(map(is_alive, workers)), "they have gone", timeout=10)
    print(f"workers gone {time.monotonic() - killed_at:.2f} s after their supervisor")
    assert future.result().body["token"] == "busy"


def test_a_storm_of_signals_to_the_supervisor_is_one_drain_and_leaves_no_process(
    broker: Broker, services: Services, client: Client
) -> None:
    supervisor = services.start(standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2)
    workers = children_of(supervisor.pid)
    tokens = [f"t{number}" for number in range(2)]
    futures = [
        client.call_action_future(SERVICE, "note", {"token": token, "seconds": 0.8}, timeout=10) for token in tokens
    ]
    wait_until(lambda: services.noted().total() == 2, "both work")

    for number in itertools.islice(itertools.cycle((signal.SIGTERM, signal.SIGINT)), 50):
        os.killpg(supervisor.pid, number)  # as a terminal does: the workers get them too
        time.sleep(0.005)

    assert supervisor.wait(10) == 0
    assert not any(map(is_alive, workers))
    assert [future.result().body["token"] for future in futures] == tokens
    assert services.noted() == dict.fromkeys(tokens, 1)
    assert workers_of(broker.url, SERVICE) == 0


def test_a_second_signal_after_a_second_forces_the_end(broker: Broker, services: Services, client: Client) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    client.send_request(SERVICE, [{"action": "note", "body": {"token": "long", "seconds": 60}}])
    wait_until(lambda: "long" in services.noted(), "it works")
    worker.terminate()
    first_at = time.monotonic()
    worker.terminate()
    wait_until(lambda: time.monotonic() > first_at + 1.1, "a second has passed")
    assert worker.returncode is None

    worker.terminate()

    assert worker.wait(3) == 1
    assert "forcing shutdown" in worker.output


def test_an_idle_worker_ends_at_once_on_sigterm(broker: Broker, services: Services) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    wait_until(lambda: b"cmd=blpop" in command(broker.url, "CLIENT", "LIST"), "it waits")
    began = time.monotonic()

    worker.terminate()

    assert worker.wait(5) == 0
    print(f"ended after {time.monotonic() - began:.3f} s")
    assert time.monotonic() - began < 2
    assert workers_of(broker.url, SERVICE) == 0


@pytest.mark.parametrize("action", ["work", "note_in_loop"])  # in Python code, and in a system call
def test_a_stuck_action_is_ended_and_reported_and_its_worker_replaced(
    broker: Broker, services: Services, client: Client, action: str
) -> None:
    harakiri = {"timeout": 1, "shutdown_grace": 1}
    supervisor = services.start(
        standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2, settings={"harakiri": harakiri}
    )
    time.sleep(1.5)  # idle for longer than the limit
    pids = children_of(supervisor.pid)
    began = time.monotonic()

    body = {"token": "stuck", "seconds": 60}
    answer = client.call_action(SERVICE, action, body, timeout=5, raise_action_errors=False)

    took = time.monotonic() - began
    print(f"answered after {took:.2f} s")
    assert [error.code for error in answer.errors] == ["ACTION_TIMEOUT"]
    assert 1.0 <= took < 3
    supervisor.wait_for_line("triggering harakiri with grace period")
    wait_until(lambda: len(children_of(supervisor.pid) & pids) == 1, "it has ended")
    wait_until(lambda: len(children_of(supervisor.pid)) == 2, "it is replaced")
    wait_until(lambda: workers_of(broker.url, SERVICE) == 2, "its successor is there")
    assert client.call_action(SERVICE, "echo", {"token": "well"}, timeout=TIMEOUT).body["token"] == "well"


def test_what_a_stuck_worker_had_taken_ahead_is_served_by_others(
    broker: Broker, services: Services, client: Client
) -> None:
    settings = {"harakiri": {"timeout": 1, "shutdown_grace": 1}}
    supervisor = services.start(
        standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2, settings=settings
    )
    tokens = [f"t{number}" for number in range(200)]
    bodies = [{"token": token, "seconds": 60 if token == "t50" else 0} for token in tokens]

    futures = [
        client.call_action_future(SERVICE, "note", body, timeout=10, raise_action_errors=False) for body in bodies
    ]

    answers = [future.result() for future in futures]
    assert [answer.body.get("token") for answer in answers if not answer.errors] == [*tokens[:50], *tokens[51:]]
    assert [error.code for error in answers[50].errors] == ["ACTION_TIMEOUT"]
    assert services.noted() == dict.fromkeys(tokens, 1)
    assert supervisor.returncode is None


@pytest.mark.parametrize("is_frozen", [True, False], ids=["frozen", "dead"])
def test_a_worker_without_a_broker_still_ends_on_sigterm(services: Services, is_frozen: bool) -> None:
    with start() as broker:
        worker = services.start(standard(broker.url), announced_at=broker.url)
        wait_until(lambda: b"cmd=blpop" in command(broker.url, "CLIENT", "LIST"), "it waits")
        with frozen(broker) if is_frozen else contextlib.nullcontext():
            if not is_frozen:
                broker.kill()
                worker.wait_for_line("Transient error")
            began = time.monotonic()

            worker.terminate()

            assert worker.wait(12) == 0
            print(f"ended after {time.monotonic() - began:.2f} s")
            assert time.monotonic() - began < 10


def test_a_worker_that_starts_before_its_broker_serves_once_that_is_there(services: Services) -> None:
    with start() as broker:
        port, url = broker.port, broker.url
    worker = services.start(standard(url))
    worker.wait_for_line("Transient error")

    with start(port=port):
        client = services.client(standard(url))
        began = time.monotonic()
        assert client.call_action(SERVICE, "echo", {"token": 1}, timeout=5).body["token"] == 1
        client.close()

    print(f"answered {time.monotonic() - began:.2f} s after the broker was there")
    assert time.monotonic() - began < 4
    assert worker.output.count("Transient error") <= 2


def test_an_idle_worker_outlives_any_harakiri_limit(broker: Broker, services: Services, client: Client) -> None:
    worker = services.start(
        standard(broker.url), announced_at=broker.url, settings={"harakiri": {"timeout": 1, "shutdown_grace": 1}}
    )
    assert client.call_action(SERVICE, "echo", {"token": 1}, timeout=TIMEOUT).body["token"] == 1

    time.sleep(2.5)  # the time is what is tried

    assert client.call_action(SERVICE, "echo", {"token": 2}, timeout=TIMEOUT).body["token"] == 2
    assert worker.returncode is None
    assert "harakiri" not in worker.output
