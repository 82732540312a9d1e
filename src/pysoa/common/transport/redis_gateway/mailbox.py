"""Mailboxes and reply queues: where one thread of a client gets its answers, and how they are waited for."""

from __future__ import annotations

import random
import select
import threading
import time
from collections import deque
from collections.abc import Container
from typing import Final

from pysoa.common.clock import monotonic
from pysoa.common.forks import FORKS
from pysoa.common.protocol.frames import FrameAssembler
from pysoa.common.transport.errors import MessageReceiveError
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import blocking_pop, pop_more
from pysoa.common.transport.redis_gateway.connection import (
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    RedisConnection,
    Reply,
)
from pysoa.common.transport.redis_gateway.core import POP_MARGIN_IN_SECONDS, RedisTransportCore

__all__ = ("SLICE_IN_SECONDS", "Mailbox", "ReplyQueue", "Unsent", "read_any")

SLICE_IN_SECONDS: Final = 2.0
"""The longest pop of a client: a connection that has died unseen is found out after so long."""

_PRUNE_EVERY_SECONDS: Final = 5.0
_RECOVERY_IN_SECONDS: Final = 2.0
_CONNECT_AMONG_OTHERS_IN_SECONDS: Final = 0.5


class ReplyQueue:
    """One reply queue on one master, and the pop that is under way on it.

    ``claim`` is held by whoever starts or reads a pop: the thread that waits, or one that sends and pops in one
    packet. All else is touched only by its holder.

    Attributes:
        name: as it stands in ``reply_to``.
        key: the full key.
        master: where it is.
        assembler: puts chunked replies together.
        frames: popped and not yet read.
        pop: the connection on which a pop is under way.
        awaited: ids of requests whose replies come here; kept only where there are several masters.
        standard_pop: the command for a pop of the usual length.
    """

    __slots__ = (
        "_pop_ends_at",
        "_pop_replies",
        "assembler",
        "awaited",
        "claim",
        "core",
        "frames",
        "key",
        "master",
        "name",
        "pop",
        "standard_pop",
    )

    def __init__(self, core: RedisTransportCore, master: Master, name: str, key: bytes) -> None:
        self.core = core
        self.master = master
        self.name = name
        self.key = key
        self.assembler = FrameAssembler(core.service_name)
        self.frames: deque[bytes] = deque()
        self.claim = threading.RLock()  # not for entering twice: it knows whose it is, see give_up_claim
        self.standard_pop = blocking_pop(key, SLICE_IN_SECONDS)
        self.pop: RedisConnection | None = None
        self.awaited: set[int] = set()
        self._pop_ends_at = 0.0
        self._pop_replies = 0

    def awaits_any_of(self, outstanding: Container[int]) -> bool:
        """Whether a reply to one of these requests will come here."""
        for request_id in list(self.awaited):
            if request_id not in outstanding:
                self.awaited.discard(request_id)
        return bool(self.awaited)

    def begin_pop(self, connection: RedisConnection, until: float, most: int) -> bytes:
        """Begin a pop that ends by then, and takes up to so many frames when there are more.

        Returns:
            The commands to send on this connection, which is ours until their replies are read.
        """
        now = monotonic()
        self.pop = connection
        if until - now >= SLICE_IN_SECONDS:
            command = self.standard_pop
            self._pop_ends_at = now + SLICE_IN_SECONDS
        else:
            command = blocking_pop(self.key, until - now)
            self._pop_ends_at = until
        if most > 1:
            self._pop_replies = 2
            return command + pop_more(self.key, most - 1)
        self._pop_replies = 1
        return command

    def read(self, until: float, most: int, connect_until: float) -> bytes | None:
        """Wait for the next frame.

        Args:
            until: moment on the monotonic clock to give up at.
            most: how many frames are worth taking at once.
            connect_until: the same for opening a connection, where none is at hand; later where whoever waits only
                wants to look around meanwhile.

        Returns:
            A frame, or None when none came in time; then the pop may still be under way.

        Raises:
            MessageReceiveError: the broker refused, or stayed away for longer than a recovery may take.
        """
        if self.frames:
            return self.frames.popleft()
        give_up_at = 0.0
        while True:
            try:
                connection = self.pop or self._start(connect_until, most)
                early = until <= self._pop_ends_at  # the broker ends a pop up to a tenth of a second late
                try:
                    reply = connection.read(until if early else self._pop_ends_at + POP_MARGIN_IN_SECONDS)
                except BrokerTimeout:
                    if early:
                        return None
                    raise
                self._take(connection, reply)
            except (BrokerLost, MessageReceiveError) as error:
                give_up_at = give_up_at or min(until, monotonic() + _RECOVERY_IN_SECONDS)
                self._after_fault(error, give_up_at, until)
            except BaseException:
                self.forget_pop()  # such as an interrupt: nobody knows whether it is still under way
                raise
            if self.frames:
                return self.frames.popleft()
            if monotonic() >= until:
                return None

    def _start(self, until: float, most: int, pop_until: float = 0.0) -> RedisConnection:
        connection = self.core.take_to_receive(self.master, until)
        until = pop_until or until
        command = self.begin_pop(connection, until, most)
        connection.send(command, self._pop_replies, until)
        return connection

    def _take(self, connection: RedisConnection, reply: Reply) -> None:
        """Read what the pop brought; afterwards it is over."""
        self.pop = None
        if isinstance(reply, list):
            self.frames.append(reply[1])  # type: ignore[arg-type]
        try:
            more = connection.read(monotonic() + POP_MARGIN_IN_SECONDS) if self._pop_replies > 1 else None
        finally:
            self.master.give_back(connection)
        if isinstance(reply, list):
            pass
        elif isinstance(reply, BrokerRefused):
            if reply.not_the_master:
                raise BrokerLost(str(reply))
            raise self.core.refused_pop(reply)
        if isinstance(more, list):
            self.frames.extend(more)  # type: ignore[arg-type]

    def _after_fault(self, error: BrokerLost | MessageReceiveError, give_up_at: float, until: float) -> None:
        """Drop the connection; then go on waiting: a reply may still come to the queue when the broker is back."""
        unseen = isinstance(error, BrokerTimeout)  # the connection had died unseen; another may be alive
        refused = isinstance(error, MessageReceiveError) and error.args[1:2] == ("ResponseError",)
        self.drop_pop_after(error, 0.0 if refused else until + 1.0 if unseen else give_up_at)
        if not unseen:
            time.sleep(max(0.0, min(random.uniform(0.02, 0.1), until - monotonic())))

    def poll_ready(self) -> bytes | None:
        """A frame that has been received already, if its pop is complete."""
        if self.frames:
            return self.frames.popleft()
        if self.pop is not None:
            reply = self.pop.read_if_there()
            if not isinstance(reply, bool):
                self._take(self.pop, reply)
                if self.frames:
                    return self.frames.popleft()
        return None

    def poll_or_start(self, until: float) -> bytes | None:
        """A frame that has been received already; where there is none, see to it that a pop is under way."""
        if self.pop is not None and monotonic() > self._pop_ends_at + POP_MARGIN_IN_SECONDS:
            self.forget_pop()
        frame = self.poll_ready()
        if frame is None and self.pop is None:
            # Another master may have the reply: this one must not hold everything up for long.
            self._start(min(until, monotonic() + _CONNECT_AMONG_OTHERS_IN_SECONDS), 1, until)
        return frame

    def drop_pop_after(self, error: BrokerLost | MessageReceiveError, give_up_at: float) -> None:
        """Drop the connection after a fault; raises once it has lasted for too long."""
        if self.pop is not None:
            self.pop.close()
            self.pop = None
        self.master.moved()
        if monotonic() >= give_up_at:
            if isinstance(error, BrokerLost):
                raise self.core.lost_pop(self.master, error) from error
            raise error

    def give_up_claim(self) -> None:
        """Release the claim if this thread has it: an interrupt may have come before it could take note of that."""
        if self.claim._is_owned():  # type: ignore[attr-defined] # of all releases; threading.Condition uses it too
            self.claim.release()

    def forget_pop(self) -> None:
        """Close the connection of a pop whose answer is overdue."""
        if self.pop is not None:
            self.pop.close()
            self.pop = None
            self.master.drop_idle()


