"""Reply queues in an event loop: what waits for which reply, and the line that brings them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pysoa.common.alarm import NEVER, Alarm
from pysoa.common.clock import monotonic
from pysoa.common.instruments import Timer
from pysoa.common.protocol.frames import FrameAssembler
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    PySOATransportError,
    TransientPySOATransportError,
)
from pysoa.common.transport.redis_gateway.async_connection import Owed
from pysoa.common.transport.redis_gateway.async_line import Answer, AsyncLine
from pysoa.common.transport.redis_gateway.async_measures import TimedPush
from pysoa.common.transport.redis_gateway.async_push import DONE, GIVEN_UP, WAITING, Push
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import blocking_pop, pop_more
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    Reply,
    pack,
)
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("AwaitedReply", "ReplyBox", "ReplyLine", "TimedReply", "reply_line")

_SLICE_IN_SECONDS: Final = 2.0
_SHORTEST_SLICE_IN_SECONDS: Final = 0.05
_SLICE_WITHOUT_UNBLOCK_IN_SECONDS: Final = 0.1
_RECOVERY_IN_SECONDS: Final = 2.0
_PAUSE_IN_SECONDS: Final = 0.05
_MOST_AT_ONCE: Final = 64


class AwaitedReply(Push):
    """A request, and what waits for its reply.

    Attributes:
        request_id: pairs them.
        future: of the reply.
        sent: as in ``Push``; where somebody waits for it, ``until`` is for sending alone.
        is_claimed: whether a call waits for the reply; otherwise somebody may ask for it later.
        is_awaited: whether there will be a reply.
        forget_at: when no reply can come any more, where nobody waits for it.
        began: when it was sent, on the monotonic clock; as ``queue`` and ``frames`` not set before.
        box: where the reply arrives.
    """

    is_done_with_frames = False  # a request is taken back by them when nobody serves
    began: float

    __slots__ = ("began", "box", "forget_at", "future", "is_awaited", "is_claimed", "request_id")

    def __init__(
        self, core: RedisTransportCore, request_id: int, future: asyncio.Future[ReceivedMessage], until: float
    ) -> None:
        self.core = core
        self.until = until
        self.state = WAITING
        self.attempts = 0
        self.has_moved = False
        self.request_id = request_id
        self.future = future
        self.sent = None
        self.is_claimed = True
        self.is_awaited = True
        self.forget_at = until
        self.box: ReplyBox | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return self.future.done() or (self.sent is not None and self.sent.done())

    def call_off(self) -> None:
        """Let nobody have the reply any more."""
        if self.box is not None:
            self.box.pending.pop(self.request_id, None)
        self.future.cancel()

    def failed(self, error: PySOATransportError) -> None:
        self.refused(error)

    def refused(self, error: Exception) -> None:
        """It has failed, whatever it was."""
        self.state = GIVEN_UP
        if self.box is not None:
            self.box.pending.pop(self.request_id, None)
        if self.sent is not None and not self.sent.done():
            self.future.cancel()
            self.sent.set_exception(error)
        elif not self.future.done():
            self.future.set_exception(error)
            if not self.is_claimed:
                self.future.exception()  # nobody has to ask for it


class TimedReply(TimedPush, AwaitedReply):
    """A request that is timed, and so is the wait for its reply; what goes wrong is counted."""

    def __init__(
        self, core: RedisTransportCore, request_id: int, future: asyncio.Future[ReceivedMessage], until: float
    ) -> None:
        self.begin(core)
        self._receiving: Timer | None = None
        AwaitedReply.__init__(self, core, request_id, future, until)
        future.add_done_callback(self._ended)

    def sending_is_over(self) -> None:
        if self.state is DONE and self.is_awaited and not self.future.done():
            self._receiving = self._times.begin("receive")

    def _ended(self, future: asyncio.Future[ReceivedMessage]) -> None:
        if self._receiving is None and not future.cancelled() and future.exception() is None:
            self._receiving = self._times.begin("receive")  # the reply has overtaken the broker's word on the request
        if self._receiving is not None:
            self._receiving.stop()
            self._receiving = None

    def refused(self, error: Exception) -> None:
        if isinstance(error, MessageReceiveTimeout):
            self.core.count("receive.error.timeout")
        elif isinstance(error, MessageReceiveError):
            self.core.count("receive.error.transient")
        elif isinstance(error, TransientPySOATransportError):
            self.core.count("send.error.transient")
        super().refused(error)


class ReplyBox:
    """One reply queue: the requests of one service whose replies arrive there.

    Attributes:
        name: as it stands in ``reply_to``.
        key: the full key.
        keys: the same in a set, for a pop of this queue alone.
        pending: the requests whose replies have not come, by id.
        standard_pop: the command of a pop of this queue alone, of the usual length.
        pops_of_more: the commands that take so many more replies behind it.
    """

    def __init__(self, core: RedisTransportCore, line: ReplyLine, name: str, key: bytes) -> None:
        self.core = core
        self.line = line
        self.name = name
        self.key = key
        self.keys = frozenset((key,))
        self.pending: dict[int, AwaitedReply] = {}
        self.standard_pop = blocking_pop(key, _SLICE_IN_SECONDS)
        self.pops_of_more = [pop_more(key, count) for count in range(_MOST_AT_ONCE + 1)]
        self._assembler = FrameAssembler(core.service_name)

    def send(self, reply: AwaitedReply, now: float) -> None:
        """Send a request, and await the reply where there will be one."""
        reply.box = self
        line = self.line
        if reply.is_awaited:
            reply.began = now
            self.pending[reply.request_id] = reply
            if reply.forget_at < line.sweep.at:
                line.sweep.ring_by(reply.forget_at)
            if line.is_popping and self.key not in line.popped_keys:
                line.include(self.key)
        line.push(reply)

    def take(self, frames: Iterable[bytes]) -> None:
        """Read frames, and give the messages that they complete to whoever waits for them; others are dropped."""
        core, line, pending, assembler = self.core, self.line, self.pending, self._assembler
        clock = line.master.clock
        for data in frames:
            try:
                message = core.read_reply(data, assembler, clock)
            except (SerializationError, InvalidMessageError, MessageReceiveTimeout) as error:
                line.has_junk = True
                core.count("receive.error.unreadable")
                core.warn("unreadable reply", "Dropped a reply that cannot be read: %s", error)
                continue
            if message is None:
                continue
            reply = pending.pop(message[0], None)  # type: ignore[arg-type]
            if reply is None:
                line.has_junk = True
                core.count("receive.error.unexpected_reply")
            elif not reply.future.done():
                if reply.sent is not None and not reply.sent.done():
                    reply.sent.set_result(None)  # the answer has overtaken the word on the request
                reply.future.set_result(message)

    def fail_all(self, error: PySOATransportError) -> None:
        """Fail what a call waits for."""
        for reply in list(self.pending.values()):
            reply.failed(error)


class _Popped:
    """Waits for the reply to the blocking pop."""

    __slots__ = ("_line",)

    def __init__(self, line: ReplyLine) -> None:
        self._line = line

    def take(self, reply: Reply) -> None:
        if isinstance(reply, list):
            box = self._line.boxes.get(reply[0])  # type: ignore[arg-type]
            if box is not None:
                box.take(reply[1:])  # type: ignore[arg-type]
        elif isinstance(reply, BrokerRefused):
            self._line.pop_refused(reply)

    def lost(self, error: BrokerLost) -> None:
        pass  # the line hears of it


class _PoppedMore:
    """Waits for further replies of one queue."""

    __slots__ = ("_box",)

    def __init__(self, box: ReplyBox) -> None:
        self._box = box

    def take(self, reply: Reply) -> None:
        if isinstance(reply, list):
            self._box.take(reply)  # type: ignore[arg-type]

    def lost(self, error: BrokerLost) -> None:
        pass


class ReplyLine(AsyncLine):
    """The line on which replies to all services come, for all clients of an event loop with the same settings.

    Attributes:
        boxes: the reply queues, by key.
        popped_keys: those that the pop under way waits on.
        has_junk: whether something of no use has come lately: there may be a flood of it.
        sweep: looks for calls whose time is over.
    """

    def __init__(self, master: Master) -> None:
        super().__init__(master)
        self.boxes: dict[bytes, ReplyBox] = {}
        self.popped_keys: frozenset[bytes] = frozenset()
        self.has_junk = False
        self.sweep = Alarm(self.loop, self._sweep)
        self._recovering: asyncio.Task[None] | None = None
        self._give_up_at = 0.0
        self._cannot_unblock = False

    def add(self, box: ReplyBox) -> None:
        """Have replies to its queue come by this line."""
        self.boxes[box.key] = box
        if box.core.records_metrics:
            self.times.recorders.append(box.core)

    async def remove(self, box: ReplyBox) -> None:
        """Take a reply queue away; the line closes with its last one."""
        self.boxes.pop(box.key, None)
        if box.core in self.times.recorders:
            self.times.recorders.remove(box.core)
        closed = MessageReceiveError(f"The client of service {box.core.service_name} was closed")
        for reply in list(box.pending.values()):
            if reply.is_claimed or not reply.is_over:
                reply.failed(closed)
            else:
                reply.call_off()
        if not self.boxes:
            await self.close()

    # Popping

    def wants_pop(self) -> bool:
        return any(box.pending for box in self.boxes.values())

    def next_pop(self) -> tuple[bytes, Sequence[Owed]]:
        waiting = [box for box in self.boxes.values() if box.pending]
        now = monotonic()
        longest = _SLICE_IN_SECONDS
        if len(self.boxes) > 1 and (self._cannot_unblock or self.main is None or self.main.client_id is None):
            longest = _SLICE_WITHOUT_UNBLOCK_IN_SECONDS
        seconds = max(min(longest, self.sweep.at - now), _SHORTEST_SLICE_IN_SECONDS)
        self.pop_ends_at = now + seconds
        if len(waiting) == 1:
            (box,) = waiting
            self.popped_keys = box.keys
            commands = box.standard_pop if seconds == _SLICE_IN_SECONDS else blocking_pop(box.key, seconds)
            most = _MOST_AT_ONCE if self.has_junk else min(len(box.pending) - 1, _MOST_AT_ONCE)
        else:
            keys = [box.key for box in waiting]
            self.popped_keys = frozenset(keys)
            commands = pack(b"BLPOP", *keys, b"%.3f" % seconds)
            most = _MOST_AT_ONCE
        owed: list[Owed] = [_Popped(self)]
        if most:
            for box in waiting:
                commands += box.pops_of_more[most]
                owed.append(_PoppedMore(box))
        self.has_junk = False
        return commands, owed

    def include(self, key: bytes) -> None:
        """Have the pop under way wait on one more queue, by ending it: the next one will."""
        self.popped_keys |= {key}
        if self.main is not None and self.main.client_id is not None and not self._cannot_unblock:
            self.command(pack(b"CLIENT", b"UNBLOCK", self.main.client_id), Answer(self._unblocked))

    def _unblocked(self, reply: Reply) -> None:
        if isinstance(reply, BrokerRefused):
            self._cannot_unblock = True

    def pop_refused(self, refusal: BrokerRefused) -> None:
        """The broker does not let us pop: calls that wait for its answers fail, unless another is the master now."""
        if not refusal.not_the_master:
            for box in list(self.boxes.values()):
                if box.pending:
                    box.fail_all(box.core.refused_pop(refusal))
        if self.main is not None:
            self.main.lose(BrokerLost(str(refusal)))

    # Time

    def _sweep(self, now: float) -> float:
        """End the calls whose time is over; when that will be so for the next."""
        earliest = NEVER
        over: list[AwaitedReply] = []
        for box in self.boxes.values():
            for reply in box.pending.values():
                moment = reply.forget_at
                if moment <= now:
                    over.append(reply)
                elif moment < earliest:
                    earliest = moment
        for reply in over:
            self._time_is_over(reply)
        if self.master.clock.is_due():
            self.command(pack(b"TIME"), Answer(self._set_clock))
        return earliest

    def _time_is_over(self, reply: AwaitedReply) -> None:
        error = self.give_up(reply)
        if reply.is_claimed:
            reply.failed(error or reply.core.nothing_received())
        else:
            reply.call_off()

    def _set_clock(self, reply: Reply) -> None:
        if isinstance(reply, list):
            self.master.clock.set(reply)

    # Faults

    def main_lost(self, error: BrokerError) -> None:
        if not self.wants_pop() or self._is_closed:
            return
        if isinstance(error, BrokerTimeout):
            self._give_up_at = NEVER  # it had died unseen, and another may be alive: calls end by their own time
        elif self._recovering is None:
            self._give_up_at = monotonic() + _RECOVERY_IN_SECONDS
        if self._recovering is None:
            self._recovering = self.loop.create_task(self._recover(), name="pysoa-recover")

    async def _recover(self) -> None:
        """Go on waiting: replies may still come to their queues when the broker is back."""
        try:
            while self.main is None and self.wants_pop() and not self._is_closed:
                try:
                    await asyncio.sleep(_PAUSE_IN_SECONDS)
                    await self.open()
                except (BrokerError, OSError) as error:
                    if monotonic() < self._give_up_at:
                        continue
                    for box in list(self.boxes.values()):
                        if box.pending:
                            if isinstance(error, BrokerLost):
                                box.fail_all(box.core.lost_pop(self.master, error))
                            else:
                                box.fail_all(box.core.cannot_receive(error))
                    return
        finally:
            self._recovering = None
        self.schedule_flush()

    async def close(self) -> None:
        self.sweep.stop()
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.wait([self._recovering])
        await super().close()


_lines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Master, ReplyLine]] = weakref.WeakKeyDictionary()


def reply_line(master: Master) -> ReplyLine:
    """The line to a master in the running event loop."""
    lines: dict[Any, ReplyLine] = _lines.setdefault(asyncio.get_running_loop(), {})
    line = lines.get(master)
    if line is None or line._is_closed:
        line = lines[master] = ReplyLine(master)
    return line
