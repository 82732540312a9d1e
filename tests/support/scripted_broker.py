"""A broker that answers some commands as the test says, and has a real one answer the others."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

import hiredis
import pytest

from pysoa.cli.broker import Broker

Command = list[bytes]

NO_ANSWER = b""
"""The command is carried out by nobody and gets no reply."""


class HangUp(Exception):
    """Raised to close the connection instead of answering."""


class ScriptedBroker:
    """Stands on a free port in front of a broker. As a context manager it stops at the end of the block.

    Attributes:
        port: where clients connect.
        answer: given each command, returns the reply as bytes, or None to have the broker answer.
        after: given each command that the broker has answered, and its reply, returns the reply to pass on.
        commands: all commands that came, but for those that open a connection.
    """

    def __init__(self, upstream: Broker) -> None:
        self.answer: Callable[[Command], bytes | None] = lambda command: None
        self.after: Callable[[Command, bytes], bytes] = lambda command, reply: reply
        self.commands: list[Command] = []
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_over = False
        self._threads = [threading.Thread(target=self._accept, name="scripted-broker")]
        self._threads[0].start()

    def refuse(self, *names: bytes, reply: bytes) -> None:
        """Answer these commands with an error; all where no name is given."""
        self.answer = lambda command: reply if not names or command[0] in names else None

    def heal(self) -> None:
        self.answer = lambda command: None
        self.after = lambda command, reply: reply

    def count(self, name: bytes) -> int:
        """How many commands of this name have come."""
        return sum(command[0] == name for command in self.commands)

    def stop(self) -> None:
        with self._lock:
            self._is_over = True
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def __enter__(self) -> ScriptedBroker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="scripted-broker-connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream.port)) as broker:
            with self._lock:
                if self._is_over:
                    return
                self._sockets |= {client, broker}
            with contextlib.suppress(OSError, HangUp):
                self._pass_on(client, broker)
            with self._lock:
                self._sockets -= {client, broker}

    def _pass_on(self, client: socket.socket, broker: socket.socket) -> None:
        reader = hiredis.Reader()
        while data := client.recv(65536):
            reader.feed(data)
            while (command := reader.gets()) is not False:
                self.commands.append(command)
                reply = self.answer(command)
                if reply is None:
                    broker.sendall(hiredis.pack_command(tuple(command)))
                    reply = self.after(command, _raw_reply(broker, client))
                client.sendall(reply)


def _raw_reply(broker: socket.socket, client: socket.socket) -> bytes:
    """The next reply of the broker; where the client goes away first, its pop must not go on."""
    reader, raw = hiredis.Reader(), b""
    poll = select.poll()
    poll.register(broker, select.POLLIN)
    poll.register(client, getattr(select, "POLLRDHUP", 0))  # of Linux; elsewhere POLLHUP comes alone
    while reader.gets() is False:
        if any(descriptor == client.fileno() for descriptor, _ in poll.poll()):
            raise HangUp
        data = broker.recv(65536)
        if not data:
            raise HangUp
        raw += data
        reader.feed(data)
    return raw


@pytest.fixture
def scripted_broker(broker: Broker) -> Iterator[ScriptedBroker]:
    """A scripted broker in front of the shared one."""
    with ScriptedBroker(broker) as scripted:
        yield scripted
