"""A service without a broker, for tests of what a server's process does: it serves a list of calls, then waits.

Run it with ``python -m tests.support.lone_server -s tests.support.lone_server``. ``LONE_CALLS`` are the calls,
``name`` or ``name:seconds`` with commas between; ``LONE_SETTINGS`` is JSON to put into the settings. It writes a line
for each thing that happens.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import select
import sys
import time
from collections import deque
from typing import Any

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, Body
from pysoa.server.server import Server


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


@accepts_kwargs(NO_KWARGS)
class LoneTransport(ServerTransport):
    """Gives out the calls, and waits for the end; a wait is left when it is told to stop, as over a broker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = deque(call for call in os.environ.get("LONE_CALLS", "").split(",") if call)
        self._wake, self._waker = os.pipe()
        self._number = 0

    def receive_request_message(self) -> ReceivedMessage:
        if not self._calls:
            say("waiting")
            # In slices, as over a broker: Python may look for signals a moment too early to see one before it waits.
            while not select.select([self._wake], [], [], 1)[0]:
                pass
            say("left the wait")
            raise MessageReceiveTimeout("no call is left")
        name, _, seconds = self._calls.popleft().partition(":")
        self._number += 1
        return ReceivedMessage(
            self._number,
            {"client_version": [1, 4, 9]},
            {
                "control": {"continue_on_error": True},
                "context": {"correlation_id": f"call-{self._number}", "switches": []},
                "actions": [{"action": name, "body": {"seconds": float(seconds or 0)}}, {"action": "nap"}],
            },
        )

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        results = [error["code"] for error in body["errors"]] + [
            ",".join(error["code"] for error in action["errors"]) or "fine" for action in body["actions"]
        ]
        say(f"response {request_id}: {' '.join(results)}")

    def stop_taking(self) -> None:
        os.write(self._waker, b"x")

    def close(self) -> None:
        say("transport closed")


def nap(settings: Any) -> Any:
    def act(request: Any) -> ActionResponse:
        seconds = request.body.get("seconds", 0)
        say(f"napping for {seconds}")
        time.sleep(seconds)
        return ActionResponse(request.action)

    return act


def deaf_nap(settings: Any) -> Any:
    """Naps on when it is interrupted, as bad code does."""

    def act(request: Any) -> ActionResponse:
        end = time.monotonic() + request.body["seconds"]
        say("deaf from here")
        while time.monotonic() < end:
            try:
                time.sleep(0.05)
            except BaseException as error:
                say(f"not impressed by {type(error).__name__}")
        return ActionResponse(request.action)

    return act


def hold(settings: Any) -> Any:
    """Code in C that holds the interpreter: no other thread runs meanwhile."""

    def act(request: Any) -> ActionResponse:
        say("holding the interpreter")
        deque(itertools.repeat(None), maxlen=0)
        return ActionResponse(request.action)

    return act


def hash_on(settings: Any) -> Any:
    """Code in C that lets other threads run, and hears no signals."""

    def act(request: Any) -> ActionResponse:
        say("hashing")
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000_000)
        return ActionResponse(request.action)

    return act


class LoneServer(Server):
    service_name = "lone"
    action_class_map = {"nap": nap, "deaf_nap": deaf_nap, "hold": hold, "hash_on": hash_on}

    def teardown(self) -> None:
        say("teardown")


SOA_SERVER_SETTINGS = {
    "transport": {"path": f"{__name__}:LoneTransport"},
    "logging": {
        "formatters": {"console": {"format": "%(levelname)s %(correlation_id)s %(message)s"}},
        "root": {"level": "INFO"},
    },
    **json.loads(os.environ.get("LONE_SETTINGS", "{}")),
}


if __name__ == "__main__":
    # Under its own name: settings name the transport by that.
    from tests.support.lone_server import LoneServer as ImportedServer

    ImportedServer.main()
    say("main has returned")
    sys.exit(0)
