"""Masters behind Sentinels: found, checked, and found again after a failover."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.common.clock import monotonic
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageSendError
from pysoa.common.transport.redis_gateway.backend.sentinel import SentinelRedisClient
from pysoa.common.transport.redis_gateway.connection import BrokerUnreachable
from tests.support.brokers import SentinelGroup
from tests.support.gateway import BOTH_GATEWAYS, Gateway, call, send
from tests.support.raw import command, wait_until


@pytest.fixture(scope="module")
def steady() -> Iterator[SentinelGroup]:
    """A group whose primary is left alone."""
    with SentinelGroup() as group:
        yield group


def by_sentinel(*hosts: Any, **layer: Any) -> dict[str, Any]:
    return {"backend_type": "redis.sentinel", "backend_layer_kwargs": {"hosts": list(hosts), **layer}}


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@BOTH_GATEWAYS
@pytest.mark.parametrize("named", [True, False])
def test_the_master_is_found(
    steady: SentinelGroup, gateway: Gateway, caplog: pytest.LogCaptureFixture, named: bool
) -> None:
    caplog.set_level(logging.INFO)
    layer = {"sentinel_services": ["main"]} if named else {}
    gateway.worker(**by_sentinel(*steady.sentinels, **layer))

    assert call(gateway.client(**by_sentinel(*steady.sentinels, **layer)), 3) == 3

    assert f"Sentinel master address: ('127.0.0.1', {steady.primary_port()})" in caplog.messages


def test_a_sentinel_that_hangs_or_is_down_does_not_matter_while_another_answers(
    steady: SentinelGroup, gateway: Gateway, silent_port: int
) -> None:
    hosts = [("127.0.0.1", silent_port), ("127.0.0.1", 1), *steady.sentinels]
    client = gateway.client(**by_sentinel(*hosts))
    gateway.worker(**by_sentinel(*steady.sentinels))
    began = time.monotonic()

    assert call(client, 3, timeout=5) == 3
    assert time.monotonic() - began < 3.5  # each of two questions may wait a second for it
    began = time.monotonic()
    client.close()
    client.core.backend_layer.masters(monotonic() + 1)[0].moved()
    assert call(client, 4) == 4

    assert time.monotonic() - began < 0.9  # the one that answered is asked first from then on


def test_no_sentinel_that_answers_is_an_error_in_time(gateway: Gateway, silent_port: int) -> None:
    client = gateway.client(**by_sentinel(("127.0.0.1", silent_port), ("127.0.0.1", 1)))
    began = time.monotonic()

    with pytest.raises(MessageSendError, match="Cannot get connection: Could not get master info") as raised:
        call(client, timeout=0.6)

    assert time.monotonic() - began < 2
    assert raised.value.outcome == "not_sent"


@BOTH_GATEWAYS
def test_a_name_that_no_sentinel_knows_is_an_error(steady: SentinelGroup, gateway: Gateway) -> None:
    client = gateway.client(**by_sentinel(*steady.sentinels, sentinel_services=["unheard-of"]))

    with pytest.raises(MessageSendError, match="no Sentinel knows a master named 'unheard-of'") as raised:
        call(client, timeout=0.6)

    assert raised.value.outcome == "not_sent"


def test_a_name_that_no_sentinel_knows_is_asked_for_again_as_often_as_the_settings_say(
    steady: SentinelGroup, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SentinelRedisClient(hosts=steady.sentinels, sentinel_services=["unheard-of"], sentinel_failover_retries=1)
    (master,) = backend.masters(monotonic() + 5)

    with pytest.raises(BrokerUnreachable, match="Master not found; gave up reloading master info after failover"):
        master.take(monotonic() + 5)

    assert caplog.messages == ["Redis master not found, so resetting clients (failover?)"]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"hosts": "localhost"}, "Redis hosts must be specified as an iterable of hosts."),
        (
            {"sentinel_services": "main"},
            "Sentinel service types must be specified as an iterable list of strings.",
        ),
        ({"sentinel_services": [1]}, "Sentinel service types must be specified as strings."),
        ({"sentinel_failover_retries": -1}, "sentinel_failover_retries must be >= 0"),
    ],
)
def test_bad_arguments_are_refused(kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SentinelRedisClient(**kwargs)


@BOTH_GATEWAYS
def test_a_replica_is_not_taken_for_the_master(steady: SentinelGroup, gateway: Gateway) -> None:
    replica = next(broker for broker in steady.brokers if broker.port != steady.primary_port())
    client = gateway.client(replica)

    with pytest.raises(MessageSendError, match="is not a master now") as raised:
        send(client)

    assert raised.value.outcome == "not_sent"


@BOTH_GATEWAYS
def test_several_masters_that_are_discovered_are_warned_of(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    with SentinelGroup() as group:
        port = group.primary_port()
        command(group.sentinel.url, "SENTINEL", "MONITOR", "another", "127.0.0.1", port, 1)
        backend = SentinelRedisClient(hosts=group.sentinels)

        masters = backend.masters(monotonic() + 5)

    assert len(masters) == 2
    assert "name them in the setting sentinel_services" in caplog.text


@BOTH_GATEWAYS
@pytest.mark.parametrize("how", ["killed", "asked for"])
def test_all_is_right_two_seconds_after_a_failover(gateway: Gateway, how: str) -> None:
    with SentinelGroup() as group:
        settings = by_sentinel(*group.sentinels, sentinel_services=["main"])
        worker = gateway.worker(**settings)
        client = gateway.client(**settings)
        assert call(client, 1) == 1
        stop, promoted_at = threading.Event(), 0.0
        faults: list[tuple[float, BaseException]] = []
        slow: list[float] = []

        def make_calls() -> None:
            number = 10
            while not stop.is_set():
                number += 1
                began = time.monotonic()
                try:
                    assert call(client, number, timeout=0.5) == number
                except PySOAError as error:
                    faults.append((time.monotonic(), error))
                    stop.wait(0.02)
                except BaseException as error:
                    faults.append((float("inf"), error))
                if time.monotonic() - began > 2.0:
                    slow.append(time.monotonic() - began)

        thread = threading.Thread(target=make_calls)
        thread.start()
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join, 10)
            stack.callback(stop.set)
            old = group.kill_primary() if how == "killed" else group.primary()
            if how == "killed":
                group.wait_for_promotion(old)
            else:
                group.fail_over()
            promoted_at = time.monotonic()
            served = len(worker.served)
            wait_until(lambda: len(worker.served) > served + 20, "calls are served again", timeout=4)
            stop.wait(max(0.0, promoted_at + 2.5 - time.monotonic()))

        assert [fault for fault in faults if fault[0] > promoted_at + 2] == []
        assert slow == []
        worker.stop()
