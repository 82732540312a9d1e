"""Calls the micro service over NATS: ``python -m benchmarks.peers.nats_client PORT``."""

from __future__ import annotations

import sys
from typing import Any

import msgpack
import nats

from benchmarks.callers import obey, run
from benchmarks.operations import operations


async def main(port: int) -> None:
    connection = await nats.connect(f"nats://127.0.0.1:{port}")

    async def call(action: str, body: dict[str, Any]) -> Any:
        response = await connection.request(action, msgpack.packb(body), timeout=10)
        return msgpack.unpackb(response.data)

    await obey(operations(call))
    await connection.close()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
