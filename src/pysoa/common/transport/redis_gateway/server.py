"""The server's end of the Redis gateway.

While a loop is served, the answer to one request and the pop of the next travel in one packet, and what the broker says
of the answer is read together with the next request. Small jobs are taken several at a time, as much as takes about a
millisecond to do; should one of them turn out to be slow, those that have not begun go back to the queue.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import select
import uuid
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.instruments import NO_METRICS, Recorder, TimerResolution
from pysoa.common.logging import printable
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.protocol.queues import is_reply_queue_of, queue_key, request_queue_name
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
)
from pysoa.common.transport.redis_gateway.backend.base import BrokerClock, Master
from pysoa.common.transport.redis_gateway.commands import Queue, blocking_pop, pop_more
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    RedisConnection,
    Reply,
)
from pysoa.common.transport.redis_gateway.core import RedisTransportServerCore
from pysoa.common.transport.redis_gateway.keeper import Keeper, Pop, put_back, unblock
from pysoa.common.transport.redis_gateway.line import Line
from pysoa.common.transport.redis_gateway.measures import receive_of_server
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema
from pysoa.common.types import Body

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncServerTransport

__all__ = ("RedisServerTransport",)

_logger = logging.getLogger(__name__)

_SLICE_IN_SECONDS: Final = 5.0
_POP_MARGIN_IN_SECONDS: Final = 2.0
_SEND_LIMIT_IN_SECONDS: Final = 0.5  # a slow or full reply queue must not hold a worker
_UNBLOCK_AGAIN_AFTER_SECONDS: Final = 0.05
_CONNECT_LIMIT_IN_SECONDS: Final = 0.5
_WORK_IN_HAND_IN_SECONDS: Final = 0.001
_LOOK_EVERY_POPS: Final = 8  # for a backlog; once there is one, each pop takes more
_MOST_REPLY_QUEUES: Final = 1024
_NO_TIMER: Final = contextlib.nullcontext()

# What a reply answers; that to a push is noted as the queue that it went to.
_POPPED, _MORE, _EXPIRED = range(3)


@accepts_kwargs(RedisServerTransportSchema())
class RedisServerTransport(ServerTransport):
    """Receives the requests of one service over Redis, and sends the responses.

    Belongs to the thread that serves; ``stop_taking`` may be called from anywhere.

    Args:
        service_name: the service that is served.
        metrics: a metrics recorder.
        instance_index: the number of the worker among its siblings, from 1.
        prefetch: how many requests may be taken ahead, while they are small; 1 for none.
        kwargs: the other settings of the transport.
    """

    encodes_values = True

    @classmethod
    def async_server_class(cls) -> type[AsyncServerTransport] | None:
        if cls is not RedisServerTransport:
            return None  # what a subclass does otherwise is not in the twin
        from pysoa.common.transport.redis_gateway.async_server import AsyncRedisServerTransport

        return AsyncRedisServerTransport

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service {self.service_name!r} at {self.core.backend_layer!r})"

    def __init__(
        self,
        service_name: str,
        metrics: Recorder = NO_METRICS,
        instance_index: int = 1,
        prefetch: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(service_name, metrics, instance_index)
        self.core = RedisTransportServerCore(service_name=service_name, metrics=metrics, **kwargs)
        self.prefetch = prefetch
        self.worker_id = uuid.uuid4().hex
        self._receive_queue_name = request_queue_name(service_name)
        self._receive_queue_key = queue_key(self._receive_queue_name).encode()
        self._slice = min(self.core.receive_timeout_in_seconds, _SLICE_IN_SECONDS)
        self._standard_pop = blocking_pop(self._receive_queue_key, self._slice)
        self._pops_of_more = [pop_more(self._receive_queue_key, count) for count in range(prefetch)]
        self._pops_until_look = _LOOK_EVERY_POPS
        self._has_backlog = False
        self._lines: list[Line] = []
        self._turn = 0
        self._held: deque[bytes] = deque()
        self._clock: BrokerClock | None = None
        self._is_serving = False
        self._is_stopping = False
        self._job_time = _WORK_IN_HAND_IN_SECONDS
        self._reply_queues: OrderedDict[str, Queue] = OrderedDict()
        self._keeper: Keeper | None = None
        self._successor_within = 0.0

    # Serving

    def expect_successor(self, seconds: float) -> None:
        self._successor_within = seconds

    def start_serving(self) -> None:
        self._is_serving = True
        self._is_stopping = False
        self._keeper = Keeper(self.core, self.worker_id, self._receive_queue_key, self._held, self._pops_under_way)
        self._keeper.start()

    def stop_taking(self) -> None:
        self._is_stopping = True
        if self._keeper is not None:
            self._keeper.release_pops()

    def _pops_under_way(self) -> list[Pop]:
        pops = [(line.master, line.connection) for line in self._lines if line.is_popping]
        return [
            (master, connection.client_id)
            for master, connection in pops
            if connection is not None and connection.client_id is not None
        ]

    def close(self) -> None:
        self._is_stopping = True
        if self._keeper is not None:
            self._keeper.stop(self._successor_within)
            self._keeper = None
        limit = monotonic() + 1.0
        for line in self._lines:
            with contextlib.suppress(BrokerError):
                self._end_pop(line, limit)
                while line.owes and line.connection is not None:
                    self._note(line, line.connection.read(limit))
            line.drop()
        if self._held and self._lines:
            self._push_back(self._lines[0].master, limit)
        self._is_serving = False
        if self._lines:
            self.core.backend_layer.close()

    def _push_back(self, master: Master, until: float) -> None:
        frames = list(self._held)
        self._held.clear()
        try:
            connection = master.take(until)
            try:
                put_back(connection, self._receive_queue_key, self.core.request_queue_life_in_seconds, frames, until)
            finally:
                master.give_back(connection)
        except BrokerError as error:
            _logger.error("Lost %d requests that could not be put back: %s", len(frames), printable(str(error)))

    # Receiving

    def receive_request_message(self) -> ReceivedMessage:
        keeper = self._keeper
        if keeper is not None and keeper.job_began:
            # A running mean that forgets quickly: one slow job is enough to take nothing ahead of the next ones.
            self._job_time += (monotonic() - keeper.job_began - self._job_time) * 0.2
            keeper.job_began = 0.0
        message = self._timed_receive() if self.core.records_metrics else self._receive()
        if keeper is not None:
            keeper.job_began = monotonic()
        return message

    def _timed_receive(self) -> ReceivedMessage:
        core = self.core
        # The same one each time where nothing came: it is not stopped then, and would be kept.
        timer = core.metrics.timer(f"{core.metrics_prefix}receive", resolution=TimerResolution.MICROSECONDS)
        with receive_of_server(timer):
            return self._receive()

    def _receive(self) -> ReceivedMessage:
        core = self.core
        until = monotonic() + core.receive_timeout_in_seconds
        next_frame = self._timed_next if core.records_metrics else self._next
        while True:
            line, data = next_frame(until)
            frame = core.whole_frame(data, None)
            assert frame is not None  # without an assembler, a frame is whole or refused
            try:
                message = core.decode(frame, line.master.clock)
            except MessageReceiveTimeout:
                if self._is_stopping or monotonic() > until:
                    raise
                continue
            self._check_reply_to(message.meta.get("reply_to") if message.meta else None)
            self._clock = line.master.clock
            self.taken = data
            return message

    def read_again(self, taken: bytes) -> ReceivedMessage:
        lines = self._lines or self._open_lines(monotonic() + self._slice)
        message = self.core.decode_request(taken, lines[0].master.clock)
        self._check_reply_to(message.meta.get("reply_to") if message.meta else None)
        return message

    def seconds_until(self, expiry: float) -> float:
        # Without the broker's time, client and worker go by clocks that nobody has compared.
        clock = self._clock
        return expiry - clock.now() if clock is not None and clock.is_known else math.inf

    def _check_reply_to(self, reply_to: object) -> None:
        if type(reply_to) is str and reply_to in self._reply_queues:
            return
        if reply_to is None:
            self.core.count("send.error.missing_reply_queue")
            raise InvalidMessageError("Missing reply queue name")
        if not is_reply_queue_of(self.service_name, reply_to):
            self.core.count("receive.error.foreign_reply_queue")
            raise InvalidMessageError(f"reply_to is not a reply queue of service {self.service_name}")

    def _timed_next(self, until: float) -> tuple[Line, bytes]:
        with self.core.timer("receive.pop_from_redis_queue"):
            return self._next(until)

    def _next(self, until: float) -> tuple[Line, bytes]:
        """The next frame of the request queue.

        Raises:
            MessageReceiveTimeout: there is none.
            MessageReceiveError: the broker failed.
        """
        lines = self._lines or self._open_lines(until)
        if self._held:
            with contextlib.suppress(IndexError):  # the keeper may have put it back just now
                return lines[0], self._held.popleft()
        if len(lines) > 1:
            return self._next_of_several(lines, until)
        line = lines[0]
        while True:
            if not line.is_popping:
                if self._is_stopping:
                    raise self.core.nothing_received()
                self._start_pop(line)
            try:
                self._read_pop(line)
            except BrokerError as error:
                raise self._lost(line, error) from error
            try:
                return line, self._held.popleft()
            except IndexError:
                if self._is_stopping or monotonic() >= until - 0.05:
                    raise self.core.nothing_received() from None

    def _open_lines(self, until: float) -> list[Line]:
        try:
            self._lines = [Line(master) for master in self.core.backend_layer.masters(until)]
        except BrokerError as error:
            raise self.core.cannot_receive(error) from error
        return self._lines

    def _connection(self, line: Line, until: float) -> RedisConnection:
        """The line's connection; a new one where there is none, or where the other end has closed it."""
        connection = line.connection
        if connection is not None and (connection.owed or connection.is_fresh()):
            return connection
        line.drop()
        line.connection = connection = line.master.take(until)
        return connection

    def _lost(self, line: Line, error: BrokerError) -> MessageReceiveError:
        line.drop()
        line.not_before = monotonic() + random.uniform(0.2, 1.0)
        if self._keeper is not None:
            self._keeper.announce_again()
        if isinstance(error, BrokerLost):
            return self.core.lost_pop(line.master, error)
        line.master.moved()
        if isinstance(error, BrokerRefused):
            return self.core.refused_pop(error)
        return self.core.cannot_receive(error)

    def _pop_commands(self, line: Line) -> bytes:
        """The commands of the next pop, noted as sent."""
        now = monotonic()
        line.is_popping = True
        line.pop_ends_at = now + self._slice
        line.owes.append(_POPPED)
        if self._keeper is not None and self.prefetch > 1 and len(self._lines) == 1:
            began = self._keeper.job_began
            job_time = max(self._job_time, now - began) if began else self._job_time
            most = min(self.prefetch, int(_WORK_IN_HAND_IN_SECONDS / job_time))
            self._pops_until_look -= 1
            if most > 1 and (self._has_backlog or self._pops_until_look <= 0):
                self._pops_until_look = _LOOK_EVERY_POPS
                line.owes.append(_MORE)
                return self._standard_pop + self._pops_of_more[most - 1]
        return self._standard_pop

    def _start_pop(self, line: Line) -> None:
        until = monotonic() + self._slice
        try:
            with self.core.timer("receive.get_redis_connection"):
                connection = self._connection(line, until)
            already_owed = len(line.owes)
            connection.send(self._pop_commands(line), len(line.owes) - already_owed, until)
        except BrokerError as error:
            raise self._lost(line, error) from error

    def _read_pop(self, line: Line) -> None:
        """Read until the pop under way is over; what it brought is then held.

        Raises:
            BrokerError: the connection broke, or the broker refused.
        """
        connection = line.connection
        while line.is_popping or (line.owes and line.owes[0] == _MORE):
            assert connection is not None  # a pop is only under way on a connection
            self._note(line, connection.read(line.pop_ends_at + _POP_MARGIN_IN_SECONDS))
        if connection is not None:
            connection.idle_since = monotonic()

    def _note(self, line: Line, reply: Reply) -> None:
        """Take in the next reply that a line owes."""
        what = line.owes.popleft()
        if what == _POPPED:
            line.is_popping = False
            if isinstance(reply, list):
                self._held.append(reply[1])  # type: ignore[arg-type]
            elif isinstance(reply, BrokerRefused):
                raise reply
        elif what == _MORE:
            self._has_backlog = isinstance(reply, list)
            if isinstance(reply, list):
                self._held.extend(reply)  # type: ignore[arg-type]
                if self._keeper is not None:
                    self._keeper.something_held()
        elif isinstance(what, Queue):
            if isinstance(reply, int):
                what.length = reply
            elif isinstance(reply, BrokerRefused):
                error = self.core.refused_push(reply)
                self.core.warn("refused response", "The broker refused a response of %s: %s", self.service_name, reply)
                if reply.not_the_master:
                    raise BrokerLost(str(reply)) from error

    def _end_pop(self, line: Line, until: float) -> None:
        """Bring a pop under way to its end; what it brought is then held."""
        connection = line.connection
        if line.is_popping and connection is not None:
            connection.receive_now()
        while line.is_popping and connection is not None and monotonic() < until:
            reply = connection.read_if_there()
            if not isinstance(reply, bool):
                self._note(line, reply)
            elif connection.client_id is None:
                until = max(until, line.pop_ends_at + _POP_MARGIN_IN_SECONDS)
                connection.wait(until)
            else:
                unblock(line.master, connection.client_id)
                connection.wait(min(until, monotonic() + _UNBLOCK_AGAIN_AFTER_SECONDS))

    # Several masters

    def _next_of_several(self, lines: list[Line], until: float) -> tuple[Line, bytes]:
        """Look at all masters in turn; when all are empty, wait for all at once.

        A message that another master delivers in the meantime is held, and put back by the keeper if it must wait.
        """
        while not self._is_stopping:
            usable = [line for line in lines if line.connection is not None or monotonic() >= line.not_before]
            self._turn += 1
            for offset in range(len(usable)):
                line = usable[(self._turn + offset) % len(usable)]
                try:
                    # The others must not wait for long for one that does not answer.
                    limit = monotonic() + (_POP_MARGIN_IN_SECONDS if line.connection else _CONNECT_LIMIT_IN_SECONDS)
                    with self.core.timer("receive.get_redis_connection"):
                        connection = self._connection(line, limit)
                    while line.owes:
                        self._note(line, connection.read(limit))
                    reply = connection.ask(b"LPOP", self._receive_queue_key, until=limit)
                    if isinstance(reply, bytes):
                        return line, reply
                    if isinstance(reply, BrokerRefused):
                        raise reply
                except BrokerError as error:
                    fault = self._lost(line, error)
                    if all(other.connection is None for other in lines):
                        raise fault from error
            if found := self._wait_for_several([line for line in lines if line.connection is not None], until):
                return found, self._held.popleft()
            if monotonic() >= until - 0.05:
                break
        raise self.core.nothing_received()

    def _wait_for_several(self, lines: list[Line], until: float) -> Line | None:
        poll = select.poll()
        for line in lines:
            self._start_pop(line)
            poll.register(line.connection.fileno(), select.POLLIN)  # type: ignore[union-attr]
        left = min(until, lines[0].pop_ends_at if lines else until) - monotonic()
        if len(lines) < len(self._lines):
            left = min(left, _CONNECT_LIMIT_IN_SECONDS)  # to see soon when the others are back
        poll.poll(max(left, 0.0) * 1000)
        found = None
        for line in lines:
            try:
                self._end_pop(line, monotonic() + _POP_MARGIN_IN_SECONDS)
                if line.is_popping:
                    raise BrokerTimeout("the connection died unseen")
            except BrokerError as error:
                fault = printable(str(self._lost(line, error)))
                _logger.warning("Lost a broker of service %s: %s", self.service_name, fault)
            if self._held and found is None:
                found = line
        if len(self._held) > 1 and self._keeper is not None:
            self._keeper.something_held()
        return found

    # Sending

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        reply_to = meta.get("reply_to")
        if not reply_to:
            self.core.count("send.error.missing_reply_queue")
            raise InvalidMessageError("Missing reply queue name")
        with self.core.timer("send") if self.core.records_metrics else _NO_TIMER:
            self._send(request_id, meta, body, reply_to)

    def _send(self, request_id: int, meta: dict[str, Any], body: Body, reply_to: str) -> None:
        core = self.core
        until = monotonic() + _SEND_LIMIT_IN_SECONDS
        queue = self._reply_queues.get(reply_to) or self._reply_queue(reply_to)
        line = self._line_of(queue, until)
        expires_at = line.master.clock.now() + core.message_expiry_in_seconds
        frames = core.sealed(request_id, meta, body, expires_at)
        if not self._is_serving or queue.length > core.queue_capacity // 2 or core.queue_capacity < 100:
            core.push(line.master, queue, frames, until)
            return
        self._send_on(line, queue, frames, until)

    def _send_on(self, line: Line, queue: Queue, frames: list[bytes], until: float) -> None:
        core = self.core
        timer = core.begin("send.get_redis_connection") if core.records_metrics else None
        try:
            connection = self._connection(line, until)
            if timer is not None:
                timer.stop()
                timer = core.begin("send.send_message_to_redis_queue")
            already_owed = len(line.owes)
            line.owes.append(queue)
            line.owes.append(_EXPIRED)
            then = queue.expire
            if not (self._is_stopping or self._held or line.is_popping or len(self._lines) > 1):
                then += self._pop_commands(line)
            connection.send(queue.push(frames, then), len(line.owes) - already_owed, until)
        except BrokerLost as error:
            line.drop()
            raise core.lost_push(line.master, error) from error
        except BrokerError as error:
            line.drop()
            line.master.moved()
            raise core.cannot_send(error) from error
        except BaseException:
            line.drop()  # such as an interrupt: a command may have been written by half
            raise
        finally:
            if timer is not None:
                timer.stop()

    def _line_of(self, queue: Queue, until: float) -> Line:
        lines = self._lines or self._open_lines(until)
        if len(lines) == 1:
            return lines[0]
        return lines[self.core.backend_layer.index_of(queue.key.decode(), until)]

    def _reply_queue(self, name: str) -> Queue:
        queue = Queue(queue_key(name).encode(), self.core.reply_queue_life_in_seconds)
        self._reply_queues[name] = queue
        if len(self._reply_queues) > _MOST_REPLY_QUEUES:
            self._reply_queues.popitem(last=False)
        return queue
