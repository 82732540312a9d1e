"""Connections to Redis in an event loop.

They are opened, greeted and judged by the blocking code, on a thread: that is rare, and so every way of connecting
(TLS, users' own connection classes, Sentinel) has one text. The open socket then goes to the event loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import hiredis

from pysoa.common.clock import monotonic
from pysoa.common.threads import in_thread
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.connection import BrokerLost, BrokerRefused, RedisConnection, Reply

__all__ = ("AsyncRedisConnection", "Owed", "open_connection")

_RECEIVE_IN_BYTES: Final = 262_144


class Owed(Protocol):
    """What waits for one reply of the broker."""

    def take(self, reply: Reply) -> None:
        """The reply, which may be a ``BrokerRefused``."""

    def lost(self, error: BrokerLost) -> None:
        """There will be none: nobody knows whether the command was carried out."""


class AsyncRedisConnection(asyncio.Protocol):
    """One open connection in an event loop. Replies come in the order of the commands.

    Args:
        on_lost: called once when the connection has broken, after all that it owes has been told.

    Attributes:
        client_id: the broker's number for this connection, for ``CLIENT UNBLOCK``; None where it may not be asked.
        owes: what the replies that have not come yet are for.
        quiet_since: when the broker has last said anything, or else when it was asked after owing nothing.
    """

    def __init__(self, on_lost: Callable[[AsyncRedisConnection, BrokerLost], None]) -> None:
        self._reader = hiredis.Reader(protocolError=BrokerLost, replyError=BrokerRefused)
        self._on_lost = on_lost
        self._transport: Any = None
        self._is_over = False
        self.client_id: bytes | None = None
        self.owes: deque[Owed] = deque()
        self.quiet_since = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        gets, owes = reader.gets, self.owes
        self.quiet_since = monotonic()
        try:
            while (reply := gets()) is not False:
                owes.popleft().take(reply)
        except IndexError:
            self.lose(BrokerLost("the broker said something that it was not asked"))
        except (BrokerLost, hiredis.HiredisError) as error:
            self.lose(BrokerLost(f"the broker answered nonsense: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.lose(BrokerLost(f"connection broke: {error}" if error else "the broker closed the connection"))

    def send(self, packet: Sequence[bytes], owed: Sequence[Owed]) -> None:
        """Write commands, and note what their replies are for."""
        if not self.owes:
            self.quiet_since = monotonic()
        self.owes.extend(owed)
        self._transport.write(packet[0] if len(packet) == 1 else b"".join(packet))

    def is_silent(self, seconds: float) -> bool:
        """Whether it owes replies and has said nothing for so long."""
        return bool(self.owes) and monotonic() - self.quiet_since > seconds

    def lose(self, error: BrokerLost) -> None:
        """Close it, and tell all that it owes anything to."""
        if self._is_over:
            return
        self._is_over = True
        self.close()
        owes, self.owes = self.owes, deque()
        for owed in owes:
            owed.lost(error)
        self._on_lost(self, error)

    def close(self) -> None:
        """Close it and tell nobody."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()


class _SocketTransport:
    """Moves the bytes of a socket that the event loop cannot take over, such as one with TLS on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: Any, opened_by: Any, protocol: asyncio.Protocol) -> None:
        self._loop = loop
        self._socket = sock
        self._opened_by = opened_by  # closes the socket when it goes
        self._protocol = protocol
        self._unsent = bytearray()
        self._is_open = True
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._on_readable)
        protocol.connection_made(self)  # type: ignore[arg-type]  # all of a transport that is used

    def write(self, data: bytes) -> None:
        if not self._is_open:
            return
        self._unsent += data
        self._write_some()

    def _write_some(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._loop.add_writer(self._socket.fileno(), self._write_some)
            return
        except OSError as error:
            self._end(error)
            return
        self._loop.remove_writer(self._socket.fileno())

    def _on_readable(self) -> None:
        error: Exception | None = None
        while self._is_open:
            try:
                data = self._socket.recv(_RECEIVE_IN_BYTES)
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as fault:
                data, error = b"", fault
            if not data:
                self._end(error)
                return
            self._protocol.data_received(data)

    def _end(self, error: Exception | None) -> None:
        if self._is_open:
            self.abort()
            self._loop.call_soon(self._protocol.connection_lost, error)

    def abort(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()


async def open_connection(
    master: Master, until: float, on_lost: Callable[[AsyncRedisConnection, BrokerLost], None]
) -> AsyncRedisConnection:
    """Open a connection in the running event loop.

    Args:
        master: the broker.
        until: moment on the monotonic clock to give up at.
        on_lost: called when it has broken.

    Raises:
        BrokerUnreachable: it could not be opened.
    """
    loop = asyncio.get_running_loop()
    opened = await in_thread(lambda: master.take(until), RedisConnection.close)
    connection = AsyncRedisConnection(on_lost)
    connection.client_id = opened.client_id
    sock, opened_by = opened.detach()
    if hasattr(sock, "pending"):
        _SocketTransport(loop, sock, opened_by, connection)
        return connection
    sock.setblocking(False)
    connect: Any = loop.create_unix_connection if sock.family == getattr(socket, "AF_UNIX", -1) else None
    await (connect or loop.create_connection)(lambda: connection, sock=sock)
    return connection
