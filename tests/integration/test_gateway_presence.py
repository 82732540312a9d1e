"""Presence: "nobody serves this" is said at once, but only where it is true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.clock import monotonic
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout, ServiceUnavailable
from pysoa.common.transport.redis_gateway import presence
from pysoa.common.transport.redis_gateway.connecting import connect
from tests.support.brokers import restarted
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, SERVICE, Gateway, answer_to, call, number_of, send
from tests.support.processes import Process, python
from tests.support.raw import command, wait_until

KEY = f"pysoa:presence.{SERVICE}"


def workers_present(broker: Broker) -> int:
    count: int = command(broker.url, "ZCOUNT", KEY, "(1", "+inf")
    return count


def workers_present_now(broker: Broker) -> int:
    return int(command(broker.url, "ZCOUNT", KEY, f"{time.time():.3f}", "+inf"))


@BOTH_GATEWAYS
def test_a_service_that_was_never_seen_times_out_as_ever(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)

    with pytest.raises(MessageReceiveTimeout) as raised:
        call(client, timeout=0.3)

    assert not isinstance(raised.value, ServiceUnavailable)
    assert raised.value.outcome == "unknown"


@BOTH_GATEWAYS
def test_a_service_that_has_gone_is_unavailable_at_once_and_the_request_is_off_the_queue(
    broker: Broker, gateway: Gateway
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(broker)
    call(client, 1)
    worker.stop()

    times: list[float] = []
    for number in range(2, 6):
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable, match="no server of service 'svc' is running") as raised:
            call(client, number)
        times.append(time.monotonic() - began)
        assert raised.value.outcome == "not_sent"
        assert command(broker.url, "EXISTS", REQUEST_KEY) == 0
    assert min(times) < 0.05
    assert max(times) < 0.3  # on a busy machine

    later = gateway.worker(broker)
    assert call(client, 9) == 9
    assert later.served == [9]


def test_calls_wait_for_a_successor_that_is_expected_and_only_so_long(broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(broker)
    call(client, 1)
    worker.transport.expect_successor(5)
    worker.stop()
    send(client, 2)
    wait_until(lambda: command(broker.url, "LLEN", REQUEST_KEY) == 1, "the request waits")

    successor = gateway.worker(broker)
    assert number_of(client.receive_response_message(5)) == 2
    successor.transport.expect_successor(0.2)
    successor.stop()

    wait_until(lambda: workers_present_now(broker) == 0, "the time is over")
    with pytest.raises(ServiceUnavailable):
        call(client, 3)


def test_a_batch_to_a_service_that_has_gone_is_taken_back(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker).stop()
    client = gateway.client(broker)
    client.expect_reply(5)
    with client.batch():
        for number in range(5):
            send(client, number)

    with pytest.raises(ServiceUnavailable):
        client.receive_response_message(5)

    assert command(broker.url, "EXISTS", REQUEST_KEY) == 0
    assert client.requests_outstanding == 0


@BOTH_GATEWAYS
def test_one_of_two_workers_that_leaves_is_no_absence(broker: Broker, gateway: Gateway) -> None:
    first = gateway.worker(broker)
    second = gateway.worker(broker)
    assert workers_present(broker) == 2

    first.stop()

    assert workers_present(broker) == 1
    assert call(gateway.client(broker), 1) == 1
    second.stop()
    assert workers_present(broker) == 0


@BOTH_GATEWAYS
def test_a_worker_that_is_busy_is_never_taken_to_be_gone(broker: Broker, gateway: Gateway) -> None:
    def handle(request: ReceivedMessage) -> dict[str, object]:
        if number_of(request) == 1:
            threading.Event().wait(0.6)
        return answer_to(request)

    gateway.worker(broker, handle=handle)
    blocker, client = gateway.client(broker), gateway.client(broker)
    send(blocker, 1)

    with pytest.raises(MessageReceiveTimeout) as raised:
        call(client, 2, timeout=0.3)

    assert not isinstance(raised.value, ServiceUnavailable)
    assert call(client, 3, timeout=5) == 3


@BOTH_GATEWAYS
def test_a_worker_of_the_first_pysoa_that_announces_nothing_is_waited_for(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker).stop()
    silent = gateway.server(broker)  # not serving by a loop, it announces nothing
    client = gateway.client(broker)
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(call(client, 4)))
    thread.start()
    message = silent.receive_request_message()
    threading.Event().wait(0.1)
    assert message.request_id is not None
    assert message.meta is not None
    silent.send_response_message(message.request_id, message.meta, answer_to(message))
    thread.join(10)

    assert result == [4]


@BOTH_GATEWAYS
def test_a_killed_worker_counts_as_present_until_its_time(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Process]
) -> None:
    code = f"""
from tests.support.gateway import BOTH_GATEWAYS, Gateway
worker = Gateway().worker("redis://127.0.0.1:{broker.port}")
print("serving", flush=True)
"""
    process = start_process(*python("-c", code))
    process.wait_for_line("serving")
    process.kill()
    process.wait()

    with pytest.raises(MessageReceiveTimeout) as raised:
        call(gateway.client(broker), timeout=0.3)

    assert not isinstance(raised.value, ServiceUnavailable)
    assert workers_present(broker) == 1
    # Its time comes: what it announced lies in the past.
    (member,) = [name for name in command(broker.url, "ZRANGE", KEY, 0, -1) if name != b"known"]
    command(broker.url, "ZADD", KEY, time.time() - 1, member)
    threading.Event().wait(0.3)  # clients ask anew after a quarter of a second
    with pytest.raises(ServiceUnavailable):
        call(gateway.client(broker))


@BOTH_GATEWAYS
def test_workers_announce_themselves_again_after_a_restart_of_the_broker(
    fresh_broker: Broker, gateway: Gateway
) -> None:
    workers = [gateway.worker(fresh_broker) for _ in range(2)]
    client = gateway.client(fresh_broker)
    call(client, 1)

    with restarted(fresh_broker) as again:
        wait_until(lambda: workers_present(again) == 2, "both are announced", timeout=3)
        workers[0].stop()
        assert [call(client, number) for number in range(20)] == list(range(20))
        workers[1].stop()


@BOTH_GATEWAYS
def test_every_master_hears_of_a_worker_even_if_the_first_is_down(
    start_brokers: Callable[..., Broker], gateway: Gateway
) -> None:
    brokers = [start_brokers() for _ in range(3)]
    brokers[0].kill()

    worker = gateway.worker(*brokers)

    assert [workers_present(broker) for broker in brokers[1:]] == [1, 1]
    worker.stop()
    assert [workers_present(broker) for broker in brokers[1:]] == [0, 0]


@BOTH_GATEWAYS
def test_traces_of_workers_that_died_long_ago_are_removed(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker).stop()
    command(broker.url, "ZADD", KEY, time.time() - 7200, "long-dead", time.time() - 60, "just-dead")

    gateway.worker(broker)

    members = command(broker.url, "ZRANGE", KEY, 0, -1)
    assert b"long-dead" not in members
    assert {b"known", b"just-dead"} <= set(members)


@BOTH_GATEWAYS
def test_services_that_were_ever_seen_are_listed(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker).stop()
    with connect({"host": "127.0.0.1", "port": broker.port}, monotonic() + 5) as connection:
        presence.announce(connection, time.time(), "other", "worker", monotonic() + 5)

        assert presence.known_services(connection, monotonic() + 5) == ["other", SERVICE]
