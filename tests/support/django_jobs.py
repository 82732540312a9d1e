"""Runs many jobs of the Django service by the local transport, and tells of the database connections that it has had.

Run it with ``python -m tests.support.django_jobs JSON``: names and bodies, ``actions``, which take turns; the number of
``jobs``; how many ``at_once``. It prints JSON. The environment variable ``DJANGO_SERVICE`` is for Django's settings.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from typing import Any

from pysoa.client import AsyncClient, Client
from pysoa.server.internal.django_setup import set_up_django
from tests.support.processes import open_descriptors


class Opened:
    """The connections of drivers that Django has opened.

    Attributes:
        count: how many.
        peak: how many were open at a time.
    """

    def __init__(self) -> None:
        from django.db.backends.signals import connection_created

        self.count = 0
        self.peak = 0
        self._raw: list[Any] = []
        self._lock = threading.Lock()
        connection_created.connect(self._note, weak=False)

    def _note(self, connection: Any, **_: Any) -> None:
        with self._lock:
            self.count += 1
            self._raw = [*filter(_is_open, self._raw), connection.connection]
            self.peak = max(self.peak, len(self._raw))

    def open(self) -> int:
        """How many are open now."""
        return sum(map(_is_open, self._raw))


def _is_open(raw: Any) -> bool:
    if hasattr(raw, "closed"):
        return not raw.closed
    try:
        raw.total_changes  # noqa: B018 - SQLite's says so only by refusing
    except Exception:
        return False
    return True


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the jobs; what came of them, and how many connections there were."""
    from django.db import connections

    from tests.support.django_service.server import Server, make_tables

    opened = Opened()
    make_tables()
    connections.close_all()
    before = opened.count
    transport = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": Server, "server_settings": {"concurrency": spec["at_once"]}},
    }
    settings = {"notes": {"transport": transport}}
    actions = [spec["actions"][number % len(spec["actions"])] for number in range(spec["jobs"])]
    descriptors = open_descriptors()
    answers = (
        _one_by_one(settings, actions)
        if spec["at_once"] == 1
        else asyncio.run(_at_once(settings, actions, spec["at_once"]))
    )
    report = {
        "opened": opened.count - before,
        "peak": opened.peak,
        "left open": opened.open(),
        "threads": [thread.name for thread in threading.enumerate() if thread.name == "pysoa-django"],
        "answers": answers,
    }
    connections.close_all()
    gc.collect()
    return {**report, "descriptors": open_descriptors() - descriptors}


def _one_by_one(settings: Any, actions: list[Any]) -> int:
    with Client(settings) as client:
        return len([client.call_action("notes", *action) for action in actions])


async def _at_once(settings: Any, actions: list[Any], at_once: int) -> int:
    async with AsyncClient(settings) as client:
        slots = asyncio.Semaphore(at_once)

        async def call(action: Any) -> Any:
            async with slots:
                return await client.call_action("notes", *action)

        return len(await asyncio.gather(*map(call, actions)))


if __name__ == "__main__":
    set_up_django("tests.support.django_service.settings")
    print(json.dumps(run(json.loads(sys.argv[1]))))
