"""What a server in an event loop records of its jobs, and when that goes out; for the others, see ``test_process``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse
from pysoa.server.server import Server
from tests.support.recording import ListRecorder

RUNNING, BUSY = "server.worker.running", "server.worker.busy"


async def wait(request: Any) -> ActionResponse:
    await request.context["may_end"].wait()
    return ActionResponse(request.action)


async def end(request: Any) -> ActionResponse:
    return ActionResponse(request.action)


class WaitingServer(Server):
    service_name = "waiting"
    action_class_map = {"wait": lambda settings: wait, "end": lambda settings: end}


def client_of_server() -> AsyncClient:
    settings = {"concurrency": 4, "metrics": {"path": "tests.support.recording:ListRecorder"}}
    kwargs = {"server_class": WaitingServer, "server_settings": settings}
    path = "pysoa.common.transport.local:LocalClientTransport"
    return AsyncClient({"waiting": {"transport": {"path": path, "kwargs": kwargs}}})


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_worker_is_busy_while_any_of_its_jobs_is_under_way() -> None:
    async def events_of_two_jobs() -> list[Any]:
        may_end = asyncio.Event()
        ListRecorder.made.clear()
        async with client_of_server() as client:
            long = asyncio.create_task(client.call_action("waiting", "wait", context={"may_end": may_end}))
            await until(lambda: ListRecorder.made and (BUSY, 1) in ListRecorder.made[0].events)
            await client.call_action("waiting", "end")
            may_end.set()
            await long
            return list(ListRecorder.made[0].events)

    events = asyncio.run(events_of_two_jobs())

    begun = [(RUNNING, 1), (BUSY, 1), "publish", "publish"]
    assert events == [*begun, *begun, "publish", (RUNNING, 1), (BUSY, 0), "publish", "server.idle_time start"]


def test_a_job_that_is_called_off_for_its_caller_has_gone_is_no_harakiri() -> None:
    async def events_of_late_job() -> list[Any]:
        ListRecorder.made.clear()
        async with client_of_server() as client:
            with pytest.raises(MessageReceiveTimeout):
                await client.call_action("waiting", "wait", context={"may_end": asyncio.Event()}, timeout=0.05)
            await until(lambda: (BUSY, 0) in ListRecorder.made[0].events)
            return list(ListRecorder.made[0].events)

    events = asyncio.run(events_of_late_job())

    assert [event for event in events if "error" in str(event)] == []
