"""Every way of calling, over a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from tests.support.faults import BOTH_ENGINES, SERVICE, Calls, Services, standard
from tests.support.processes import Process
from tests.support.proxies import FaultProxy

pytestmark = BOTH_ENGINES

TIMEOUT = 0.4
PATIENT = 5.0

Way = Callable[[Client, str, float], Any]


def _bodies(token: str) -> list[dict[str, Any]]:
    return [{"action": "echo", "body": {"token": f"{token}.{number}"}} for number in range(3)]


def _one_token(answers: list[Any]) -> str:
    """The token whose parts these are, in order."""
    tokens = [answer.body["token"] for answer in answers]
    token = str(tokens[0]).rpartition(".")[0]
    assert tokens == [body["body"]["token"] for body in _bodies(token)]
    return token


def call_action(client: Client, token: str, timeout: float) -> Any:
    return client.call_action(SERVICE, "echo", {"token": token}, timeout=timeout).body["token"]


def call_actions(client: Client, token: str, timeout: float) -> Any:
    return _one_token(client.call_actions(SERVICE, _bodies(token), timeout=timeout).actions)


def call_actions_parallel(client: Client, token: str, timeout: float) -> Any:
    return _one_token(list(client.call_actions_parallel(SERVICE, _bodies(token), timeout=timeout)))


def call_jobs_parallel(client: Client, token: str, timeout: float) -> Any:
    jobs = [{"service_name": SERVICE, "actions": [body]} for body in _bodies(token)]
    return _one_token([response.actions[0] for response in client.call_jobs_parallel(jobs, timeout=timeout)])


def call_jobs_parallel_catching(client: Client, token: str, timeout: float) -> Any:
    jobs = [{"service_name": SERVICE, "actions": [body]} for body in _bodies(token)]
    slots = client.call_jobs_parallel(jobs, timeout=timeout, catch_transport_errors=True)
    assert len(slots) == len(jobs)
    for slot in slots:
        if isinstance(slot, Exception):
            raise slot
    return _one_token([response.actions[0] for response in slots])


def call_action_future(client: Client, token: str, timeout: float) -> Any:
    # Sending and receiving are two steps, and the time of a future counts for each.
    return client.call_action_future(SERVICE, "echo", {"token": token}, timeout=timeout / 2).result().body["token"]


def call_actions_parallel_future(client: Client, token: str, timeout: float) -> Any:
    return _one_token(list(client.call_actions_parallel_future(SERVICE, _bodies(token), timeout=timeout / 2).result()))


def call_jobs_parallel_future(client: Client, token: str, timeout: float) -> Any:
    jobs = [{"service_name": SERVICE, "actions": [body]} for body in _bodies(token)]
    responses = client.call_jobs_parallel_future(jobs, timeout=timeout / 2).result()
    return _one_token([response.actions[0] for response in responses])


def send_and_get_all(client: Client, token: str, timeout: float) -> Any:
    request = {"action": "echo", "body": {"token": token}}
    request_id = client.send_request(SERVICE, [request], message_expiry_in_seconds=timeout / 2)
    for answered_id, response in client.get_all_responses(SERVICE, receive_timeout_in_seconds=timeout / 2):
        if answered_id == request_id:
            return response.actions[0].body["token"]
    raise AssertionError("there was no response")


WAYS: list[Way] = [
    call_action,
    call_actions,
    call_actions_parallel,
    call_jobs_parallel,
    call_jobs_parallel_catching,
    call_action_future,
    call_actions_parallel_future,
    call_jobs_parallel_future,
    send_and_get_all,
]


def blackhole(proxy: FaultProxy) -> None:
    proxy.blackhole()


def requests_vanish(proxy: FaultProxy) -> None:
    proxy.blackhole("to_broker")


def answers_vanish(proxy: FaultProxy) -> None:
    proxy.blackhole("to_client")


def long_delay(proxy: FaultProxy) -> None:
    proxy.delay(TIMEOUT)


def hold(proxy: FaultProxy) -> None:
    proxy.hold()


def refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.reset_connections()


def reset_in_reply(proxy: FaultProxy) -> None:
    proxy.reset_in_reply(1)


def reset_late_in_reply(proxy: FaultProxy) -> None:
    proxy.reset_in_reply(40)


def drop(proxy: FaultProxy) -> None:
    proxy.drop_connections()


FAULTS = [
    blackhole,
    requests_vanish,
    answers_vanish,
    long_delay,
    hold,
    refuse,
    reset_in_reply,
    reset_late_in_reply,
    drop,
]


@pytest.fixture
def service(broker: Broker, services: Services) -> Process:
    """A worker with a sound network."""
    return services.start(standard(broker.url), announced_at=broker.url)


@pytest.fixture
def client(service: Process, services: Services, fault_proxy: FaultProxy) -> Iterator[Client]:
    """A client with an unsound one."""
    client = services.client(standard(fault_proxy.url))
    yield client
    client.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_way_of_calling_ends_in_time_with_an_error_that_tells_and_the_next_call_is_right(
    client: Client, fault_proxy: FaultProxy, fault: Callable[[FaultProxy], None]
) -> None:
    calls = Calls()
    for way in WAYS:
        assert calls.try_one(lambda token, way=way: way(client, token, PATIENT), PATIENT) is None

        fault(fault_proxy)
        failure = calls.try_one(lambda token, way=way: way(client, token, TIMEOUT), TIMEOUT)
        fault_proxy.heal()

        next_failure = calls.try_one(lambda token, way=way: way(client, token, PATIENT), PATIENT)
        assert next_failure is None, f"{way.__name__}: {failure!r}, and then {next_failure!r}"
    print(f"{len(calls.failed)} of {3 * len(WAYS)} failed: {dict(calls.outcomes())}, {calls.longest_overrun:+.3f} s")
    assert not calls.broken
