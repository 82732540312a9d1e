"""The way to one master in an event loop: two connections, and what is to leave by them.

Pops wait on the main connection, and while one does, the other, the side connection, takes what is sent meanwhile.
Where nothing waits, requests or answers travel in one packet with the next pop. What is begun in one turn of the loop
leaves together at the end of it, and messages for one list in one push.

Nothing here is awaited but the opening of connections: replies call what waits for them. A line belongs to one loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from pysoa.common.clock import monotonic
from pysoa.common.protocol.queues import PREFIX
from pysoa.common.protocol.retries import pause_in_seconds
from pysoa.common.transport.errors import MessageSendError, MessageSendTimeout, PySOATransportError
from pysoa.common.transport.redis_gateway.async_connection import AsyncRedisConnection, Owed, open_connection
from pysoa.common.transport.redis_gateway.async_measures import LineTimes
from pysoa.common.transport.redis_gateway.async_push import DONE, GIVEN_UP, WAITING, WRITTEN, Push
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import Queue, is_queue_full
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    Reply,
    pack,
)
from pysoa.common.transport.redis_gateway.core import POP_MARGIN_IN_SECONDS

__all__ = ("IGNORED", "Answer", "AsyncLine")

_CONNECT_LIMIT_IN_SECONDS: Final = 5.0
_SILENCE_IN_SECONDS: Final = 2.0
_FULL_FOR_SECONDS: Final = 5.0


class _PushReply:
    """What waits for the broker's word on a push of one or more messages to one list."""

    __slots__ = ("_by_script", "_line", "_pushes")

    def __init__(self, line: AsyncLine, pushes: list[Push], by_script: bool) -> None:
        self._line = line
        self._pushes = pushes
        self._by_script = by_script

    def take(self, reply: Reply) -> None:
        if type(reply) is int:
            pushes = self._pushes
            pushes[0].queue.saw_length(reply, monotonic(), by_script=self._by_script)
            for push in pushes:
                push.state = DONE
                if push.is_done_with_frames:
                    push.frames = []
                if push.sent is not None and not push.sent.done():
                    push.sent.set_result(None)
        else:
            refusal = reply if isinstance(reply, BrokerRefused) else BrokerRefused(f"unexpected answer {reply!r}")
            for push in self._line.apart(self._pushes):
                self._line.push_refused(push, refusal)

    def lost(self, error: BrokerLost) -> None:
        for push in self._line.apart(self._pushes):
            fault = push.core.lost_push(self._line.master, error)
            fault.__cause__ = error
            push.failed(fault)


class _ExpireReply:
    """What waits for the reply to the life of a list that was set without shortening it."""

    __slots__ = ("_line", "_queue")

    def __init__(self, line: AsyncLine, queue: Queue) -> None:
        self._line = line
        self._queue = queue

    def take(self, reply: Reply) -> None:
        if isinstance(reply, BrokerRefused) and self._queue.keeps_longer_life:
            self._queue.use_plain_expire()  # a broker that knows no condition for it
            self._line.command(self._queue.expire, IGNORED)

    def lost(self, error: BrokerLost) -> None:
        pass


class _Ignored:
    def take(self, reply: Reply) -> None:
        pass

    def lost(self, error: BrokerLost) -> None:
        pass


IGNORED: Final = _Ignored()
"""Waits for a reply that says nothing new."""


