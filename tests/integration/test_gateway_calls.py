"""Both ends of the Redis gateway on one real broker: every way to call."""

from __future__ import annotations

import os
import queue
import random
import threading
import time
import tracemalloc
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import NO_MESSAGE, ReceivedMessage
from pysoa.common.transport.errors import (
    MessageReceiveTimeout,
    MessageTooLarge,
)
from pysoa.common.transport.redis_gateway.absence import ASK_AFTER_SECONDS
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from tests.support.gateway import (
    BOTH_GATEWAYS,
    REQUEST_KEY,
    Gateway,
    answer,
    answer_to,
    call,
    job,
    meta,
    next_id,
    number_of,
    requests_in_queue,
    send,
)
from tests.support.processes import open_descriptors
from tests.support.raw import command

# Ways to call


@BOTH_GATEWAYS
def test_a_call_brings_its_answer(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)

    assert [call(client, number) for number in range(50)] == list(range(50))
    assert client.requests_outstanding == 0


@BOTH_GATEWAYS
def test_push_and_pop_travel_in_one_packet_and_the_next_request_is_popped_with_the_answer(
    broker: Broker, gateway: Gateway
) -> None:
    gateway.worker(broker, prefetch=1)
    client = gateway.client(broker)
    call(client)
    before = _calls(broker)

    for number in range(20):
        call(client, number)

    after = _calls(broker)
    made = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    made.pop("info", None)
    assert {name: round(count / 20) for name, count in made.items()} == {"rpush": 2, "expire": 2, "blpop": 2}


def _calls(broker: Broker) -> dict[str, int]:
    lines = command(broker.url, "INFO", "commandstats").decode().splitlines()[1:]
    return {line.split(":")[0].removeprefix("cmdstat_"): int(line.split("calls=")[1].split(",")[0]) for line in lines}


def test_a_request_can_be_sent_first_and_its_answer_received_later(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)

    ids = [send(client, number) for number in range(5)]
    assert client.requests_outstanding == 5
    received = [client.receive_response_message() for _ in ids]

    assert {message.request_id: number_of(message) for message in received} == dict(zip(ids, range(5), strict=True))
    assert client.receive_response_message() == NO_MESSAGE


@pytest.mark.parametrize("size", [1, 2, 10, 40])
@pytest.mark.parametrize("awaited", [True, False])
def test_a_batch_is_sent_at_its_end_and_answered_in_full(
    broker: Broker, gateway: Gateway, size: int, awaited: bool
) -> None:
    client = gateway.client(broker)
    if awaited:
        client.expect_reply(5)
    with client.batch():
        ids = [send(client, number) for number in range(size)]
        assert command(broker.url, "EXISTS", REQUEST_KEY) == 0
    assert [request["request_id"] for request in requests_in_queue(broker)] == ids

    gateway.worker(broker)
    received = [client.receive_response_message(5) for _ in ids]

    assert sorted(number_of(message) for message in received) == list(range(size))
    assert client.requests_outstanding == 0
    assert call(client, 7) == 7


def test_a_batch_that_is_broken_off_sends_nothing_and_awaits_nothing(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)

    with pytest.raises(KeyError), client.batch():
        send(client)
        raise KeyError("a mistake in the calling code")

    assert command(broker.url, "EXISTS", REQUEST_KEY) == 0
    assert client.receive_response_message() == NO_MESSAGE


@BOTH_GATEWAYS
def test_an_empty_batch_sends_nothing(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)

    with client.batch():
        pass

    assert client.receive_response_message() == NO_MESSAGE


def test_a_batch_in_a_batch_is_one_batch(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)

    with client.batch():
        with client.batch():
            send(client, 1)
        assert command(broker.url, "EXISTS", REQUEST_KEY) == 0
        send(client, 2)

    assert len(requests_in_queue(broker)) == 2


