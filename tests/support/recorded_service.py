"""A service whose metrics are recorded, with an action for each thing that can go wrong.

Run by ``python -m tests.support.recorded_service -s tests.support.recorded_service``. ``RECORDED_SERVICE`` is JSON:
``name`` of the service, ``server``, the name of the class to run, and its ``settings``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import JobError
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.server import Server
from pysoa.server.standalone import simple_main

RUN: dict[str, Any] = json.loads(os.environ.get("RECORDED_SERVICE", "{}"))
IS_ASYNC = RUN.get("settings", {}).get("concurrency", 1) > 1


class Silent(Exception):
    """Cannot be shown in any way."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def echo(request: Any) -> Any:
    return request.body


def large(request: Any) -> Any:
    return {"text": "x" * request.body["size"]}


def unwritable(request: Any) -> Any:
    return {"thing": object()}


def job_error(request: Any) -> Any:
    raise JobError([Error("TEAPOT", "short and stout")])


def silent_error(request: Any) -> Any:
    raise Silent


def sleep(request: Any) -> Any:
    """Says by a file that it has begun, if it is given the path of one."""
    _note(request)
    time.sleep(request.body["seconds"])
    return {}


def _note(request: Any) -> None:
    if "noted" in request.body:
        Path(request.body["noted"]).touch()


async def sleep_in_loop(request: Any) -> Any:
    _note(request)
    await asyncio.sleep(request.body["seconds"])
    return {}


def deaf(request: Any) -> Any:
    """Sleeps on, whatever interrupts it."""
    _note(request)
    until = time.monotonic() + request.body["seconds"]
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except BaseException:
            continue
    return {}


async def deaf_in_loop(request: Any) -> Any:
    """As ``deaf``, for an event loop."""
    _note(request)
    until = time.monotonic() + request.body["seconds"]
    while time.monotonic() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    return {}


async def _fail() -> None:
    raise RuntimeError("in the background")


def background(request: Any) -> Any:
    request.run_coroutine(_fail())
    return {}


def junk(request: Any) -> Any:
    """Not even a response; see ``Spoiling``."""
    return {}


def _action(run: Callable[[Any], Any]) -> Any:
    if asyncio.iscoroutinefunction(run):

        async def act_in_loop(request: Any) -> ActionResponse:
            return ActionResponse(request.action, body=await run(request))

        return lambda settings: act_in_loop
    return lambda settings: lambda request: ActionResponse(request.action, body=run(request))


class Spoiling(ServerMiddleware):
    """Gives back junk for some requests, and sleeps for others."""

    def job(self, process_job: Callable[..., JobResponse]) -> Callable[..., Any]:
        def process(request: Any) -> Any:
            if request.actions[0].action == "junk":
                response = process_job(request)
                response.actions = [Silent()]
                return response
            if request.actions[0].action == "slow_job":
                time.sleep(60)
            return process_job(request)

        return process


class RecordedServer(Server):
    service_name = RUN.get("name")
    action_class_map = {
        "echo": _action(echo),
        "large": _action(large),
        "unwritable": _action(unwritable),
        "job_error": _action(job_error),
        "silent_error": _action(silent_error),
        "sleep": _action(sleep_in_loop if IS_ASYNC else sleep),
        "deaf": _action(deaf_in_loop if IS_ASYNC else deaf),
        "background": _action(background),
        "junk": _action(junk),
    }


class SlowAfterwards(RecordedServer):
    """Hangs outside of its jobs."""

    def perform_post_request_actions(self) -> None:
        time.sleep(60)


SOA_SERVER_SETTINGS = {"middleware": [{"path": f"{__name__}:Spoiling"}], **RUN.get("settings", {})}


if __name__ == "__main__":
    # Under its own name, so that the settings module is not run a second time.
    imported = importlib.import_module("tests.support.recorded_service")
    simple_main(lambda: getattr(imported, RUN.get("server", "RecordedServer")))
    sys.stdout.flush()
