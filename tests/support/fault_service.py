"""A service to be hurt, run by ``python -m tests.support.fault_service -s tests.support.fault_service``.

The environment variable ``FAULT_SERVICE`` says, as a JSON object: ``name`` of the service, ``backend`` settings of all
its transports, ``transport`` with further settings of the server's, ``next``, the service that ``chain`` calls,
``next_timeout`` for those calls, ``tokens``, the file in which actions note what has run, ``ahead``, the seconds that
its wall clock is ahead of the true time, and ``settings`` of the server.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from pysoa.common.errors import PySOAError
from pysoa.common.transport import base as transport_base
from pysoa.common.transport.redis_gateway.backend import base as backend_base
from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.standalone import simple_main
from pysoa.server.types import EnrichedActionRequest

RUN: dict[str, Any] = json.loads(os.environ["FAULT_SERVICE"])
TOKENS = os.open(RUN["tokens"], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if "tokens" in RUN else None


IS_ASYNC = RUN.get("settings", {}).get("concurrency", 1) > 1


def _note(request: EnrichedActionRequest) -> None:
    assert TOKENS is not None
    os.write(TOKENS, f"{request.body['token']}\n".encode())  # in one piece: workers share the file


class Echo(Action):
    def run(self, request: EnrichedActionRequest) -> Any:
        return request.body


class Note(Action):
    """Notes that it has begun, takes its time, and echoes."""

    def run(self, request: EnrichedActionRequest) -> Any:
        _note(request)
        time.sleep(request.body.get("seconds", 0))
        return request.body


class AsyncNote(Action):
    """As ``Note``, but others run while it takes its time. With ``stubborn``, it does not let itself be called off."""

    async def run(self, request: EnrichedActionRequest) -> Any:
        _note(request)
        until = time.monotonic() + request.body.get("seconds", 0)
        while time.monotonic() < until:
            try:
                await asyncio.sleep(until - time.monotonic())
            except asyncio.CancelledError:
                if not request.body.get("stubborn"):
                    raise
        return request.body


class NoteOnThread(Note):
    """As ``Note``, on a thread where the server runs jobs on asyncio."""

    blocking = True


class Work(Action):
    """Keeps the processor busy for so long."""

    def run(self, request: EnrichedActionRequest) -> Any:
        if TOKENS is not None:
            _note(request)
        end = time.monotonic() + request.body["seconds"]
        while time.monotonic() < end:
            pass
        return request.body


class Chain(Action):
    """Calls the same action of the next service, if there is one.

    With ``seconds``, the last one takes so long, and the others note when their call failed, and how.
    """

    def run(self, request: EnrichedActionRequest) -> Any:
        if "next" not in RUN:
            time.sleep(request.body.get("seconds", 0))
            return {"token": request.body["token"], "path": [RUN["name"]]}
        assert request.client is not None
        try:
            answer = request.client.call_action(RUN["next"], "chain", request.body, timeout=RUN["next_timeout"]).body
        except PySOAError as error:
            if TOKENS is not None and "seconds" in request.body:
                os.write(TOKENS, f"{RUN['name']}:{type(error).__name__}:{time.monotonic()}\n".encode())
            raise
        return {"token": answer["token"], "path": [RUN["name"], *answer["path"]]}


class AsyncChain(Action):
    """As ``Chain``, but others run meanwhile."""

    async def run(self, request: EnrichedActionRequest) -> Any:
        if "next" not in RUN:
            return {"token": request.body["token"], "path": [RUN["name"]]}
        client: Any = request.client
        answer = (await client.call_action(RUN["next"], "chain", request.body, timeout=RUN["next_timeout"])).body
        return {"token": answer["token"], "path": [RUN["name"], *answer["path"]]}


class Explode(Action):
    def run(self, request: EnrichedActionRequest) -> Any:
        raise RuntimeError(request.body["reason"])


class Hold(Action):
    """Runs code in C for ever that lets no other thread run and hears no signals."""

    def run(self, request: EnrichedActionRequest) -> Any:
        if TOKENS is not None:
            _note(request)
        return {"items": deque(itertools.repeat(None), maxlen=0)}


class Match(Action):
    """Looks for a pattern in a way that takes years. In the main thread it hears signals."""

    def run(self, request: EnrichedActionRequest) -> Any:
        return {"found": re.match(r"(a+)+$", "a" * 40 + "b") is not None}


class MatchOnThread(Match):
    """As ``Match``, on a thread where the server runs jobs on asyncio; there it hears nothing."""

    blocking = True


class Die(Action):
    def run(self, request: EnrichedActionRequest) -> Any:
        os._exit(1)


class Measure(Action):
    """What the process uses."""

    def run(self, request: EnrichedActionRequest) -> Any:
        return {"pid": os.getpid(), "cpu": time.process_time(), **measured()}


def measured() -> dict[str, int]:
    """Resident memory, open descriptors and threads of this process."""
    gc.collect()
    return {
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(os.listdir("/dev/fd")),
        "threads": threading.active_count(),
    }


if "ahead" in RUN:
    backend_base.wall_clock = transport_base.wall_clock = lambda: time.time() + RUN["ahead"]


class FaultServer(Server):
    service_name = RUN["name"]
    action_class_map = {
        "echo": Echo,
        "note": AsyncNote if IS_ASYNC else Note,
        "note_in_loop": Note,
        "note_on_thread": NoteOnThread,
        "work": Work,
        "chain": AsyncChain if IS_ASYNC else Chain,
        "explode": Explode,
        "hold": Hold,
        "match": Match,
        "match_on_thread": MatchOnThread,
        "die": Die,
        "measure": Measure,
    }


def _transport(side: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    path = f"pysoa.common.transport.redis_gateway.{side}:Redis{side.title()}Transport"
    return {"path": path, "kwargs": {**RUN["backend"], **kwargs}}


SOA_SERVER_SETTINGS = {
    "transport": _transport("server", RUN.get("transport", {})),
    "client_routing": {RUN["next"]: {"transport": _transport("client", {})}} if "next" in RUN else {},
    "request_log_success_level": "DEBUG",
    **RUN.get("settings", {}),
}


if __name__ == "__main__":
    # Under its own name, so that the settings module is not run a second time.
    from tests.support.fault_service import FaultServer as ImportedServer

    simple_main(lambda: ImportedServer)
    sys.stdout.flush()
