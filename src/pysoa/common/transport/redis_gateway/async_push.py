"""A message on its way into a list, in an event loop."""

from __future__ import annotations

import asyncio
import enum
from typing import ClassVar

from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.transport.redis_gateway.commands import Queue
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("DONE", "GIVEN_UP", "WAITING", "WRITTEN", "Push", "PushState")


class PushState(enum.Enum):
    """How far a message has come."""

    WAITING = "not written yet"
    WRITTEN = "on its way to the broker"
    DONE = "in its list"
    GIVEN_UP = "not to be sent any more"


WAITING, WRITTEN, DONE, GIVEN_UP = PushState
"""The same as names of this module: an attribute of an enum is dear on hot paths."""


class Push:
    """One message on its way into a list.

    Attributes:
        queue: the list.
        frames: the message.
        until: moment on the monotonic clock at which sending it is given up.
        state: how far it has come.
        attempts: how often its list was full.
        has_moved: whether it was sent to another master already, after the first had said that it is none.
        sent: of the broker's word on it; None where nobody waits for that.
        is_done_with_frames: whether nobody asks for the frames once they are in the list. Reply queues remember the
            last push to them, and are not to remember what was in it.
    """

    is_done_with_frames: ClassVar[bool] = True

    __slots__ = ("attempts", "core", "frames", "has_moved", "queue", "sent", "state", "until")

    def __init__(self, core: RedisTransportCore, queue: Queue, frames: list[bytes], until: float) -> None:
        self.core = core  # of the transport whose message it is, for texts and counts
        self.queue = queue
        self.frames = frames
        self.until = until
        self.state = WAITING
        self.attempts = 0
        self.has_moved = False
        self.sent: asyncio.Future[None] | None = None

    def failed(self, error: PySOATransportError) -> None:
        """It is not, or perhaps not; the error's outcome tells."""
        self.state = GIVEN_UP
