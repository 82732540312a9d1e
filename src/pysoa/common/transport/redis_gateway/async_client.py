"""The client's end of the Redis gateway in an event loop.

All clients of a loop that use the same brokers share one line to each master: two connections, whatever the number of
calls and services. A reply is paired with its call by its id when it arrives.
"""

from __future__ import annotations

import asyncio
import uuid
from asyncio import get_running_loop
from collections.abc import Iterable
from typing import Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.forks import FORKS
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.protocol.envelope import request_life
from pysoa.common.protocol.queues import queue_key, reply_queue_name, reply_suffix, request_queue_name
from pysoa.common.threads import in_thread
from pysoa.common.transport.async_base import AsyncClientTransport, of_another_loop
from pysoa.common.transport.base import ReceivedMessage, get_hex_thread_id
from pysoa.common.transport.errors import (
    MessageSendError,
    MessageSendTimeout,
    PySOATransportError,
)
from pysoa.common.transport.redis_gateway.async_absence import AsyncAbsenceWatch
from pysoa.common.transport.redis_gateway.async_push import GIVEN_UP, WAITING
from pysoa.common.transport.redis_gateway.async_replies import (
    AwaitedReply,
    ReplyBox,
    ReplyLine,
    TimedReply,
    reply_line,
)
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import LENGTHEN_EVERY_SECONDS, Queue
from pysoa.common.transport.redis_gateway.connection import BrokerError
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore
from pysoa.common.transport.redis_gateway.settings import RedisTransportSchema
from pysoa.common.types import Body

__all__ = ("AsyncRedisClientTransport",)

_FORGET_AFTER_SECONDS: Final = 60.0
_AVOID_FOR_SECONDS: Final = 1.0
_LIFE_TO_SPARE_IN_SECONDS: Final = 10 + LENGTHEN_EVERY_SECONDS


class _Route:
    """The way of the requests of one service by one master, and of the replies to them."""

    __slots__ = ("absence", "box", "clock", "line", "queue")

    def __init__(self, line: ReplyLine, box: ReplyBox, queue: Queue, absence: AsyncAbsenceWatch) -> None:
        self.line = line
        self.clock = line.master.clock
        self.box = box
        self.queue = queue
        self.absence = absence


