"""The floor: what a call costs when Python only moves bytes.

The same Redis commands in the same packets as the gateway's, on a plain socket with hiredis, with a message of the same
size; nothing is encoded, decoded or decided.
"""

from __future__ import annotations

import socket
import sys

import hiredis

from benchmarks.callers import say

MESSAGE_SIZE = 360


def pack(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(item), item) for item in arguments)


class Line:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def send(self, packet: bytes) -> None:
        self._socket.sendall(packet)

    def read(self) -> object:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1048576 if self._is_large else 65536))
        return reply

    _is_large = False

    def expect_large(self) -> None:
        self._is_large = True


class FloorClient:
    """Pushes a message and pops its echo, in one packet.

    Args:
        key: the list to push to; by default that of the server for messages of this size.
        reply_key: the list to pop from, likewise.
    """

    def __init__(self, port: int, message: bytes, key: bytes | None = None, reply_key: bytes | None = None) -> None:
        self._line = Line(port)
        if len(message) > 65536:
            self._line.expect_large()
        reply_key = reply_key or b"floor.reply.%d" % len(message)
        key = key or b"floor.request.%d" % len(message)
        self._packet = (
            pack(b"RPUSH", key, message) + pack(b"EXPIRE", key, b"3600") + pack(b"BLPOP", reply_key, b"2.000")
        )

    def call(self) -> None:
        self._line.send(self._packet)
        self._line.read()
        self._line.read()
        if self._line.read() is None:
            raise TimeoutError("the floor's server did not answer")


def serve(port: int, size: int) -> None:
    """Echo messages of one size for ever."""
    line = Line(port)
    if size > 65536:
        line.expect_large()
    reply_key = b"floor.reply.%d" % size
    pop = pack(b"BLPOP", b"floor.request.%d" % size, b"5.000")
    expire = pack(b"EXPIRE", reply_key, b"70")
    line.send(pop)
    say({"ready": True})
    while True:
        popped = line.read()
        if popped is None:
            line.send(pop)
            continue
        message = popped[1]  # type: ignore[index]
        line.send(pack(b"RPUSH", reply_key, message) + expire + pop)
        line.read()
        line.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
