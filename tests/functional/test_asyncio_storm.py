"""Thousands of calls by one ``AsyncClient``, of which some are cancelled, to servers that are killed at random."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.async_client import AsyncClient
from pysoa.common.errors import PySOAError
from tests.support.faults import MARGIN_IN_SECONDS, OUTCOMES, Services, routing, standard
from tests.support.loops import LoopThread
from tests.support.processes import Process, open_descriptors

SERVICES = ("one", "two", "three")
CALLERS = 40
SECONDS = 12.0


class Storm:
    """Makes calls at random.

    Args:
        client: makes them.
        seed: of what is drawn.

    Attributes:
        ended: how the calls ended, and how often.
        wrong: what must never happen, in words.
        longest_overrun: by how many seconds a call outlived its timeout at most.
    """

    def __init__(self, client: AsyncClient, seed: int) -> None:
        self.ended: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.longest_overrun = 0.0
        self._client = client
        self._random = random.Random(seed)
        self._count = 0
        self._padding = "x" * 102_400
        self._lag = 0.0  # of the loop, all in all: it may have to wait for a processor

    async def blow(self, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_loop(until))
            for _ in range(CALLERS):
                group.create_task(self._call_again_and_again(until))

    async def _watch_loop(self, until: float) -> None:
        while (now := time.monotonic()) < until:
            await asyncio.sleep(0.02)
            self._lag += time.monotonic() - now - 0.02

    async def _call_again_and_again(self, until: float) -> None:
        while time.monotonic() < until:
            timeout = 10 ** self._random.uniform(-2.5, 0.3)
            call = asyncio.create_task(self._call(timeout))
            if self._random.random() < 0.2:
                await asyncio.wait([call], timeout=timeout * self._random.random())
                call.cancel()
            await asyncio.wait([call])
            if call.cancelled():
                self.ended["cancelled"] += 1
            else:
                call.result()

    def _body(self) -> dict[str, Any]:
        self._count += 1
        body: dict[str, Any] = {"token": f"t{self._count}"}
        if self._random.random() < 0.3:
            body["padding"] = self._padding[: int(10 ** self._random.uniform(1, 5.01))]
        if self._random.random() < 0.3:
            body["seconds"] = self._random.random() * 0.05
        return body

    async def _call(self, timeout: float) -> None:
        way = self._random.choice((self._one, self._one, self._many, self._parallel, self._future, self._dropped))
        bodies = [self._body() for _ in range(self._random.choice((1, 2, 5)))]
        began, lag = time.monotonic(), self._lag
        try:
            answers = await way(bodies, timeout)
        except PySOAError as error:
            self.ended[f"{type(error).__name__} {error.outcome}"] += 1
            if error.outcome not in OUTCOMES:
                self.wrong.append(f"{error!r} has the outcome {error.outcome!r}")
        except Exception as error:
            self.wrong.append(f"{type(error).__name__} reached the caller: {error}")
        else:
            self.ended["right"] += 1
            if answers != bodies[: len(answers)]:
                self.wrong.append(f"{bodies[0]['token']} got the answer {answers[0].get('token')}")
        overrun = time.monotonic() - began - timeout - (self._lag - lag)
        self.longest_overrun = max(self.longest_overrun, overrun)
        if overrun > MARGIN_IN_SECONDS:
            self.wrong.append(f"{way.__name__} with a timeout of {timeout:.3f} s ended {overrun:.3f} s late")

    def _service(self) -> str:
        return self._random.choice(SERVICES)

    async def _one(self, bodies: list[Any], timeout: float) -> list[Any]:
        return [(await self._client.call_action(self._service(), "note", bodies[0], timeout=timeout)).body]

    async def _many(self, bodies: list[Any], timeout: float) -> list[Any]:
        actions = [{"action": "note", "body": body} for body in bodies]
        return [
            one.body for one in (await self._client.call_actions(self._service(), actions, timeout=timeout)).actions
        ]

    async def _parallel(self, bodies: list[Any], timeout: float) -> list[Any]:
        jobs = [{"service_name": self._service(), "actions": [{"action": "note", "body": body}]} for body in bodies]
        responses = await self._client.call_jobs_parallel(jobs, timeout=timeout)
        return [response.actions[0].body for response in responses]

    async def _future(self, bodies: list[Any], timeout: float) -> list[Any]:
        # Sending and receiving are two steps, and the time of a future counts for each.
        future = await self._client.call_action_future(self._service(), "note", bodies[0], timeout=timeout / 2)
        return [(await future).body]

    async def _dropped(self, bodies: list[Any], timeout: float) -> list[Any]:
        """A future that nobody asks for its result."""
        await self._client.call_action_future(self._service(), "note", bodies[0], timeout=timeout)
        return []


def outstanding(client: AsyncClient) -> dict[str, int]:
    """What the client still keeps of calls, by service."""
    return {
        name: handler.transport.requests_outstanding + len(handler._calls) + len(handler._unclaimed)  # type: ignore[attr-defined]
        for name, handler in client.handlers.items()
    }


async def all_is_settled(client: AsyncClient) -> dict[str, int]:
    """What the client keeps, once dropped futures have gone; at the latest after their timeouts."""
    until = time.monotonic() + 3.0
    while any(outstanding(client).values()) and time.monotonic() < until:
        gc.collect()
        await asyncio.sleep(0.02)
    return outstanding(client)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_answer_is_wrong_no_call_is_late_and_nothing_is_left_of_them(
    broker: Broker, services: Services, seed: int
) -> None:
    backend = standard(broker.url)
    choices = random.Random(seed)

    def start(name: str) -> Process:
        return services.start(backend, name=name, announced_at=broker.url, settings={"concurrency": 8})

    running = {name: start(name) for name in SERVICES}
    descriptors = open_descriptors()
    threads = threading.active_count()
    loop = LoopThread()
    client = AsyncClient(routing(backend, *SERVICES))
    storm = Storm(client, seed)
    until = time.monotonic() + SECONDS
    blowing = asyncio.run_coroutine_threadsafe(storm.blow(until), loop.loop)

    kills = 0
    while time.monotonic() < until - 1.0:
        victim = choices.choice(SERVICES)
        choices.choice((running[victim].kill, running[victim].terminate))()
        running[victim].wait()
        running[victim].close()
        running[victim] = start(victim)
        kills += 1
    blowing.result(30)

    print(f"{sum(storm.ended.values())} calls, {kills} ends of servers, {storm.longest_overrun:+.3f} s: {storm.ended}")
    assert storm.wrong == []
    assert storm.ended["right"] > 1000
    assert loop.run(all_is_settled(client)) == dict.fromkeys(client.handlers, 0)
    for name in SERVICES:
        body = {"token": f"after-{name}"}
        assert loop.run(client.call_action(name, "note", body, timeout=5)).body == body
    loop.run(client.close())
    loop.stop()
    assert threading.active_count() == threads
    assert open_descriptors() - descriptors <= 0
    assert max(services.noted().values()) == 1
