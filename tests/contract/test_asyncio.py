"""What only clients in an event loop do: many calls at once, cancellation, one loop after another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.client.errors import ImproperlyConfigured
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.types import ActionResponse


@pytest.fixture(autouse=True)
def _asynchronous(pairing: Any) -> None:
    if not pairing.is_async:
        pytest.skip("the client is blocking")


@pytest.fixture
def client(door: Any) -> Iterator[Any]:
    yield door.client
    for handler in door.client.handlers.values():
        assert handler.transport.requests_outstanding == 0


def test_a_thousand_calls_at_once(door: Any, client: Any) -> None:
    async def run() -> list[Any]:
        calls = [client.call_action("outer", "async_echo", {"number": n}, timeout=25) for n in range(1000)]
        return await asyncio.gather(*calls)

    assert [answer.body["number"] for answer in door.run(run())] == list(range(1000))


def test_calls_that_are_cancelled_leave_nothing_and_disturb_no_other(door: Any, client: Any) -> None:
    choose = random.Random(7)

    async def call_all() -> list[Any]:
        calls = [
            asyncio.create_task(client.call_action("outer", "async_echo", {"number": n}, timeout=25))
            for n in range(200)
        ]
        for call in calls[::2]:
            for _ in range(choose.randrange(4)):
                await asyncio.sleep(0)
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert client.handlers["outer"].transport.requests_outstanding == 0
        return results

    for results in (door.run(call_all()), door.run(call_all())):
        for n, result in enumerate(results):
            if n % 2 or isinstance(result, ActionResponse):
                assert result.body == {"number": n}
            else:
                assert isinstance(result, asyncio.CancelledError)


def test_parallel_calls_that_are_cancelled_leave_nothing(in_event_loop: None, door: Any, client: Any) -> None:
    async def run() -> None:
        actions = [{"action": "async_sleep", "body": {"seconds": 0.2}}] * 5
        call = asyncio.create_task(client.call_actions_parallel("outer", actions))
        future = await client.call_action_future("outer", "async_sleep", {"seconds": 0.2})
        result = asyncio.create_task(future.result())
        await asyncio.sleep(0)
        call.cancel()
        result.cancel()
        await asyncio.wait([call, result])
        assert call.cancelled()
        assert result.cancelled()
        assert (await future.result()).errors == []  # it may be asked for again

    door.run(run())


def test_a_future_that_nobody_asks_for_is_forgotten(in_event_loop: None, door: Any, client: Any) -> None:
    async def run() -> None:
        await client.call_action_future("outer", "async_sleep", {"seconds": 20}, timeout=20)
        await asyncio.sleep(0.01)

    door.run(run())


def test_tasks_share_a_client(door: Any, client: Any) -> None:
    async def call(task: int) -> list[Any]:
        answers = [
            await client.call_action("outer", "echo", {"number": n}, correlation_id=f"{task}") for n in range(20)
        ]
        return [answer.body["number"] for answer in answers]

    async def run() -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(task)) for task in range(10)]
        return [task.result() for task in tasks]

    assert door.run(run()) == [list(range(20))] * 10


def test_closing_a_client_ends_its_calls(in_event_loop: None, door: Any, client: Any) -> None:
    async def run() -> None:
        await client.call_action("outer", "echo")
        call = asyncio.create_task(client.call_action("outer", "async_sleep", {"seconds": 20}, timeout=20))
        future = await client.call_action_future("outer", "async_sleep", {"seconds": 20}, timeout=20)
        request_id = await client.send_request("outer", [{"action": "async_sleep", "body": {"seconds": 20}}])
        assert request_id
        result = asyncio.create_task(future.result())
        await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(MessageReceiveError, match="was closed"):
            await call
        with pytest.raises(MessageReceiveTimeout):
            await result
        assert [each async for each in client.get_all_responses("outer", 0.1)] == []

    door.run(run())


def test_a_client_is_used_in_one_loop_at_a_time(pairing: Any, door: Any, client: Any) -> None:
    door.call_action("outer", "echo")

    with asyncio.Runner() as other:
        for method in (client.call_action, client.call_action_future):
            with pytest.raises(MessageSendError, match="belongs to another event loop: close it there first") as raised:
                other.run(method("outer", "echo"))
            assert raised.value.outcome == "not_sent"
        with pytest.raises(MessageSendError, match="belongs to another event loop"):
            other.run(client.close())
        assert door.call_action("outer", "echo", {"number": 1}).body == {"number": 1}
        door.run(client.close())
        assert other.run(client.call_action("outer", "echo", {"number": 2})).body == {"number": 2}
        other.run(client.close())
    assert door.call_action("outer", "echo", {"number": 3}).body == {"number": 3}


def test_a_client_is_an_asynchronous_context_manager(pairing: Any, door: Any) -> None:
    async def run() -> None:
        async with type(door.client)(pairing.config()) as client:
            assert (await client.call_action("outer", "echo", {"number": 1})).body == {"number": 1}
            assert (await (await client.call_action_future("outer", "echo", {"number": 2}))).body == {"number": 2}

    door.run(run())


def test_a_transport_without_a_twin_is_refused(door: Any) -> None:
    transport = {"path": "tests.support.client_transports:ScriptedTransport"}
    other = type(door.client)({"square": {"transport": transport}})

    with pytest.raises(ImproperlyConfigured, match="cannot be used with asyncio: override its method async_client"):
        door.run(other.call_action("square", "square"))
