"""The client's end of the Redis gateway.

Each thread has a mailbox: one reply queue on each master. A request that is awaited at once travels in one packet with
the pop of its reply, on the same connection. While such a pop is under way its connection stays with the reply queue,
whatever becomes of the request: a reply to another request of the thread may come by it, so it is read before the next
pop and never closed for being late.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import uuid
import weakref
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.forks import FORKS, start_anew_in_children
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.protocol.envelope import request_life
from pysoa.common.protocol.queues import queue_key, reply_queue_name, reply_suffix, request_queue_name
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.base import NO_MESSAGE, ClientTransport, ReceivedMessage, get_hex_thread_id
from pysoa.common.transport.errors import (
    BatchSendError,
    DeadlinePassed,
    InvalidMessageError,
    MessageReceiveTimeout,
    MessageSendError,
    PySOATransportError,
    ServiceUnavailable,
    TransientPySOATransportError,
)
from pysoa.common.transport.redis_gateway.absence import AbsenceWatch
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import LENGTHEN_EVERY_SECONDS, Queue, is_queue_full
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    RedisConnection,
    Reply,
)
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore
from pysoa.common.transport.redis_gateway.mailbox import Mailbox, ReplyQueue, Unsent, read_any
from pysoa.common.transport.redis_gateway.measures import receive_of_client, send_of_client
from pysoa.common.transport.redis_gateway.settings import RedisTransportSchema
from pysoa.common.types import Body

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncClientTransport

__all__ = ("RedisClientTransport",)

# Ids of requests that expired so long ago are forgotten: their replies would have expired too.
_FORGET_AFTER_SECONDS: Final = 60.0

_AVOID_FOR_SECONDS: Final = 1.0
_LIFE_TO_SPARE_IN_SECONDS: Final = 10 + LENGTHEN_EVERY_SECONDS  # that a queue lives longer than its messages
_MOST_IN_FLOOD: Final = 64


class _Local(threading.local):
    mailbox: Mailbox | None = None


@accepts_kwargs(RedisTransportSchema())
class RedisClientTransport(ClientTransport):
    """Sends requests to a service over Redis, and receives the responses.

    May be shared by threads and carried over a fork.

    Args:
        service_name: the service to call.
        metrics: a metrics recorder.
        kwargs: the settings of the transport.
    """

    encodes_values = True

    @classmethod
    def async_client_class(cls) -> type[AsyncClientTransport] | None:
        if cls is not RedisClientTransport:
            return None  # what a subclass does otherwise is not in the twin
        from pysoa.common.transport.redis_gateway.async_client import AsyncRedisClientTransport

        return AsyncRedisClientTransport

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service {self.service_name!r} at {self.core.backend_layer!r})"

    def __init__(self, service_name: str, metrics: Recorder = NO_METRICS, **kwargs: Any) -> None:
        super().__init__(service_name, metrics)
        self.core = RedisTransportClientCore(service_name=service_name, metrics=metrics, **kwargs)
        self._send_queue_key = queue_key(request_queue_name(service_name)).encode()
        self._masters: Sequence[Master] = ()
        self._request_queues: dict[int, Queue] = {}
        self._absence = AbsenceWatch(service_name)
        self.start_anew()
        start_anew_in_children(self)

    # Whose mailbox

    def start_anew(self) -> None:
        """Begin with new queues; in a fork, which must never get its parent's answers, nor the parent those of it."""
        self.client_id = uuid.uuid4().hex
        self._local = _Local()
        self._mailboxes: weakref.WeakSet[Mailbox] = weakref.WeakSet()

    def _mailbox(self) -> Mailbox:
        """The mailbox of this thread. Hot paths look for it themselves first."""
        mailbox = self._local.mailbox
        if mailbox is None:
            mailbox = self._local.mailbox = Mailbox(get_hex_thread_id())
            self._mailboxes.add(mailbox)
        return mailbox

    def _reply_queue(self, mailbox: Mailbox, index: int) -> ReplyQueue:
        suffix = reply_suffix(self.service_name, self.client_id, mailbox.thread_hex, index, len(self._masters))
        name = reply_queue_name(self.service_name, self.client_id, suffix)
        queue = ReplyQueue(self.core, self._masters[index], name, queue_key(name).encode())
        mailbox.reply_queues[index] = queue
        return queue

    def channel(self) -> Hashable:
        return self._local.mailbox or self._mailbox()

    @property
    def requests_outstanding(self) -> int:
        """How many requests have been sent whose responses nobody has received."""
        return sum(len(mailbox.outstanding) for mailbox in list(self._mailboxes))

    @property
    def _requests_outstanding(self) -> int:
        return self.requests_outstanding

    def forget(self, request_ids: Iterable[int]) -> None:
        own = (self._local.mailbox or self._mailbox()).outstanding
        for request_id in request_ids:
            if own.pop(request_id, None) is None:
                for mailbox in list(self._mailboxes):
                    mailbox.outstanding.pop(request_id, None)

    # Sending

    def expect_reply(self, timeout_in_seconds: float | None) -> None:
        timeout = timeout_in_seconds or self.core.receive_timeout_in_seconds
        (self._local.mailbox or self._mailbox()).awaited_until = monotonic() + timeout

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        mailbox = self._local.mailbox or self._mailbox()
        if mailbox.batch is not None:
            yield
            return
        batch: dict[int, list[Unsent]] = {}
        mailbox.batch = batch
        try:
            yield
        except BaseException:
            for item in itertools.chain.from_iterable(batch.values()):
                mailbox.outstanding.pop(item.request_id, None)  # it is not sent
            raise
        finally:
            mailbox.batch = None
            until, mailbox.awaited_until = mailbox.awaited_until, None
        self._send_batch(mailbox, batch, until)

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        mailbox = self._local.mailbox or self._mailbox()
        if not self.core.records_metrics:
            self._send(mailbox, request_id, meta, body, message_expiry_in_seconds)
            return
        with send_of_client(self.core):
            self._send(mailbox, request_id, meta, body, message_expiry_in_seconds)

    def idle_channel(self) -> Hashable:
        # Whoever has put something in the place of sending or receiving gets to see every message.
        cls = type(self)
        if cls.send_request_message is not _send_message or cls.receive_response_message is not _receive_message:
            return None
        mailbox = self._local.mailbox or self._mailbox()
        if mailbox.outstanding or mailbox.batch is not None or self.core.records_metrics:
            return None
        return mailbox

    def call(
        self, channel: Hashable, request_id: int, meta: dict[str, Any], body: Body, expiry: float | None, until: float
    ) -> ReceivedMessage:
        mailbox: Mailbox = channel  # type: ignore[assignment] # as idle_channel has given it
        mailbox.awaited_until = until
        try:
            self._send(mailbox, request_id, meta, body, expiry)
            if (now := monotonic()) >= until:
                raise DeadlinePassed(self.service_name, now - until)
            return self._receive(mailbox, until)
        finally:
            mailbox.outstanding.pop(request_id, None)

    def _send(self, mailbox: Mailbox, request_id: int, meta: dict[str, Any], body: Body, expiry: float | None) -> None:
        core = self.core
        now = monotonic()
        awaited_until = mailbox.awaited_until
        until = awaited_until or now + core.time_to_send(body, expiry)
        if mailbox.batch is None:
            mailbox.awaited_until = None
        # Before anything is written: the expiry is in the time of this broker, which is known once connected.
        if len(self._masters) == 1:
            index = 0
            connection = core.take_to_send(self._masters[0], until)
        else:
            index, connection = self._take_in_turn(until)
        master = self._masters[index]
        try:
            reply_queue = mailbox.reply_queues.get(index) or self._reply_queue(mailbox, index)
            meta["reply_to"] = reply_queue.name
            wait = None if awaited_until is None else awaited_until - now
            life = request_life(expiry, wait, core.message_expiry_in_seconds, clocks_agree=master.clock.is_known)
            frames = core.request_frames(request_id, meta, body, master.clock.now() + life)
            is_awaited = not body["control"].get("suppress_response")
            if is_awaited:
                mailbox.outstanding[request_id] = now + life + _FORGET_AFTER_SECONDS
                if len(self._masters) > 1:
                    reply_queue.awaited.add(request_id)
            if mailbox.batch is not None:
                mailbox.batch.setdefault(index, []).append(Unsent(request_id, frames, life, until))
        except BaseException:
            master.give_back(connection)
            mailbox.outstanding.pop(request_id, None)
            raise
        if mailbox.batch is not None:
            master.give_back(connection)
            return
        request_queue = self._request_queues.get(index)
        if request_queue is None or request_queue.life_in_seconds < life + _LIFE_TO_SPARE_IN_SECONDS:
            request_queue = self._request_queue(index, life)
        fused = reply_queue if is_awaited and awaited_until is not None else None
        unsent = [Unsent(request_id, frames, life, until)]
        try:
            self._push(master, connection, request_queue, unsent, fused, until)
        except BatchSendError as error:
            mailbox.outstanding.pop(request_id, None)
            raise error.errors[request_id] from error.errors[request_id].__cause__
        if fused is not None:
            self._absence.suspect(mailbox, master, request_queue.key, request_id, frames[0], now)

    def _take_in_turn(self, until: float) -> tuple[int, RedisConnection]:
        """The master whose turn it is, or the next one that can be reached, and a connection to it.

        Finds the masters when that has not been done yet.
        """
        try:
            masters = self._masters = self.core.backend_layer.masters(until)
            first = self.core.backend_layer.next_index(until)
        except BrokerError as error:
            raise self.core.cannot_send(error) from error
        now = monotonic()
        order = [(first + step) % len(masters) for step in range(len(masters))]
        order.sort(key=lambda index: masters[index].avoid_until > now)
        for index in order[:-1]:
            try:
                left = until - monotonic()
                return index, self.core.take_to_send(masters[index], until - left + min(1.0, left / 2))
            except MessageSendError:
                masters[index].avoid_until = monotonic() + _AVOID_FOR_SECONDS
        return order[-1], self.core.take_to_send(masters[order[-1]], until)

    def _request_queue(self, index: int, life: float) -> Queue:
        queue = self._request_queues.get(index)
        if queue is None or queue.life_in_seconds < life + _LIFE_TO_SPARE_IN_SECONDS:
            seconds = self.core.queue_life(self._send_queue_key.decode(), life)
            queue = Queue(self._send_queue_key, seconds, keeps_longer_life=True)
            if queue.life_in_seconds > self.core.request_queue_life_in_seconds:
                return queue  # a rare long life; as it is unknown, it goes by the script, which never shortens one
            self._request_queues[index] = queue
        return queue

    def _send_batch(self, mailbox: Mailbox, batch: dict[int, list[Unsent]], awaited_until: float | None) -> None:
        errors: dict[int, PySOATransportError] = {}
        for index, unsent in batch.items():
            until = awaited_until or min(item.until for item in unsent)
            master = self._masters[index]
            try:
                connection = self.core.take_to_send(master, until)
                request_queue = self._request_queue(index, max(item.life for item in unsent))
                waits = awaited_until is not None and any(item.request_id in mailbox.outstanding for item in unsent)
                fused = mailbox.reply_queues[index] if waits else None
                self._push(master, connection, request_queue, unsent, fused, until)
            except BatchSendError as error:
                errors.update(error.errors)
            except PySOATransportError as error:
                errors.update((item.request_id, error) for item in unsent)
            now = monotonic()
            for item in unsent:
                if item.request_id in mailbox.outstanding and item.request_id not in errors:
                    self._absence.suspect(mailbox, master, self._send_queue_key, item.request_id, item.frames[0], now)
        if errors:
            for request_id, failure in errors.items():
                mailbox.outstanding.pop(request_id, None)
                if isinstance(failure, TransientPySOATransportError):
                    self.core.count("send.error.transient")
            raise BatchSendError(errors)

    def _push(
        self,
        master: Master,
        connection: Any,
        request_queue: Queue,
        unsent: list[Unsent],
        reply_queue: ReplyQueue | None,
        until: float,
    ) -> None:
        """Push requests in one packet, with the pop of their replies where they are awaited.

        Raises:
            BatchSendError: some of the requests, or all, were not sent, or may not have been.
        """
        core = self.core
        now = monotonic()
        by_script = request_queue.wants_script(core.queue_capacity, now)
        most = len(unsent)
        replies = most if by_script else 2
        command = b""
        fused = False
        # Whoever waits on this queue already gets our reply too; a second pop would only confuse.
        claimed = False
        timer = core.begin("send.send_message_to_redis_queue") if core.records_metrics else None
        try:
            claimed = reply_queue is not None and reply_queue.claim.acquire(blocking=False)
            if claimed and reply_queue is not None and reply_queue.pop is None:
                command = reply_queue.begin_pop(connection, until, most)
                fused = True
            packet: bytes | Sequence[bytes]
            if by_script:
                packet = b"".join([*[core.script_command(request_queue, item.frames) for item in unsent], command])
            else:
                frames = unsent[0].frames if most == 1 else [item.frames[0] for item in unsent]
                packet = request_queue.push(frames, request_queue.expire + command)
            connection.send(packet, replies + ((2 if most > 1 else 1) if fused else 0), until)
            answers = [connection.read(until)]
            while len(answers) < replies:
                answers.append(connection.read(until))
        except BaseException as error:
            if fused and reply_queue is not None:
                reply_queue.forget_pop()
            else:
                connection.close()
            if not isinstance(error, BrokerLost):
                # Such as an interrupt: whatever it was, the replies on this connection are out of step.
                if reply_queue is not None and not claimed:
                    reply_queue.give_up_claim()
                raise
            lost = core.lost_push(master, error)
            lost.__cause__ = error
            raise BatchSendError({item.request_id: lost for item in unsent}) from error
        finally:
            if claimed and reply_queue is not None:
                reply_queue.claim.release()
            if timer is not None:
                timer.stop()
        if not fused:
            master.give_back(connection)
        if by_script:
            self._check(master, request_queue, unsent, answers, until)
        elif type(answers[0]) is int:
            request_queue.length, request_queue.seen_at = answers[0], now
            if type(answers[1]) is BrokerRefused and request_queue.keeps_longer_life:
                core.expire_plainly(master, request_queue, until)
        else:
            self._check(master, request_queue, unsent, answers[:1] * len(unsent), until)

    def _check(
        self, master: Master, request_queue: Queue, unsent: list[Unsent], answers: list[Reply], until: float
    ) -> None:
        """Look at the broker's answer to each push, and try again what it has not carried out and may next time."""
        errors: dict[int, PySOATransportError] = {}
        for item, answer in zip(unsent, answers, strict=True):
            if not isinstance(answer, BrokerRefused):
                if isinstance(answer, int):
                    request_queue.saw_length(answer, monotonic(), by_script=True)
                continue
            may_try_again = answer.kind == "NOSCRIPT" or is_queue_full(str(answer)) or answer.not_the_master
            if not may_try_again:
                errors[item.request_id] = self.core.refused_push(answer)
                continue
            if answer.not_the_master:
                master.moved()
            try:
                self.core.push(master, request_queue, item.frames, until)
            except PySOATransportError as error:
                errors[item.request_id] = error
        if errors:
            raise BatchSendError(errors)

    # Receiving

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        return self.receive_from(self._local.mailbox or self._mailbox(), receive_timeout_in_seconds)

    def receive_from(self, channel: Hashable, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        mailbox = channel
        if not isinstance(mailbox, Mailbox) or mailbox.generation != FORKS.count:
            return NO_MESSAGE
        core = self.core
        now = monotonic()
        if not mailbox.prune(now):
            return NO_MESSAGE
        until = now + (receive_timeout_in_seconds or core.receive_timeout_in_seconds)
        if not core.records_metrics:
            return self._receive(mailbox, until)
        with receive_of_client(core):
            return self._receive(mailbox, until)

    def _receive(self, mailbox: Mailbox, until: float) -> ReceivedMessage:
        """The next response to a request that is outstanding; whatever else arrives is dropped and counted."""
        core = self.core
        most = len(mailbox.outstanding)
        next_frame = self._timed_next_frame if core.records_metrics else self._next_frame
        while True:
            reply_queue, data = next_frame(mailbox, until, most)
            try:
                message = core.read_reply(data, reply_queue.assembler, reply_queue.master.clock)
            except (SerializationError, InvalidMessageError, MessageReceiveTimeout) as error:
                core.count("receive.error.unreadable")
                core.warn("unreadable reply", "Dropped a reply that cannot be read: %s", error)
                most = self._after_junk(until)
                continue
            if message is None:
                continue
            if mailbox.outstanding.pop(message.request_id, None) is not None:  # type: ignore[arg-type]
                if mailbox.suspicious:
                    mailbox.suspicious = []
                return message
            core.count("receive.error.unexpected_reply")
            most = self._after_junk(until)

    def _after_junk(self, until: float) -> int:
        """How many frames to pop at once after one that was of no use: there may be a flood of them."""
        if monotonic() >= until:
            raise self.core.nothing_received()
        return _MOST_IN_FLOOD

    def _timed_next_frame(self, mailbox: Mailbox, until: float, most: int) -> tuple[ReplyQueue, bytes]:
        with self.core.timer("receive.pop_from_redis_queue"):
            return self._next_frame(mailbox, until, most)

    def _next_frame(self, mailbox: Mailbox, until: float, most: int) -> tuple[ReplyQueue, bytes]:
        while True:
            limit = until if not mailbox.suspicious or until < mailbox.ask_at else mailbox.ask_at
            if len(mailbox.reply_queues) == 1:
                (queue,) = mailbox.reply_queues.values()
                # Only a thread that is just sending can have it, and not for long.
                claim = queue.claim
                try:
                    if claim.acquire(blocking=False) or claim.acquire(timeout=max(0.0, limit - monotonic())):
                        frame = queue.read(limit, most, until)
                        claim.release()
                        if frame is not None:
                            return queue, frame
                except BaseException:
                    queue.give_up_claim()
                    raise
            else:
                found = self._wait_for_several(mailbox, limit)
                if found is not None:
                    return found
            if monotonic() >= until:
                raise self.core.nothing_received()
            if mailbox.suspicious:
                try:
                    self._absence.look(mailbox, until)
                except ServiceUnavailable:
                    self.core.count("send.error.not_served")
                    raise

    def _wait_for_several(self, mailbox: Mailbox, until: float) -> tuple[ReplyQueue, bytes] | None:
        queues = [queue for queue in mailbox.reply_queues.values() if queue.awaits_any_of(mailbox.outstanding)]
        if not queues:
            raise self.core.nothing_received()  # another thread has received or forgotten them meanwhile
        return read_any(queues, until)

    def close(self) -> None:
        """Close the connections of this transport; it may be used again."""
        for mailbox in list(self._mailboxes):
            for queue in list(mailbox.reply_queues.values()):
                if queue.claim.acquire(blocking=False):
                    queue.forget_pop()
                    queue.claim.release()
        self.core.backend_layer.close()


# To see whether somebody stands in for them.
_send_message = RedisClientTransport.send_request_message
_receive_message = RedisClientTransport.receive_response_message
