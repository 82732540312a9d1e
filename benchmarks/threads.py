"""Blocking callers, one or many: ``python -m benchmarks.threads floor|pysoa PORT``.

Those of the floor have a connection each; those of PySOA share one ``Client``. With "echo" they all call the server
that the asyncio callers use too; the floor's other operations call the blocking floor's server for a size.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable

from benchmarks.async_floor import REPLY_KEY_SIZE, message_from, request_key
from benchmarks.callers import BlockingCall, obey_in_threads
from benchmarks.floor import MESSAGE_SIZE, FloorClient
from benchmarks.operations import BODY, PAYLOADS
from benchmarks.service import ASYNC_SERVICE, BLOCKING_SERVICE, RECORDING, client_settings
from pysoa.client.client import Client

Operations = dict[str, Callable[[], BlockingCall]]


def floor_operations(port: int) -> Operations:
    numbers = itertools.count()

    def echo() -> BlockingCall:
        message = message_from(f"{os.getpid()}.{next(numbers)}")
        return FloorClient(port, message, request_key("single"), message[:REPLY_KEY_SIZE]).call

    def of_size(size: int) -> Callable[[], BlockingCall]:
        return lambda: FloorClient(port, b"\x80" * size).call

    sizes = {name: MESSAGE_SIZE + size for name, size in PAYLOADS.items()}
    return {"echo": echo, "sequential": of_size(MESSAGE_SIZE), **{name: of_size(size) for name, size in sizes.items()}}


def pysoa_operations(port: int) -> Operations:
    client = Client(client_settings(port))

    def echo_of(service: str) -> Callable[[], BlockingCall]:
        return lambda: lambda: client.call_action(service, "echo", BODY)

    return {
        "echo": echo_of(ASYNC_SERVICE),
        **{recorded: echo_of(f"{BLOCKING_SERVICE}, {recorded}") for recorded in RECORDING},
    }


if __name__ == "__main__":
    makers = {"floor": floor_operations, "pysoa": pysoa_operations}
    obey_in_threads(makers[sys.argv[1]](int(sys.argv[2])))
