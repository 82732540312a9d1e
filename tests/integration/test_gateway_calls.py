"""Both ends of the Redis gateway on one real broker: every way to call, and every way in which answers can come."""

from __future__ import annotations

import os
import queue
import random
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import NO_MESSAGE, ReceivedMessage
from pysoa.common.transport.errors import (
    BatchSendError,
    InvalidMessageError,
    MessageReceiveTimeout,
    MessageSendError,
    MessageTooLarge,
    PySOATransportError,
)
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from tests.support.gateway import (
    REQUEST_KEY,
    Gateway,
    Worker,
    answer_to,
    call,
    job,
    meta,
    next_id,
    number_of,
    send,
)
from tests.support.processes import open_descriptors, python
from tests.support.raw import RawConnection, command, wait_until

HEADER = b"pysoa-redis/3//content-type:application/msgpack;"


def frame(request_id: Any, number: int = -1, life: float = 60, header: bytes = HEADER) -> bytes:
    """A response as a server would write it, or somebody who wants to be taken for one."""
    body = {"errors": [], "context": {}, "actions": [{"action": "echo", "errors": [], "body": {"number": number}}]}
    message = {"request_id": request_id, "meta": {"__expiry__": time.time() + life}, "body": body}
    return header + msgpack.packb(message)


def requests_in_queue(broker: Broker) -> list[dict[str, Any]]:
    frames = command(broker.url, "LRANGE", REQUEST_KEY, 0, -1)
    return [msgpack.unpackb(one.removeprefix(HEADER)) for one in frames]


def reply_key(broker: Broker) -> str:
    """The key of the reply queue that the last request in the queue names."""
    return f"pysoa:{requests_in_queue(broker)[-1]['meta']['reply_to']}"


# Ways to call


def test_a_call_brings_its_answer(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)

    assert [call(client, number) for number in range(50)] == list(range(50))
    assert client.requests_outstanding == 0


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


