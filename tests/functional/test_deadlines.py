"""Deadlines travel: services that call services stop when the first caller stops waiting, whatever the clocks say."""

from __future__ import annotations

import time
from typing import Any

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import DeadlinePassed, MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.backend import base as backend_base
from tests.support.faults import Services, client_of, standard
from tests.support.raw import RawConnection, command, wait_until

HEADER = b"pysoa-redis/3//content-type:application/msgpack;"
TIMEOUT = 1.0
LATE = 0.1
"""How much later than the deadline a hop may end."""


def start_chain(services: Services, broker: Broker, url: str, next_timeout: Any = None, **run: Any) -> None:
    """Start the services a, which calls b, which calls c."""
    for name, following in (("c", None), ("b", "c"), ("a", "b")):
        further = {} if following is None else {"next": following, "next_timeout": next_timeout}
        services.start(standard(url), name=name, announced_at=broker.url, **further, **run)


def ends_of_hops(services: Services, url: str, timeout: float) -> dict[str, tuple[str, float]]:
    """Call through the chain, whose last service hangs; how each call ended, and how long after the deadline."""
    client = client_of(standard(url), "a")
    assert client.call_action("a", "chain", {"token": "t"}).body["path"] == ["a", "b", "c"]
    deadline = time.monotonic() + timeout
    with pytest.raises(PySOAError) as raised:
        client.call_action("a", "chain", {"token": "t", "seconds": 2 * timeout}, timeout=timeout)
    hops = {"caller": (type(raised.value).__name__, time.monotonic() - deadline)}
    wait_until(lambda: len(services.noted()) == 2, "both calls within have ended", timeout=10)
    for note in services.noted():
        name, error, moment = note.split(":")
        hops[name] = (error, float(moment) - deadline)
    client.close()
    return hops


def assert_ended_together(hops: dict[str, tuple[str, float]]) -> None:
    assert set(hops) == {"caller", "a", "b"}
    assert hops["b"][0] == "DeadlinePassed"  # what it answers then may come in time for the two before it
    assert all(-LATE < seconds < LATE for _, seconds in hops.values()), hops


@pytest.mark.parametrize("next_timeout", [None, 5.0])
def test_three_hops_end_by_the_deadline_of_the_first_caller(
    broker: Broker, services: Services, next_timeout: float | None
) -> None:
    start_chain(services, broker, broker.url, next_timeout)

    hops = ends_of_hops(services, broker.url, TIMEOUT)

    assert_ended_together(hops)


@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_wall_clocks_that_are_off_change_no_deadline(
    broker: Broker, services: Services, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() - ahead)
    start_chain(services, broker, broker.url, ahead=ahead)

    hops = ends_of_hops(services, broker.url, TIMEOUT)

    assert_ended_together(hops)


@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_without_the_right_to_time_clocks_that_are_off_do_no_harm(
    broker: Broker, services: Services, timeless: str, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(backend_base, "wall_clock", lambda: time.time() - ahead / 2)
    for name, following, off in (("c", None, 0.0), ("b", "c", -ahead / 2), ("a", "b", ahead / 2)):
        further = {} if following is None else {"next": following, "next_timeout": None}
        services.start(standard(timeless), name=name, announced_at=broker.url, ahead=off, **further)

    hops = ends_of_hops(services, timeless, TIMEOUT)

    assert_ended_together(hops)


def test_what_a_client_of_1_x_asks_for_is_served_with_calls_as_long_as_ever(broker: Broker, services: Services) -> None:
    services.start(standard(broker.url), name="a", announced_at=broker.url, next="b", next_timeout=None)
    meta = {"reply_to": f"service.a.{'0' * 32}!1", "__expiry__": time.time() + 60, "client_version": [1, 4, 9]}
    body = {
        "control": {"continue_on_error": False, "suppress_response": False},
        "context": {"correlation_id": "c", "switches": []},
        "actions": [{"action": "chain", "body": {"token": "t"}}],
    }
    with RawConnection(broker.url) as raw:
        raw.command("RPUSH", "pysoa:service.a", HEADER + msgpack.packb({"request_id": 1, "meta": meta, "body": body}))

        _, frame = raw.command("BLPOP", "pysoa:service.b", 10)
        nested = msgpack.unpackb(frame.removeprefix(HEADER))
        answer = {"action": "chain", "errors": [], "body": {"token": "t", "path": ["b"]}}
        raw.command(
            "RPUSH",
            f"pysoa:{nested['meta']['reply_to']}",
            HEADER
            + msgpack.packb(
                {
                    "request_id": nested["request_id"],
                    "meta": {"__expiry__": time.time() + 60},
                    "body": {"errors": [], "context": {}, "actions": [answer]},
                }
            ),
        )
        _, frame = raw.command("BLPOP", f"pysoa:service.a.{'0' * 32}!1", 10)

    assert "timeout" not in nested["body"]["control"]
    assert 4.0 < nested["meta"]["__expiry__"] - time.time() <= 6.1
    (action,) = msgpack.unpackb(frame.removeprefix(HEADER))["body"]["actions"]
    assert action["body"]["path"] == ["a", "b"]


def test_the_last_calls_of_a_job_are_not_made_once_its_caller_has_gone(broker: Broker, services: Services) -> None:
    services.start(standard(broker.url), name="a", announced_at=broker.url, next="b", next_timeout=None)
    client = client_of(standard(broker.url), "a")
    actions: list[Any] = [
        {"action": "note", "body": {"token": "slow", "seconds": 0.4}},
        {"action": "chain", "body": {"token": "t", "seconds": 0}},
    ]

    with pytest.raises(MessageReceiveTimeout):
        client.call_actions("a", actions, timeout=0.2)

    wait_until(lambda: len(services.noted()) == 2, "the second action has run")
    assert any(note.startswith(f"a:{DeadlinePassed.__name__}:") for note in services.noted())
    assert command(broker.url, "EXISTS", "pysoa:service.b") == 0
    client.close()
