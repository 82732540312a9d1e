"""The local transport where the client, the server or both run in an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.client.client import Client
from pysoa.common.transport.async_local import AsyncLocalServerTransport
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.types import ActionResponse
from pysoa.server.server import Server

LOG: list[Any] = []

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


def plainly(function: Callable[[Any], Any]) -> Any:
    return lambda settings: lambda request: ActionResponse(request.action, [], function(request))


def awaited(function: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    async def act(request: Any) -> ActionResponse:
        return ActionResponse(request.action, [], await function(request))

    return lambda settings: act


def where(request: Any) -> dict[str, Any]:
    seen = variable.get()
    variable.set("set by a job")
    return {"thread": threading.current_thread().name, "variable": seen}


async def wait(request: Any) -> dict[str, Any]:
    LOG.append("began")
    try:
        await asyncio.sleep(request.body.get("seconds", 60))
    finally:
        LOG.append("ended")
    return {}


class OurServer(Server):
    service_name = "ours"
    action_class_map = {"where": plainly(where), "wait": awaited(wait)}

    def setup(self) -> None:
        LOG.append(("setup", threading.current_thread().name))

    def teardown(self) -> None:
        LOG.append(("teardown", threading.current_thread().name))


class BrokenServer(OurServer):
    def setup(self) -> None:
        raise ValueError("no good")


class SilentServer(OurServer):
    def handle_next_request(self) -> None:
        self.transport.receive_request_message()


def config(concurrency: int, server_class: type[Server] = OurServer) -> dict[str, Any]:
    kwargs = {"server_class": server_class, "server_settings": {"concurrency": concurrency}}
    return {"ours": {"transport": {"path": "pysoa.common.transport.local:LocalClientTransport", "kwargs": kwargs}}}


def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_lives_until_its_client_is_closed(concurrency: int) -> None:
    async def run() -> None:
        client = AsyncClient(config(concurrency))
        assert LOG == []
        for _ in range(2):
            thread = (await client.call_action("ours", "where")).body["thread"]
            await client.call_action("ours", "where")
            await client.close()
            assert [LOG.pop(0), LOG.pop(0)] == [("setup", thread), ("teardown", thread)]
            assert (thread == threading.current_thread().name) == (concurrency == 8)

    in_loop(run())


def test_a_blocking_client_has_a_server_for_asyncio_run_in_a_loop_beside_it() -> None:
    with Client(config(8)) as client:
        thread = client.call_action("ours", "where").body["thread"]
        threads = {client.call_action("ours", "where").body["thread"] for _ in range(3)}
    assert threads == {thread} == {"pysoa-local-loop"}
    assert [("setup", thread), ("teardown", thread)] == LOG
    with client:
        assert client.call_action("ours", "where").errors == []


@pytest.mark.parametrize("concurrency", [1, 8])
def test_jobs_see_the_context_of_their_caller_and_change_nothing_in_it(concurrency: int) -> None:
    async def run() -> list[str]:
        async with AsyncClient(config(concurrency)) as client:
            variable.set("of the caller")
            return [(await client.call_action("ours", "where")).body["variable"] for _ in range(2)]

    assert in_loop(run()) == ["of the caller"] * 2


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_call_that_has_timed_out_disturbs_no_other(concurrency: int) -> None:
    async def run() -> None:
        async with AsyncClient(config(concurrency)) as client:
            await client.call_action("ours", "where")
            with pytest.raises(MessageReceiveTimeout, match="No message received for service ours"):
                await client.call_action("ours", "wait", {"seconds": 0.3}, timeout=0.05)
            assert client.handlers["ours"].transport.requests_outstanding == 0
            assert (await client.call_action("ours", "where")).errors == []

    in_loop(run())


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_call_that_is_cancelled_disturbs_no_other(concurrency: int) -> None:
    async def run() -> None:
        async with AsyncClient(config(concurrency)) as client:
            tasks = [
                asyncio.create_task(client.call_action("ours", "wait", {"seconds": 0.01 * number}))
                for number in range(6)
            ]
            for turns, task in enumerate(tasks[::2]):
                for _ in range(3 * turns):
                    await asyncio.sleep(0)
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert client.handlers["ours"].transport.requests_outstanding == 0
            assert [type(result) for result in results] == [asyncio.CancelledError, ActionResponse] * 3

    in_loop(run())


def test_closing_the_client_fails_its_calls_and_cancels_their_jobs() -> None:
    async def run() -> None:
        client = AsyncClient(config(8))
        call = asyncio.create_task(client.call_action("ours", "wait"))
        while "began" not in LOG:
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(MessageReceiveError, match="The client of service ours was closed"):
            await call

    in_loop(run())

    assert LOG[1:-1] == ["began", "ended"]


def test_no_more_jobs_run_at_once_than_the_settings_say() -> None:
    async def run() -> None:
        async with AsyncClient(config(2)) as client:
            calls = [client.call_action("ours", "wait", {"seconds": 0.001}) for _ in range(6)]
            await asyncio.gather(*calls)

    in_loop(run())

    LOG[:] = [each for each in LOG if isinstance(each, str)]
    running = [LOG[:end].count("began") - LOG[:end].count("ended") for end in range(len(LOG) + 1)]
    assert max(running) == 2


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_that_cannot_start_fails_each_call(concurrency: int) -> None:
    async def run() -> None:
        async with AsyncClient(config(concurrency, BrokenServer)) as client:
            for _ in range(2):
                with pytest.raises(ValueError, match="no good"):
                    await client.call_action("ours", "where")

    in_loop(run())
    with pytest.raises(ValueError, match="no good"):
        Client(config(concurrency, BrokenServer)).call_action("ours", "where")


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    async def run() -> None:
        async with AsyncClient(config(1, SilentServer)) as client:
            with pytest.raises(MessageReceiveTimeout, match="has ended the job without a response"):
                await client.call_action("ours", "where")

    in_loop(run())


def test_a_client_belongs_to_one_loop_until_it_is_closed_there() -> None:
    client = AsyncClient(config(8))

    async def call() -> None:
        await client.call_action("ours", "where")

    with asyncio.Runner() as one:
        one.run(call())
        for refused in (call, client.close):
            with pytest.raises(MessageSendError, match="belongs to another event loop: close it there first"):
                in_loop(refused())
        one.run(client.close())
    in_loop(call())  # which is over without a close, so that the next may have it
    with asyncio.Runner() as last:
        last.run(call())
        last.run(client.close())


def test_what_is_handed_over_is_not_received() -> None:
    async def run() -> None:
        with pytest.raises(TypeError, match="receives nothing"):
            await AsyncLocalServerTransport("ours").receive_request_message()

    in_loop(run())
