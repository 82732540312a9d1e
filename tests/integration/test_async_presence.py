"""An asyncio client finds out that nobody serves, and takes its request back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client import AsyncClient
from pysoa.common.transport.errors import MessageReceiveTimeout, ServiceUnavailable
from tests.support.raw import command

SERVICE = "absent"
REQUESTS = f"pysoa:service.{SERVICE}"
PRESENCE = f"pysoa:presence.{SERVICE}"
PATIENT = 20.0


def client_of(broker: Broker) -> AsyncClient:
    backend: dict[str, Any] = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]},
    }
    return AsyncClient({SERVICE: {"transport": {"kwargs": backend}}})


def test_a_service_whose_workers_have_gone_is_unavailable_and_the_request_is_taken_back(broker: Broker) -> None:
    command(broker.url, "ZADD", PRESENCE, 0, "known")

    async def call() -> None:
        async with client_of(broker) as client:
            with pytest.raises(ServiceUnavailable) as raised:
                await client.call_action(SERVICE, "any", timeout=PATIENT)
            assert raised.value.outcome == "not_sent"
            assert client.handlers[SERVICE].transport.requests_outstanding == 0  # type: ignore[attr-defined]

    asyncio.run(call())

    assert command(broker.url, "LLEN", REQUESTS) == 0


def test_a_service_that_nobody_knows_is_waited_for(broker: Broker) -> None:
    async def call() -> None:
        async with client_of(broker) as client:
            with pytest.raises(MessageReceiveTimeout) as raised:
                await client.call_action(SERVICE, "any", timeout=0.2)
            assert not isinstance(raised.value, ServiceUnavailable)
            assert raised.value.outcome == "unknown"

    asyncio.run(call())

    assert command(broker.url, "LLEN", REQUESTS) == 1


def test_workers_that_leave_while_a_call_waits_are_missed(broker: Broker) -> None:
    command(broker.url, "ZADD", PRESENCE, 0, "known", 4e9, "worker")

    async def call() -> None:
        async with client_of(broker) as client:
            waiting = asyncio.create_task(client.call_action(SERVICE, "any", timeout=PATIENT))
            while not command(broker.url, "LLEN", REQUESTS):
                await asyncio.sleep(0)
            command(broker.url, "ZREM", PRESENCE, "worker")
            with pytest.raises(ServiceUnavailable):
                await waiting

    asyncio.run(call())
