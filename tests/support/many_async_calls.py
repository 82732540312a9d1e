"""As ``many_calls``, by an ``AsyncClient``: ``python -m tests.support.many_async_calls URL``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

os.environ.setdefault("FAULT_SERVICE", '{"name": "none", "backend": {}}')

from pysoa.client.async_client import AsyncClient
from pysoa.common.errors import PySOAError
from tests.support.fault_service import measured
from tests.support.faults import SERVICE, routing, standard

WARM_UP = 10_000
CALLS = 20_000


async def call_in_all_ways(client: AsyncClient, count: int) -> int:
    """Make calls of every kind, good and bad, and some that time out or are cancelled; how many there were."""
    made = 0
    while made < count:
        await asyncio.gather(
            *(
                client.call_action(SERVICE, "echo", {"number": number}, timeout=5, context={"caller": f"c{made}"})
                for number in range(20)
            )
        )
        list(await client.call_actions_parallel(SERVICE, [{"action": "echo"}] * 10, timeout=5))
        future = await client.call_action_future(SERVICE, "echo", timeout=5)
        await client.call_action_future(SERVICE, "echo", timeout=5)  # nobody asks for its answer
        await client.call_action(SERVICE, f"unknown{made}", raise_action_errors=False, timeout=5)
        await future
        await client.send_request(SERVICE, [{"action": "echo"}], suppress_response=True)
        with contextlib.suppress(PySOAError):
            await client.call_action(SERVICE, "note", {"token": "-", "seconds": 0.001}, timeout=0.0015)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await client.call_action(SERVICE, "note", {"token": "-", "seconds": 0.002}, timeout=5)
        made += 36
    return made


async def report(client: AsyncClient, calls: int) -> None:
    worker: Any = (await client.call_action(SERVICE, "measure", timeout=5)).body
    sys.stdout.write(json.dumps({"calls": calls, "client": measured(), "worker": worker}) + "\n")


async def main() -> None:
    async with AsyncClient(routing(standard(sys.argv[1]))) as client:
        warm_up = await call_in_all_ways(client, WARM_UP)
        await report(client, warm_up)
        await report(client, warm_up + await call_in_all_ways(client, CALLS))


if __name__ == "__main__":
    asyncio.run(main())