@accepts_kwargs(RedisTransportSchema())
class AsyncRedisClientTransport(AsyncClientTransport):
    """Sends requests to a service over Redis, and receives the responses, in an event loop.

    Args:
        service_name: the service to call.
        metrics: a metrics recorder.
        kwargs: the settings of the transport, those of ``RedisClientTransport``.
    """

    encodes_values = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service {self.service_name!r} at {self.core.backend_layer!r})"

    def __init__(self, service_name: str, metrics: Recorder = NO_METRICS, **kwargs: Any) -> None:
        super().__init__(service_name, metrics)
        self.core = RedisTransportClientCore(service_name=service_name, metrics=metrics, **kwargs)
        self._send_queue_key = queue_key(request_queue_name(service_name)).encode()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._routes: list[_Route] = []
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_class = TimedReply if self.core.records_metrics else AwaitedReply
        self.client_id = ""

    # In which loop

    def _bind(self) -> asyncio.AbstractEventLoop:
        """Belong to the running event loop.

        Raises:
            MessageSendError: it belongs to another one, which is not closed.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._generation != FORKS.count:
            if self._loop is not None and not self._loop.is_closed() and self._generation == FORKS.count:
                raise of_another_loop()
            self._loop = loop
            self._generation = FORKS.count
            self._routes = []
            self._opening = None
            self._tasks = set()
            self.client_id = uuid.uuid4().hex
        return loop

    _generation = -1

    async def _open(self) -> None:
        """Find the masters."""
        until = monotonic() + self.core.receive_timeout_in_seconds
        masters = await in_thread(lambda: self.core.backend_layer.masters(until))
        if not self._routes:
            self._routes = [self._route(index, master, len(masters)) for index, master in enumerate(masters)]

    def _route(self, index: int, master: Master, count: int) -> _Route:
        line = reply_line(master)
        suffix = reply_suffix(self.service_name, self.client_id, get_hex_thread_id(), index, count)
        name = reply_queue_name(self.service_name, self.client_id, suffix)
        box = ReplyBox(self.core, line, name, queue_key(name).encode())
        line.add(box)
        queue = Queue(
            self._send_queue_key, self.core.queue_life(self._send_queue_key.decode(), 0), keeps_longer_life=True
        )
        return _Route(line, box, queue, AsyncAbsenceWatch(self.service_name, line, box, self._send_queue_key))

    # Sending

    def start_call(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: Body,
        message_expiry_in_seconds: float | None,
        timeout_in_seconds: float | None,
    ) -> asyncio.Future[ReceivedMessage]:
        loop = self._loop
        if loop is not get_running_loop() or self._generation != FORKS.count:
            loop = self._bind()
        now = monotonic()
        core = self.core
        timeout = timeout_in_seconds or core.receive_timeout_in_seconds
        future: asyncio.Future[ReceivedMessage] = loop.create_future()
        reply = self._reply_class(core, request_id, future, now + timeout)
        routes = self._routes
        first = (0 if len(routes) == 1 else self._turn()) if routes else None
        route = None if first is None else routes[first]
        if route is None or route.line.main is None:
            self._send_slowly(reply, meta, body, message_expiry_in_seconds, timeout, first)
            return future
        clock = route.clock
        life = request_life(
            message_expiry_in_seconds, timeout, core.message_expiry_in_seconds, clocks_agree=clock.is_known
        )
        meta["reply_to"] = route.box.name
        try:
            reply.frames = core.request_frames(request_id, meta, body, clock.now() + life)
        except BaseException:
            reply.state = GIVEN_UP
            raise
        self._send_by(route, reply, life, now)
        return future

    async def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> asyncio.Future[ReceivedMessage] | None:
        loop = self._bind()
        core = self.core
        life = request_life(message_expiry_in_seconds, None, core.message_expiry_in_seconds, clocks_agree=True)
        until = monotonic() + core.time_to_send(body, message_expiry_in_seconds)
        reply = self._reply_class(core, request_id, loop.create_future(), until)
        reply.sent = loop.create_future()
        reply.is_claimed = False
        reply.is_awaited = not body["control"].get("suppress_response")
        reply.forget_at = monotonic() + life + _FORGET_AFTER_SECONDS
        self._send_slowly(reply, meta, body, life, None)
        try:
            await asyncio.wait([reply.sent], timeout=until - monotonic())
            if not reply.sent.done():
                late = reply.box.line.give_up(reply) if reply.box is not None else None
                reply.failed(late or MessageSendTimeout(f"Cannot send in time for service {self.service_name}"))
            await reply.sent
        except asyncio.CancelledError:
            reply.sent.cancel()
            self.forget((request_id,))
            raise
        return reply.future if reply.is_awaited else None

    def _send_slowly(
        self,
        reply: AwaitedReply,
        meta: dict[str, Any],
        body: Body,
        expiry: float | None,
        wait: float | None,
        first: int | None = None,
    ) -> None:
        """Send where the masters are still to be found, connected to, or chosen from."""
        assert self._loop is not None
        task = self._loop.create_task(self._find_way(reply, meta, body, expiry, wait, first), name="pysoa-send")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_way(
        self,
        reply: AwaitedReply,
        meta: dict[str, Any],
        body: Body,
        expiry: float | None,
        wait: float | None,
        first: int | None,
    ) -> None:
        try:
            # No time for the way beyond that of the message: whoever waits must hear in time.
            with self.core.timer("send.get_redis_connection"):
                async with asyncio.timeout(reply.until - monotonic()):
                    route = await self._choose(first)
        except TimeoutError:
            self.core.count_no_connection("send")
            reply.failed(MessageSendTimeout(f"Cannot get connection in time for service {self.service_name}"))
            return
        except PySOATransportError as error:
            reply.failed(error)
            return
        except BaseException as error:
            if not reply.is_over:
                closed = MessageSendError(f"The client of service {self.service_name} was closed", outcome="not_sent")
                reply.failed(closed)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if reply.is_over:
            return
        clock = route.clock
        life = request_life(expiry, wait, self.core.message_expiry_in_seconds, clocks_agree=clock.is_known)
        meta["reply_to"] = route.box.name
        try:
            reply.frames = self.core.request_frames(reply.request_id, meta, body, clock.now() + life)
        except Exception as error:
            reply.refused(error)
            return
        self._send_by(route, reply, life, monotonic())

    def _turn(self) -> int:
        """Which way's turn it is. Each call asks once, for else it could be the same ones' turn for ever."""
        return 0 if len(self._routes) == 1 else self.core.backend_layer.next_index(0.0)

    async def _choose(self, first: int | None) -> _Route:
        """The way whose turn it is, or the next one that can be opened.

        Raises:
            MessageSendError: there is none.
        """
        try:
            if not self._routes:
                if self._opening is None or self._opening.done():
                    self._opening = asyncio.get_running_loop().create_task(self._open(), name="pysoa-find-masters")
                await asyncio.shield(self._opening)
            routes = self._routes
            if first is None:
                first = self._turn()
            now = monotonic()
            order = [routes[(first + step) % len(routes)] for step in range(len(routes))]
            order.sort(key=lambda route: route.line.master.avoid_until > now)
            for route in order[:-1]:
                try:
                    await asyncio.wait_for(route.line.open(), _AVOID_FOR_SECONDS)
                    return route
                except (BrokerError, OSError, TimeoutError):
                    route.line.master.avoid_until = monotonic() + _AVOID_FOR_SECONDS
            await order[-1].line.open()
            return order[-1]
        except (BrokerError, OSError) as error:
            raise self.core.cannot_send(error) from error

    def _send_by(self, route: _Route, reply: AwaitedReply, life: float, now: float) -> None:
        queue = route.queue
        if queue.life_in_seconds < life + _LIFE_TO_SPARE_IN_SECONDS:
            # A rare long life; as the queue is unknown, it goes by the script, which never shortens one.
            seconds = self.core.queue_life(self._send_queue_key.decode(), life)
            queue = Queue(self._send_queue_key, seconds, keeps_longer_life=True)
        reply.queue = queue
        route.box.send(reply, now)
        if not route.absence.is_set and reply.is_awaited and reply.is_claimed:
            route.absence.begin(now)

    def forget(self, request_ids: Iterable[int]) -> None:
        for request_id in request_ids:
            for route in self._routes:
                reply = route.box.pending.pop(request_id, None)
                if reply is not None:
                    if reply.state is WAITING:
                        reply.state = GIVEN_UP
                    break

    async def aclose(self) -> None:
        self._bind()
        self._loop = None
        routes, self._routes = self._routes, []
        tasks = [task for task in (*self._tasks, self._opening) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for route in routes:
            route.absence.stop()
            await route.line.remove(route.box)

    @property
    def requests_outstanding(self) -> int:
        """How many requests have been sent whose responses have not come."""
        return sum(len(route.box.pending) for route in self._routes)
