"""A small service with an action of every kind, for tests of servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysoa.common.errors import Error
from pysoa.common.fields import Dictionary, Integer
from pysoa.common.types import ActionResponse
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import HarakiriInterrupt, Server
from pysoa.server.types import EnrichedActionRequest

TEAPOT = Error("TEAPOT", "short and stout", field="pot.lid")
FULL = {"error_detail": "full"}


class EchoAction(Action):
    def run(self, request: EnrichedActionRequest) -> Any:
        return request.body


class SquareAction(Action):
    request_schema = Dictionary({"number": Integer()})
    response_schema = Dictionary({"square": Integer()})

    def run(self, request: EnrichedActionRequest) -> Any:
        number = request.body["number"]
        return {"square": number * number if number != 13 else "unlucky"}


def raising(make_error: Callable[[], BaseException]) -> Any:
    """An action, given as a function, that raises."""

    def make_action(settings: Any) -> Any:
        def act(request: EnrichedActionRequest) -> ActionResponse:
            raise make_error()

        return act

    return make_action


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def broken_factory(settings: Any) -> Any:
    raise ValueError("cannot be made")


def soft_error(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action, [Error("SOFT", "returned")], {"partial": 1})


class OrdinaryServer(Server):
    service_name = "x"
    action_class_map = {
        "echo": EchoAction,
        "square": SquareAction,
        "fail": raising(lambda: ActionError([TEAPOT])),
        "fail_server_side": raising(lambda: ActionError([TEAPOT], set_is_caller_error_to=False)),
        "fail_job": raising(lambda: JobError([TEAPOT])),
        "explode": raising(lambda: ValueError("kaboom é")),
        "explode_without_text": raising(_Unprintable),
        "overrun": raising(HarakiriInterrupt),
        "broken_factory": broken_factory,
        "soft_error": soft_error,
        "no_response": lambda settings: lambda request: None,
    }


def error(code: str, message: str, *, field: str | None = None, is_caller_error: bool = False) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "field": field,
        "traceback": None,
        "variables": None,
        "denied_permissions": None,
        "is_caller_error": is_caller_error,
    }
