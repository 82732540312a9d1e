"""Calls of an asynchronous client whose responses are expanded; what the two clients share is in ``test_expanded``."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout
from tests.support.expansions import ANSWERS, CONFIG, answering, foo, settings

BAR = {"foo": ["bar"]}


def bar(bar_id: int) -> dict[str, Any]:
    return {"_type": "bar", "id": bar_id, "baz_id": 10}


def in_loop(test: Callable[[Any], Any]) -> None:
    async def run() -> None:
        client = answering(AsyncClient(settings(), CONFIG))
        async with asyncio.timeout(20), client:
            await test(client)

    asyncio.run(run())


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_call_that_is_cancelled_forgets_its_round() -> None:
    async def test(client: Any) -> None:
        there = client.handlers["bar_s"].transport
        there.answer = lambda body: None
        call = asyncio.create_task(client.call_action("foo_s", "get_foos", {"foo": foo(1)}, BAR))
        await until(lambda: there.pending)

        call.cancel()
        await asyncio.wait([call])

        assert call.cancelled()
        assert there.pending == {}
        assert set(there.forgotten) == {there.sent[0].request_id}

    in_loop(test)


def test_a_round_that_fails_in_one_service_is_forgotten_in_the_others() -> None:
    async def test(client: Any) -> None:
        client.handlers["bar_s"].transport.answer = lambda body: MessageReceiveError("gone")
        client.handlers["qux_s"].transport.answer = lambda body: None

        with pytest.raises(MessageReceiveError, match="gone"):
            await client.call_action("foo_s", "get_foos", {"foo": foo(1, qux_id=1)}, {"foo": ["bar", "qux"]})

        assert client.handlers["qux_s"].transport.pending == {}

    in_loop(test)


def test_tasks_may_wait_for_one_future_and_one_may_be_cancelled() -> None:
    async def test(client: Any) -> None:
        there = client.handlers["bar_s"].transport
        there.answer = lambda body: None
        future = await client.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR)
        first, second, third = (asyncio.create_task(future.result()) for _ in range(3))
        await until(lambda: there.pending)

        with pytest.raises(MessageReceiveTimeout, match="another task is still waiting"):
            await future.result(0.01)
        first.cancel()
        await asyncio.wait([first])
        there.respond(there.sent[0].request_id, ANSWERS["bar_s"](there.sent[0].body))

        assert (await second).body["foo"]["bar"] == bar(1)
        assert await third is await second
        assert len(there.sent) == 1

    in_loop(test)


def test_a_future_that_is_dropped_forgets_its_round() -> None:
    async def test(client: Any) -> None:
        there = client.handlers["bar_s"].transport
        there.answer = lambda body: None
        future = await client.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR)
        waiting = asyncio.create_task(future.result())
        await until(lambda: there.pending)
        for _ in range(20):  # until it waits for what it has sent
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert there.pending

        del future, waiting
        await asyncio.sleep(0)  # the loop holds what it has just woken up
        gc.collect()
        await until(lambda: not there.pending)

        assert set(there.forgotten) == {there.sent[0].request_id}

    in_loop(test)


def test_rounds_go_to_all_services_at_once() -> None:
    async def test(client: Any) -> None:
        theirs = [client.handlers[name].transport for name in ("bar_s", "qux_s")]
        for there in theirs:
            there.answer = lambda body: None
        body = {"foo": foo(1, qux_id=2)}
        call = asyncio.create_task(client.call_action("foo_s", "get_foos", body, {"foo": ["bar", "qux"]}))
        await until(lambda: all(there.pending for there in theirs))

        for there, answer in zip(reversed(theirs), (ANSWERS["qux_s"], ANSWERS["bar_s"]), strict=True):
            there.respond(there.sent[0].request_id, answer(there.sent[0].body))

        assert (await call).body["foo"] == foo(1, qux_id=2, bar=bar(1), qux={"_type": "qux", "id": 2})

    in_loop(test)
