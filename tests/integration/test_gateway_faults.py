"""Faults of networks and brokers: every call ends in time and says whether it can have run; the next one is right."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from tests.support.brokers import freeze, frozen, restarted, thaw
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, Gateway, call, fails_in_time, is_right_again, send
from tests.support.proxies import FaultProxy
from tests.support.raw import command, wait_until

pytestmark = BOTH_GATEWAYS

# Networks


def test_delays_within_the_timeout_do_no_harm(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(fault_proxy)
    client = gateway.client(fault_proxy)
    fault_proxy.delay(0.05)

    assert [call(client, number) for number in range(5)] == list(range(5))


def test_delays_beyond_the_timeout_end_calls_in_time(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.delay(0.4)

    for number in (2, 3):
        fails_in_time(client, number, timeout=0.3)
    fails_in_time(gateway.client(fault_proxy, receive_timeout_in_seconds=1), 4, timeout=0.3)

    fault_proxy.heal()
    is_right_again(client)


@pytest.mark.parametrize("after_bytes", [1, 3, 10, 40])
def test_a_reset_in_the_middle_of_a_reply(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy, after_bytes: int
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.reset_in_reply(after_bytes)

    outcome = "answered"
    try:
        call(client, 2, timeout=1)
    except PySOAError as error:
        outcome = error.outcome

    assert outcome in ("answered", "unknown")
    assert worker.served.count(2) == 1
    assert call(client, 3) == 3


def test_a_reset_in_the_middle_of_a_reply_to_a_worker(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(fault_proxy, receive_timeout_in_seconds=1)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.reset_in_reply(2)

    fails_in_time(client, 2, timeout=0.5)

    assert call(client, 3) == 3


@pytest.mark.parametrize("direction", ["to_broker", "to_client", None])
def test_a_half_open_connection_costs_a_client_one_call(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy, direction: Any
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.blackhole(direction)
    healer = threading.Timer(0.1, fault_proxy.heal)
    healer.start()

    error = fails_in_time(client, 2, timeout=0.7)

    healer.join()
    assert error.outcome == "unknown"
    assert call(client, 3, timeout=1) == 3


def test_connections_that_died_while_they_were_idle_cost_at_most_one_call(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    threads = [threading.Thread(target=call, args=(client, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    fault_proxy.blackhole()
    fault_proxy.heal()  # new connections are sound, the idle ones are dead

    fails_in_time(client, 2, timeout=0.3)

    assert call(client, 3, timeout=1) == 3


def test_a_half_open_connection_is_noticed_by_a_worker(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    worker = gateway.worker(fault_proxy, receive_timeout_in_seconds=0.5)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.blackhole()
    fault_proxy.heal()
    began = time.monotonic()

    wait_until(lambda: worker.faults, "the worker notices", timeout=5)

    assert time.monotonic() - began < 0.5 + 2 + 0.3
    is_right_again(client, within=1)


def test_a_worker_whose_answers_go_nowhere_serves_again_soon(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(fault_proxy, receive_timeout_in_seconds=0.3)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.blackhole("to_broker")
    fault_proxy.heal()
    began = time.monotonic()
    while True:
        try:
            call(client, 2, timeout=0.3)
            break
        except PySOAError:
            assert time.monotonic() - began < 0.3 + 2 + 0.5

    is_right_again(client)


def test_a_network_that_is_gone_ends_every_call_in_time(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.hold()

    for number in range(3):
        fails_in_time(client, number, timeout=0.3)
    error = fails_in_time(gateway.client(f"redis://127.0.0.1:{fault_proxy.port}/0"), 4, timeout=0.3)

    assert error.outcome == "not_sent"
    fault_proxy.heal()
    is_right_again(client)


def test_a_port_that_refuses_connections(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    fault_proxy.refuse()

    assert fails_in_time(client, 1, timeout=1).outcome == "not_sent"

    fault_proxy.heal()
    is_right_again(client)


def test_a_push_whose_reply_is_lost_is_never_sent_again(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy, is_async: bool
) -> None:
    client = gateway.client(fault_proxy)
    send(client, 1)
    command(broker.url, "DEL", REQUEST_KEY)
    fault_proxy.blackhole("to_client")

    outcome = fails_in_time(client, 2, timeout=0.5).outcome

    # In an event loop the first request's answer is awaited on the open connection, and no second one can be opened.
    assert (outcome, command(broker.url, "LLEN", REQUEST_KEY)) == (("not_sent", 0) if is_async else ("unknown", 1))


# Brokers


def test_a_broker_that_was_killed_and_comes_back_empty(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    clients = [gateway.client(fresh_broker) for _ in range(2)]
    for client in clients:
        call(client, 1)
    fresh_broker.kill()
    for client in clients:
        fails_in_time(client, 2, timeout=0.5)  # its connection was closed a moment ago
        assert fails_in_time(client, 3, timeout=0.5).outcome == "not_sent"

    with restarted(fresh_broker):
        for client in clients:
            is_right_again(client)
        worker.stop()


def test_a_broker_that_is_killed_while_calls_are_made(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    errors: list[BaseException] = []
    stop = threading.Event()

    def make_calls() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            began = time.monotonic()
            try:
                assert call(client, number, timeout=0.5) == number
            except PySOAError:
                threading.Event().wait(0.01)
            except BaseException as error:
                errors.append(error)
            if time.monotonic() - began > 1.0:
                errors.append(AssertionError("too late"))

    threads = [threading.Thread(target=make_calls) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(worker.served) > 30, "calls are made")
    fresh_broker.kill()
    threading.Event().wait(0.5)
    with restarted(fresh_broker):
        served = len(worker.served)
        wait_until(lambda: len(worker.served) > served + 30, "calls are made again", timeout=2)
        stop.set()
        for thread in threads:
            thread.join(5)
        worker.stop()

    assert errors == []


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_a_broker_that_is_frozen_for_a_while(fresh_broker: Broker, gateway: Gateway, seconds: float) -> None:
    gateway.worker(fresh_broker, receive_timeout_in_seconds=1)
    client = gateway.client(fresh_broker)
    call(client, 1)
    with frozen(fresh_broker):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fails_in_time(client, 2, timeout=0.2)

    is_right_again(client)


def test_a_call_that_waits_longer_than_the_broker_is_frozen_succeeds(fresh_broker: Broker, gateway: Gateway) -> None:
    gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    call(client, 1)
    freeze(fresh_broker)
    timer = threading.Timer(0.5, thaw, args=(fresh_broker,))
    timer.start()

    assert call(client, 2, timeout=5) == 2
    timer.join()


def test_an_interrupt_in_the_middle_of_a_call_costs_that_call_only(
    broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    if is_async:
        pytest.skip("an interrupt cancels the task that waits, which is tried elsewhere")
    from pysoa.common.transport.redis_gateway.connection import RedisConnection

    gateway.worker(broker)
    client = gateway.client(broker)
    call(client, 1)
    real = RedisConnection.read
    for interrupted in range(4):
        reads = iter(range(100))

        def read(self: RedisConnection, until: float, *, at: int = interrupted, reads: Any = reads) -> Any:
            if threading.current_thread() is threading.main_thread() and next(reads) == at:
                raise KeyboardInterrupt
            return real(self, until)

        monkeypatch.setattr(RedisConnection, "read", read)
        with contextlib.suppress(KeyboardInterrupt):
            call(client, 2)
        monkeypatch.setattr(RedisConnection, "read", real)

        assert [call(client, number) for number in range(10, 15)] == list(range(10, 15))
