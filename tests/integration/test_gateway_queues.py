"""Room in queues and the life of lists."""

from __future__ import annotations

import threading
import time

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import NO_MESSAGE
from pysoa.common.transport.errors import (
    BatchSendError,
    MessageSendError,
)
from tests.support.gateway import (
    BOTH_GATEWAYS,
    REQUEST_KEY,
    Gateway,
    Worker,
    answer,
    call,
    number_of,
    reply_key,
    reply_key_of,
    send,
)
from tests.support.raw import command, wait_until

# Capacity


@BOTH_GATEWAYS
@pytest.mark.parametrize("capacity", [1, 3, 50, 150])
def test_no_more_requests_are_queued_than_the_capacity(broker: Broker, gateway: Gateway, capacity: int) -> None:
    client = gateway.client(broker, queue_capacity=capacity, queue_full_retries=0)
    for _ in range(capacity):
        send(client)
    began = time.monotonic()

    with pytest.raises(MessageSendError, match=r"Redis queue service.svc was full after 0 retries") as raised:
        send(client)

    assert raised.value.outcome == "not_sent"
    assert time.monotonic() - began < 2
    assert command(broker.url, "LLEN", REQUEST_KEY) == capacity
    assert client.requests_outstanding == capacity


@BOTH_GATEWAYS
def test_a_full_queue_is_an_error_within_the_callers_time(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=1)
    send(client)
    began = time.monotonic()

    with pytest.raises(MessageSendError, match="was full after") as raised:
        call(client, timeout=0.8)

    assert time.monotonic() - began < 2.5
    assert raised.value.outcome == "not_sent"


@BOTH_GATEWAYS
def test_a_queue_that_empties_in_time_takes_the_request_after_all(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=1)
    send(client)
    timer = threading.Timer(0.1, lambda: gateway_worker.append(gateway.worker(broker)))
    gateway_worker: list[Worker] = []
    timer.start()

    assert call(client, 9, timeout=5) == 9
    timer.join()


def test_part_of_a_batch_can_fail_on_a_full_queue_and_the_rest_is_answered(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=2, queue_full_retries=0)
    ids: list[int] = []

    with pytest.raises(BatchSendError) as raised, client.batch():
        ids = [send(client, number) for number in range(4)]

    assert list(raised.value.errors) == ids[2:]
    assert {error.outcome for error in raised.value.errors.values()} == {"not_sent"}
    gateway.worker(broker)
    assert {client.receive_response_message(5).request_id for _ in range(2)} == set(ids[:2])
    assert client.receive_response_message() == NO_MESSAGE


def test_a_full_reply_queue_gives_the_answer_up_in_time(broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(broker, queue_capacity=120)
    client = gateway.client(broker)
    for number in range(140):
        send(client, number)
    key = reply_key_of(client)

    wait_until(lambda: len(worker.served) == 140, "all are served", timeout=30)

    assert command(broker.url, "LLEN", key) <= 121  # one is on its way unchecked when the list is seen to be crowded
    assert all("full" in str(fault) for fault in worker.faults)


# Life of lists


@BOTH_GATEWAYS
def test_the_request_queue_has_a_life_that_no_push_shortens(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    send(client)
    assert 3590 <= command(broker.url, "TTL", REQUEST_KEY) <= 3600

    send(client, message_expiry_in_seconds=7200)
    assert 7200 <= command(broker.url, "TTL", REQUEST_KEY) <= 7215
    for seconds in (1, 0.25, None):
        send(client, message_expiry_in_seconds=seconds)
        assert command(broker.url, "TTL", REQUEST_KEY) >= 7200
    other = gateway.client(broker, request_queue_life_in_seconds=5)
    for _ in range(5):
        send(other, message_expiry_in_seconds=1)

    assert command(broker.url, "TTL", REQUEST_KEY) >= 7200


@BOTH_GATEWAYS
def test_a_short_life_setting_still_outlives_the_message(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, request_queue_life_in_seconds=5)

    for _ in range(3):
        send(client, message_expiry_in_seconds=20.5)

        assert command(broker.url, "TTL", REQUEST_KEY) >= 30


@BOTH_GATEWAYS
def test_a_request_queue_that_was_emptied_gets_a_life_again(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for _ in range(5):
        send(client)
        assert command(broker.url, "TTL", REQUEST_KEY) > 3000
        command(broker.url, "DEL", REQUEST_KEY)


@BOTH_GATEWAYS
def test_requests_put_back_keep_the_life_of_the_queue(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for number in range(30):
        send(client, number, message_expiry_in_seconds=7200)
    slow = threading.Event()
    worker = gateway.worker(broker, handle=lambda request: slow.wait(10) and None if number_of(request) > 5 else None)
    wait_until(lambda: 6 in worker.served, "the slow job has begun")
    time.sleep(0.1)  # the keeper puts back what is held

    assert command(broker.url, "TTL", REQUEST_KEY) > 7000
    slow.set()


def test_a_reply_queue_lives_a_little_longer_than_the_answer(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    send(client)
    key = reply_key(broker)

    answer(server, server.receive_request_message())

    assert 60 <= command(broker.url, "TTL", key) <= 70


def test_a_reply_queue_on_the_fused_path_has_its_life_too(broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(broker)
    for number in range(3):
        send(client, number)
    wait_until(lambda: len(worker.served) == 3, "all are served")
    worker.stop()

    assert 60 <= command(broker.url, "TTL", reply_key_of(client)) <= 70