@BOTH_GATEWAYS
def test_answers_that_come_in_another_order_are_matched_by_their_ids(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    ids = [send(client, number) for number in range(6)]
    requests = [server.receive_request_message() for _ in ids]
    random.shuffle(requests)
    for request in requests:
        answer(server, request)

    received = [client.receive_response_message() for _ in ids]

    assert {message.request_id: number_of(message) for message in received} == dict(zip(ids, range(6), strict=True))


def test_a_suppressed_request_is_sent_and_not_awaited(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    client.expect_reply(5)

    client.send_request_message(next_id(), meta(), job(3, suppress_response=True))

    assert len(requests_in_queue(broker)) == 1
    assert client.requests_outstanding == 0
    assert client.receive_response_message() == NO_MESSAGE


@BOTH_GATEWAYS
def test_the_meta_of_a_request_comes_back_with_the_answer(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)

    client.send_request_message(next_id(), {**meta(), "trace": "t-1"}, job())
    received = client.receive_response_message()

    assert received.meta is not None
    assert received.meta["trace"] == "t-1"
    assert received.meta["client_version"] == [1, 4, 9]


# Threads


@BOTH_GATEWAYS
def test_threads_that_share_a_client_each_get_their_own_answers(broker: Broker, gateway: Gateway) -> None:
    for _ in range(2):
        gateway.worker(broker)
    client = gateway.client(broker)
    results: dict[int, list[int]] = {}

    def run(first: int) -> None:
        results[first] = [call(client, first + number) for number in range(60)]

    threads = [threading.Thread(target=run, args=(first,)) for first in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert results == {first: list(range(first, first + 60)) for first in range(0, 800, 100)}
    assert client.requests_outstanding == 0


@BOTH_GATEWAYS
def test_threads_that_come_and_go_leave_no_descriptors(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)
    call(client)

    def in_threads(count: int) -> None:
        for number in range(count):
            thread = threading.Thread(target=call, args=(client, number))
            thread.start()
            thread.join(10)

    in_threads(3)
    before = open_descriptors()
    in_threads(30)

    assert open_descriptors() <= before


def test_an_answer_can_be_received_by_another_thread(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)
    channel = client.channel()
    request_id = send(client, 11)
    received: queue.SimpleQueue[ReceivedMessage] = queue.SimpleQueue()

    thread = threading.Thread(target=lambda: received.put(client.receive_from(channel, 5)))
    thread.start()
    message = received.get(timeout=10)
    thread.join()

    assert message.request_id == request_id
    assert number_of(message) == 11


def test_a_thread_sends_and_waits_while_another_waits_on_its_channel(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    channel = client.channel()
    first = send(client, 1)
    received: list[ReceivedMessage] = []
    thread = threading.Thread(target=lambda: received.append(client.receive_from(channel, 5)))
    thread.start()
    client.expect_reply(5)
    second = next_id()
    client.send_request_message(second, meta(), job(2))
    requests = [server.receive_request_message() for _ in range(2)]
    answer(server, requests[1])
    answer(server, requests[0])

    received.append(client.receive_response_message(5))
    thread.join(10)

    assert {message.request_id for message in received} == {first, second}


# Large answers


@BOTH_GATEWAYS
def test_chunked_answers_of_several_workers_do_not_mix(broker: Broker, gateway: Gateway) -> None:
    blobs = {number: os.urandom(110_000 * (1 + number % 3)) for number in range(12)}

    def handle(request: ReceivedMessage) -> dict[str, Any]:
        number = number_of(request)
        return answer_to(request, blobs[number] if number % 2 else None)

    limits = {"chunk_messages_larger_than_bytes": 102_400, "maximum_message_size_in_bytes": 1 << 20}
    for _ in range(3):
        gateway.worker(broker, handle=handle, **limits)
    client = gateway.client(broker)
    client.expect_reply(10)
    with client.batch():
        for number in blobs:
            send(client, number)

    received = [client.receive_response_message(10) for _ in blobs]

    for message in received:
        assert message.body is not None
        body = message.body["actions"][0]["body"]
        assert body.get("extra") == (blobs[body["number"]] if body["number"] % 2 else None)
    assert len(received) == len(blobs)


@BOTH_GATEWAYS
def test_a_request_that_is_too_large_is_not_sent(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, maximum_message_size_in_bytes=1000)
    body = job()
    body["context"]["large"] = "x" * 1000

    with pytest.raises(MessageTooLarge) as raised:
        client.send_request_message(next_id(), meta(), body)

    assert raised.value.outcome == "not_sent"
    assert client.receive_response_message() == NO_MESSAGE


def test_an_answer_that_is_too_large_can_be_replaced_in_the_language_of_the_request(
    broker: Broker, gateway: Gateway
) -> None:
    server = gateway.server(broker, maximum_message_size_in_bytes=1000)
    client = gateway.client(
        broker,
        protocol_version=2,
        default_serializer_config={"path": "pysoa.common.serializer:JSONSerializer"},
    )
    send(client, 1)
    request = server.receive_request_message()
    assert request.request_id is not None
    assert request.meta is not None
    with pytest.raises(MessageTooLarge):
        server.send_response_message(request.request_id, request.meta, answer_to(request, "x" * 1000))

    server.send_response_message(request.request_id, request.meta, answer_to(request))

    frames = command(broker.url, "LRANGE", f"pysoa:{request.meta['reply_to']}", 0, -1)
    assert frames[0].startswith(b"content-type:application/json;{")
    assert number_of(client.receive_response_message()) == 1


# Late and lost answers


@BOTH_GATEWAYS
def test_a_late_answer_is_dropped_and_the_next_call_is_right(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    with pytest.raises(MessageReceiveTimeout):
        call(client, 1, timeout=0.15)
    late = server.receive_request_message()
    answered = threading.Event()

    def answer_the_next() -> None:
        request = server.receive_request_message()
        answer(server, late)
        answer(server, request)
        answered.set()

    thread = threading.Thread(target=answer_the_next)
    thread.start()

    assert call(client, 2) == 2
    assert answered.wait(5)
    thread.join()
    assert client.requests_outstanding == 0


def test_a_timeout_ends_in_time_and_leaves_the_request_outstanding(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    server = gateway.server(broker)
    request_id = send(client, 5)
    began = time.monotonic()

    with pytest.raises(MessageReceiveTimeout, match="No message received for service svc"):
        client.receive_response_message(0.3)

    assert 0.3 <= time.monotonic() - began < 2
    assert client.requests_outstanding == 1
    answer(server, server.receive_request_message())
    assert client.receive_response_message(5).request_id == request_id


def test_forgotten_requests_are_not_outstanding_even_those_of_other_threads(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    ids = [send(client)]
    thread = threading.Thread(target=lambda: ids.append(send(client)))
    thread.start()
    thread.join()
    assert client.requests_outstanding >= 1

    client.forget(ids)

    assert client.requests_outstanding == 0
    assert client.receive_response_message() == NO_MESSAGE


@BOTH_GATEWAYS
def test_memory_stays_flat_over_20000_lost_answers(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=100_000)

    def lose(count: int) -> None:
        for _ in range(count // 100):
            with client.batch():
                ids = [send(client) for _ in range(100)]
            client.forget(ids)
        command(broker.url, "DEL", REQUEST_KEY)

    lose(2000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    lose(20_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert after - before < 400_000  # 20 bytes of a request: others allocate in this process, too
    assert client.requests_outstanding == 0


def test_requests_that_nobody_forgets_are_forgotten_when_no_answer_can_come(
    broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pysoa.common.transport.redis_gateway import client as module

    client = gateway.client(broker)
    send(client, message_expiry_in_seconds=1)
    assert client.requests_outstanding == 1
    real = time.monotonic
    monkeypatch.setattr(module, "monotonic", lambda: real() + 62)

    assert client.receive_response_message() == NO_MESSAGE


def test_whoever_overrides_sending_or_receiving_sees_every_message(broker: Broker, gateway: Gateway) -> None:
    class Sends(RedisClientTransport):
        def send_request_message(self, *args: Any, **kwargs: Any) -> None:
            super().send_request_message(*args, **kwargs)

    class Receives(RedisClientTransport):
        def receive_response_message(self, *args: Any, **kwargs: Any) -> ReceivedMessage:
            return super().receive_response_message(*args, **kwargs)

    core = gateway.client(broker).core
    settings = {"backend_type": core.backend_type, "backend_layer_kwargs": core.backend_layer_kwargs}

    assert RedisClientTransport("svc", **settings).idle_channel() is not None
    assert [kind("svc", **settings).idle_channel() for kind in (Sends, Receives)] == [None, None]


def test_a_call_in_one_step_brings_its_answer_and_leaves_nothing(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    core = gateway.client(broker).core
    client = RedisClientTransport("svc", backend_type=core.backend_type, backend_layer_kwargs=core.backend_layer_kwargs)

    for number in range(20):
        channel = client.idle_channel()
        assert channel is client.channel()
        request_id = next_id()
        message = client.call(channel, request_id, meta(), job(number), None, time.monotonic() + 5)
        assert (message.request_id, number_of(message)) == (request_id, number)
        assert client.requests_outstanding == 0
    client.close()


def test_an_answer_that_is_asked_for_late_is_waited_for_even_where_a_connection_has_to_be_opened(
    broker: Broker, gateway: Gateway
) -> None:
    client = gateway.client(broker)
    with client.batch():
        send(client, 7)
    time.sleep(ASK_AFTER_SECONDS * 2)  # by now it is time to ask whether anybody serves
    gateway.worker(broker)
    client._masters[0].drop_idle()

    assert number_of(client.receive_response_message(5)) == 7
