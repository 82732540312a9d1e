"""The server's end of the Redis gateway in an event loop.

Each task that waits in ``receive_request_message`` is a free slot, and no more requests are popped than there are free
slots: those that this worker cannot begin stay for others. While requests come faster than they are done, several are
popped at once, as many as take about two milliseconds to begin. Pops wait on all masters at once, so that several may
bring more than there are free slots for: the keeper puts back what has to wait.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.protocol.frames import read_frame
from pysoa.common.protocol.queues import is_reply_queue_of, queue_key, request_queue_name
from pysoa.common.threads import in_thread
from pysoa.common.transport.async_base import AsyncServerTransport
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
)
from pysoa.common.transport.redis_gateway.async_connection import Owed
from pysoa.common.transport.redis_gateway.async_line import AsyncLine
from pysoa.common.transport.redis_gateway.async_push import WAITING, Push
from pysoa.common.transport.redis_gateway.async_responses import ReplyQueue, Response, Responses, TimedResponse
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.batches import BatchSize
from pysoa.common.transport.redis_gateway.commands import Queue, blocking_pop, pop_more
from pysoa.common.transport.redis_gateway.connection import BrokerError, BrokerLost, BrokerRefused, Reply
from pysoa.common.transport.redis_gateway.core import RedisTransportServerCore
from pysoa.common.transport.redis_gateway.keeper import Keeper, Pop
from pysoa.common.transport.redis_gateway.measures import receive_of_server
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema
from pysoa.common.types import Body

__all__ = ("AsyncRedisServerTransport",)

_logger = logging.getLogger(__name__)

_SLICE_IN_SECONDS: Final = 5.0
_TURN_IN_SECONDS: Final = 0.1  # of one of several masters, where its pop keeps a free slot from the others
_SEND_LIMIT_IN_SECONDS: Final = 0.5  # a slow or full reply queue must not keep answers in memory
# More than a blocking worker takes: begun is not done, and large batches spare three processes many a wake-up.
_WORK_IN_HAND_IN_SECONDS: Final = 0.002
_LAST_WORDS_IN_SECONDS: Final = 1.0
_MOST_REPLY_QUEUES: Final = 1024


class _Popped:
    """Waits for the reply to the blocking pop."""

    __slots__ = ("_line",)

    def __init__(self, line: RequestLine) -> None:
        self._line = line

    def take(self, reply: Reply) -> None:
        line = self._line
        if isinstance(reply, list):
            line.waited_in_seconds = monotonic() - line.pop_began
            line.transport.popped(line, reply[1:])  # type: ignore[arg-type]
        elif isinstance(reply, BrokerRefused):
            line.pop_refused(reply)

    def lost(self, error: BrokerLost) -> None:
        pass  # the line hears of it


class _PoppedMore:
    """Waits for the requests that were there besides."""

    __slots__ = ("_line",)

    def __init__(self, line: RequestLine) -> None:
        self._line = line

    def take(self, reply: Reply) -> None:
        line = self._line
        if isinstance(reply, list):
            line.transport.batch_size.came(1 + len(reply), line.waited_in_seconds)
            line.transport.popped(line, reply)  # type: ignore[arg-type]

    def lost(self, error: BrokerLost) -> None:
        pass


class RequestLine(AsyncLine):
    """The line on which requests come from one master, and answers go to it.

    Attributes:
        transport: what takes the requests.
        reserved: how many requests the pop under way may bring.
        pop_began: when the last pop was sent, by the monotonic clock.
        waited_in_seconds: for its first request.
    """

    pop_margin_in_seconds = 1.5  # it is looked at twice a second, and is to be noticed within two

    def __init__(self, master: Master, transport: AsyncRedisServerTransport) -> None:
        super().__init__(master)
        self.transport = transport
        self.reserved = 0
        self.pop_began = 0.0
        self.waited_in_seconds = 0.0
        self._rest: asyncio.TimerHandle | None = None
        if transport.core.records_metrics:
            self.times.recorders.append(transport.core)

    def apart(self, pushes: list[Push]) -> list[Push]:
        return [each for push in pushes for each in (push.apart() if type(push) is Responses else [push])]

    def wants_pop(self) -> bool:
        return self._rest is None and self.transport.free_slots(self) > 0

    def rest(self) -> None:
        """Leave the master alone for a while: there are others."""
        if self._rest is None:
            self._rest = self.loop.call_later(random.uniform(0.2, 1.0), self._rested)

    def _rested(self) -> None:
        self._rest = None
        self.schedule_flush()

    async def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        await super().close()

    def next_pop(self) -> tuple[bytes, Sequence[Owed]]:
        transport = self.transport
        commands, count = transport.pop_commands(self)
        self.pop_began = monotonic()
        self.pop_ends_at = self.pop_began + transport.slice_in_seconds
        self.reserved = count
        if count > 1:
            return commands, [_Popped(self), _PoppedMore(self)]
        return commands, [_Popped(self)]

    def pop_refused(self, refusal: BrokerRefused) -> None:
        if self.main is not None:
            self.transport.line_fault(self, refusal)
            self.main.lose(BrokerLost(str(refusal)))

    def pop_ended(self) -> None:
        self.transport.flush_lines(self)
        self.transport.release_waiters()

    def main_lost(self, error: BrokerError) -> None:
        self.reserved = 0
        self.transport.line_fault(self, error)


@accepts_kwargs(RedisServerTransportSchema())
class AsyncRedisServerTransport(AsyncServerTransport):
    """Receives the requests of one service over Redis, and sends the responses, in an event loop.

    Args:
        service_name: the service that is served.
        metrics: a metrics recorder.
        instance_index: the number of the worker among its siblings, from 1.
        prefetch: how many requests may be popped at once, while they are begun quickly.
        kwargs: the other settings of the transport, those of ``RedisServerTransport``.
    """

    encodes_values = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service {self.service_name!r} at {self.core.backend_layer!r})"

    def __init__(
        self,
        service_name: str,
        metrics: Recorder = NO_METRICS,
        instance_index: int = 1,
        prefetch: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(service_name, metrics, instance_index)
        self.core = RedisTransportServerCore(service_name=service_name, metrics=metrics, **kwargs)
        self.prefetch = prefetch
        self.batch_size = BatchSize(prefetch)
        self.worker_id = uuid.uuid4().hex
        self._key = queue_key(request_queue_name(service_name)).encode()
        self.slice_in_seconds = min(self.core.receive_timeout_in_seconds, _SLICE_IN_SECONDS)
        self._standard_pop = blocking_pop(self._key, self.slice_in_seconds)
        self._pops_of_more = [pop_more(self._key, count) for count in range(max(prefetch, 1))]
        self._lines: list[RequestLine] = []
        self._held: deque[bytes] = deque()  # the keeper puts these back when the loop is held up
        self._line_of: dict[int, RequestLine] = {}  # of what is held, where there are several
        self._waiters: list[asyncio.Future[None]] = []
        self._faults: deque[MessageReceiveError] = deque()
        self._is_stopping = False
        self._is_waking = False
        self._time_to_begin = _WORK_IN_HAND_IN_SECONDS / 8
        self._turn_began = 0.0
        self._begun_in_turn = 0
        self._last_line: RequestLine | None = None
        self._reply_queues: OrderedDict[str, ReplyQueue] = OrderedDict()
        self._keeper: Keeper | None = None
        self._successor_within = 0.0
        if self.core.records_metrics:
            self._receive_untimed = self.receive_request_message
            self.receive_request_message = self._receive_timed  # type: ignore[method-assign] # for good

    # Serving

    def expect_successor(self, seconds: float) -> None:
        self._successor_within = seconds

    async def start_serving(self) -> None:
        self._is_stopping = False
        keeper = Keeper(self.core, self.worker_id, self._key, self._held, self._pops_under_way)
        await in_thread(keeper.start)
        self._keeper = keeper

    def stop_taking(self) -> None:
        self._is_stopping = True
        if self._keeper is not None:
            self._keeper.release_pops()
        self.release_waiters()

    def release_waiters(self) -> None:
        """Let those who wait know, after ``stop_taking``, that nothing comes any more, if that is so."""
        if self._is_stopping and not self._held and not any(line.is_popping for line in self._lines):
            self._wake_all()

    def _wake_all(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _pops_under_way(self) -> list[Pop]:
        return [
            (line.master, line.main.client_id)
            for line in self._lines
            if line.is_popping and line.main is not None and line.main.client_id is not None
        ]

    async def aclose(self) -> None:
        self._is_stopping = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await in_thread(functools.partial(keeper.stop, self._successor_within))
        limit = monotonic() + _LAST_WORDS_IN_SECONDS
        while any(line.owes for line in self._lines) and monotonic() < limit:
            await asyncio.sleep(0.005)
        for line in self._lines:
            await line.close()
        if self._held:
            _logger.error("Lost %d requests that had been taken and could not be put back", len(self._held))
        if self._lines:
            self._lines = []
            await in_thread(self.core.backend_layer.close)

    # Receiving

    async def receive_request_message(self) -> ReceivedMessage:
        keeper = self._keeper
        while True:
            if self._held:
                try:
                    return self._take_held()
                except (IndexError, MessageReceiveTimeout):
                    continue  # the keeper has put it back just now, or it has expired
            if keeper is not None:
                keeper.job_began = 0.0
            if self._faults:
                raise self._faults.popleft()
            if self._is_stopping and not any(line.is_popping for line in self._lines):
                self._wake_all()
                raise self.core.nothing_received()
            await self._wait()

    async def _receive_timed(self) -> ReceivedMessage:
        with receive_of_server(self.core.begin("receive")):
            return await self._receive_untimed()

    def _take_held(self) -> ReceivedMessage:
        """Read the next of the requests that were popped.

        Raises:
            IndexError: the keeper has just put it back.
            MessageReceiveTimeout: it has expired.
        """
        held = self._held
        data = held.popleft()
        if self._line_of:
            self._last_line = self._line_of.pop(id(data), self._lines[0])
        line: Any = self._last_line
        self._begun_in_turn += 1
        if held:
            if (keeper := self._keeper) is not None:
                keeper.job_began = monotonic()
            if self._waiters and not self._is_waking:
                self._wake()  # should this one be suspended, another goes on
        core = self.core
        frame = read_frame(data)
        if frame.chunk_count is not None:
            core.whole_frame(data, None)  # refuses it
        message = core.decode(frame, line.master.clock)
        reply_to = message[1].get("reply_to")  # type: ignore[union-attr] # a message that was read has one
        if type(reply_to) is not str or reply_to not in self._reply_queues:
            self._check_reply_to(reply_to)
        self.taken = data
        return message

    async def read_again(self, taken: bytes) -> ReceivedMessage:
        if not self._lines:
            await self._open_lines()
        message = self.core.decode_request(taken, self._lines[0].master.clock)
        self._check_reply_to(message.meta.get("reply_to") if message.meta else None)
        return message

    def _check_reply_to(self, reply_to: object) -> None:
        if reply_to is None:
            self.core.count("send.error.missing_reply_queue")
            raise InvalidMessageError("Missing reply queue name")
        if not is_reply_queue_of(self.service_name, reply_to):
            self.core.count("receive.error.foreign_reply_queue")
            raise InvalidMessageError(f"reply_to is not a reply queue of service {self.service_name}")

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if not self._lines:
            await self._open_lines()
        self.flush_lines(self._last_line)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                self._is_waking = False
                self._wake()  # it was to take something: another must
            raise
        self._is_waking = False

    async def _open_lines(self) -> None:
        until = monotonic() + self.core.receive_timeout_in_seconds
        try:
            masters = await in_thread(lambda: self.core.backend_layer.masters(until))
        except BrokerError as error:
            raise self.core.cannot_receive(error) from error
        if not self._lines:
            self._lines = [RequestLine(master, self) for master in masters]
            if len(masters) > 1 and self.prefetch <= 1:
                self.slice_in_seconds = min(self.slice_in_seconds, _TURN_IN_SECONDS)
                self._standard_pop = blocking_pop(self._key, self.slice_in_seconds)

    def flush_lines(self, last: RequestLine | None) -> None:
        """Send what is to be sent, and pop where slots are free: the line that has popped last comes last."""
        lines = self._lines
        if last is not None and len(lines) > 1:
            after = lines.index(last) + 1
            lines = lines[after:] + lines[:after]
        for line in lines:
            if not line.is_popping:
                line.schedule_flush()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                self._is_waking = True
                waiter.set_result(None)
                return

    def free_slots(self, line: RequestLine) -> int:
        """How many requests may be popped by one line now."""
        if self._is_stopping:
            return 0
        free = len(self._waiters) + self._is_waking - len(self._held)
        if self.prefetch <= 1:
            for other in self._lines:
                if other is not line and other.is_popping:
                    free -= other.reserved
        return free

    def pop_commands(self, line: RequestLine) -> tuple[bytes, int]:
        """The commands of the next pop of a line, and how many requests it may bring."""
        if self._begun_in_turn:
            # What a request has cost the loop at once, on the average; one slow one soon makes us modest.
            cost = (monotonic() - self._turn_began) / self._begun_in_turn
            self._time_to_begin += (cost - self._time_to_begin) * 0.2
            self._begun_in_turn = 0
        most = min(self.free_slots(line), self.batch_size.most, int(_WORK_IN_HAND_IN_SECONDS / self._time_to_begin))
        if len(self._lines) > 1:
            most = 1  # each master has a pop of its own
        if most > 1:
            return self._standard_pop + self._pops_of_more[most - 1], most
        return self._standard_pop, 1

    def popped(self, line: RequestLine, frames: list[bytes]) -> None:
        """Take requests in, and have one of those who wait begin."""
        self._last_line = line
        self._faults.clear()
        if not self._begun_in_turn:
            self._turn_began = monotonic()
        is_one_of_several = len(self._lines) > 1
        if is_one_of_several:
            if not self._held:
                self._line_of.clear()  # of what the keeper has put back
            self._line_of.update((id(frame), line) for frame in frames)
        self._held.extend(frames)
        if (len(self._held) > 1 or is_one_of_several) and self._keeper is not None:
            self._keeper.job_began = monotonic()
            self._keeper.something_held()
        if not self._is_waking:
            self._wake()

    def line_fault(self, line: RequestLine, error: BrokerError) -> None:
        """A connection has broken or could not be opened: one of those who wait is told, and tries again.

        While other masters serve, nobody is told, and this one is tried again after a while.
        """
        if self._keeper is not None:
            self._keeper.announce_again()
        if self._is_stopping:
            self._wake_all()
            return
        if isinstance(error, BrokerRefused):
            fault = self.core.refused_pop(error)
        elif isinstance(error, BrokerLost):
            fault = self.core.lost_pop(line.master, error)
        else:
            fault = self.core.cannot_receive(error)
        if any(other.main is not None for other in self._lines if other is not line):
            line.rest()
            self.flush_lines(line)  # a free slot is another's now
        elif not self._faults:
            self._faults.append(fault)
            self._wake()

    @property
    def is_receiving(self) -> bool:
        return any(line.is_popping for line in self._lines)

    def seconds_until(self, expiry: float) -> float:
        line = self._last_line
        # By the wall clock, the time left would be wrong by as much as clocks are apart: then only timeouts count.
        if line is None or not (clock := line.master.clock).is_known:
            return math.inf
        return expiry - clock.now()

    # Sending

    async def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        reply_to = meta.get("reply_to")
        if not reply_to:
            self.core.count("send.error.missing_reply_queue")
            raise InvalidMessageError("Missing reply queue name")
        core = self.core
        to = self._reply_queues.get(reply_to) or self._reply_queue(reply_to)
        line = self._lines[to.line_index]
        frames = core.sealed(request_id, meta, body, line.master.clock.now() + core.message_expiry_in_seconds)
        waiting = to.waiting
        if core.records_metrics:
            line.push(TimedResponse(core, to.queue, frames, monotonic() + _SEND_LIMIT_IN_SECONDS))
        elif len(frames) > 1:  # chunks of one response
            line.push(Response(core, to.queue, frames, monotonic() + _SEND_LIMIT_IN_SECONDS))
        elif waiting is not None and waiting.state is WAITING:
            waiting.frames += frames
        else:
            to.waiting = push = Responses(core, to.queue, frames, monotonic() + _SEND_LIMIT_IN_SECONDS)
            line.push(push)

    def _reply_queue(self, name: str) -> ReplyQueue:
        key = queue_key(name)
        queue = Queue(key.encode(), self.core.reply_queue_life_in_seconds)
        index = self.core.backend_layer.index_of(key, 0.0)
        to = self._reply_queues[name] = ReplyQueue(queue, index)
        if len(self._reply_queues) > _MOST_REPLY_QUEUES:
            self._reply_queues.popitem(last=False)
        return to
