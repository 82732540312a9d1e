"""Responses of an asyncio server on their way to its clients: those that are begun together leave by one command."""

from __future__ import annotations

from pysoa.common.transport.errors import PySOATransportError
from pysoa.common.transport.redis_gateway.async_measures import TimedPush
from pysoa.common.transport.redis_gateway.async_push import GIVEN_UP, Push
from pysoa.common.transport.redis_gateway.commands import Queue
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("ReplyQueue", "Response", "Responses", "TimedResponse")


class Response(Push):
    """A response on its way."""

    __slots__ = ()

    def failed(self, error: PySOATransportError) -> None:
        super().failed(error)
        self.core.warn("refused response", "Dropped a response of %s: %s", self.core.service_name, error)


class Responses(Response):
    """One or more responses on their way to one client, by one command; each frame is one of them."""

    __slots__ = ()

    def apart(self) -> list[Push]:
        """Each response by itself, for where one may fare otherwise than the next; here none is left."""
        pushes: list[Push] = []
        for frame in self.frames:
            push = Response(self.core, self.queue, [frame], self.until)
            push.state = self.state
            pushes.append(push)
        self.state = GIVEN_UP
        self.frames = []
        return pushes


class TimedResponse(TimedPush, Response):
    """A response whose way is timed; it goes by itself."""

    def __init__(self, core: RedisTransportCore, queue: Queue, frames: list[bytes], until: float) -> None:
        self.begin(core)
        super().__init__(core, queue, frames, until)


class ReplyQueue:
    """A reply queue that answers were sent to.

    Attributes:
        queue: the list.
        line_index: which of the lines leads to it.
        waiting: the answers to it that were begun last; those that come before they leave go with them.
    """

    __slots__ = ("line_index", "queue", "waiting")

    def __init__(self, queue: Queue, line_index: int) -> None:
        self.queue = queue
        self.line_index = line_index
        self.waiting: Push | None = None
