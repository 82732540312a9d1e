"""Several masters: requests go to each in turn, answers come back by their hash, and a dead one harms no other."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.protocol.queues import shard_index
from pysoa.common.transport.errors import MessageSendError
from tests.support.brokers import frozen, restarted
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, Gateway, call, job, meta, next_id, number_of, send
from tests.support.raw import RawConnection, command, wait_until


@pytest.fixture(params=[2, 3])
def brokers(request: pytest.FixtureRequest, start_brokers: Callable[..., Broker]) -> list[Broker]:
    return [start_brokers() for _ in range(request.param)]


@BOTH_GATEWAYS
def test_requests_go_to_all_masters_in_turn(brokers: list[Broker], gateway: Gateway) -> None:
    client = gateway.client(*brokers)

    for number in range(len(brokers) * 4):
        send(client, number)

    assert [command(broker.url, "LLEN", REQUEST_KEY) for broker in brokers] == [4] * len(brokers)


@BOTH_GATEWAYS
def test_calls_are_answered_whichever_master_they_go_by(brokers: list[Broker], gateway: Gateway) -> None:
    worker = gateway.worker(*brokers)
    client = gateway.client(*brokers)

    assert [call(client, number) for number in range(40)] == list(range(40))
    assert worker.faults == []


@BOTH_GATEWAYS
def test_each_answer_comes_by_the_master_that_its_queue_hashes_to_and_that_is_the_requests_master(
    brokers: list[Broker], gateway: Gateway
) -> None:
    client = gateway.client(*brokers)
    for number in range(len(brokers)):
        send(client, number)

    for index, broker in enumerate(brokers):
        server = gateway.server(broker)
        message = server.receive_request_message()
        assert message.meta is not None
        reply_to = message.meta["reply_to"]
        assert shard_index(f"pysoa:{reply_to}", len(brokers)) == index


def test_push_and_pop_travel_together_on_each_master(brokers: list[Broker], gateway: Gateway) -> None:
    gateway.worker(*brokers)
    client = gateway.client(*brokers)
    for number in range(len(brokers)):
        call(client, number)

    pops = [reply_queue.key for reply_queue in client._mailbox().reply_queues.values()]

    assert len(set(pops)) == len(brokers)


@pytest.mark.parametrize("awaited", [True, False])
def test_batches_are_spread_and_answered_in_full(brokers: list[Broker], gateway: Gateway, awaited: bool) -> None:
    gateway.worker(*brokers)
    client = gateway.client(*brokers)
    for size in (1, 2, 7, 30):
        if awaited:
            client.expect_reply(5)
        with client.batch():
            for number in range(size):
                send(client, number)

        received = [client.receive_response_message(5) for _ in range(size)]

        assert sorted(number_of(message) for message in received) == list(range(size))


@BOTH_GATEWAYS
def test_a_request_on_any_master_is_served_soon_by_a_worker_that_waits(brokers: list[Broker], gateway: Gateway) -> None:
    worker = gateway.worker(*brokers)
    for _ in range(3):
        for broker in brokers:
            lone = gateway.client(broker)
            served = len(worker.served)
            began = time.monotonic()
            lone.send_request_message(next_id(), meta(), job(served))
            wait_until(lambda: len(worker.served) > served, "it is served")  # noqa: B023
            assert time.monotonic() - began < 2


@BOTH_GATEWAYS
def test_all_are_served_by_several_workers_under_load(brokers: list[Broker], gateway: Gateway) -> None:
    workers = [gateway.worker(*brokers) for _ in range(2)]
    client = gateway.client(*brokers)
    results: list[list[int]] = []

    def run(first: int) -> None:
        results.append([call(client, first + number) for number in range(50)])

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(results) == [list(range(first, first + 50)) for first in (0, 100, 200)]
    assert sum(len(worker.served) for worker in workers) == 150


@BOTH_GATEWAYS
def test_nothing_is_lost_when_workers_leave(brokers: list[Broker], gateway: Gateway) -> None:
    client = gateway.client(*brokers)
    for number in range(300):
        send(client, number)
    served: list[int] = []
    while len(served) < 300:
        worker = gateway.worker(*brokers, handle=lambda _: None)
        some = min(20, 300 - len(served))
        wait_until(lambda: len(worker.served) >= some, "it is at work", pause=0.001)  # noqa: B023 - asked at once
        worker.stop()
        served += worker.served

    assert sorted(served) == list(range(300))


@BOTH_GATEWAYS
def test_calls_go_on_by_the_other_masters_when_one_is_down(brokers: list[Broker], gateway: Gateway) -> None:
    worker = gateway.worker(*brokers)
    client, fresh = gateway.client(*brokers), gateway.client(*brokers)
    for number in range(len(brokers)):
        call(client, number)
    brokers[0].kill()

    failed = 0
    for number in range(20):
        began = time.monotonic()
        try:
            assert call(client, number, timeout=2) == number
        except PySOAError:
            failed += 1
        assert time.monotonic() - began < 2.5
    assert [call(fresh, number) for number in range(20)] == list(range(20))

    assert failed <= 1  # whatever was under way
    assert worker.faults == []  # it would pause at each of them


@BOTH_GATEWAYS
def test_a_master_that_comes_back_is_used_again(brokers: list[Broker], gateway: Gateway) -> None:
    worker = gateway.worker(*brokers)
    client = gateway.client(*brokers)
    call(client, 1)
    brokers[0].kill()
    with contextlib.suppress(PySOAError):  # a connection that was used a moment ago is not looked at first
        call(client, 2)
    assert call(client, 3) == 3

    with restarted(brokers[0]) as back:
        wait_until(lambda: b"cmd=blpop" in command(back.url, "CLIENT", "LIST"), "the worker waits there", timeout=2)
        until = time.monotonic() + 2
        while not _pushes(back):
            assert call(client, 3) == 3
            assert time.monotonic() < until
        worker.stop()


def _pushes(broker: Broker) -> bool:
    return b"cmdstat_rpush" in command(broker.url, "INFO", "commandstats")


@BOTH_GATEWAYS
def test_all_masters_down_is_an_error_at_once(brokers: list[Broker], gateway: Gateway) -> None:
    client = gateway.client(*brokers)
    for broker in brokers:
        broker.kill()

    with pytest.raises(MessageSendError, match="Cannot get connection") as raised:
        call(client)

    assert raised.value.outcome == "not_sent"


@BOTH_GATEWAYS
def test_a_frozen_master_does_not_keep_a_worker_from_the_others(brokers: list[Broker], gateway: Gateway) -> None:
    worker = gateway.worker(*brokers)
    lone = gateway.client(brokers[-1])

    def is_served_within(seconds: float) -> None:
        served = len(worker.served)
        send(lone, served)
        wait_until(lambda: len(worker.served) > served, "it is served", timeout=seconds)

    is_served_within(0.5)
    with frozen(brokers[0]):
        for _ in range(4):
            is_served_within(3)  # it may have to notice first, or be trying the frozen one again


def test_shards_cover_the_ring_evenly() -> None:
    for size in (1, 2, 3, 5):
        hits = [0] * size
        for number in range(3000):
            hits[shard_index(f"pysoa:service.svc.{number:032x}!{number:012x}", size)] += 1

        assert min(hits) > 3000 / size * 0.8


@BOTH_GATEWAYS
def test_both_ends_close_all_their_connections(brokers: list[Broker], gateway: Gateway) -> None:
    worker, client = gateway.worker(*brokers), gateway.client(*brokers)
    for number in range(6):
        call(client, number)

    worker.stop()
    client.close()

    for broker in brokers:
        with RawConnection(broker.url) as raw:
            wait_until(lambda: raw.command("CLIENT", "LIST").count(b"\n") == 1, "ours is the last")


@BOTH_GATEWAYS
def test_what_a_busy_worker_has_of_other_masters_goes_to_another_worker(
    brokers: list[Broker], gateway: Gateway
) -> None:
    is_over = threading.Event()
    clients = [gateway.client(broker) for broker in brokers]
    busy = gateway.worker(*brokers, handle=lambda _: None if is_over.wait(20) else {})
    try:
        send(clients[0], 0)
        wait_until(lambda: busy.served == [0], "it is busy")
        for number, client in enumerate(clients, 1):
            send(client, number)
        other = gateway.worker(*brokers, handle=lambda _: None)

        wait_until(lambda: len(other.served) == len(brokers), "all are served by the other")
    finally:
        is_over.set()

    assert sorted(other.served) == list(range(1, len(brokers) + 1))
    assert busy.served == [0]
