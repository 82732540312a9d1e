"""The inside of a client process: it runs blocks of calls as it is told, a JSON line for each on standard input.

An order is ``{"operation": ..., "callers": ..., "seconds": ..., "server": PID, "broker": PID or null}``. The answer
holds the number of calls, the seconds they took, p50 and p99 in seconds, and the seconds of CPU of the three processes.
With ``calls`` in the place of ``seconds`` a block ends by number and keeps nothing of single calls, so that the memory
of the process can be watched.

This module uses the standard library alone, for the peers run it in an environment without PySOA.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

AsyncCall = Callable[[], Awaitable[object]]
BlockingCall = Callable[[], object]

SECONDS_UNTIL_IT_ANSWERS = 30.0
REPORTED_PERCENTILES = {"p50": 0.50, "p99": 0.99}


def cpu(pid: int | None) -> float:
    """Seconds of CPU that a process has had; exact on Linux, 0 where the system does not say."""
    total = 0.0
    if pid is not None:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
    return total


class Meter:
    """The clock and the CPU of a block, from the moment it is made."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._server, self._broker = order["server"], order["broker"]
        self._server_cpu, self._broker_cpu = cpu(self._server), cpu(self._broker)
        self._client_cpu = time.process_time()
        self.began = time.perf_counter()

    def block(self, latencies: list[float], calls: int = 0) -> dict[str, float]:
        """The block as it is reported: of these latencies, or of this many calls where none were kept."""
        seconds = time.perf_counter() - self.began
        client_cpu = time.process_time() - self._client_cpu
        block = {
            "calls": len(latencies) or calls,
            "seconds": seconds,
            "client_cpu": client_cpu,
            "server_cpu": cpu(self._server) - self._server_cpu,
            "broker_cpu": cpu(self._broker) - self._broker_cpu,
        }
        latencies.sort()
        for name, share in REPORTED_PERCENTILES.items():
            block[name] = latencies[int(len(latencies) * share)] if latencies else 0.0
        return block


# Callers that are tasks


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run the client or server on uvloop where that is installed, else on the loop of the standard library."""
    with asyncio.Runner(loop_factory=_uvloop()) as runner:
        runner.run(main)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def obey(operations: Mapping[str, AsyncCall]) -> None:
    """Run the blocks that standard input asks for, until it ends."""
    loop = asyncio.get_running_loop()
    for call in operations.values():
        await _until_it_answers(call)
    say({"loop": type(loop).__module__.partition(".")[0]})
    # In a thread, so that what keeps connections alive goes on between blocks.
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        say(await _block_of_tasks(operations[order["operation"]], order))


async def _until_it_answers(call: AsyncCall) -> None:
    give_up_at = time.monotonic() + SECONDS_UNTIL_IT_ANSWERS
    while True:
        try:
            await call()
        except Exception:  # whatever it is that a server which is still starting makes of a call
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _block_of_tasks(call: AsyncCall, order: Mapping[str, Any]) -> dict[str, float]:
    callers = order["callers"]
    await _together(_calls_by_number(call, 1) for _ in range(callers))  # wakes everything up
    meter = Meter(order)
    latencies: list[float] = []
    if "calls" in order:
        await _together(_calls_by_number(call, order["calls"] // callers) for _ in range(callers))
        return meter.block(latencies, order["calls"] // callers * callers)
    end = meter.began + order["seconds"]
    await _together(_calls_until(call, end, latencies) for _ in range(callers))
    return meter.block(latencies)


async def _together(callers: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller)


async def _calls_until(call: AsyncCall, end: float, latencies: list[float]) -> None:
    clock = time.perf_counter
    while (start := clock()) < end:
        await call()
        latencies.append(clock() - start)


async def _calls_by_number(call: AsyncCall, number: int) -> None:
    for _ in range(number):
        await call()


# Callers that are threads


def obey_in_threads(operations: Mapping[str, Callable[[], BlockingCall]]) -> None:
    """Run the blocks that standard input asks for, until it ends.

    Args:
        operations: what makes the call of one thread, by name; each thread keeps its own.
    """
    made: dict[str, list[BlockingCall]] = {name: [] for name in operations}

    def calls_of(name: str, callers: int) -> list[BlockingCall]:
        calls = made[name]
        while len(calls) < callers:
            calls.append(operations[name]())
        return calls[:callers]

    for name in operations:
        until_it_answers(calls_of(name, 1)[0])
    say({"loop": None})
    while line := sys.stdin.readline():
        order = json.loads(line)
        say(_block_of_threads(calls_of(order["operation"], order["callers"]), order))


def until_it_answers(call: BlockingCall) -> None:
    """Call until the server is there. For calls that can be told from one another only: an answer may come late."""
    give_up_at = time.monotonic() + SECONDS_UNTIL_IT_ANSWERS
    while True:
        try:
            call()
        except Exception:  # whatever it is that a server which is still starting makes of a call
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            return


def _block_of_threads(calls: list[BlockingCall], order: Mapping[str, Any]) -> dict[str, float]:
    for call in calls:
        call()  # wakes everything up, and opens what is not open yet
    latencies: list[float] = []
    if len(calls) == 1:  # without a thread, as a program with one caller would be
        meter = Meter(order)
        _call_until(calls[0], meter.began + order["seconds"], latencies)
        return meter.block(latencies)
    begin = threading.Barrier(len(calls) + 1)
    end = 0.0

    def one_caller(call: BlockingCall) -> None:
        begin.wait()
        _call_until(call, end, latencies)

    threads = [threading.Thread(target=one_caller, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    meter = Meter(order)
    end = meter.began + order["seconds"]
    begin.wait()
    for thread in threads:
        thread.join()
    return meter.block(latencies)


def _call_until(call: BlockingCall, end: float, latencies: list[float]) -> None:
    clock = time.perf_counter
    while (start := clock()) < end:
        call()
        latencies.append(clock() - start)


# What is said


def say(answer: Mapping[str, Any]) -> None:
    """Write a JSON line for the process that drives this one."""
    print(json.dumps(answer), flush=True)


async def serve_for_ever(**ready: Any) -> NoReturn:
    """Tell the driver that the server takes calls, then wait until the process is ended."""
    say({"ready": True, **ready})
    while True:
        await asyncio.sleep(3600)
