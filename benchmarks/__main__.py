"""Runs the benchmark: ``make bench``, or ``python -m benchmarks [--quick] [--json FILE]``.

Every contender runs in the same minute: servers wait on lists of their own all the time, and clients take turns in
blocks of calls. What counts is the ratio to the floor; absolute times are those of the machine and of the moment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.floor import FloorClient
from benchmarks.service import transport_kwargs
from pysoa.cli.broker import Broker, start_broker
from pysoa.client.client import Client

MESSAGE_SIZE = 360


class Target(NamedTuple):
    """A figure to reach: a ratio or a limit."""

    name: str
    limit: float
    unit: str = "x floor"


class Contender:
    """One way of making a call, and what its blocks of calls took."""

    def __init__(self, name: str, call: Callable[[], object], server_pid: int, calls_per_block: int) -> None:
        self.name = name
        self.call = call
        self.server_pid = server_pid
        self.calls_per_block = calls_per_block
        self.latencies: list[float] = []
        self.client_cpu = 0.0
        self.server_cpu = 0.0
        self.redis_cpu = 0.0

    def run_block(self, redis_pid: int) -> None:
        call = self.call
        latencies = self.latencies
        call()  # wakes everything up
        clock = time.perf_counter
        redis_before, server_before, client_before = cpu(redis_pid), cpu(self.server_pid), time.process_time()
        for _ in range(self.calls_per_block):
            start = clock()
            call()
            latencies.append(clock() - start)
        self.client_cpu += time.process_time() - client_before
        self.server_cpu += cpu(self.server_pid) - server_before
        self.redis_cpu += cpu(redis_pid) - redis_before

    def figures(self) -> dict[str, float]:
        """Microseconds for each call."""
        ordered = sorted(self.latencies)
        count = len(ordered)
        return {
            "p50": statistics.median(ordered) * 1e6,
            "p99": ordered[int(count * 0.99)] * 1e6,
            "client_cpu": self.client_cpu / count * 1e6,
            "server_cpu": self.server_cpu / count * 1e6,
            "redis_cpu": self.redis_cpu / count * 1e6,
        }


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had; exact on Linux, 0 where the system does not say."""
    total = 0.0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
    return total


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[int]:
    """A Python process for the length of the block."""
    child = subprocess.Popen([sys.executable, "-m", *arguments])
    try:
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def import_cost(runs: int) -> float:
    """Milliseconds that the client's import adds to an empty interpreter: the median of paired runs."""

    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    seconds("import pysoa.client.client")
    differences = [seconds("import pysoa.client.client") - seconds("pass") for _ in range(runs)]
    return statistics.median(differences) * 1e3


def resident_memory(pid: int) -> float:
    """MiB of memory that a process holds; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def measure(broker: Broker, rounds: int, calls: int) -> dict[str, Any]:
    """Run everything and give back the figures by contender, and the two that stand alone."""
    port = broker.port
    assert broker.pid is not None
    config = {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
            "kwargs": transport_kwargs(port),
        }
    }
    client = Client({"benchmark": config})
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(process("benchmarks.service", str(port)))

        def pysoa_call(body: dict[str, Any]) -> Callable[[], object]:
            return lambda: client.call_action("benchmark", "echo", body)

        def floor_call(size: int) -> tuple[Callable[[], object], int]:
            pid = stack.enter_context(process("benchmarks.floor", str(port), str(size)))
            return FloorClient(port, b"\x80" * size).call, pid

        pairs: list[tuple[str, Contender, Contender]] = []
        for name, size, body, share in (
            ("sequential", MESSAGE_SIZE, {"number": 7}, 1),
            ("64 KiB", 65536 + MESSAGE_SIZE, {"blob": "x" * 65536}, 4),
            ("1 MiB", 1048576 + MESSAGE_SIZE, {"blob": "x" * 1048576}, 40),
        ):
            count = max(5, calls // share)
            call, pid = floor_call(size)
            floor = Contender(f"floor, {name}", call, pid, count)
            ours = Contender(f"PySOA, {name}", pysoa_call(body), server, count)
            pairs.append((name, floor, ours))

        wait_until_served(pairs)
        results["idle server memory"] = resident_memory(server)
        for _, floor, ours in pairs:
            for contender in (floor, ours):
                for _ in range(min(200, contender.calls_per_block)):
                    contender.call()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for _, floor, ours in pairs:
                first, second = (floor, ours) if number % 2 else (ours, floor)
                first.run_block(broker.pid)
                second.run_block(broker.pid)
        for name, floor, ours in pairs:
            results[name] = {"floor": floor.figures(), "pysoa": ours.figures()}
    progress("import")
    results["client import"] = import_cost(11)
    progress("")
    return results


def wait_until_served(pairs: list[tuple[str, Contender, Contender]]) -> None:
    """Call everything until it answers."""
    give_up_at = time.monotonic() + 30
    for _, floor, ours in pairs:
        for contender in (floor, ours):
            while True:
                try:
                    contender.call()
                    break
                except Exception:
                    if time.monotonic() > give_up_at:
                        raise


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


TARGETS = {
    "sequential": {"p50": 2.2, "client_cpu": 3.0, "server_cpu": 3.0},
    "64 KiB": {"p50": 2.0},
    "1 MiB": {"p50": 2.0},
}


def report(results: dict[str, Any]) -> str:
    """The table: microseconds for each call, the ratio to the floor, and the target where there is one."""
    lines = [f"{'':<12}{'figure':<12}{'floor us':>10}{'PySOA us':>10}{'ratio':>8}{'target':>8}"]
    for name, targets in TARGETS.items():
        for figure, floor in results[name]["floor"].items():
            ours = results[name]["pysoa"][figure]
            ratio = ours / floor if floor else 0.0
            target = f"{targets[figure]:.1f}" if figure in targets else ""
            lines.append(f"{name:<12}{figure:<12}{floor:>10.0f}{ours:>10.0f}{ratio:>8.2f}{target:>8}")
    lines.append(f"import of pysoa.client.client: {results['client import']:.0f} ms more than nothing (target 80)")
    lines.append(f"memory of an idle server: {results['idle server memory']:.1f} MiB (target 48)")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about 20 s instead of two minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    rounds, calls = (6, 250) if arguments.quick else (24, 500)
    with start_broker() as broker:
        results = measure(broker, rounds, calls)
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
