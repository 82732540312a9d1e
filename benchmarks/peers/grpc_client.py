"""Calls the gRPC service: ``python -m benchmarks.peers.grpc_client PORT``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any

import grpc
import msgpack

from benchmarks.callers import obey, run
from benchmarks.operations import operations


async def main(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        methods = {
            action: channel.unary_unary(
                f"/benchmark/{action}", request_serializer=msgpack.packb, response_deserializer=msgpack.unpackb
            )
            for action in ("echo", "sleep")
        }

        def call(action: str, body: dict[str, Any]) -> Awaitable[object]:
            return methods[action](body)  # type: ignore[no-any-return]

        await obey(operations(call))


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
