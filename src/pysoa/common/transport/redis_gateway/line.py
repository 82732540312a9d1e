"""The blocking server's connection to one master."""

from __future__ import annotations

from collections import deque

from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import Queue
from pysoa.common.transport.redis_gateway.connection import RedisConnection

__all__ = ("Line",)


class Line:
    """The connection to one master on which requests come in and answers go out.

    Attributes:
        owes: what the replies that have not been read yet will answer, in order.
        is_popping: whether a pop is under way.
        pop_ends_at: when the broker will have answered it at the latest.
        not_before: no new connection is tried before this moment, after one has failed.
    """

    __slots__ = ("connection", "is_popping", "master", "not_before", "owes", "pop_ends_at")

    def __init__(self, master: Master) -> None:
        self.master = master
        self.connection: RedisConnection | None = None
        self.owes: deque[int | Queue] = deque()
        self.is_popping = False
        self.pop_ends_at = 0.0
        self.not_before = 0.0

    def drop(self) -> None:
        """Close the connection, and with it what it owes."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.owes.clear()
        self.is_popping = False
