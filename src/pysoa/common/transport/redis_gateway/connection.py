"""Connections to Redis: the one module that writes to them and reads from them.

Commands are written as ready bytes and replies are parsed by hiredis, because redis-py's own clients cost several times
as much, resend commands by themselves and give a pop up while its message is on the way.

A connection belongs to one thread at a time. It is used again only while every reply that it owes has been read:
whoever gives up waiting closes it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import weakref
from collections.abc import Sequence
from typing import Any, Final, Self, TypeAlias

import hiredis

from pysoa.common.clock import monotonic
from pysoa.common.forks import FORKS

__all__ = (
    "BrokerError",
    "BrokerLost",
    "BrokerRefused",
    "BrokerTimeout",
    "BrokerUnreachable",
    "RedisConnection",
    "Reply",
    "pack",
)

Reply: TypeAlias = "int | bytes | list[Reply] | BrokerRefused | None"

# Buffers are kept from reply to reply: fresh memory for large ones would cost more than all else that is done to them.
_FIRST_BUFFER_IN_BYTES: Final = 16_384
_LARGEST_BUFFER_IN_BYTES: Final = 1_048_576

# The first wait on a connection is short, so that whoever waits can look around once; later ones are as long as needed.
_FIRST_PATIENCE_IN_SECONDS: Final = 0.02
_SHORTEST_PATIENCE_IN_SECONDS: Final = 0.001
_PATIENCE_TO_SPARE_IN_SECONDS: Final = 0.05  # to leave the limit as it is from one wait to the next
_SEND_STEP_IN_SECONDS: Final = 0.25
_SURELY_FRESH_FOR_SECONDS: Final = 0.05

# Replies that say "this is not, or not now, the master": it has to be looked up again.
_NOT_THE_MASTER: Final = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED")


class BrokerError(Exception):
    """The root of what a connection raises; never seen above the transport."""


class BrokerUnreachable(BrokerError):
    """No connection could be made; nothing has been sent."""


class BrokerLost(BrokerError):
    """The connection broke; what was sent may or may not have been carried out."""


class BrokerTimeout(BrokerLost):
    """The broker did not answer in time; what was sent may or may not have been carried out."""


class BrokerRefused(BrokerError):
    """The broker answered with an error; the command has not been carried out."""

    @property
    def kind(self) -> str:
        """The first word of the answer, such as ``READONLY`` or ``OOM``."""
        return str(self).partition(" ")[0]

    @property
    def not_the_master(self) -> bool:
        """Whether the master has to be looked up again."""
        return self.kind in _NOT_THE_MASTER


def pack(*arguments: bytes) -> bytes:
    """A Redis command as bytes to send."""
    return b"*%d\r\n" % len(arguments) + b"".join([b"$%d\r\n%b\r\n" % (len(item), item) for item in arguments])


class RedisConnection:
    """One open connection.

    Plain sockets block, with the system's own time limit for receiving (``SO_RCVTIMEO``), which is kept from call to
    call: waiting then costs one system call where polling costs two. TLS needs polling, for it reads ahead.

    Attributes:
        client_id: the broker's number for this connection, for ``CLIENT UNBLOCK``; None where it may not be asked.
        owed: how many replies have not been read yet.
        generation: how many forks lay before the process that opened it.
        idle_since: when it was last given back, on the monotonic clock.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_closes_socket",
        "_feed",
        "_opened_by",
        "_patience",
        "_reader",
        "_socket",
        "_tls",
        "client_id",
        "generation",
        "idle_since",
        "owed",
    )

    def __init__(self, sock: socket.socket, opened_by: Any = None) -> None:
        """Take over a socket on which the handshake is done.

        Args:
            sock: the socket.
            opened_by: whatever has opened it and would close it when it goes.
        """
        self._socket = sock
        self._opened_by = opened_by
        # Clients of 1.x had nothing to close; and a thread may end with a pop under way that nobody waits for.
        self._closes_socket = weakref.finalize(self, sock.close)
        self._closes_socket.atexit = False
        self._tls = hasattr(self._socket, "pending") or sys.platform == "win32"
        self._socket.setblocking(not self._tls)
        self._patience = 0.0
        if not self._tls:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _time_value(_SEND_STEP_IN_SECONDS))
            self._be_patient(_FIRST_PATIENCE_IN_SECONDS)
        self._reader = hiredis.Reader(protocolError=BrokerLost, replyError=BrokerRefused)
        self._feed: Any = self._reader.feed  # its stub knows of bytes only
        self._reader.setmaxbuf(2 * _LARGEST_BUFFER_IN_BYTES)
        self._buffer = bytearray(_FIRST_BUFFER_IN_BYTES)
        self.client_id: bytes | None = None
        self.owed = 0
        self.generation = FORKS.count
        self.idle_since = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, packet: bytes | Sequence[bytes], replies: int, until: float) -> None:
        """Write commands.

        Args:
            packet: commands as ``pack`` makes them; in pieces where they hold much, which saves copying it.
            replies: how many replies they will have.
            until: moment on the monotonic clock to give up at.

        Raises:
            BrokerLost: the connection broke or time ran out; commands may have been carried out.
        """
        self.owed += replies
        try:
            if type(packet) is bytes:
                sent = self._send(packet)
                if sent != len(packet):
                    self._send_rest(memoryview(packet)[sent:], until)
                return
            for piece in packet:
                self._send_rest(memoryview(piece), until)  # type: ignore[arg-type] # str is no packet
        except BrokerError:
            raise
        except BaseException:
            self.close()  # such as an interrupt: nobody knows how much has been sent
            raise

    def _send(self, data: bytes | memoryview) -> int:
        """Write what the socket takes now, and say how much that was."""
        try:
            return self._socket.send(data)
        except OSError as error:
            if not _wants_more(error):
                raise BrokerLost(f"connection broke while sending: {error}") from error
            return 0

    def _send_rest(self, rest: memoryview, until: float) -> None:
        while rest:
            sent = self._send(rest)
            rest = rest[sent:]
            if rest and monotonic() >= until:
                raise BrokerTimeout("the broker did not take the message in time")
            if not sent and self._tls:
                _wait_for(self._socket, min(until, monotonic() + _SEND_STEP_IN_SECONDS), write=True)

    def read(self, until: float) -> Reply:
        """The next reply.

        Raises:
            BrokerTimeout: it did not come in time. The connection must be closed, or read again later.
            BrokerLost: the connection broke.
        """
        gets = self._reader.gets
        try:
            while (reply := gets()) is False:
                # Nearly always the first wait is enough; looking at clocks and limits comes after it.
                has_waited = self._patience == _FIRST_PATIENCE_IN_SECONDS
                if has_waited and self._receive():
                    continue
                if (has_waited and monotonic() >= until) or not self.wait(until):
                    raise BrokerTimeout("the broker did not answer in time")
        except hiredis.HiredisError as error:
            raise BrokerLost(f"the broker answered nonsense: {error}") from error
        except BrokerError:
            raise
        except BaseException:
            self.close()  # such as an interrupt: bytes may have been received and not kept
            raise
        self.owed -= 1
        return reply  # type: ignore[no-any-return]

    def read_if_there(self) -> Reply | bool:
        """The next reply if all of it has been received; otherwise False."""
        try:
            reply = self._reader.gets()
        except hiredis.HiredisError as error:
            raise BrokerLost(f"the broker answered nonsense: {error}") from error
        if reply is False:
            return False
        self.owed -= 1
        return reply  # type: ignore[no-any-return]

    def wait(self, until: float) -> bool:
        """Wait for bytes and take them in.

        Returns:
            True when bytes came; False when time ran out.

        Raises:
            BrokerLost: the connection broke.
        """
        if self._patience > _FIRST_PATIENCE_IN_SECONDS and self._patience > (
            left := until - monotonic() + _PATIENCE_TO_SPARE_IN_SECONDS
        ):
            self._be_patient(left)
        while not self._receive():
            left = until - monotonic()
            if left <= 0:
                return False
            if self._tls:
                _wait_for(self._socket, until)
            else:
                self._be_patient(left)
        return True

    def receive_now(self) -> None:
        """Take in what has come already, without waiting.

        Raises:
            BrokerLost: the connection broke.
        """
        if self._tls or _wait_for(self._socket, 0.0):
            self._receive()

    def _receive(self) -> bool:
        """Take in bytes; False when none came while the socket was patient."""
        buffer = self._buffer
        try:
            size = self._socket.recv_into(buffer)
        except OSError as error:
            if _wants_more(error):
                return False
            raise BrokerLost(f"connection broke: {error}") from error
        if not size:
            raise BrokerLost("the broker closed the connection")
        self._feed(buffer, 0, size)
        if size == len(buffer) and size < _LARGEST_BUFFER_IN_BYTES:
            self._buffer = bytearray(size * 8)
        return True

    def _be_patient(self, seconds: float) -> None:
        """Set how long the socket waits for bytes before it gives control back."""
        self._patience = max(seconds, _SHORTEST_PATIENCE_IN_SECONDS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _time_value(self._patience))

    def rest(self) -> None:
        """Make ready for the next user, whose first wait is to be short again."""
        self.idle_since = monotonic()
        if self._patience > _FIRST_PATIENCE_IN_SECONDS:
            self._be_patient(_FIRST_PATIENCE_IN_SECONDS)

    def is_fresh(self) -> bool:
        """Whether the idle connection can be used: of this process, nothing owed, not closed by the other end."""
        if self.owed or self.generation != FORKS.count:
            return False
        if monotonic() - self.idle_since < _SURELY_FRESH_FOR_SECONDS:
            return True
        try:
            # An idle connection has nothing to say: what can be read is its end.
            return not _wait_for(self._socket, 0.0)
        except (OSError, ValueError):
            return False

    def ask(self, *arguments: bytes, until: float) -> Reply:
        """Send one command and read its reply; an error reply is given back, not raised."""
        self.send(pack(*arguments), 1, until)
        return self.read(until)

    def detach(self) -> tuple[socket.socket, Any]:
        """Hand the socket to somebody else, with what has opened it; nothing may be owed on it."""
        self._closes_socket.detach()
        return self._socket, self._opened_by

    def close(self) -> None:
        """Close it, whatever it still owes."""
        # After a fork the parent goes on with the connection: then only our copy of the descriptor is closed.
        if self.generation == FORKS.count:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _wants_more(error: OSError) -> bool:
    if isinstance(error, BlockingIOError | InterruptedError):
        return True
    # ssl.SSLWantReadError and SSLWantWriteError; importing ssl costs 10 ms to those who do without it.
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")


def _wait_for(sock: socket.socket, until: float, *, write: bool = False) -> bool:
    """Wait until a socket has something to say, or takes something."""
    left = max(0.0, until - monotonic())
    if not hasattr(select, "poll"):  # Windows
        return any(select.select([sock], [sock] if write else [], [], left))
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(left * 1000))


def _time_value(seconds: float) -> bytes:
    """A ``struct timeval``, as socket options take it."""
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
