"""A ring of Redis masters: which one holds a queue, the connections to each, and each one's clock."""

from __future__ import annotations

import abc
import hashlib
import itertools
import os
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pysoa.common.clock import monotonic, wall_clock
from pysoa.common.forks import FORKS
from pysoa.common.protocol.queues import shard_index
from pysoa.common.transport.redis_gateway.connecting import connect
from pysoa.common.transport.redis_gateway.connection import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    RedisConnection,
    pack,
)

__all__ = (
    "BaseRedisClient",
    "BrokerClock",
    "CannotGetConnectionError",
    "LuaRedisCommand",
    "Master",
    "SendMessageToQueueCommand",
    "address",
)

_CLOCK_LIFE_IN_SECONDS: Final = 60.0
_MOST_IDLE_CONNECTIONS: Final = 256


class CannotGetConnectionError(BrokerUnreachable):
    """There is no master to connect to, as during a failover."""


class LuaRedisCommand:
    """A script that Redis runs, called by its hash; Redis asks for the text when it does not have it."""

    def __init__(self, script: bytes) -> None:
        self.script = script
        self.sha = hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()

    def packet(self, key: bytes, *arguments: bytes, with_text: bool = False) -> bytes:
        """The command for one key; with the whole text after Redis has said ``NOSCRIPT``."""
        name, script = (b"EVAL", self.script) if with_text else (b"EVALSHA", self.sha)
        return pack(name, script, b"1", key, *arguments)


class SendMessageToQueueCommand(LuaRedisCommand):
    """Pushes all frames of one message where there is room, and only ever lengthens the life of the list."""

    def __init__(self) -> None:
        # Read when first needed: clients that only ever meet short queues do without it.
        path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "push.lua")
        with open(path, "rb") as file:
            super().__init__(file.read())


class BrokerClock:
    """The time of one broker, so that expiries agree between machines whose clocks do not.

    It is read with ``TIME`` and carried on with the monotonic clock. Where ``TIME`` is not allowed, it is the wall
    clock.
    """

    __slots__ = ("_ahead_of_monotonic", "_read_at", "is_known")

    def __init__(self) -> None:
        self._ahead_of_monotonic = 0.0
        self._read_at: float | None = None
        self.is_known = False

    def now(self) -> float:
        """Unix time in seconds."""
        return monotonic() + self._ahead_of_monotonic if self.is_known else wall_clock()

    def is_due(self) -> bool:
        return self._read_at is None or monotonic() - self._read_at > _CLOCK_LIFE_IN_SECONDS

    def set(self, reply: object) -> None:
        """Take the broker's answer to ``TIME``; an error means that the wall clock has to do."""
        self._read_at = monotonic()
        self.is_known = isinstance(reply, list)
        if isinstance(reply, list):
            self._ahead_of_monotonic = int(reply[0]) + int(reply[1]) / 1_000_000 - self._read_at


def address(connection_kwargs: Mapping[str, Any]) -> str:
    """Where a connection leads to, for people; never with a password."""
    path = connection_kwargs.get("path")
    return str(path or f"{connection_kwargs.get('host', 'localhost')}:{connection_kwargs.get('port', 6379)}")


class Master:
    """One Redis master: connects to it and keeps the connections that are idle.

    Shared by all threads and all transports with the same settings. A connection that was taken belongs to its taker
    until it is given back.

    Attributes:
        clock: its time.
        avoid_until: requests go to other masters until then, where there are any; on the monotonic clock.
    """

    def __init__(self, connection_kwargs: Mapping[str, Any]) -> None:
        self.connection_kwargs = connection_kwargs
        self.clock = BrokerClock()
        self.avoid_until = 0.0
        self._look_at_clock_at = 0.0
        self._idle: deque[RedisConnection] = deque()

    def __repr__(self) -> str:
        return address(self.connection_kwargs)

    def take(self, until: float) -> RedisConnection:
        """An idle connection, or a new one.

        Raises:
            BrokerUnreachable: none could be opened; nothing has been sent.
        """
        idle = self._idle
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread took it
                break
            if connection.is_fresh():
                if monotonic() > self._look_at_clock_at:
                    self._look_at_clock_at = monotonic() + 1.0
                    if self.clock.is_due():
                        self._greet(connection, until)
                return connection
            connection.close()
        connection = self._connect(until)
        self._greet(connection, until)
        return connection

    def give_back(self, connection: RedisConnection) -> None:
        """Return a connection; one that owes replies is closed."""
        if connection.owed or connection.generation != FORKS.count or len(self._idle) >= _MOST_IDLE_CONNECTIONS:
            connection.close()
        else:
            connection.rest()
            self._idle.append(connection)

    def drop_idle(self) -> None:
        """Close all idle connections: where one was dead or led to the wrong server, the others are no better."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def _connect(self, until: float) -> RedisConnection:
        return connect(self.connection_kwargs, until)

    def _greet(self, connection: RedisConnection, until: float) -> None:
        """Ask for what is needed of every connection: its number, the broker's time, and whether this is a master."""
        try:
            connection.send(pack(b"CLIENT", b"ID") + pack(b"TIME") + pack(b"ROLE"), 3, until)
            number, time, role = connection.read(until), connection.read(until), connection.read(until)
        except BrokerLost as error:
            connection.close()
            raise BrokerUnreachable(str(error)) from error
        for reply in (number, time, role):
            # A missing right is no fault: we do without. But a broker that wants a password refuses everything.
            if isinstance(reply, BrokerRefused) and reply.kind in ("NOAUTH", "LOADING", "MASTERDOWN"):
                connection.close()
                raise BrokerUnreachable(str(reply))
        if isinstance(role, list) and role and role[0] != b"master":
            connection.close()
            self.moved()
            raise CannotGetConnectionError(f"{self!r} is not a master now")
        if isinstance(number, int):
            connection.client_id = b"%d" % number
        self.clock.set(time)

    def moved(self) -> None:
        """Say that this address is not the master any more, or not reachable."""
        self.drop_idle()


def _count_nothing(event: str) -> None:
    pass


class BaseRedisClient(abc.ABC):
    """The masters of one backend, in the order that all peers agree on.

    Attributes:
        count: counts an event, given its name, for the transport that has used the backend last.
    """

    RESPONSE_QUEUE_SPECIFIER = "!"
    DEFAULT_RECEIVE_TIMEOUT = 5

    def __init__(self) -> None:
        self._masters: list[Master] | None = None
        self._turns: itertools.cycle[int] | None = None
        self.count: Callable[[str], object] = _count_nothing

    @abc.abstractmethod
    def _find_masters(self, until: float) -> list[Master]: ...

    def masters(self, until: float) -> Sequence[Master]:
        """All masters.

        Raises:
            BrokerUnreachable: they are not known yet and could not be found out.
        """
        if self._masters is None:
            masters = self._find_masters(until)
            # Peers start at different places, so that their requests spread from the first one on.
            self._turns = itertools.cycle(random.sample(range(len(masters)), len(masters)))
            self._masters = masters
        return self._masters

    def next_index(self, until: float) -> int:
        """Whose turn it is to be sent the next request."""
        masters = self.masters(until)
        if len(masters) == 1 or self._turns is None:
            return 0
        return next(self._turns)

    def index_of(self, key: str, until: float) -> int:
        """Which master holds a reply queue.

        Args:
            key: the full key, prefix included.
            until: moment on the monotonic clock to give up at.
        """
        masters = self.masters(until)
        return 0 if len(masters) == 1 else shard_index(key, len(masters))

    def close(self) -> None:
        """Close all idle connections."""
        for master in self._masters or ():
            master.drop_idle()
