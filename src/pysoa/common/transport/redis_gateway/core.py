"""What both ends of the Redis gateway share: settings, bytes from messages and back, pushing, popping."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from pysoa.common.clock import monotonic
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.old_names import warn_of_old_setting
from pysoa.common.protocol.frames import frame_header
from pysoa.common.protocol.queues import PREFIX, queue_key
from pysoa.common.protocol.retries import pause_in_seconds
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
)
from pysoa.common.transport.redis_gateway.backend.base import (
    BaseRedisClient,
    Master,
    SendMessageToQueueCommand,
)
from pysoa.common.transport.redis_gateway.backend.sentinel import SentinelRedisClient
from pysoa.common.transport.redis_gateway.backend.standard import StandardRedisClient
from pysoa.common.transport.redis_gateway.codec import MessageCodec
from pysoa.common.transport.redis_gateway.commands import Queue, blocking_pop, is_queue_full
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    RedisConnection,
    Reply,
)
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
    MINIMUM_CHUNKED_MESSAGE_BYTES,
    REDIS_BACKEND_TYPE_SENTINEL,
    REDIS_BACKEND_TYPES,
    ProtocolVersion,
)
from pysoa.utils import dict_to_hashable

__all__ = ("POP_MARGIN_IN_SECONDS", "RedisTransportClientCore", "RedisTransportCore", "RedisTransportServerCore")

_logger = logging.getLogger(__name__)

POP_MARGIN_IN_SECONDS: Final = 0.4
"""How long after the end of a pop its answer may take before the connection counts as dead."""

_SLICE_IN_SECONDS: Final = 2.0
_FULL_FOR_SECONDS: Final = 5.0


class RedisTransportCore(MessageCodec):
    """Sends and receives messages over a backend.

    Attributes:
        message_expiry_in_seconds: life of a message, where the sender does not say.
        receive_timeout_in_seconds: how long to wait for a message, where the receiver does not say.
        queue_capacity: how many frames a queue may hold that this side pushes to.
        queue_full_retries: how often a push to a full queue is tried again, while there is time.
    """

    QUEUE_NAME_PREFIX = PREFIX
    GLOBAL_QUEUE_SPECIFIER = "!"
    EXPONENTIAL_BACK_OFF_FACTOR = 4.0

    _backend_layer_cache: ClassVar[dict[Any, BaseRedisClient]] = {}

    def __init__(
        self,
        service_name: str,
        backend_type: str,
        metrics: Recorder = NO_METRICS,
        backend_layer_kwargs: Mapping[str, Any] | None = None,
        message_expiry_in_seconds: float = 60,
        receive_timeout_in_seconds: float = 5,
        queue_capacity: int = 10000,
        queue_full_retries: int = 10,
        log_messages_larger_than_bytes: int | None = None,
        maximum_message_size_in_bytes: int | None = None,
        default_serializer_config: Mapping[str, Any] | None = None,
        request_queue_life_in_seconds: float = 3600,
        serializer_config: Mapping[str, Any] | None = None,  # the name of 0.42 for default_serializer_config
    ) -> None:
        if serializer_config is not None:
            warn_of_old_setting("serializer_config")
        if backend_type not in REDIS_BACKEND_TYPES:
            raise ValueError(f"backend_type must be one of {REDIS_BACKEND_TYPES!r}, got {backend_type!r}")
        super().__init__(
            service_name,
            metrics,
            log_messages_larger_than_bytes,
            maximum_message_size_in_bytes,
            default_serializer_config or serializer_config,
        )
        self.backend_type = backend_type
        self.backend_layer_kwargs = dict(backend_layer_kwargs or {})
        self.message_expiry_in_seconds = message_expiry_in_seconds
        self.receive_timeout_in_seconds = receive_timeout_in_seconds
        self.queue_capacity = queue_capacity
        self.queue_full_retries = queue_full_retries
        self.request_queue_life_in_seconds = int(-(-request_queue_life_in_seconds // 1))
        self.reply_queue_life_in_seconds = int(-(-message_expiry_in_seconds // 1)) + 10
        self._looks_for_master = backend_type == REDIS_BACKEND_TYPE_SENTINEL
        self._backend_layer: BaseRedisClient | None = None
        self._push_script: SendMessageToQueueCommand | None = None

    @property
    def backend_layer(self) -> BaseRedisClient:
        """The masters; shared by all transports of the process with the same settings."""
        if self._backend_layer is None:
            cache_key = (self.backend_type, dict_to_hashable(self.backend_layer_kwargs))
            if cache_key not in self._backend_layer_cache:
                with self.timer("backend.initialize"):
                    backend_class = (
                        SentinelRedisClient if self.backend_type == REDIS_BACKEND_TYPE_SENTINEL else StandardRedisClient
                    )
                    self._backend_layer_cache[cache_key] = backend_class(**self.backend_layer_kwargs)
            self._backend_layer = self._backend_layer_cache[cache_key]
        self._backend_layer.count = self.count  # whoever has used it last hears of it
        return self._backend_layer

    # Pushing

    def push_script(self) -> SendMessageToQueueCommand:
        """The script that checks the capacity before it pushes."""
        if self._push_script is None:
            self._push_script = SendMessageToQueueCommand()
        return self._push_script

    def script_command(self, queue: Queue, frames: list[bytes], with_text: bool = False) -> bytes:
        """The push that checks the capacity first."""
        return self.push_script().packet(
            queue.key, b"%d" % queue.life_in_seconds, b"%d" % self.queue_capacity, *frames, with_text=with_text
        )

    def push(self, master: Master, queue: Queue, frames: list[bytes], until: float) -> None:
        """Push one message, checking the capacity, and wait for the broker's word on it.

        Raises:
            MessageSendError: it was refused, the queue was full to the end, or the broker failed.
        """
        for _ in self._attempts_on_full_queue(queue, until):
            reply = self._ask_script(master, queue, frames, until)
            if isinstance(reply, BrokerRefused) and reply.not_the_master:
                master.moved()
                reply = self._ask_script(master, queue, frames, until)
            if isinstance(reply, BrokerRefused):
                if is_queue_full(str(reply)):
                    continue
                raise self.refused_push(reply)
            if isinstance(reply, int):
                queue.saw_length(reply, monotonic(), by_script=True)
            return

    def _ask_script(self, master: Master, queue: Queue, frames: list[bytes], until: float) -> Reply:
        with self._connection(master, until) as connection:
            reply = self._ask_in_send(master, connection, self.script_command(queue, frames), until)
            if isinstance(reply, BrokerRefused) and reply.kind == "NOSCRIPT":
                command = self.script_command(queue, frames, with_text=True)
                reply = self._ask_in_send(master, connection, command, until)
        return reply

    def _attempts_on_full_queue(self, queue: Queue, until: float) -> Iterator[int]:
        """Count attempts, with growing pauses between them; raises when the last one has failed."""
        attempt = 0
        # A server has waited for this client's room just now: it must not be held up by each of its answers.
        retries = 0 if self.is_server and monotonic() < queue.full_until else self.queue_full_retries
        while True:
            yield attempt
            pause = pause_in_seconds(attempt, random.random())
            if attempt >= retries or monotonic() + pause >= until:
                break
            time.sleep(pause)
            attempt += 1
            self.count("send.queue_full_retry")
            self.count(f"send.queue_full_retry.retry_{attempt}")
        queue.full_until = monotonic() + _FULL_FOR_SECONDS
        self.count("send.error.redis_queue_full")
        name = queue.key.decode().removeprefix(PREFIX)
        raise MessageSendError(f"Redis queue {name} was full after {attempt} retries", outcome="not_sent")

    def _ask_in_send(self, master: Master, connection: RedisConnection, command: bytes, until: float) -> Reply:
        try:
            with self.timer("send.send_message_to_redis_queue"):
                connection.send(command, 1, until)
                return connection.read(until)
        except BrokerLost as error:
            raise self.lost_push(master, error) from error

    def expire_plainly(self, master: Master, queue: Queue, until: float) -> None:
        """Give the list a life without a condition, now and from now on."""
        queue.use_plain_expire()
        with contextlib.suppress(BrokerError):
            connection = master.take(until)
            try:
                connection.send(queue.expire, 1, until)
                connection.read(until)
            finally:
                master.give_back(connection)

    def lost_push(self, master: Master, error: BrokerLost) -> MessageSendError:
        """The error for a push of which nobody knows whether it was carried out."""
        master.moved()
        self.count("send.error.unknown")
        return MessageSendError(
            f"Unknown error sending message for service {self.service_name}", type(error).__name__, str(error)
        )

    def refused_push(self, reply: BrokerRefused) -> MessageSendError:
        """The error for a push that the broker has answered with an error."""
        self.count("send.error.response")
        return MessageSendError(
            f"Redis error sending message for service {self.service_name}", str(reply), outcome="not_sent"
        )

    @contextlib.contextmanager
    def _connection(self, master: Master, until: float) -> Iterator[RedisConnection]:
        connection = self.take_to_send(master, until)
        try:
            yield connection
        finally:
            master.give_back(connection)

    def take_to_send(self, master: Master, until: float) -> RedisConnection:
        """A connection to push on.

        Raises:
            MessageSendError: there is none; nothing has been sent.
        """
        try:
            if not self.records_metrics:
                return master.take(until)
            with self.timer("send.get_redis_connection"):
                return master.take(until)
        except BrokerError as error:
            master.moved()
            raise self.cannot_send(error) from error

    def take_to_receive(self, master: Master, until: float) -> RedisConnection:
        """A connection to pop from.

        Raises:
            MessageReceiveError: there is none.
        """
        try:
            with self.timer("receive.get_redis_connection"):
                return master.take(until)
        except BrokerError as error:
            master.moved()
            raise self.cannot_receive(error) from error

    def cannot_send(self, error: Exception) -> MessageSendError:
        """The error for a message that was not sent, for there is no connection."""
        self.count_no_connection("send")
        return MessageSendError(f"Cannot get connection: {error}", outcome="not_sent")

    def cannot_receive(self, error: Exception) -> MessageReceiveError:
        """The error for a wait that did not begin, for there is no connection."""
        self.count_no_connection("receive")
        return MessageReceiveError(f"Cannot get connection: {error}")

    def count_no_connection(self, step: str) -> None:
        """Count that there was no connection to send or to receive by."""
        # As the first PySOA does, which knows Sentinel's masters that are not found from all other faults.
        self.count(f"{step}.error.connection" if self._looks_for_master else f"{step}.error.unknown")

    def refused_pop(self, reply: BrokerRefused) -> MessageReceiveError:
        """The error for a pop that the broker has answered with an error."""
        self.count("receive.error.unknown")
        return MessageReceiveError(
            f"Unknown error receiving message for service {self.service_name}", "ResponseError", str(reply)
        )

    def lost_pop(self, master: Master, error: BrokerLost) -> MessageReceiveError:
        """The error for a pop whose answer, and so perhaps a message, is lost."""
        master.moved()
        self.count("receive.error.unknown")
        return MessageReceiveError(
            f"Unknown error receiving message for service {self.service_name}", type(error).__name__, str(error)
        )

    def nothing_received(self) -> MessageReceiveTimeout:
        """The error for a wait in which nothing came."""
        return MessageReceiveTimeout(f"No message received for service {self.service_name}")

    def time_to_send(self, body: Mapping[str, Any], expiry: float | None) -> float:
        """How many seconds the sending of a request may take that nobody waits for yet."""
        seconds = expiry or self.receive_timeout_in_seconds
        timeout = body["control"].get("timeout")  # that of a future; its message lives for longer
        return min(seconds, timeout) if type(timeout) in (int, float) and timeout > 0 else seconds

    # One message at a time, for those who need no more

    def send_message(
        self,
        queue_name: str,
        request_id: int,
        meta: dict[str, Any],
        body: Mapping[str, Any],
        message_expiry_in_seconds: float | None = None,
    ) -> None:
        """Send one message and wait until the broker has it.

        Args:
            queue_name: without the prefix of all keys.
            request_id: pairs request and response.
            meta: headers; ``__expiry__`` is set in it, ``serializer`` and ``protocol_version`` are taken from it, and
                put back when the message could not be written.
            body: the job request or response.
            message_expiry_in_seconds: None and 0 take the setting.
        """
        with self.timer("send"):
            until = monotonic() + (message_expiry_in_seconds or self.receive_timeout_in_seconds)
            key = queue_key(queue_name)
            master = self._master_of(key, until)
            if master.clock.is_due():
                master.give_back(self.take_to_send(master, until))
            life = message_expiry_in_seconds or self.message_expiry_in_seconds
            frames = self.sealed(request_id, meta, body, master.clock.now() + life)
            self.push(master, Queue(key.encode(), self.queue_life(key, life)), frames, until)

    def queue_life(self, key: str, message_life: float) -> int:
        """The life of a list, in whole seconds: longer than that of the message that is pushed."""
        if self.GLOBAL_QUEUE_SPECIFIER in key:
            return max(self.reply_queue_life_in_seconds, int(message_life) + 11)
        return max(self.request_queue_life_in_seconds, int(message_life) + 11)

    def _master_of(self, key: str, until: float) -> Master:
        backend = self.backend_layer
        try:
            masters = backend.masters(until)
            index = backend.index_of(key, until) if self.GLOBAL_QUEUE_SPECIFIER in key else backend.next_index(until)
        except BrokerError as error:
            raise self.cannot_send(error) from error
        return masters[index]

    def receive_message(self, queue_name: str, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        """Wait for one message.

        Args:
            queue_name: without the prefix of all keys.
            receive_timeout_in_seconds: None and 0 take the setting.

        Raises:
            MessageReceiveTimeout: nothing came in time, or what came had expired.
            MessageReceiveError: the broker failed.
            InvalidMessage, InvalidMessageError: what came cannot be read; it is gone.
        """
        with self.timer("receive"):
            until = monotonic() + (receive_timeout_in_seconds or self.receive_timeout_in_seconds)
            key = queue_key(queue_name)
            master = self._master_of(key, until)
            assembler = self.reads_chunks()
            while True:
                with self.timer("receive.pop_from_redis_queue"):
                    data = self._pop(master, key.encode(), until)
                frame = self.whole_frame(data, assembler)
                if frame is not None:
                    return self.decode(frame, master.clock)

    def _pop(self, master: Master, key: bytes, until: float) -> bytes:
        """Wait for one item, in slices, so that a connection that has died unseen is found out."""
        while True:
            connection = self.take_to_receive(master, until)
            try:
                end = min(until, monotonic() + _SLICE_IN_SECONDS)
                connection.send(blocking_pop(key, end - monotonic()), 1, until)
                reply = connection.read(end + POP_MARGIN_IN_SECONDS)
            except BrokerTimeout:
                master.drop_idle()
                reply = None
            except BrokerLost as error:
                raise self.lost_pop(master, error) from error
            finally:
                master.give_back(connection)
            if isinstance(reply, list) and isinstance(reply[1], bytes):
                return reply[1]
            if isinstance(reply, BrokerRefused):
                if reply.not_the_master:
                    master.moved()
                raise self.refused_pop(reply)
            if monotonic() >= until:
                raise self.nothing_received()


class RedisTransportClientCore(RedisTransportCore):
    """The client's core.

    Args:
        protocol_version: what requests are written in; 3 unless older servers have to be called.
        kwargs: see ``RedisTransportCore``.
    """

    def __init__(
        self,
        service_name: str,
        backend_type: str,
        metrics: Recorder = NO_METRICS,
        protocol_version: int = ProtocolVersion.VERSION_3,
        **kwargs: Any,
    ) -> None:
        super().__init__(service_name, backend_type, metrics, **kwargs)
        self.protocol_version = ProtocolVersion(protocol_version)

    @functools.cached_property
    def _request_header(self) -> bytes:
        return frame_header(self.protocol_version, self.default_serializer.mime_type)

    def request_frames(
        self, request_id: int, meta: dict[str, Any], body: Mapping[str, Any], expires_at: float
    ) -> list[bytes]:
        """As ``sealed``, for requests; sooner made where their meta asks for nothing and nothing is recorded."""
        if self.records_metrics or "serializer" in meta or "protocol_version" in meta:
            return self.sealed(request_id, meta, body, expires_at)
        meta["__expiry__"] = expires_at
        serializer = self.default_serializer
        payload = serializer.message_to_blob({"request_id": request_id, "meta": meta, "body": body})
        if len(payload) <= self._usual_size:
            return [self._request_header + payload]
        return self._framed(payload, body, self.protocol_version, serializer)


class RedisTransportServerCore(RedisTransportCore):
    """The server's core.

    Args:
        chunk_messages_larger_than_bytes: responses above this are sent in pieces of this size; negative for never.
        kwargs: see ``RedisTransportCore``.
    """

    is_server = True
    metrics_prefix = "server.transport.redis_gateway."
    _default_maximum_message_size = DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER

    def __init__(
        self,
        service_name: str,
        backend_type: str,
        metrics: Recorder = NO_METRICS,
        chunk_messages_larger_than_bytes: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(service_name, backend_type, metrics, **kwargs)
        if chunk_messages_larger_than_bytes >= 0:
            if chunk_messages_larger_than_bytes < MINIMUM_CHUNKED_MESSAGE_BYTES:
                raise ValueError(
                    "If chunk_messages_larger_than_bytes is enabled (non-negative), it must be >= "
                    f"{MINIMUM_CHUNKED_MESSAGE_BYTES}, got {chunk_messages_larger_than_bytes}"
                )
            if self.maximum_message_size_in_bytes < 5 * chunk_messages_larger_than_bytes:
                raise ValueError(
                    "If chunk_messages_larger_than_bytes is enabled (non-negative), maximum_message_size_in_bytes must "
                    "be at least 5 times larger to allow for multiple chunks to be sent."
                )
        self.chunk_messages_larger_than_bytes = chunk_messages_larger_than_bytes