class Answer:
    """Waits for one reply, and gives it to a function; None when there is none."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[Reply], object]) -> None:
        self._then = then

    def take(self, reply: Reply) -> None:
        self._then(reply)

    def lost(self, error: BrokerLost) -> None:
        self._then(None)


class _PopEnd:
    """Waits for the last reply of a pop."""

    __slots__ = ("_inner", "_line")

    def __init__(self, line: AsyncLine, inner: Owed) -> None:
        self._line = line
        self._inner = inner

    def take(self, reply: Reply) -> None:
        self._line.is_popping = False
        if self._line.times.recorders:
            self._line.times.pop_ends()
        self._inner.take(reply)
        self._line.pop_ended()

    def lost(self, error: BrokerLost) -> None:
        self._inner.lost(error)


class AsyncLine:
    """Two connections to one master. Subclasses say what is popped, and what a lost connection means to them.

    Args:
        master: the broker.

    Attributes:
        loop: the event loop.
        is_popping: whether a pop is under way on the main connection.
        pop_ends_at: when the broker will have answered it at the latest.
        main: the connection of pops.
        times: of those who record them.
        pop_margin_in_seconds: how long after its end a pop's answer may take before the connection counts as dead.
    """

    pop_margin_in_seconds: ClassVar[float] = POP_MARGIN_IN_SECONDS

    def __init__(self, master: Master) -> None:
        self.loop = asyncio.get_running_loop()
        self.master = master
        self.main: AsyncRedisConnection | None = None
        self.is_popping = False
        self.pop_ends_at = 0.0
        self._pop_replies = 0  # how many of those that the main connection owes are of the pop under way: the last
        self._side: AsyncRedisConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._opening_side: asyncio.Task[None] | None = None
        self._pushes: list[Push] = []
        self._commands: list[tuple[bytes, Owed]] = []
        self._is_flush_scheduled = False
        self._watch: asyncio.TimerHandle | None = None
        self._retries: set[asyncio.TimerHandle] = set()
        self._is_closed = False
        self.times = LineTimes()

    # What subclasses say

    def apart(self, pushes: list[Push]) -> list[Push]:
        """Pushes of one message each, where several messages may be in one: for all but the usual way."""
        return pushes

    def wants_pop(self) -> bool:
        """Whether anything is to be popped."""
        raise NotImplementedError

    def next_pop(self) -> tuple[bytes, Sequence[Owed]]:
        """The commands of a pop, and what waits for their replies, the last of which ends it. Sets ``pop_ends_at``."""
        raise NotImplementedError

    def pop_ended(self) -> None:
        """A pop is over, and what it has brought was taken."""
        self.schedule_flush()

    def main_lost(self, error: BrokerError) -> None:
        """The main connection has broken, or could not be opened; pops that were under way are over."""
        raise NotImplementedError

    # Opening

    async def open(self) -> None:
        """Open the main connection, if it is not open.

        Raises:
            BrokerUnreachable: it cannot be opened.
        """
        if self.main is None:
            await asyncio.shield(self._start_opening())

    def _start_opening(self) -> asyncio.Task[None]:
        if self._opening is None or self._opening.done():
            self._opening = self.loop.create_task(self._open_main(), name="pysoa-open")
            self._opening.add_done_callback(_retrieved)
        return self._opening

    async def _open_main(self) -> None:
        try:
            with self.times.of("receive.get_redis_connection"):
                main = await open_connection(self.master, monotonic() + _CONNECT_LIMIT_IN_SECONDS, self._lost)
        except (BrokerError, OSError) as error:
            self.master.moved()
            self._fail_waiting(error)
            self.main_lost(error if isinstance(error, BrokerError) else BrokerLost(str(error)))
            raise
        if self._is_closed:
            main.close()
            return
        self.main = main
        self.schedule_flush()

    async def _open_side(self) -> None:
        try:
            with self.times.of("send.get_redis_connection"):
                side = await open_connection(self.master, monotonic() + _CONNECT_LIMIT_IN_SECONDS, self._lost)
        except (BrokerError, OSError) as error:
            self.master.moved()
            self._fail_waiting(error)
            return
        if self._is_closed:
            side.close()
            return
        self._side = side
        self.schedule_flush()

    def _fail_waiting(self, error: Exception) -> None:
        """Fail what has not left, for there is no connection that it could leave by."""
        pushes, self._pushes = self._pushes, []
        commands, self._commands = self._commands, []
        for push in self.apart(pushes):
            if push.state is WAITING:
                fault = push.core.cannot_send(error)
                fault.__cause__ = error
                push.failed(fault)
        for _, owed in commands:
            owed.lost(BrokerLost(str(error)))

    def _lost(self, connection: AsyncRedisConnection, error: BrokerLost) -> None:
        self.master.moved()
        if connection is self._side:
            self._side = None
            if self._pushes or self._commands:
                self.schedule_flush()
        elif connection is self.main:
            self.main = None
            self.is_popping = False
            self.times.pop_ends()
            self.main_lost(error)
            if self._pushes or self._commands:
                self.schedule_flush()

    # Sending

    def push(self, push: Push) -> None:
        """Send a message at the end of this turn of the loop."""
        self._pushes.append(push)
        if not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self.loop.call_soon(self.flush)

    def command(self, packet: bytes, *owed: Owed) -> None:
        """Send a command at the end of this turn of the loop; one that waits for each of its replies."""
        self._commands.append((packet, owed[0]))
        self._commands.extend((b"", other) for other in owed[1:])
        self.schedule_flush()

    def schedule_flush(self) -> None:
        """Have what is to be sent leave at the end of this turn of the loop, and see to the next pop."""
        if not self._is_flush_scheduled and not self._is_closed:
            self._is_flush_scheduled = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits to be sent, with the next pop where none is under way."""
        self._is_flush_scheduled = False
        if self._is_closed:
            return
        main = self.main
        if main is None:
            if self._pushes or self._commands or self.wants_pop():
                self._start_opening()
            return
        packet: list[bytes] = []
        owed: list[Owed] = []
        if self.is_popping:
            if not self._pushes and not self._commands:
                return
            if self._side is None:
                if self._opening_side is None or self._opening_side.done():
                    self._opening_side = self.loop.create_task(self._open_side(), name="pysoa-open-side")
                    self._opening_side.add_done_callback(_retrieved)
                return
            self._pack(packet, owed)
            if packet:
                self._side.send(packet, owed)
        else:
            if self._pushes or self._commands:
                self._pack(packet, owed)
            if self.wants_pop():
                pop, waiting = self.next_pop()
                self.is_popping = True
                if self.times.recorders:
                    self.times.pop_begins()
                self._pop_replies = len(waiting)
                packet.append(pop)
                owed += waiting
                owed[-1] = _PopEnd(self, owed[-1])
            if packet:
                main.send(packet, owed)
        if self._watch is None:
            self._watch = self.loop.call_later(POP_MARGIN_IN_SECONDS, self._look)

    def _pack(self, packet: list[bytes], owed: list[Owed]) -> None:
        """Make commands of what waits to be sent."""
        pushes, self._pushes = self._pushes, []
        if len(pushes) == 1 and pushes[0].state is WAITING:
            pushes[0].state = WRITTEN
            self._pack_pushes(pushes[0].queue, pushes, packet, owed)
            pushes = []
        by_queue: dict[Queue, list[Push]] = {}
        queue = None
        for push in pushes:
            if push.state is WAITING:
                push.state = WRITTEN
                if push.queue is not queue:
                    queue = push.queue
                    group = by_queue.setdefault(queue, [])
                group.append(push)
        for queue, group in by_queue.items():
            self._pack_pushes(queue, group, packet, owed)
        for command, waiting in self._commands:
            packet.append(command)
            owed.append(waiting)
        self._commands.clear()

    def _pack_pushes(self, queue: Queue, pushes: list[Push], packet: list[bytes], owed: list[Owed]) -> None:
        core = pushes[0].core
        if queue.wants_script(core.queue_capacity, monotonic()):
            for push in self.apart(pushes):
                packet.append(core.script_command(queue, push.frames))
                owed.append(_PushReply(self, [push], by_script=True))
            return
        first = pushes[0].frames
        frames = first if len(pushes) == 1 else [frame for push in pushes for frame in push.frames]
        commands = queue.push(frames, queue.expire)
        packet += [commands] if isinstance(commands, bytes) else commands
        owed.append(_PushReply(self, pushes, by_script=False))
        owed.append(_ExpireReply(self, queue) if queue.keeps_longer_life else IGNORED)

    # What the broker refuses

    def push_refused(self, push: Push, refusal: BrokerRefused) -> None:
        """Look at why a message was not taken, and try again where that may help: it has not been carried out."""
        core = push.core
        if push.state is not WRITTEN:
            return
        if refusal.kind == "NOSCRIPT":
            self.command(core.script_command(push.queue, push.frames, with_text=True), _PushReply(self, [push], True))
        elif is_queue_full(str(refusal)):
            self._try_full_queue_again(push)
        elif refusal.not_the_master and not push.has_moved:
            push.has_moved = True
            push.state = WAITING
            self._pushes.append(push)
            self.lose(BrokerLost(str(refusal)))
            self.schedule_flush()
        else:
            push.failed(core.refused_push(refusal))

    def _try_full_queue_again(self, push: Push) -> None:
        core, queue = push.core, push.queue
        now = monotonic()
        # A server has waited for this client's room just now: it must not be held up by each of its answers.
        retries = 0 if core.is_server and now < queue.full_until else core.queue_full_retries
        pause = pause_in_seconds(push.attempts, random.random())
        if push.attempts >= retries or now + pause >= push.until:
            queue.full_until = now + _FULL_FOR_SECONDS
            core.count("send.error.redis_queue_full")
            name = queue.key.decode().removeprefix(PREFIX)
            text = f"Redis queue {name} was full after {push.attempts} retries"
            push.failed(MessageSendError(text, outcome="not_sent"))
            return
        push.attempts += 1
        core.count("send.queue_full_retry")
        core.count(f"send.queue_full_retry.retry_{push.attempts}")
        push.state = WAITING
        handle: asyncio.TimerHandle

        def again() -> None:
            self._retries.discard(handle)
            if push.state is WAITING:
                push.state = WRITTEN
                self.command(core.script_command(queue, push.frames), _PushReply(self, [push], True))

        handle = self.loop.call_later(pause, again)
        self._retries.add(handle)

    def give_up(self, push: Push) -> PySOATransportError | None:
        """Stop sending a message whose time is over; the error that tells what became of it, None once it was sent."""
        state, push.state = push.state, GIVEN_UP
        if state is WAITING:
            return MessageSendTimeout(f"The message for service {push.core.service_name} could not be sent in time")
        if state is WRITTEN:
            self._drop_if_silent(POP_MARGIN_IN_SECONDS / 2)
            return push.core.lost_push(self.master, BrokerTimeout("the broker did not answer in time"))
        return None

    # What has died unseen

    def lose(self, error: BrokerLost) -> None:
        """Close both connections, and tell all that they owe anything to."""
        for connection in (self._side, self.main):
            if connection is not None:
                connection.lose(error)

    def _drop_if_silent(self, seconds: float) -> None:
        error = BrokerTimeout("the broker did not answer in time")
        side, main = self._side, self.main
        is_side_dead = side is not None and side.is_silent(seconds)
        is_main_dead = main is not None and self._is_main_dead(main, seconds)
        # Where one has died unseen, the other has too, most likely: it goes if that costs nothing.
        if side is not None and (is_side_dead or (is_main_dead and not side.owes)):
            side.lose(error)
        if main is not None and (is_main_dead or (is_side_dead and not main.owes)):
            main.lose(error)

    def _is_main_dead(self, main: AsyncRedisConnection, seconds: float) -> bool:
        if not self.is_popping:
            return main.is_silent(seconds)
        if monotonic() > self.pop_ends_at + self.pop_margin_in_seconds:
            return True
        # What is owed before the pop is told at once; the pop itself has its time.
        return len(main.owes) > self._pop_replies and main.is_silent(seconds)

    def _look(self) -> None:
        """Look now and then, while anything is owed, whether a connection has died unseen."""
        self._watch = None
        self._drop_if_silent(_SILENCE_IN_SECONDS)
        if self.is_popping or any(one is not None and one.owes for one in (self.main, self._side)):
            self._watch = self.loop.call_later(POP_MARGIN_IN_SECONDS, self._look)

    # The end

    def unblock(self) -> None:
        """End the pop under way by asking on the side connection: closing its own would lose what is on the way."""
        if self.is_popping and self.main is not None and self.main.client_id is not None:
            self.command(pack(b"CLIENT", b"UNBLOCK", self.main.client_id), IGNORED)

    @property
    def owes(self) -> bool:
        """Whether anything is still to be sent, or to be answered by the broker but for a pop."""
        if self._pushes or self._commands or self._retries:
            return True
        main = self.main
        return (self._side is not None and bool(self._side.owes)) or (
            main is not None and not self.is_popping and bool(main.owes)
        )

    async def close(self) -> None:
        """Close both connections and end what is under way."""
        self._is_closed = True
        for handle in (self._watch, *self._retries):
            if handle is not None:
                handle.cancel()
        tasks = [task for task in (self._opening, self._opening_side) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        for connection in (self._side, self.main):
            if connection is not None:
                connection.close()
        self.main = self._side = None
        self.is_popping = False
        self.times.pop_ends()
        self._fail_waiting(BrokerLost("it was closed"))
        if tasks:
            await asyncio.wait(tasks)


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Take note of how a task has ended, so that the loop does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
