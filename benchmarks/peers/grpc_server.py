"""A gRPC service on asyncio: ``python -m benchmarks.peers.grpc_server``; it says which port it took."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import msgpack

from benchmarks.callers import run, serve_for_ever


async def echo(body: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> Any:
    """Gives the body back."""
    return body


async def sleep(body: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> Any:
    """Gives the body back after 50 ms."""
    await asyncio.sleep(0.05)
    return body


async def main() -> None:
    server = grpc.aio.server()
    # Generic handlers: what a .proto file would generate does the same with another codec.
    methods = {
        action.__name__: grpc.unary_unary_rpc_method_handler(
            action, request_deserializer=msgpack.unpackb, response_serializer=msgpack.packb
        )
        for action in (echo, sleep)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmark", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await serve_for_ever(port=port)


if __name__ == "__main__":
    run(main())
