"""Queues that others write to: requests that want to be answered elsewhere, junk among replies, services that left."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout, ServiceUnavailable
from tests.support.faults import BOTH_ENGINES, SERVICE, Calls, Services, echo, load, standard, workers_of
from tests.support.raw import RawConnection, command, wait_until

pytestmark = BOTH_ENGINES

HEADER = b"pysoa-redis/3//content-type:application/msgpack;"
QUEUE = f"pysoa:service.{SERVICE}"
TIMEOUT = 5.0
NEVER = 4_000_000_000.0


@pytest.fixture
def client(broker: Broker, services: Services) -> Iterator[Client]:
    client = services.client(standard(broker.url))
    yield client
    client.close()


def request(token: str, reply_to: object) -> bytes:
    body = {
        "control": {"continue_on_error": False},
        "context": {"correlation_id": "c", "switches": []},
        "actions": [{"action": "note", "body": {"token": token}}],
    }
    meta = {"reply_to": reply_to, "__expiry__": NEVER, "client_version": [1, 4, 9]}
    return HEADER + bytes(msgpack.packb({"request_id": 1, "meta": meta, "body": body}))


def test_a_request_cannot_make_a_service_write_elsewhere_or_talk_to_itself(
    broker: Broker, services: Services, client: Client
) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    foreign = [
        f"service.{SERVICE}",
        "service.other",
        f"service.other.{'0' * 32}!1",
        "session:of-somebody",
        f"service.{SERVICE}x.{'0' * 32}!1",
        f"xservice.{SERVICE}.{'0' * 32}!1",
        f"service.{SERVICE}.\n!1",
        f"service.{SERVICE}.{'0' * 600}!1",
        "",
        None,
        1,
        ["list"],
        {"a": "map"},
        b"bytes",
    ]
    keys_before = set(command(broker.url, "KEYS", "*"))

    with RawConnection(broker.url) as connection:
        for number, reply_to in enumerate(foreign):
            connection.command("RPUSH", QUEUE, request(f"foreign{number}", reply_to))
        connection.command("RPUSH", QUEUE, request("own", f"service.{SERVICE}.{'0' * 32}!1"))
    assert client.call_action(SERVICE, "note", {"token": "good"}, timeout=TIMEOUT).body == {"token": "good"}

    assert services.noted() == {"own": 1, "good": 1}
    written = set(command(broker.url, "KEYS", "*")) - keys_before
    assert written == {f"pysoa:service.{SERVICE}.{'0' * 32}!1".encode()}
    assert worker.returncode is None


def test_the_right_answers_are_found_in_a_flood_of_junk_and_forgeries(
    broker: Broker, services: Services, client: Client
) -> None:
    # The name of the reply queue, as one who can read the request queue learns it.
    client.send_request(SERVICE, [{"action": "echo"}])
    frame = command(broker.url, "LPOP", QUEUE)
    reply_to = msgpack.unpackb(frame[len(HEADER) :])["meta"]["reply_to"]
    with contextlib.suppress(MessageReceiveTimeout):
        list(client.get_all_responses(SERVICE, receive_timeout_in_seconds=0.01))
    services.start(standard(broker.url), announced_at=broker.url)

    def answer(request_id: object, meta: object, body: object) -> bytes:
        return HEADER + bytes(msgpack.packb({"request_id": request_id, "meta": meta, "body": body}))

    forged = {"errors": [], "context": {}, "actions": [{"action": "echo", "errors": [], "body": {"token": "forged"}}]}
    junk = [
        b"",
        b"\xc1" * 50,
        HEADER,
        frame,
        b"pysoa-redis/3//chunk-count:3;chunk-id:1;" + b"x" * 50,
        b"pysoa-redis/3//chunk-count:3;chunk-id:3;" + b"x" * 50,
        HEADER + msgpack.packb([1]),
        *(answer(request_id, {"__expiry__": NEVER}, forged) for request_id in range(50)),
        answer(2**52, {}, forged),
        answer(None, {}, forged),
        answer([1], {}, forged),
        answer(1, {"__expiry__": 1.0}, forged),
        answer(1, None, None),
    ]
    over = threading.Event()
    pushed = 0

    def flood() -> None:
        nonlocal pushed
        with RawConnection(broker.url) as connection:
            while not over.is_set():
                connection.command("RPUSH", f"pysoa:{reply_to}", *junk)
                pushed += len(junk)
                over.wait(0.002)

    calls = Calls()
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_until(lambda: pushed > 1000, "the flood is on")
        for _ in range(300):
            calls.try_one(echo(client, 1.0), 1.0)
    finally:
        over.set()
        thread.join()

    print(
        f"{len(calls.right)} of 300 right among {pushed} frames of junk, longest overrun {calls.longest_overrun:.3f} s"
    )
    assert not calls.broken
    assert len(calls.right) > 285


def test_that_a_service_has_gone_is_said_at_once(broker: Broker, services: Services, client: Client) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    assert client.call_action(SERVICE, "note", {"token": "here"}, timeout=TIMEOUT).body == {"token": "here"}
    worker.terminate()
    assert worker.wait(10) == 0

    took = []
    for number in range(20):
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable) as caught:
            client.call_action(SERVICE, "note", {"token": f"t{number}"}, timeout=TIMEOUT)
        took.append(time.monotonic() - began)
        assert caught.value.outcome == "not_sent"

    print(f"said after {statistics.median(took) * 1000:.1f} ms (median), {max(took) * 1000:.1f} ms at most")
    assert statistics.median(took) < 0.05
    services.start(standard(broker.url), announced_at=broker.url)
    assert client.call_action(SERVICE, "note", {"token": "back"}, timeout=TIMEOUT).body == {"token": "back"}
    assert services.noted() == {"here": 1, "back": 1}


def test_no_busy_worker_is_taken_for_gone(broker: Broker, services: Services, client: Client) -> None:
    leaving = services.start(standard(broker.url), announced_at=broker.url)
    services.start(standard(broker.url), announced_at=broker.url)
    leaving.terminate()
    assert leaving.wait(10) == 0
    calls = Calls()

    # The one that is left is busy, in Python and out of it, for all of the time that the callers wait.
    client.send_request(SERVICE, [{"action": "work", "body": {"token": "busy", "seconds": 1.0}}])
    client.send_request(SERVICE, [{"action": "note_in_loop", "body": {"token": "asleep", "seconds": 1.0}}])
    with load(calls, echo(client, 0.3), timeout=0.3, threads=8):
        wait_until(lambda: "asleep" in services.noted(), "it sleeps")
        wait_until(lambda: calls.right, "it has time again")

    assert not calls.broken
    assert len(calls.failed) > 30
    assert not [call for call in calls.failed if isinstance(call.error, ServiceUnavailable)]
    assert workers_of(broker.url, SERVICE) == 1


def test_a_short_request_never_shortens_the_life_of_others(broker: Broker, client: Client) -> None:
    client.send_request(SERVICE, [{"action": "echo"}], message_expiry_in_seconds=7200)
    life = command(broker.url, "TTL", QUEUE)
    assert life >= 7200

    for timeout in (0.05, 0.1, 0.2, 1):
        with contextlib.suppress(MessageReceiveTimeout):
            client.call_action(SERVICE, "echo", timeout=timeout)
        client.send_request(SERVICE, [{"action": "echo"}], message_expiry_in_seconds=timeout)
        futures = client.call_actions_parallel_future(SERVICE, [{"action": "echo"}] * 3, timeout=timeout)
        with contextlib.suppress(MessageReceiveTimeout):
            futures.result()

    print(f"a life of {life} s was {command(broker.url, 'TTL', QUEUE)} s at the end")
    assert command(broker.url, "TTL", QUEUE) > 7190