def test_answers_that_come_in_another_order_are_matched_by_their_ids(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    ids = [send(client, number) for number in range(6)]
    requests = [server.receive_request_message() for _ in ids]
    random.shuffle(requests)
    for request in requests:
        _answer(server, request)

    received = [client.receive_response_message() for _ in ids]

    assert {message.request_id: number_of(message) for message in received} == dict(zip(ids, range(6), strict=True))


def _answer(server: Any, request: ReceivedMessage, extra: Any = None) -> None:
    assert request.request_id is not None
    assert request.meta is not None
    server.send_response_message(request.request_id, request.meta, answer_to(request, extra))


def test_a_suppressed_request_is_sent_and_not_awaited(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    client.expect_reply(5)

    client.send_request_message(next_id(), meta(), job(3, suppress_response=True))

    assert len(requests_in_queue(broker)) == 1
    assert client.requests_outstanding == 0
    assert client.receive_response_message() == NO_MESSAGE


def test_the_meta_of_a_request_comes_back_with_the_answer(broker: Broker, gateway: Gateway) -> None:
    gateway.worker(broker)
    client = gateway.client(broker)

    client.send_request_message(next_id(), {**meta(), "trace": "t-1"}, job())
    received = client.receive_response_message()

    assert received.meta is not None
    assert received.meta["trace"] == "t-1"
    assert received.meta["client_version"] == [1, 4, 9]


# Threads


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
    _answer(server, requests[1])
    _answer(server, requests[0])

    received.append(client.receive_response_message(5))
    thread.join(10)

    assert {message.request_id for message in received} == {first, second}


# Large answers


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


def test_a_late_answer_is_dropped_and_the_next_call_is_right(broker: Broker, gateway: Gateway) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    with pytest.raises(MessageReceiveTimeout):
        call(client, 1, timeout=0.15)
    late = server.receive_request_message()
    answered = threading.Event()

    def answer_the_next() -> None:
        request = server.receive_request_message()
        _answer(server, late)
        _answer(server, request)
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

    assert 0.3 <= time.monotonic() - began < 0.5
    assert client.requests_outstanding == 1
    _answer(server, server.receive_request_message())
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

    assert after - before < 100_000
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


# Junk on the reply queue (P23)

JUNK: dict[str, Callable[[], list[bytes]]] = {
    "garbage": lambda: [b"garbage", b"", b"\x00\xff" * 100],
    "unknown version": lambda: [b"pysoa-redis/9//" + frame(1)],
    "no map": lambda: [HEADER + msgpack.packb([1, 2, 3]), HEADER + msgpack.packb("text")],
    "cut off": lambda: [frame(1)[:-3]],
    "trailing bytes": lambda: [frame(1) + b"\xc0"],
    "bomb": lambda: [HEADER + b"\x91" * 100_000],
    "no id": lambda: [frame(None)],
    "strange ids": lambda: [frame([1]), frame({"a": 1}), frame("1"), frame(1.5), frame(True)],
    "forged ids": lambda: [frame(number) for number in range(200)],
    "expired": lambda: [frame(1, life=-5)],
    "strange meta": lambda: [HEADER + msgpack.packb({"request_id": 1, "meta": [], "body": {}})],
    "strange expiry": lambda: [HEADER + msgpack.packb({"request_id": 1, "meta": {"__expiry__": "x"}, "body": {}})],
    "chunk without its end": lambda: [HEADER + b"chunk-count:3;chunk-id:1;abc"],
    "chunk without its beginning": lambda: [HEADER + b"chunk-count:3;chunk-id:2;abc"],
    "chunks of two messages": lambda: [HEADER + b"chunk-count:3;chunk-id:1;a", HEADER + b"chunk-count:4;chunk-id:2;b"],
    "chunk without number": lambda: [HEADER + b"chunk-count:3;abc"],
    "chunk number that is none": lambda: [HEADER + b"chunk-count:x;chunk-id:1;abc"],
    "chunks of garbage": lambda: [HEADER + b"chunk-count:2;chunk-id:1;ab", HEADER + b"chunk-count:2;chunk-id:2;cd"],
    "a broken series, then the first chunk of another": lambda: [
        HEADER + b"chunk-count:2;chunk-id:1;ab",
        HEADER + b"chunk-count:2;chunk-id:1;ab",
    ],
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", JUNK)
def test_junk_in_front_of_the_answer_is_skipped(broker: Broker, gateway: Gateway, kind: str, chunked: bool) -> None:
    limits = {"chunk_messages_larger_than_bytes": 102_400, "maximum_message_size_in_bytes": 1 << 20}
    server, client = gateway.server(broker, **limits), gateway.client(broker)
    blob = os.urandom(150_000) if chunked else b""
    client.expect_reply(5)
    request_id = next_id()
    client.send_request_message(request_id, meta(), job(4))
    key = reply_key(broker)
    with RawConnection(broker.url) as raw:
        for junk in JUNK[kind]():
            raw.command("RPUSH", key, junk)
    _answer(server, server.receive_request_message(), blob)

    received = client.receive_response_message(5)

    assert received.request_id == request_id
    assert received.body is not None
    assert received.body["actions"][0]["body"] == {"number": 4, "extra": blob}
    assert client.receive_response_message() == NO_MESSAGE


def test_a_flood_of_junk_is_logged_with_few_lines(
    broker: Broker, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = gateway.server(broker), gateway.client(broker)
    client.expect_reply(5)
    client.send_request_message(next_id(), meta(), job(4))
    key = reply_key(broker)
    command(broker.url, "RPUSH", key, *[b"junk \x1b[31m\r\n%d" % number for number in range(3000)])
    _answer(server, server.receive_request_message())

    assert number_of(client.receive_response_message(5)) == 4
    assert len([record for record in caplog.records if "cannot be read" in record.message]) <= 5


def test_junk_alone_ends_in_a_timeout_in_time(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    client.expect_reply(0.5)
    client.send_request_message(next_id(), meta(), job())
    key = reply_key(broker)
    stop = threading.Event()

    def flood() -> None:
        with RawConnection(broker.url) as raw:
            while not stop.is_set():
                raw.command("RPUSH", key, *[b"junk"] * 10)

    thread = threading.Thread(target=flood)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(MessageReceiveTimeout):
            client.receive_response_message(0.5)
    finally:
        stop.set()
        thread.join()

    assert time.monotonic() - began < 1.0


def test_a_reply_queue_of_another_type_is_an_error_at_once(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    send(client)
    command(broker.url, "SET", reply_key(broker), "text")

    with pytest.raises(PySOATransportError, match="WRONGTYPE") as raised:
        client.receive_response_message(2)

    assert raised.value.outcome == "unknown"


# Capacity (P12)


@pytest.mark.parametrize("capacity", [1, 3, 50, 150])
def test_no_more_requests_are_queued_than_the_capacity(broker: Broker, gateway: Gateway, capacity: int) -> None:
    client = gateway.client(broker, queue_capacity=capacity, queue_full_retries=0)
    for _ in range(capacity):
        send(client)
    began = time.monotonic()

    with pytest.raises(MessageSendError, match=r"Redis queue service.svc was full after 0 retries") as raised:
        send(client)

    assert raised.value.outcome == "not_sent"
    assert time.monotonic() - began < 0.3
    assert command(broker.url, "LLEN", REQUEST_KEY) == capacity
    assert client.requests_outstanding == capacity


def test_a_full_queue_is_an_error_within_the_callers_time(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=1)
    send(client)
    began = time.monotonic()

    with pytest.raises(MessageSendError, match="was full after") as raised:
        call(client, timeout=0.8)

    assert time.monotonic() - began < 1.3
    assert raised.value.outcome == "not_sent"


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


def reply_key_of(client: RedisClientTransport) -> str:
    return client._mailbox().reply_queues[0].key.decode()


# Life of lists (P13)


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


def test_a_short_life_setting_still_outlives_the_message(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, request_queue_life_in_seconds=5)

    for _ in range(3):
        send(client, message_expiry_in_seconds=20.5)

        assert command(broker.url, "TTL", REQUEST_KEY) >= 30


def test_a_request_queue_that_was_emptied_gets_a_life_again(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    for _ in range(5):
        send(client)
        assert command(broker.url, "TTL", REQUEST_KEY) > 3000
        command(broker.url, "DEL", REQUEST_KEY)


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

    _answer(server, server.receive_request_message())

    assert 60 <= command(broker.url, "TTL", key) <= 70


def test_a_reply_queue_on_the_fused_path_has_its_life_too(broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(broker)
    for number in range(3):
        send(client, number)
    wait_until(lambda: len(worker.served) == 3, "all are served")
    worker.stop()

    assert 60 <= command(broker.url, "TTL", reply_key_of(client)) <= 70


# Forks


def test_parent_and_child_never_get_each_others_answers(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Any]
) -> None:
    gateway.worker(broker)
    code = f"""
import os
from tests.support.gateway import SERVICE, call
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
client = RedisClientTransport(
    SERVICE, backend_type="redis.standard", backend_layer_kwargs={{"hosts": [("127.0.0.1", {broker.port})]}})
call(client, 1)
first = client.client_id
child = os.fork()
base = 1000 if child else 2000
answers = [call(client, base + number) for number in range(200)]
assert answers == list(range(base, base + 200)), answers
if child == 0:
    assert client.client_id != first
    os._exit(0)
assert client.client_id == first
assert os.waitpid(child, 0)[1] == 0
print("both were right")
"""
    process = start_process(*python("-c", code))

    process.wait_for_line("both were right")


def test_a_child_does_not_wait_for_what_its_parent_has_sent(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Any]
) -> None:
    gateway.worker(broker)
    code = f"""
import os
from tests.support.gateway import SERVICE, send, number_of
from pysoa.common.transport.base import NO_MESSAGE
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
client = RedisClientTransport(
    SERVICE, backend_type="redis.standard", backend_layer_kwargs={{"hosts": [("127.0.0.1", {broker.port})]}})
channel = client.channel()
send(client, 5)
child = os.fork()
if child == 0:
    assert client.receive_response_message(1) == NO_MESSAGE
    assert client.receive_from(channel, 1) == NO_MESSAGE
    assert client.requests_outstanding == 0
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent has", number_of(client.receive_response_message(5)))
"""
    process = start_process(*python("-c", code))

    process.wait_for_line("parent has 5")


# Poison


@pytest.mark.parametrize("kind", JUNK)
def test_what_cannot_be_read_is_gone_and_the_next_request_is_served(
    broker: Broker, gateway: Gateway, kind: str
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(broker)
    call(client, 1)

    for junk in JUNK[kind]():
        command(broker.url, "RPUSH", REQUEST_KEY, junk)

    assert call(client, 2) == 2
    assert worker.served == [1, 2]
    assert worker.faults == []
    assert command(broker.url, "EXISTS", REQUEST_KEY) == 0


@pytest.mark.parametrize(
    "reply_to",
    [
        "service.other.0123!4567",
        "service.svc",
        "service.svc.x",
        "pysoa:service.svc.0123!4567",
        "service.svc.a!b\nc",
        "service.svc." + "a" * 600 + "!b",
        "",
        5,
        ["service.svc.a!b"],
        None,
    ],
)
def test_a_foreign_reply_queue_is_refused_before_the_action_runs(
    broker: Broker, gateway: Gateway, reply_to: Any
) -> None:
    worker = gateway.worker(broker)
    request = {"request_id": 1, "meta": {"reply_to": reply_to, "__expiry__": time.time() + 60}, "body": job(666)}

    command(broker.url, "RPUSH", REQUEST_KEY, HEADER + msgpack.packb(request))
    wait_until(lambda: worker.refused, "the request is refused")

    assert worker.served == []
    assert isinstance(worker.refused[0], InvalidMessageError)
