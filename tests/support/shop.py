"""A small service with failing actions, for tests of the testing kit."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server

SETTINGS: dict[str, Any] = {}


class Number(TypedDict):
    number: int


class Square(TypedDict):
    square: int


class SquareAction(Action):
    request_schema = Number
    response_schema = Square

    def run(self, request: Any) -> Any:
        return {"square": request.body["number"] ** 2}


class FailAction(Action):
    """Fails with the errors that it is given."""

    def run(self, request: Any) -> Any:
        raise ActionError([Error(**error) for error in request.body["errors"]])


class FailJobAction(Action):
    def run(self, request: Any) -> Any:
        raise JobError([Error("J", "m J")])


class RelayAction(Action):
    """Calls another action, and answers what that does."""

    def run(self, request: Any) -> Any:
        return request.client.call_action(request.body["service"], request.body["action"], request.body["body"]).body


class AsyncRelayAction(Action):
    """As ``RelayAction``, by an asyncio client."""

    async def run(self, request: Any) -> Any:
        body = request.body
        return (await request.client.call_action(body["service"], body["action"], body["body"])).body


class WhereAction(Action):
    async def run(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return {"thread": threading.current_thread().name}


class ShopServer(Server):
    service_name = "shop"
    action_class_map = {
        "square": SquareAction,
        "fail": FailAction,
        "fail_job": FailJobAction,
        "relay": RelayAction,
        "async_relay": AsyncRelayAction,
        "where": WhereAction,
        "echo": lambda settings: lambda request: ActionResponse(request.action, body=request.body),
    }


SOA_SERVER_SETTINGS = SETTINGS
