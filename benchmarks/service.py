"""The services that are measured: ``python -m benchmarks.service PORT NAME``.

Some block, the others run on asyncio; all give back the body that they are sent.
"""

from __future__ import annotations

import asyncio
import logging.config
import sys
from typing import Any

from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPE_STANDARD
from pysoa.server.action import Action
from pysoa.server.server import Server

LARGE = 8 * 1024 * 1024

BLOCKING_SERVICE = "benchmark"
ASYNC_SERVICE = "benchmark_async"
SLEEPING_SERVICE = "benchmark_sleeping"
# With logs and metrics: none, those of the default settings, or the default ones and a line for all requests.
RECORDING = ("nothing", "default", "all requests")
CONCURRENCY = {
    BLOCKING_SERVICE: 1,
    ASYNC_SERVICE: 256,
    SLEEPING_SERVICE: 200,
    **{f"{BLOCKING_SERVICE}, {recorded}": 1 for recorded in RECORDING},
    **{f"{ASYNC_SERVICE}, {recorded}": 256 for recorded in RECORDING},
}


def transport_kwargs(port: int) -> dict[str, Any]:
    return {
        "backend_type": REDIS_BACKEND_TYPE_STANDARD,
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", port)]},
        "maximum_message_size_in_bytes": LARGE,
        "log_messages_larger_than_bytes": 0,
    }


def client_settings(port: int) -> dict[str, Any]:
    """What a client needs to call each of the services."""
    transport = {
        "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
        "kwargs": transport_kwargs(port),
    }
    return {name: {"transport": transport} for name in CONCURRENCY}


def server_settings(port: int, concurrency: int, recorded: str = "") -> dict[str, Any]:
    """Settings of a service.

    Args:
        port: of the broker.
        concurrency: of the service.
        recorded: one of ``RECORDING``; without it, warnings are.
    """
    settings: dict[str, Any] = {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
            "kwargs": transport_kwargs(port),
        },
    }
    if not recorded:
        settings["logging"] = {"root": {"level": "WARNING"}}
    elif recorded == "all requests":
        settings["request_log_limit"] = 0
    if concurrency > 1:
        settings["concurrency"] = concurrency
    return settings


class Echo(Action):
    """Gives its body back."""

    def run(self, request: Any) -> Any:
        return request.body


class AsyncEcho(Action):
    """Gives its body back, as a coroutine."""

    async def run(self, request: Any) -> Any:
        return request.body


class Sleep(Action):
    """Gives its body back after 50 ms."""

    async def run(self, request: Any) -> Any:
        await asyncio.sleep(0.05)
        return request.body


class BlockingServer(Server):
    """The service that blocks."""

    service_name = BLOCKING_SERVICE
    action_class_map = {"echo": Echo}  # noqa: RUF012 - as services write it


class AsyncServer(Server):
    """The service on asyncio that answers at once."""

    service_name = ASYNC_SERVICE
    action_class_map = {"echo": AsyncEcho}  # noqa: RUF012


class SleepingServer(Server):
    """The service on asyncio whose action waits."""

    service_name = SLEEPING_SERVICE
    action_class_map = {"sleep": Sleep}  # noqa: RUF012


def main(port: int, name: str) -> None:
    """Serve until the process is ended."""
    base, _, recorded = name.partition(", ")
    server_class: Any = next(cls for cls in (BlockingServer, AsyncServer, SleepingServer) if cls.service_name == base)
    server_class.service_name = name
    settings = server_class.settings_class(server_settings(port, CONCURRENCY[name], recorded))
    logging.config.dictConfig(settings["logging"])
    if recorded == "nothing":
        logging.disable()
    server_class(settings).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
