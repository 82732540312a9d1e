"""A micro service over NATS: ``python -m benchmarks.peers.nats_server PORT``."""

from __future__ import annotations

import asyncio
import sys

import msgpack
import nats
import nats.micro
from nats.micro.request import Request

from benchmarks.callers import run, serve_for_ever


async def echo(request: Request) -> None:
    """Gives the body back."""
    await request.respond(msgpack.packb(msgpack.unpackb(request.data)))


async def main(port: int) -> None:
    connection = await nats.connect(f"nats://127.0.0.1:{port}", max_reconnect_attempts=100, reconnect_time_wait=0.1)
    service = await nats.micro.add_service(connection, name="benchmark", version="1.0.0")
    waiting: set[asyncio.Task[None]] = set()

    async def echo_later(request: Request) -> None:
        await asyncio.sleep(0.05)
        await echo(request)

    async def sleep(request: Request) -> None:
        # The library waits for one handler before it runs the next; a task for each lets them wait side by side.
        task = asyncio.create_task(echo_later(request))
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    await service.add_endpoint(name="echo", handler=echo)
    await service.add_endpoint(name="sleep", handler=sleep)
    await connection.flush()
    await serve_for_ever()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
