"""The server's end of the Redis gateway: how workers take requests, leave, and what is lost when one is killed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.backend import base as backend_base
from tests.support.brokers import restarted
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, Gateway, Worker, answer_to, call, number_of, send
from tests.support.processes import Process, python
from tests.support.raw import RawConnection, command, wait_until
from tests.support.recording import ListRecorder


def queued(broker: Broker) -> int:
    length: int = command(broker.url, "LLEN", REQUEST_KEY)
    return length


# Leaving


@BOTH_GATEWAYS
@pytest.mark.parametrize("prefetch", [1, 16])
def test_nothing_is_lost_or_served_twice_over_100_departures(broker: Broker, gateway: Gateway, prefetch: int) -> None:
    client = gateway.client(broker, queue_capacity=100_000)
    stop, sent = threading.Event(), 0

    def produce() -> None:
        nonlocal sent
        while not stop.is_set():
            send(client, sent)
            sent += 1
            stop.wait(0.0003)

    producer = threading.Thread(target=produce)
    producer.start()
    served: list[int] = []
    try:
        for departure in range(100):
            worker = gateway.worker(broker, prefetch=prefetch, handle=lambda _: None)
            threading.Event().wait(0.001 * (departure % 6))
            worker.stop()
            served += worker.served
    finally:
        stop.set()
        producer.join()
    last = gateway.worker(broker, prefetch=prefetch, handle=lambda _: None)
    wait_until(lambda: len(served) + len(last.served) >= sent, "the rest is served")
    last.stop()

    assert sorted(served + last.served) == list(range(sent))


@BOTH_GATEWAYS
def test_a_worker_that_waits_leaves_at_once(broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(broker)
    wait_until(lambda: b"cmd=blpop" in command(broker.url, "CLIENT", "LIST"), "the worker waits")
    began = time.monotonic()

    worker.stop()

    assert time.monotonic() - began < 2


def test_a_worker_that_leaves_while_it_works_still_answers_and_takes_no_more(broker: Broker, gateway: Gateway) -> None:
    is_working, may_go_on = threading.Event(), threading.Event()

    def handle(request: ReceivedMessage) -> dict[str, Any]:
        is_working.set()
        may_go_on.wait(10)
        return answer_to(request)

    worker = gateway.worker(broker, handle=handle, prefetch=1)
    client = gateway.client(broker)
    send(client, 1)
    assert is_working.wait(5)
    send(client, 2)
    leaving = threading.Thread(target=worker.stop)
    leaving.start()
    wait_until(lambda: worker.transport._is_stopping, "the worker is told to stop")
    may_go_on.set()
    leaving.join(10)

    assert number_of(client.receive_response_message(5)) == 1
    assert worker.served == [1]
    assert queued(broker) == 1


def test_requests_taken_ahead_are_given_out_after_stop_taking_or_put_back_at_the_close(
    broker: Broker, gateway: Gateway
) -> None:
    client = gateway.client(broker)
    for number in range(60):
        send(client, number)
    server = gateway.server(broker)
    server.start_serving()
    served = []
    while not server._held:
        message = server.receive_request_message()
        assert message.request_id is not None
        assert message.meta is not None
        served.append(number_of(message))
        server.send_response_message(message.request_id, message.meta, answer_to(message))
    server.stop_taking()
    served.append(number_of(server.receive_request_message()))
    server.close()

    assert served == list(range(len(served)))
    rest = gateway.worker(broker)
    wait_until(lambda: len(served) + len(rest.served) == 60, "the rest is served")
    assert rest.served == list(range(len(served), 60))


def test_a_transport_that_was_closed_can_serve_again(broker: Broker, gateway: Gateway) -> None:
    client, server = gateway.client(broker), gateway.server(broker)
    for number in range(2):
        server.start_serving()
        send(client, number)
        message = server.receive_request_message()
        assert message.request_id is not None
        assert message.meta is not None
        server.send_response_message(message.request_id, message.meta, answer_to(message))
        server.close()

        assert number_of(client.receive_response_message(5)) == number


# Taking ahead


def test_small_jobs_are_taken_several_at_a_time(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for number in range(400):
        send(client, number)
    command(broker.url, "CONFIG", "RESETSTAT")

    worker = gateway.worker(broker)
    wait_until(lambda: len(worker.served) == 400, "all are served")

    assert worker.served == list(range(400))
    pops = command(broker.url, "INFO", "commandstats").decode().split("cmdstat_blpop:calls=")[1].split(",")[0]
    assert int(pops) < 200


def test_a_slow_job_puts_back_what_was_taken_ahead_and_another_worker_serves_it(
    broker: Broker, gateway: Gateway
) -> None:
    may_go_on = threading.Event()
    held_at_start: list[int] = []

    def handle(request: ReceivedMessage) -> dict[str, Any]:
        if slow.transport._held and number_of(request) > 20 and not held_at_start:
            held_at_start.append(number_of(request))
            may_go_on.wait(10)
        return answer_to(request)

    client = gateway.client(broker)
    for number in range(200):
        send(client, number)
    slow: Worker
    ready = threading.Event()
    recorder = ListRecorder()
    slow = gateway.worker(
        broker,
        handle=lambda request: (ready.wait(5) and handle(request)) or answer_to(request),
        metrics=recorder,
    )
    ready.set()
    wait_until(lambda: held_at_start, "a slow job has begun with others in hand")
    began = time.monotonic()
    wait_until(lambda: queued(broker) == 200 - held_at_start[0] - 1, "all but the slow one are back")
    assert time.monotonic() - began < 2

    second = gateway.worker(broker)
    wait_until(lambda: len(second.served) == 200 - held_at_start[0] - 1, "the others are served")

    assert second.served == list(range(held_at_start[0] + 1, 200))
    assert "server.transport.redis_gateway.receive.put_back" in recorder.events
    may_go_on.set()
    received = {number_of(client.receive_response_message(5)) for _ in range(200)}
    assert received == set(range(200))


@BOTH_GATEWAYS
def test_requests_that_the_broker_does_not_take_back_are_served_here(broker: Broker, gateway: Gateway) -> None:
    command(broker.url, "ACL", "SETUSER", "no-lpush", "on", ">pw", "~*", "+@all", "-lpush")
    host = f"redis://no-lpush:pw@127.0.0.1:{broker.port}"
    client = gateway.client(broker)
    for number in range(100):
        send(client, number)

    worker = gateway.worker(
        host, handle=lambda request: threading.Event().wait(0.15) and None if number_of(request) == 50 else None
    )
    wait_until(lambda: len(worker.served) == 100, "all are served")

    assert sorted(worker.served) == list(range(100))
    command(broker.url, "ACL", "DELUSER", "no-lpush")


@BOTH_GATEWAYS
def test_without_prefetch_exactly_one_is_taken(broker: Broker, gateway: Gateway) -> None:
    lengths: list[int] = []

    def handle(request: ReceivedMessage) -> dict[str, Any]:
        lengths.append(queued(broker))
        return answer_to(request)

    client = gateway.client(broker)
    for number in range(50):
        send(client, number)
    gateway.worker(broker, handle=handle, prefetch=1)
    wait_until(lambda: len(lengths) == 50, "all are served")

    assert lengths == list(range(49, -1, -1))


SERVE = """
import sys, time
from tests.support.gateway import BOTH_GATEWAYS, Gateway, answer_to, number_of
def handle(request):
    print("began", number_of(request), flush=True)
    time.sleep({seconds})
    return answer_to(request)
