"""Asyncio servers that are restarted under a load that does not wait for them."""

from __future__ import annotations

import asyncio
import time

from pysoa.cli.broker import Broker
from pysoa.client.async_client import AsyncClient
from pysoa.common.errors import PySOAError
from tests.support.faults import SERVICE, Services, routing, standard
from tests.support.loops import LoopThread
from tests.support.processes import Process

CALLS = 10_000
CALLS_A_SECOND = 500
TIMEOUT = 10.0


async def call_at_a_rate(client: AsyncClient, outcomes: dict[str, object]) -> None:
    """Begin calls at their times, whatever comes of those before; each notes its token, and gets it back."""

    async def call(token: str) -> None:
        body = {"token": token, "seconds": 0.02}
        try:
            outcomes[token] = (await client.call_action(SERVICE, "note", body, timeout=TIMEOUT)).body["token"]
        except PySOAError as error:
            outcomes[token] = error

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            await asyncio.sleep(began + number / CALLS_A_SECOND - time.monotonic())
            group.create_task(call(f"t{number}"))


def test_restarts_of_all_servers_one_after_another_lose_no_call_and_run_none_twice(
    broker: Broker, services: Services
) -> None:
    def new() -> Process:
        return services.start(standard(broker.url), announced_at=broker.url, settings={"concurrency": 50})

    servers = [new() for _ in range(3)]
    loop = LoopThread()
    client = AsyncClient(routing(standard(broker.url)))
    outcomes: dict[str, object] = {}
    calling = asyncio.run_coroutine_threadsafe(call_at_a_rate(client, outcomes), loop.loop)

    restarts = 0
    while not calling.done():
        old = servers.pop(0)
        servers.append(new())
        old.terminate()
        assert old.wait(10) == 0
        restarts += 1
    calling.result()

    loop.run(client.close())
    loop.stop()
    noted = services.noted()
    lost = [token for token, outcome in outcomes.items() if outcome != token]
    twice = [token for token, count in noted.items() if count > 1]
    print(f"{len(outcomes)} calls over {restarts} restarts, {len(lost)} lost, {len(twice)} run twice")
    assert len(outcomes) == CALLS
    assert (lost, twice) == ([], [])
    assert noted.keys() == outcomes.keys()
    assert restarts >= 3
