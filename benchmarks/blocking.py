"""The blocking client and server beside the raw floor: one call after the other, with three sizes of message."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.callers import cpu, until_it_answers
from benchmarks.floor import MESSAGE_SIZE, FloorClient
from benchmarks.operations import BODY, PAYLOADS
from benchmarks.service import BLOCKING_SERVICE, client_settings
from benchmarks.stage import Stage
from pysoa.client.client import Client

# What share of the calls a size gets, as its calls take longer.
SHARES = {"64 KiB": 4, "1 MiB": 40}


class Contender:
    """One way of making a call, and what its blocks of calls took."""

    def __init__(self, call: Callable[[], object], server: int, calls_per_block: int) -> None:
        self.call = call
        self.calls_per_block = calls_per_block
        self._server = server
        self._latencies: list[float] = []
        self._client_cpu = 0.0
        self._server_cpu = 0.0
        self._redis_cpu = 0.0

    def run_block(self, redis: int) -> None:
        call = self.call
        latencies = self._latencies
        call()  # wakes everything up
        clock = time.perf_counter
        redis_before, server_before, client_before = cpu(redis), cpu(self._server), time.process_time()
        for _ in range(self.calls_per_block):
            start = clock()
            call()
            latencies.append(clock() - start)
        self._client_cpu += time.process_time() - client_before
        self._server_cpu += cpu(self._server) - server_before
        self._redis_cpu += cpu(redis) - redis_before

    def figures(self) -> dict[str, float]:
        """Microseconds for each call."""
        ordered = sorted(self._latencies)
        count = len(ordered)
        return {
            "p50": statistics.median(ordered) * 1e6,
            "p99": ordered[int(count * 0.99)] * 1e6,
            "client_cpu": self._client_cpu / count * 1e6,
            "server_cpu": self._server_cpu / count * 1e6,
            "redis_cpu": self._redis_cpu / count * 1e6,
        }


class BlockingCalls:
    """The pairs of contenders, floor and PySOA, of each size."""

    def __init__(self, stage: Stage, calls_per_block: int) -> None:
        assert stage.broker.pid is not None
        self._redis = stage.broker.pid
        port = stage.broker.port
        client = Client(client_settings(port))

        def pair(size: int, body: dict[str, Any], share: int) -> tuple[Contender, Contender]:
            count = max(5, calls_per_block // share)
            size += MESSAGE_SIZE
            floor = FloorClient(port, b"\x80" * size).call
            return (
                Contender(floor, stage.servers[f"floor {size}"], count),
                Contender(
                    lambda: client.call_action(BLOCKING_SERVICE, "echo", body), stage.servers[BLOCKING_SERVICE], count
                ),
            )

        self._pairs = {"sequential": pair(0, BODY, 1)}
        for name, share in SHARES.items():
            size = PAYLOADS[name]
            self._pairs[name] = pair(size, {"blob": "x" * size}, share)

    def warm_up(self) -> None:
        """Call everything until it answers, and then some more."""
        for pair in self._pairs.values():
            for contender in pair:
                until_it_answers(contender.call)
                for _ in range(min(200, contender.calls_per_block)):
                    contender.call()

    def run_round(self, number: int) -> None:
        """A block of each contender; the two of a pair take turns in going first."""
        for floor, ours in self._pairs.values():
            first, second = (floor, ours) if number % 2 else (ours, floor)
            first.run_block(self._redis)
            second.run_block(self._redis)

    def figures(self) -> dict[str, dict[str, dict[str, float]]]:
        """Microseconds for each call, by size and contender."""
        return {
            name: {"floor": floor.figures(), "pysoa": ours.figures()} for name, (floor, ours) in self._pairs.items()
        }