class Unsent:
    """A request of a batch, ready to be pushed."""

    __slots__ = ("frames", "life", "request_id", "until")

    def __init__(self, request_id: int, frames: list[bytes], life: float, until: float) -> None:
        self.request_id = request_id
        self.frames = frames
        self.life = life
        self.until = until


class Mailbox:
    """What one thread has sent and where its replies arrive.

    Attributes:
        generation: that of the process that made it.
        outstanding: ids of the requests whose replies have not come, and when each is forgotten.
        prune_at: when to look for those next.
        reply_queues: by the index of their master; made when first needed.
        awaited_until: the deadline of the next request, where it has been announced by ``expect_reply``.
        batch: requests collected for one packet, by the index of their master; None outside of a batch.
        suspicious: requests to take back if it turns out that nobody serves: id, master, key and frame.
        ask_at: when to find that out, while there are any.
    """

    __slots__ = (
        "__weakref__",
        "ask_at",
        "awaited_until",
        "batch",
        "generation",
        "outstanding",
        "prune_at",
        "reply_queues",
        "suspicious",
        "thread_hex",
    )

    def __init__(self, thread_hex: str) -> None:
        self.thread_hex = thread_hex
        self.generation = FORKS.count
        self.outstanding: dict[int, float] = {}
        self.prune_at = 0.0
        self.reply_queues: dict[int, ReplyQueue] = {}
        self.awaited_until: float | None = None
        self.batch: dict[int, list[Unsent]] | None = None
        self.suspicious: list[tuple[int, Master, bytes, bytes]] = []
        self.ask_at = 0.0

    def prune(self, now: float) -> int:
        """How many requests are outstanding, without those that are so old that no reply can come."""
        outstanding = self.outstanding
        if now > self.prune_at:
            self.prune_at = now + _PRUNE_EVERY_SECONDS
            # Of a copy: the thread whose mailbox it is may be sending meanwhile.
            for request_id, forget_at in list(outstanding.items()):
                if forget_at < now:
                    outstanding.pop(request_id, None)
        return len(outstanding)


