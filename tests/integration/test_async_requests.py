"""Requests of an asyncio client whose responses somebody asks for later, when the broker dies in the meantime."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client import AsyncClient
from pysoa.common.transport.errors import MessageReceiveError

SERVICE = "silent"


def client_of(broker: Broker) -> AsyncClient:
    backend: dict[str, Any] = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]},
    }
    return AsyncClient({SERVICE: {"transport": {"kwargs": backend}}})


def test_whoever_asks_for_all_responses_hears_that_they_are_lost(fresh_broker: Broker) -> None:
    async def ask() -> None:
        async with client_of(fresh_broker) as client:
            await client.send_request(SERVICE, [{"action": "any"}])
            fresh_broker.kill()

            with pytest.raises(MessageReceiveError) as raised:
                _ = [one async for one in client.get_all_responses(SERVICE, 20)]
            assert raised.value.outcome == "unknown"
            assert [one async for one in client.get_all_responses(SERVICE, 20)] == []

    asyncio.run(ask())


def test_a_future_tells_that_its_response_is_lost(fresh_broker: Broker) -> None:
    async def ask() -> None:
        async with client_of(fresh_broker) as client:
            future = await client.call_action_future(SERVICE, "any", timeout=20)
            fresh_broker.kill()

            with pytest.raises(MessageReceiveError):
                await future.result()

    asyncio.run(ask())


def test_nobody_has_to_ask_for_a_response_that_is_lost(fresh_broker: Broker) -> None:
    complaints: list[dict[str, Any]] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        async with client_of(fresh_broker) as client:
            await client.send_request(SERVICE, [{"action": "any"}])
            fresh_broker.kill()
            transport: Any = client.handlers[SERVICE].transport
            async with asyncio.timeout(20):
                while transport.requests_outstanding:
                    await asyncio.sleep(0.01)

    asyncio.run(ask())
    gc.collect()

    assert complaints == []
