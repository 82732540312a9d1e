"""Finds out, while replies are awaited in an event loop, that nobody serves, and takes requests back."""

from __future__ import annotations

import asyncio
import functools

from pysoa.common.clock import monotonic
from pysoa.common.transport.errors import ServiceUnavailable
from pysoa.common.transport.redis_gateway import presence
from pysoa.common.transport.redis_gateway.absence import (
    ASK_AFTER_SECONDS,
    ASK_AGAIN_AFTER_SECONDS,
    MISTRUST_IN_SECONDS,
    MOST_SUSPICIOUS,
)
from pysoa.common.transport.redis_gateway.async_line import Answer
from pysoa.common.transport.redis_gateway.async_push import DONE
from pysoa.common.transport.redis_gateway.async_replies import AwaitedReply, ReplyBox, ReplyLine
from pysoa.common.transport.redis_gateway.connection import Reply, pack
from pysoa.common.transport.redis_gateway.presence import Presence

__all__ = ("AsyncAbsenceWatch",)


class AsyncAbsenceWatch:
    """Asks, by one master, whether the workers of one service have all gone, when a reply is not there soon.

    Attributes:
        is_set: whether it will look, so that nothing is to be done for one request more.
    """

    def __init__(self, service_name: str, line: ReplyLine, box: ReplyBox, queue_key: bytes) -> None:
        self._service_name = service_name
        self._line = line
        self._box = box
        self._queue_key = queue_key
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_set = False

    def begin(self, now: float) -> None:
        """A request has been sent."""
        self.is_set = True
        self._timer = self._line.loop.call_later(max(ASK_AFTER_SECONDS, self._not_before - now), self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _suspicious(self, now: float) -> list[AwaitedReply]:
        """The oldest calls that have waited long enough to wonder."""
        found: list[AwaitedReply] = []
        for reply in self._box.pending.values():
            if now - reply.began < ASK_AFTER_SECONDS or len(found) >= MOST_SUSPICIOUS:
                break  # they are in the order in which they were sent
            if reply.is_claimed and reply.state is DONE:
                found.append(reply)
        return found

    def _look(self) -> None:
        now = monotonic()
        if self._suspicious(now):
            replies: list[Reply] = []

            def take(reply: Reply) -> None:
                replies.append(reply)
                if len(replies) == 2:
                    self._judge(presence.judged(*replies))

            commands = presence.questions(self._service_name, self._line.master.clock.now())
            self._line.command(commands, Answer(take), Answer(take))
        elif self._box.pending:
            self._again(ASK_AFTER_SECONDS)
        else:
            self.is_set = False

    def _again(self, seconds: float) -> None:
        self._not_before = monotonic() + seconds
        if self._box.pending:
            self._timer = self._line.loop.call_later(seconds, self._look)
        else:
            self.is_set = False

    def _judge(self, found: Presence) -> None:
        suspicious = self._suspicious(monotonic())
        if found is not Presence.ABSENT or not suspicious:
            self._again(ASK_AGAIN_AFTER_SECONDS)
            return
        taken_back: list[AwaitedReply] = []
        left = len(suspicious)

        def take(request: AwaitedReply, reply: Reply) -> None:
            nonlocal left
            left -= 1
            if reply == 1:
                taken_back.append(request)
                request.core.count("send.error.not_served")
                request.failed(
                    ServiceUnavailable(f"no server of service {self._service_name!r} is running", outcome="not_sent")
                )
            if not left:
                # Somebody may serve without a word, as workers of the first PySOA do after a roll-back.
                self._again(ASK_AFTER_SECONDS if taken_back else MISTRUST_IN_SECONDS)

        for request in suspicious:
            command = pack(b"LREM", self._queue_key, b"-1", request.frames[0])
            self._line.command(command, Answer(functools.partial(take, request)))
