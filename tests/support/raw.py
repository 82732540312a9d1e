"""A connection to a broker that sends and reads bytes as they are, without the library under test or redis-py."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis


class RawConnection:
    """One RESP connection. An error reply is raised as ``hiredis.ReplyError``.

    It waits at most ``timeout`` seconds for a reply. As a context manager it closes at the end of the block.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(unquote(parts.path))
        else:
            self.socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout)
        self._reader = hiredis.Reader()
        if parts.password:
            self.command("AUTH", *([parts.username] if parts.username else []), parts.password)

    def command(self, *arguments: str | bytes | int | float) -> Any:
        """Send one command and return its reply; bulk strings are bytes."""
        self.send(*arguments)
        return self.read()

    def send(self, *arguments: str | bytes | int | float) -> None:
        """Send one command without reading its reply."""
        self.socket.sendall(hiredis.pack_command(arguments))  # type: ignore[arg-type]  # annotated for tuples of one

    def read(self) -> Any:
        """Read the next reply."""
        while (reply := self._reader.gets()) is False:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def command(url: str, *arguments: str | bytes | int | float) -> Any:
    """Send one command on a connection of its own and return its reply."""
    with RawConnection(url) as connection:
        return connection.command(*arguments)


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 10.0, pause: float = 0.01) -> Any:
    """Wait until the condition holds, and return its value. Fails with ``what`` once the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(pause)
