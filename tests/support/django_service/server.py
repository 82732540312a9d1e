"""The service: notes in a database, written from wherever an action can run."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import cache, caches
from django.db import connection, connections
from django.db.backends.signals import connection_created

from pysoa.server import Server as BaseServer
from pysoa.server.action import Action
from tests.support.django_service.models import Note

_opened: list[Any] = []
connection_created.connect(lambda connection, **_: _opened.append(connection.connection), weak=False)


def backend(alias: str = "default") -> int:
    """Which connection this thread has, by a number of the database server; of SQLite, how many were opened before."""
    connections[alias].ensure_connection()
    if connections[alias].vendor == "sqlite":
        return next(number for number, raw in enumerate(_opened) if raw is connections[alias].connection)
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


class Write(Action):
    """Writes a note, and tells by which connections in which process."""

    def run(self, request: Any) -> Any:
        Note.objects.create(text=request.body.get("text", ""))
        return {"pid": os.getpid(), "backends": [backend(alias) for alias in request.body.get("aliases", ["default"])]}


class WriteBlocking(Write):
    blocking = True


class WriteAsync(Action):
    async def run(self, request: Any) -> Any:
        await Note.objects.acreate(text=request.body.get("text", ""))
        aliases = request.body.get("aliases", ["default"])
        return {"pid": os.getpid(), "backends": [await sync_to_async(backend)(alias) for alias in aliases]}


class Ask(Action):
    """Asks a database for next to nothing."""

    blocking = True

    def run(self, request: Any) -> Any:
        return {"answer": self.ask(request.body["alias"])}

    def ask(self, alias: str) -> Any:
        with connections[alias].cursor() as cursor:
            return cursor.execute("SELECT 1").fetchone()


class AskAsync(Ask):
    async def run(self, request: Any) -> Any:
        return {"answer": await sync_to_async(self.ask)(request.body["alias"])}


class WriteBeside(Action):
    """Writes a note in a coroutine that outlives the job."""

    async def run(self, request: Any) -> Any:
        request.run_coroutine(self._write())
        return {}

    async def _write(self) -> None:
        await asyncio.sleep(0)
        await Note.objects.acreate(text="beside")


class ReadSlowly(Action):
    """Reads notes one by one, while others come and go."""

    async def run(self, request: Any) -> Any:
        seen = 0
        async for _ in Note.objects.order_by("pk")[:100].aiterator(chunk_size=5):
            seen += 1
            await asyncio.sleep(0.001)
        return {"seen": seen}


class Count(Action):
    """How many notes there are, and how many are seen in the action's own transaction."""

    blocking = True

    def run(self, request: Any) -> Any:
        return {"notes": Note.objects.count()}


class CountAsync(Action):
    async def run(self, request: Any) -> Any:
        return {"notes": await Note.objects.acount()}


class LeaveOpen(Action):
    """Leaves a transaction open, as code that forgets to turn autocommit on again."""

    blocking = True

    def run(self, request: Any) -> Any:
        connection.set_autocommit(False)
        Note.objects.create(text="forgotten")
        return {}


class Remember(Action):
    """Puts its body into caches, and tells what was there."""

    def run(self, request: Any) -> Any:
        return self.look(request.body["text"])

    def look(self, text: str) -> Any:
        found = {"request": cache.get("text"), "process": caches["process"].get("text")}
        caches["noted"].get("text")
        cache.set("text", text)
        caches["process"].set("text", text)
        return found


class RememberAsync(Remember):
    async def run(self, request: Any) -> Any:
        found = self.look(request.body["text"])
        await asyncio.sleep(0.02)
        return {**found, "later": cache.get("text"), "in thread": await cache.aget("text")}


class RememberBlocking(Remember):
    blocking = True


def fail(settings: Any) -> Any:
    def act(request: Any) -> Any:
        raise ValueError("this one fails")

    return act


class Server(BaseServer):
    service_name = "notes"
    use_django = True
    action_class_map = {
        "write": Write,
        "write_blocking": WriteBlocking,
        "write_async": WriteAsync,
        "write_beside": WriteBeside,
        "read_slowly": ReadSlowly,
        "ask": Ask,
        "ask_async": AskAsync,
        "fail": fail,
        "count": Count,
        "count_async": CountAsync,
        "leave_open": LeaveOpen,
        "remember": Remember,
        "remember_async": RememberAsync,
        "remember_blocking": RememberBlocking,
    }

    @classmethod
    def initialize(cls, settings: Any) -> Any:
        if os.environ.get("DJANGO_SERVICE_TABLES"):
            make_tables()
        return cls

    @classmethod
    def pre_fork(cls) -> None:
        """Makes the tables, and keeps the connection by which it has done so."""
        make_tables()
        print(f"supervisor {os.getpid()} has connection {backend()}", flush=True)


def make_tables() -> None:
    for alias in connections:
        with connections[alias].schema_editor() as editor:
            editor.create_model(Note)
