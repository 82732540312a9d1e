"""The measured ``AsyncClient``: ``python -m benchmarks.async_client PORT``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.callers import obey, run
from benchmarks.operations import BODY, FAN_OUT, PAYLOADS, operations
from benchmarks.service import ASYNC_SERVICE, RECORDING, SLEEPING_SERVICE, client_settings
from pysoa.client import AsyncClient

SERVICES = {"echo": ASYNC_SERVICE, "sleep": SLEEPING_SERVICE}


async def main(port: int) -> None:
    async with AsyncClient(client_settings(port)) as client:

        def call(action: str, body: dict[str, Any]) -> Awaitable[object]:
            return client.call_action(SERVICES[action], action, body)

        def call_with(body: dict[str, Any]) -> Callable[[], Awaitable[object]]:
            return lambda: call("echo", body)

        def call_recorded(recorded: str) -> Callable[[], Awaitable[object]]:
            service = f"{ASYNC_SERVICE}, {recorded}"
            return lambda: client.call_action(service, "echo", BODY)

        async def parallel() -> list[object]:
            return list(await client.call_actions_parallel(ASYNC_SERVICE, ten))

        ten = [{"action": "echo", "body": BODY} for _ in range(FAN_OUT)]
        await obey(
            {
                **operations(call),
                "parallel": parallel,
                "job": lambda: client.call_actions(ASYNC_SERVICE, ten),
                **{name: call_with({"blob": "x" * size}) for name, size in PAYLOADS.items()},
                **{recorded: call_recorded(recorded) for recorded in RECORDING},
            }
        )


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
