"""How asyncio servers end, and how they end jobs: with many of them under way, of which some do not let themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.types import ActionResponse
from tests.support.faults import SERVICE, Services, standard
from tests.support.processes import Process
from tests.support.raw import wait_until

TIMEOUT = 10.0
HARAKIRI = {"timeout": 1, "shutdown_grace": 1}


@pytest.fixture
def concurrency() -> int:
    return 50


@pytest.fixture
def client(broker: Broker, services: Services) -> Iterator[Client]:
    client = services.client(standard(broker.url))
    yield client
    client.close()


def begin(services: Services, client: Client, action: str, **body: Any) -> Any:
    """Call an action, and wait until it runs; the future of its answer."""
    token = f"{action}{services.noted().total()}"
    future = client.call_action_future(
        SERVICE, action, {"token": token, **body}, timeout=TIMEOUT, raise_action_errors=False
    )
    wait_until(lambda: token in services.noted(), f"{token} runs")
    return future


def codes(answer: ActionResponse) -> list[str]:
    return [error.code for error in answer.errors]


def start(broker: Broker, services: Services, **settings: Any) -> Process:
    return services.start(standard(broker.url), announced_at=broker.url, settings={"concurrency": 50, **settings})


def test_fifty_running_jobs_are_finished_after_sigterm_and_no_other_is_taken(
    broker: Broker, services: Services, client: Client
) -> None:
    server = start(broker, services)
    tokens = [f"t{number}" for number in range(60)]
    futures = [
        client.call_action_future(SERVICE, "note", {"token": token, "seconds": 1.0}, timeout=TIMEOUT)
        for token in tokens
    ]
    wait_until(lambda: services.noted().total() == 50, "all slots are taken")

    server.terminate()
    assert server.wait(5) == 0

    assert services.noted() == dict.fromkeys(tokens[:50], 1)
    start(broker, services)
    assert [future.result().body["token"] for future in futures] == tokens
    assert services.noted() == dict.fromkeys(tokens, 1)


@pytest.mark.parametrize(
    ("action", "body"),
    [("note", {}), ("note", {"stubborn": True}), ("note_in_loop", {}), ("note_on_thread", {})],
    ids=["suspended", "stubborn", "in the loop", "on a thread"],
)
def test_a_second_signal_after_a_second_ends_the_server_whatever_its_jobs_do(
    broker: Broker, services: Services, client: Client, action: str, body: dict[str, Any]
) -> None:
    server = start(broker, services)
    client.send_request(SERVICE, [{"action": action, "body": {"token": "long", "seconds": 60, **body}}])
    wait_until(lambda: "long" in services.noted(), "it runs")
    server.terminate()
    first_at = time.monotonic()
    wait_until(lambda: time.monotonic() > first_at + 1.1, "a second has passed")
    assert server.returncode is None

    server.terminate()

    assert server.wait(8) == 1
    print(f"ended {time.monotonic() - first_at - 1.1:.2f} s after the second signal")


def test_a_job_that_is_suspended_for_too_long_is_called_off_and_the_server_lives_on(
    broker: Broker, services: Services, client: Client
) -> None:
    server = start(broker, services, harakiri=HARAKIRI)
    other = begin(services, client, "note", seconds=0.9)
    began = time.monotonic()

    stuck = begin(services, client, "note", seconds=60)

    assert other.result().errors == []
    assert codes(stuck.result()) == ["ACTION_TIMEOUT"]
    assert 1.0 <= time.monotonic() - began < 3
    assert client.call_action(SERVICE, "echo", {"token": 1}, timeout=TIMEOUT).body == {"token": 1}
    assert server.returncode is None


@pytest.mark.parametrize(
    ("action", "body"),
    [("note", {"stubborn": True}), ("note_on_thread", {})],
    ids=["stubborn", "on a thread"],
)
def test_a_job_that_cannot_be_called_off_ends_the_server_within_the_grace_and_costs_no_other(
    broker: Broker, services: Services, client: Client, action: str, body: dict[str, Any]
) -> None:
    server = start(broker, services, harakiri={"timeout": 1, "shutdown_grace": 2})
    stuck = begin(services, client, action, seconds=60, **body)
    began = time.monotonic()
    others = [begin(services, client, "note", seconds=0.9) for _ in range(10)]

    assert [other.result().errors for other in others] == [[]] * 10
    assert server.wait(6) == 1
    print(f"ended after {time.monotonic() - began:.2f} s")
    if action == "note_on_thread":
        assert codes(stuck.result()) == ["ACTION_TIMEOUT"]


def test_a_plain_action_that_holds_the_loop_up_is_struck_and_the_others_are_answered_before_the_end(
    broker: Broker, services: Services, client: Client
) -> None:
    server = start(broker, services, harakiri=HARAKIRI)
    others = [begin(services, client, "note", seconds=0.5) for _ in range(10)]
    began = time.monotonic()

    stuck = begin(services, client, "note_in_loop", seconds=60)

    assert codes(stuck.result()) == ["ACTION_TIMEOUT"]
    assert 1.0 <= time.monotonic() - began < 3
    assert [other.result().errors for other in others] == [[]] * 10
    assert server.wait(5) == 1
    assert "triggering harakiri" in server.output


def test_a_plain_action_that_takes_less_than_the_limit_is_never_struck(
    broker: Broker, services: Services, client: Client
) -> None:
    server = start(broker, services, harakiri=HARAKIRI)

    for number in range(6):
        body = {"token": f"t{number}", "seconds": 0.85}
        assert client.call_action(SERVICE, "note_in_loop", body, timeout=TIMEOUT).body == body

    assert server.returncode is None
    assert "harakiri" not in server.output
