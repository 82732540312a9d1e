"""What is no message of ours, on reply queues and on request queues, is skipped and does no harm."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import NO_MESSAGE
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveTimeout,
    PySOATransportError,
)
from tests.support.gateway import (
    BOTH_GATEWAYS,
    HEADER,
    REQUEST_KEY,
    Gateway,
    answer,
    call,
    job,
    meta,
    next_id,
    number_of,
    reply_key,
    send,
)
from tests.support.raw import RawConnection, command, wait_until

pytestmark = BOTH_GATEWAYS


def frame(request_id: Any, number: int = -1, life: float = 60, header: bytes = HEADER) -> bytes:
    """A response as a server would write it, or somebody who wants to be taken for one."""
    body = {"errors": [], "context": {}, "actions": [{"action": "echo", "errors": [], "body": {"number": number}}]}
    message = {"request_id": request_id, "meta": {"__expiry__": time.time() + life}, "body": body}
    return header + msgpack.packb(message)


# Junk on the reply queue

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
    answer(server, server.receive_request_message(), blob)

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
    answer(server, server.receive_request_message())

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

    assert time.monotonic() - began < 2


def test_a_reply_queue_of_another_type_is_an_error_at_once(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker)
    send(client)
    command(broker.url, "SET", reply_key(broker), "text")

    with pytest.raises(PySOATransportError, match="WRONGTYPE") as raised:
        client.receive_response_message(2)

    assert raised.value.outcome == "unknown"


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
