"""A TCP proxy that produces the faults of real networks, and can end TLS."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Literal

Direction = Literal["to_broker", "to_client"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Connection:
    """One connection of a client and its counterpart to the broker."""

    def __init__(self, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self.client = client
        self.broker = broker
        self.lost: set[Direction] = set()  # directions in which nothing ever passes again

    def close(self, *, reset: bool) -> None:
        for writer in (self.client, self.broker):
            if reset:
                plain: socket.socket | None = writer.get_extra_info("socket")  # None once it is closed
                with contextlib.suppress(OSError):
                    if plain is not None:
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort()
            else:
                writer.close()


class FaultProxy:
    """Stands on a free port in front of a broker and passes bytes on, until told to do otherwise.

    It runs in a thread of its own; the methods may be called from any thread, and have taken effect when they return.
    As a context manager it stops at the end of the block.

    Attributes:
        port: where clients connect.
        connections_accepted: how many connections there have been.
        bytes_to_broker: how many bytes were passed to the broker.
        bytes_to_client: how many bytes were passed to clients.
    """

    def __init__(self, upstream_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.connections_accepted = 0
        self.bytes_to_broker = 0
        self.bytes_to_client = 0
        self.port = 0
        self._upstream_port = upstream_port
        self._tls = tls
        self._delay: dict[Direction, float] = {"to_broker": 0.0, "to_client": 0.0}
        self._lose: set[Direction] = set()
        self._refuse = False
        self._reset_replies_after: int | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop
        self._open_gate: asyncio.Event
        self._over: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()
        self._started.result(10)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}" if self._tls is None else f"rediss://localhost:{self.port}"

    @property
    def connections_open(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    def delay(self, seconds: float, direction: Direction | None = None) -> None:
        """Hold each piece back for so long; in both directions, or in one. Order is kept."""

        def change() -> None:
            for one in ("to_broker", "to_client") if direction is None else (direction,):
                self._delay[one] = seconds

        self._do(change)

    def hold(self) -> None:
        """Pass nothing on, and keep it: ``heal`` delivers it late. New connections are accepted and held too."""
        self._do(self._open_gate.clear)

    def blackhole(self, direction: Direction | None = None) -> None:
        """Swallow what is sent, in both directions or in one. Nobody is told.

        The connections of now and those that come until ``heal`` are half-open for ever; later ones are sound.
        """

        def change() -> None:
            self._lose = {"to_broker", "to_client"} if direction is None else {direction}
            for connection in self._connections:
                connection.lost |= self._lose

        self._do(change)

    def refuse(self) -> None:
        """Reset new connections at once; those that are open go on."""

        def change() -> None:
            self._refuse = True

        self._do(change)

    def reset_in_reply(self, after_bytes: int = 1) -> None:
        """Reset the connection of the next reply, after passing on that many bytes of it. Happens once."""

        def change() -> None:
            self._reset_replies_after = after_bytes

        self._do(change)

    def drop_connections(self) -> None:
        """Close every open connection in an orderly way."""
        self._do(lambda: self._close_all(reset=False))

    def reset_connections(self) -> None:
        """Reset every open connection."""
        self._do(lambda: self._close_all(reset=True))

    def point_to(self, upstream_port: int) -> None:
        """Connect new connections to another broker."""

        def change() -> None:
            self._upstream_port = upstream_port

        self._do(change)

    def heal(self) -> None:
        """Pass everything on again, at once."""

        def change() -> None:
            self._delay = {"to_broker": 0.0, "to_client": 0.0}
            self._lose = set()
            self._refuse = False
            self._reset_replies_after = None
            self._open_gate.set()

        self._do(change)

    def stop(self) -> None:
        """Reset every connection and end the thread. May be called again."""
        if self._thread.is_alive():
            self._do(self._over.set)
            self._thread.join(10)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _do(self, change: Callable[[], object]) -> None:
        async def run() -> None:
            change()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _close_all(self, *, reset: bool) -> None:
        for connection in list(self._connections):
            connection.close(reset=reset)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # broken connections are what it is for
        self._open_gate, self._over = asyncio.Event(), asyncio.Event()
        self._open_gate.set()
        try:
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        except BaseException as error:
            self._started.set_exception(error)
            return
        self.port = server.sockets[0].getsockname()[1]
        self._started.set_result(None)
        await self._over.wait()
        server.close()
        self._close_all(reset=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the loop closes sockets a step after it is told to

    async def _accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(client_reader, client)
        finally:
            client.transport.abort()
            self._tasks.discard(task)

    async def _connect(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.connections_accepted += 1
        if self._refuse:
            _Connection(client, client).close(reset=True)
            return
        try:
            broker_reader, broker = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            _Connection(client, client).close(reset=True)
            return
        connection = _Connection(client, broker)
        connection.lost |= self._lose
        self._connections.add(connection)
        tasks = [
            asyncio.create_task(self._pump(connection, client_reader, broker, "to_broker")),
            asyncio.create_task(self._pump(connection, broker_reader, client, "to_client")),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            connection.close(reset=False)
            with contextlib.suppress(OSError, ssl.SSLError):
                await client.drain()
            self._connections.discard(connection)

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while data := await reader.read(65536):
            if direction in connection.lost:
                continue
            if self._delay[direction]:
                await asyncio.sleep(self._delay[direction])
            await self._open_gate.wait()
            if direction in connection.lost:  # it can have become so meanwhile
                continue
            if direction == "to_client" and self._reset_replies_after is not None:
                part, self._reset_replies_after = data[: self._reset_replies_after], None
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)  # a reset overtakes bytes that the client has not read yet
                connection.close(reset=True)
                return
            if direction == "to_broker":
                self.bytes_to_broker += len(data)
            else:
                self.bytes_to_client += len(data)
            writer.write(data)
            await writer.drain()
        if connection.lost:
            await asyncio.Event().wait()  # half-open: one end has gone, and the other is not told
