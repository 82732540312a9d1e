"""The batched floor: what concurrent calls cost when Python only moves bytes.

A client and a server on asyncio and hiredis send the commands of the asyncio engine in its packets, with a message of
fixed size; nothing is encoded, decoded or decided. All that is called in one turn of the client's loop leaves in one
packet, with the next pop of its replies behind it where none is under way. The server takes what waits, up to 16
messages, and answers it in one packet, with its next pop behind the answers.

There are two: one sends ``RPUSH`` and ``EXPIRE`` for each message, the other one ``RPUSH`` of all messages for a list
("joined pushes").

A message begins with the name of its reply list, so that several clients may call one server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

import hiredis

from benchmarks.callers import obey, run, serve_for_ever
from benchmarks.floor import MESSAGE_SIZE, pack

REPLY_KEY_SIZE = 32
SERVER_BATCH = 16
LARGEST_POP = 64

Variant = Literal["single", "joined"]


def request_key(variant: str) -> bytes:
    """The list that the server of a variant reads."""
    return b"floor.requests." + variant.encode()


def message_from(client: int | str) -> bytes:
    """A message whose replies go to a list of this client's own."""
    reply_key = f"floor.replies.{client}".encode().ljust(REPLY_KEY_SIZE, b".")
    return reply_key.ljust(MESSAGE_SIZE, b"\x80")


class Pushes:
    """Writes the commands that push messages to a list and let it expire."""

    def __init__(self, key: bytes, *, joined: bool, expiry_in_seconds: int) -> None:
        self._expire = pack(b"EXPIRE", key, b"%d" % expiry_in_seconds)
        self._key = b"$5\r\nRPUSH\r\n$%d\r\n%b\r\n" % (len(key), key)
        self._joined = joined

    def packet(self, messages: list[bytes]) -> bytes:
        if self._joined:
            bulks = b"".join([b"$%d\r\n%b\r\n" % (len(message), message) for message in messages])
            return b"*%d\r\n%b%b%b" % (2 + len(messages), self._key, bulks, self._expire)
        return b"".join(
            [b"*3\r\n%b$%d\r\n%b\r\n%b" % (self._key, len(message), message, self._expire) for message in messages]
        )


class Line(asyncio.Protocol):
    """One connection. What a pop brings is given to ``received``; the answers to pushes are dropped.

    Attributes:
        replies_of_pop: 2 where the pop under way is ``BLPOP`` and ``LPOP``, 1 where it is ``BLPOP`` alone.
        write: sends bytes.
    """

    def __init__(self) -> None:
        self.replies_of_pop = 2
        self._reader = hiredis.Reader()
        self._popped: list[bytes] | None = None
        self.write: Any = None

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if type(reply) is int:
                continue  # of RPUSH or EXPIRE
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            if self._popped is None:  # of BLPOP: the list's name and a message
                self._popped = reply[1:] if reply else []
                if self.replies_of_pop == 2:
                    continue
            elif reply:  # of LPOP
                self._popped += reply
            popped, self._popped = self._popped, None
            self.received(popped)

    def received(self, messages: list[bytes]) -> None:
        """Take what a pop has brought; nothing, where its time is up."""


class FloorServer(Line):
    """Echoes messages for ever."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self._joined = variant == "joined"
        key = request_key(variant)
        self._pop = pack(b"BLPOP", key, b"5.000") + pack(b"LPOP", key, b"%d" % (SERVER_BATCH - 1))
        self._pushes: dict[bytes, Pushes] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.write(self._pop)

    def received(self, messages: list[bytes]) -> None:
        answers: dict[bytes, list[bytes]] = {}
        for message in messages:
            answers.setdefault(message[:REPLY_KEY_SIZE], []).append(message)
        packets = [self._pushes_to(key).packet(group) for key, group in answers.items()]
        self.write(b"".join([*packets, self._pop]))

    def _pushes_to(self, key: bytes) -> Pushes:
        if (pushes := self._pushes.get(key)) is None:
            pushes = self._pushes[key] = Pushes(key, joined=self._joined, expiry_in_seconds=70)
        return pushes


class FloorClient(Line):
    """Pops replies on this connection and, while a pop is under way, pushes on another one."""

    def __init__(self, variant: Variant, pusher: Line) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._pusher = pusher
        self._pushes = Pushes(request_key(variant), joined=variant == "joined", expiry_in_seconds=3600)
        self._message = message_from(os.getpid())
        reply_key = self._message[:REPLY_KEY_SIZE]
        self._pop = pack(b"BLPOP", reply_key, b"2.000")
        self._pops_of_more = [pack(b"LPOP", reply_key, b"%d" % count) for count in range(LARGEST_POP + 1)]
        self._unsent: list[bytes] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pop_is_under_way = False
        self._flush_is_due = False

    async def call(self) -> None:
        """Send a message and wait for its echo. All are alike, so each reply is for who waits longest."""
        future = self._loop.create_future()
        self._waiting.append(future)
        self._unsent.append(self._message)
        self._flush_soon()
        await future

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        packet = self._pushes.packet(self._unsent) if self._unsent else b""
        self._unsent.clear()
        if self._pop_is_under_way:
            self._pusher.write(packet)
        elif self._waiting:
            self._pop_is_under_way = True
            more = min(len(self._waiting) - 1, LARGEST_POP)
            self.replies_of_pop = 2 if more else 1
            self.write(packet + self._pop + self._pops_of_more[more] if more else packet + self._pop)

    def received(self, messages: list[bytes]) -> None:
        self._pop_is_under_way = False
        for _ in messages:
            self._waiting.popleft().set_result(None)
        self._flush_soon()  # behind those who have just been woken, so that their calls share the packet


async def call(port: int, variant: Variant) -> None:
    """Be the client."""
    loop = asyncio.get_running_loop()
    _, pusher = await loop.create_connection(Line, "127.0.0.1", port)
    _, client = await loop.create_connection(lambda: FloorClient(variant, pusher), "127.0.0.1", port)
    await obey({"echo": client.call})


async def serve(port: int, variant: Variant) -> None:
    """Be the server."""
    await asyncio.get_running_loop().create_connection(lambda: FloorServer(variant), "127.0.0.1", port)
    await serve_for_ever()


def main(arguments: Iterable[str]) -> None:
    """Run ``client PORT VARIANT`` or ``server PORT VARIANT``."""
    role, port, variant = arguments
    assert variant in {"single", "joined"}
    run((call if role == "client" else serve)(int(port), variant))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
