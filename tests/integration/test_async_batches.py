"""Batches of requests that an asyncio worker pops."""

from __future__ import annotations

import asyncio
import re
import threading

from pysoa.cli.broker import Broker
from pysoa.client import AsyncClient
from pysoa.common.transport.redis_gateway.async_server import AsyncRedisServerTransport
from pysoa.common.types import Body
from tests.support.raw import RawConnection

SERVICE = "batches"
CALLERS = 24
A_WAIT_IN_SECONDS = 0.002
LIMIT_IN_SECONDS = 20
ANSWER: Body = {"actions": [{"action": "any", "errors": [], "body": {}}], "errors": [], "context": {}}


def test_half_a_batch_is_popped_where_all_callers_wait_for_one(broker: Broker) -> None:
    backend = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]}}
    is_halved = threading.Event()

    def watch(monitor: RawConnection) -> None:
        asked_for = [b""]
        # One comes by the blocking pop.
        while not (b"31" in asked_for and asked_for[-1] == b"%d" % (CALLERS // 2 - 1)):
            asked_for += re.findall(rb'"LPOP" "pysoa:service.batches" "(\d+)"', monitor.read())
        is_halved.set()

    async def serve(transport: AsyncRedisServerTransport) -> None:
        while True:
            request_id, meta, _ = await transport.receive_request_message()
            await transport.send_response_message(request_id or 0, meta or {}, ANSWER)

    async def call() -> None:
        transport = AsyncRedisServerTransport(SERVICE, **backend)
        await transport.start_serving()
        workers = [asyncio.create_task(serve(transport)) for _ in range(40)]
        async with (
            AsyncClient({SERVICE: {"transport": {"kwargs": backend}}}) as client,
            asyncio.timeout(LIMIT_IN_SECONDS),
        ):
            while not is_halved.is_set():
                await asyncio.sleep(A_WAIT_IN_SECONDS)
                await asyncio.gather(*(client.call_action(SERVICE, "any") for _ in range(CALLERS)))
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await transport.aclose()

    with RawConnection(broker.url, timeout=LIMIT_IN_SECONDS) as monitor:
        assert monitor.command("MONITOR") == b"OK"
        watcher = threading.Thread(target=watch, args=(monitor,))
        watcher.start()
        asyncio.run(call())
        watcher.join()
