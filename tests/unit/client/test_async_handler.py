"""What an asyncio client's end to one service records."""

from __future__ import annotations

import asyncio
from typing import Any

from pysoa.client.async_client import AsyncClient
from pysoa.common.types import ActionResponse
from pysoa.server.server import Server
from tests.support.recording import ListRecorder


async def act(request: Any) -> ActionResponse:
    return ActionResponse(request.action)


class ActingServer(Server):
    service_name = "acting"
    action_class_map = {"act": lambda settings: act}


def recorded(*steps: str) -> list[str]:
    """What a client records of a call, or of a request and all responses; without the beginning of timers."""

    async def take_steps() -> None:
        async with AsyncClient({"acting": settings}) as client:
            for step in steps:
                if step == "call":
                    await client.call_action("acting", "act")
                elif step == "send":
                    await client.send_request("acting", [{"action": "act"}])
                else:
                    assert len([one async for one in client.get_all_responses("acting")]) == 1

    kwargs = {"server_class": ActingServer, "server_settings": {"concurrency": 2}}
    settings = {
        "transport": {"path": "pysoa.common.transport.local:LocalClientTransport", "kwargs": kwargs},
        "metrics": {"path": "tests.support.recording:ListRecorder"},
    }
    ListRecorder.made.clear()
    asyncio.run(take_steps())
    (recorder,) = ListRecorder.made
    return [event.removesuffix(" stop") for event in recorder.events if not event.endswith(" start")]


MADE = ["client.transport.initialize", "client.middleware.initialize"]
SENT = ["client.send.excluding_middleware", "client.send.including_middleware", "publish"]
RECEIVED = ["client.receive.excluding_middleware", "client.receive.including_middleware"]


def test_a_call_is_sent_and_received() -> None:
    assert recorded("call") == [*MADE, *SENT, *RECEIVED, "publish"]


def test_the_end_of_all_responses_is_received_too_and_goes_out() -> None:
    assert recorded("send", "receive") == [*MADE, *SENT, *RECEIVED, "publish", *RECEIVED, "publish"]
