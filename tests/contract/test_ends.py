"""How a server begins and ends, with requests and coroutines on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from tests.support.contract_service import EVENTS, local_transport, redis_transport
from tests.support.doors import AsyncDoor, Door
from tests.support.processes import Process

MODULE = "tests.support.contract_service"
KINDS = [pytest.param(Door, id="Client"), pytest.param(AsyncDoor, id="AsyncClient")]
SERVED = [("overriding", 1), ("overriding", 8), ("async_hooks", 8)]
ACTIONS = ["echo", "async_echo", "nested", "async_nested", "coroutine", "async_coroutine"]


def call_all(door: Any, service: str) -> None:
    for name in ACTIONS:
        body = {"number": 1} if "coroutine" in name else {}
        assert door.call_action(service, name, body, timeout=20).errors == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("service", "concurrency"), SERVED)
def test_a_process_is_set_up_serves_and_ends_well(
    fresh_broker: Broker, start_module: Callable[..., Process], kind: Any, service: str, concurrency: int
) -> None:
    port = fresh_broker.port
    process = start_module(MODULE, str(port), str(concurrency), service)
    inner = start_module(MODULE, str(port), str(concurrency), "inner")
    door = kind({name: {"transport": redis_transport("client:RedisClientTransport", port)} for name in (service,)})
    try:
        call_all(door, service)
    finally:
        door.close()

    process.terminate()
    inner.terminate()

    assert (process.wait(), inner.wait()) == (0, 0)
    told = process.wait_for_line("setup").split()
    assert (told[0], told[-1]) == ("setup", "teardown")
    assert [event for event in told if event in ("pre", "post")] == ["pre", "post"] * len(ACTIONS)
    for text in ("Traceback", "never", "destroyed", "unclosed"):
        assert text not in process.output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("service", "concurrency"), SERVED)
def test_a_local_server_is_set_up_serves_and_ends_with_its_client(kind: Any, service: str, concurrency: int) -> None:
    EVENTS.clear()
    door = kind({service: {"transport": local_transport(service, concurrency)}})
    try:
        call_all(door, service)
        assert EVENTS[0] == "setup"
        assert "teardown" not in EVENTS
    finally:
        door.close()

    assert EVENTS[-1] == "teardown"
    assert [event for event in EVENTS if event in ("pre", "post")] == ["pre", "post"] * len(ACTIONS)