worker = Gateway().worker("redis://127.0.0.1:{port}", handle=handle, prefetch={prefetch})
print("serving", flush=True)
"""


@BOTH_GATEWAYS
@pytest.mark.parametrize(("prefetch", "most_lost"), [(1, 1), (16, 16)])
def test_a_killed_worker_loses_no_more_than_it_had_in_hand(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Process], prefetch: int, most_lost: int
) -> None:
    client = gateway.client(broker)
    for number in range(500):
        send(client, number)
    code = SERVE.format(seconds=0.00005, port=broker.port, prefetch=prefetch)
    process = start_process(*python("-c", code))
    process.wait_for_line("began 60$")

    process.kill()
    process.wait()

    begun = process.output.count("began ")
    # Those that it had taken and not begun; where there is one of them with a prefetch of 1, its last answer is out.
    lost = 500 - begun - queued(broker)
    assert 0 <= lost <= most_lost


# Expiry and clocks


@BOTH_GATEWAYS
def test_expired_requests_never_run(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for number in range(20):
        send(client, number, message_expiry_in_seconds=0.05)
    send(client, 99)
    time.sleep(0.06)

    worker = gateway.worker(broker)

    wait_until(lambda: worker.served, "the sound one is served")
    assert worker.served == [99]
    assert worker.refused == []


@BOTH_GATEWAYS
def test_a_request_that_expires_in_the_workers_hand_does_not_run(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for number in range(60):
        send(client, number, message_expiry_in_seconds=60 if number < 40 else 0.4)

    def handle(request: ReceivedMessage) -> None:
        if number_of(request) == 35:
            time.sleep(0.5)

    worker = gateway.worker(broker, handle=handle)
    wait_until(lambda: 39 in worker.served, "the first ones are served")
    send(client, 100)
    wait_until(lambda: 100 in worker.served, "a sound one is served")

    assert worker.served == [*range(40), 100]


@BOTH_GATEWAYS
@pytest.mark.parametrize("ahead", [-30.0, 30.0, 86400.0])
def test_clocks_that_disagree_expire_nothing(
    broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)
    assert call(client, 1) == 1
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() + ahead)
    other_host = f"redis://127.0.0.1:{broker.port}/0"  # a ring of its own, whose clock is read anew

    assert call(gateway.client(other_host), 2, timeout=2) == 2


@BOTH_GATEWAYS
def test_expiries_are_in_the_brokers_time(broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() + 3600)
    client = gateway.client(broker)

    send(client, message_expiry_in_seconds=10)

    seconds, _ = command(broker.url, "TIME")
    server = gateway.server(broker)
    message = server.receive_request_message()
    assert message.meta is not None
    assert 8.5 <= message.meta["__expiry__"] - int(seconds) <= 11.5


@BOTH_GATEWAYS
def test_an_awaited_request_lives_one_second_longer_than_its_caller_waits(broker: Broker, gateway: Gateway) -> None:
    client, server = gateway.client(broker), gateway.server(broker)
    with pytest.raises(MessageReceiveTimeout):
        call(client, timeout=0.2)

    message = server.receive_request_message()

    assert message.meta is not None
    assert 0.7 <= message.meta["__expiry__"] - time.time() <= 1.2


@BOTH_GATEWAYS
@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_without_the_right_to_time_requests_live_for_60_seconds(
    gateway: Gateway, timeless: str, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() + ahead)
    client = gateway.client(timeless)
    with pytest.raises(MessageReceiveTimeout):
        call(client, 1, timeout=0.1)
    monkeypatch.setattr(backend_base, "wall_clock", time.time)

    message = gateway.server(timeless).receive_request_message()

    assert message.meta is not None
    assert 59 <= message.meta["__expiry__"] - time.time() - ahead <= 61


@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_how_long_a_request_has_left_goes_by_the_brokers_time(
    broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() + ahead)
    send(gateway.client(broker), message_expiry_in_seconds=20)
    server = gateway.server(broker)
    message = server.receive_request_message()

    assert message.meta is not None
    assert 18 < server.seconds_until(message.meta["__expiry__"]) <= 20


def test_without_the_right_to_time_nobody_knows_how_long_a_request_has_left(
    broker: Broker, gateway: Gateway, timeless: str
) -> None:
    send(gateway.client(timeless), message_expiry_in_seconds=20)
    server = gateway.server(timeless)
    message = server.receive_request_message()

    assert message.meta is not None
    assert server.seconds_until(message.meta["__expiry__"]) == math.inf


def test_without_the_right_to_time_awaited_requests_with_a_timeout_live_for_60_seconds_too(
    broker: Broker, gateway: Gateway, timeless: str
) -> None:
    client, server = gateway.client(timeless), gateway.server(timeless)
    client.expect_reply(0.1)
    send(client, 1, message_expiry_in_seconds=1.1)
    send(client, 2, message_expiry_in_seconds=1.1)

    awaited, other = (server.receive_request_message().meta for _ in range(2))

    assert awaited is not None
    assert 59 <= awaited["__expiry__"] - time.time() <= 60
    assert other is not None
    assert other["__expiry__"] - time.time() <= 1.1


# Reply queues


@pytest.mark.parametrize("kind", ["of another type", "full"])
def test_a_bad_reply_queue_does_not_slow_the_worker(broker: Broker, gateway: Gateway, kind: str) -> None:
    worker = gateway.worker(broker, queue_capacity=50 if kind == "full" else 10_000)
    client, other = gateway.client(broker), gateway.client(broker)
    send(client, 0)
    wait_until(lambda: worker.served, "the first is served")
    key = f"pysoa:{client._mailbox().reply_queues[0].name}"
    if kind == "full":
        command(broker.url, "RPUSH", key, *["x"] * 60)
    else:
        command(broker.url, "DEL", key)
        command(broker.url, "SET", key, "text")
    for number in range(1, 11):
        send(client, number)
    began = time.monotonic()

    assert call(other, 99) == 99

    assert time.monotonic() - began < 2.5  # the first full one may take 0.5 s, the others nothing
    assert worker.served == [*range(11), 99]
    assert call(other, 100) == 100


# Brokers that are away


@BOTH_GATEWAYS
def test_a_worker_that_starts_before_its_broker_serves_soon_after_it(fresh_broker: Broker, gateway: Gateway) -> None:
    fresh_broker.kill()
    worker = gateway.worker(fresh_broker)
    wait_until(lambda: worker.faults, "the worker has noticed")

    with restarted(fresh_broker) as broker:
        began = time.monotonic()
        assert call(gateway.client(broker), 3) == 3
        assert time.monotonic() - began < 2
        worker.stop()


@BOTH_GATEWAYS
def test_a_worker_whose_broker_is_away_leaves_soon(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    fresh_broker.kill()
    wait_until(lambda: worker.faults, "the worker has noticed")
    began = time.monotonic()

    worker.stop()

    assert time.monotonic() - began < 3


@BOTH_GATEWAYS
def test_the_broker_sees_no_connections_after_the_close(broker: Broker, gateway: Gateway) -> None:
    with RawConnection(broker.url) as raw:
        before = raw.command("INFO", "clients").split(b"connected_clients:")[1].split()[0]
        worker, client = gateway.worker(broker), gateway.client(broker)
        call(client)
        worker.stop()
        client.close()

        wait_until(
            lambda: raw.command("INFO", "clients").split(b"connected_clients:")[1].split()[0] == before,
            "all connections are closed",
        )
