"""The services that are measured: ``python -m benchmarks.service PORT NAME``.

One blocks, the others run on asyncio; all give back the body that they are sent.
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
CONCURRENCY = {BLOCKING_SERVICE: 1, ASYNC_SERVICE: 256, SLEEPING_SERVICE: 200}


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


def server_settings(port: int, concurrency: int) -> dict[str, Any]:
    """Settings with logging as 1.x has it by default, but at the level that keeps bodies out of hot paths."""
    settings: dict[str, Any] = {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
            "kwargs": transport_kwargs(port),
        },
        "logging": {"root": {"handlers": ["console"], "level": "WARNING"}},
    }
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
    server_class = next(cls for cls in (BlockingServer, AsyncServer, SleepingServer) if cls.service_name == name)
    settings = server_class.settings_class(server_settings(port, CONCURRENCY[name]))
    logging.config.dictConfig(settings["logging"])
    server_class(settings).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