def read_any(queues: list[ReplyQueue], until: float) -> tuple[ReplyQueue, bytes] | None:
    """Wait for the next frame of any of several reply queues, which lie on several masters.

    Raises:
        MessageReceiveError: one of the brokers stayed away for longer than a recovery may take.
    """
    claimed = 0
    try:
        for queue in queues:
            if not queue.claim.acquire(timeout=max(0.0, until - monotonic())):
                return None
            claimed += 1
        return _read_any(queues, until)
    except BaseException:
        for queue in queues[claimed:]:
            queue.give_up_claim()
        raise
    finally:
        for queue in queues[:claimed]:
            queue.claim.release()


def _read_any(queues: list[ReplyQueue], until: float) -> tuple[ReplyQueue, bytes] | None:
    give_up_at: dict[ReplyQueue, float] = {}
    while True:
        poll = select.poll()
        popping: list[ReplyQueue] = []
        for queue in queues:
            try:
                frame = queue.poll_or_start(until)
                if frame is not None:
                    return queue, frame
            except (BrokerLost, MessageReceiveError) as error:
                queue.drop_pop_after(
                    error, give_up_at.setdefault(queue, min(until, monotonic() + _RECOVERY_IN_SECONDS))
                )
                continue
            if queue.pop is not None:
                popping.append(queue)
                poll.register(queue.pop.fileno(), select.POLLIN)
        left = until - monotonic()
        if left <= 0:
            return None
        patience = SLICE_IN_SECONDS + POP_MARGIN_IN_SECONDS if len(popping) == len(queues) else 0.05
        ready = {descriptor for descriptor, _ in poll.poll(min(left, patience) * 1000)}
        for queue in popping:
            if queue.pop is not None and queue.pop.fileno() in ready:
                try:
                    queue.pop.receive_now()
                except BrokerLost as error:
                    limit = give_up_at.setdefault(queue, min(until, monotonic() + _RECOVERY_IN_SECONDS))
                    queue.drop_pop_after(error, limit)
