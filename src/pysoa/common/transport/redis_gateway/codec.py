"""Messages of one service as bytes, and back: the settings that concern a message, without its way."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pysoa.common.clock import monotonic
from pysoa.common.instruments import (
    NO_METRICS,
    NoOpMetricsRecorder,
    Recorder,
    Timer,
    adapt_recorder,
    histogram_maker,
    timer_maker,
)
from pysoa.common.logging import RecursivelyCensoredDictWrapper, printable
from pysoa.common.plugins import resolve_python_path
from pysoa.common.protocol.envelope import read_envelope
from pysoa.common.protocol.frames import (
    LARGE,
    USUAL_HEADER,
    Frame,
    FrameAssembler,
    frame_header,
    read_frame,
    write_frames,
)
from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout, MessageTooLarge
from pysoa.common.transport.redis_gateway.backend.base import BrokerClock
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT,
    MINIMUM_CHUNKED_MESSAGE_BYTES,
    ProtocolFeature,
    ProtocolVersion,
)

__all__ = ("MessageCodec",)

_logger = logging.getLogger(__name__)
_oversized_message_logger = logging.getLogger("pysoa.transport.oversized_message")


_VERSION_3 = ProtocolVersion.VERSION_3

# In C; the constructor of a named tuple is a Python function.
_new_tuple: Callable[[type[ReceivedMessage], tuple[object, ...]], ReceivedMessage] = tuple.__new__


class _Reading(threading.local):
    """The timer of the message that a thread reads, frame by frame."""

    timer: Timer | None = None


class MessageCodec:
    """Writes and reads the messages of one side of one service.

    Attributes:
        service_name: the service.
        metrics: where sizes, times and faults are recorded.
        records_metrics: False where that would be in vain.
        protocol_version: what messages are framed as when their meta does not say.
        default_serializer: writes requests, and reads messages that do not say what they are written in.
        maximum_message_size_in_bytes: of a serialized message, headers aside.
        log_messages_larger_than_bytes: larger ones are logged and sent all the same; 0 for never.
        chunk_messages_larger_than_bytes: larger ones are cut into pieces of this size; negative for never.
    """

    is_server: ClassVar[bool] = False
    protocol_version = ProtocolVersion.VERSION_3
    metrics_prefix: ClassVar[str] = "client.transport.redis_gateway."
    _default_maximum_message_size: ClassVar[int] = DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT

    def __init__(
        self,
        service_name: str,
        metrics: Recorder = NO_METRICS,
        log_messages_larger_than_bytes: int | None = None,
        maximum_message_size_in_bytes: int | None = None,
        default_serializer_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.service_name = service_name
        self.metrics = adapt_recorder(metrics)
        self.records_metrics = type(self.metrics) is not NoOpMetricsRecorder
        self.maximum_message_size_in_bytes = maximum_message_size_in_bytes or self._default_maximum_message_size
        self.log_messages_larger_than_bytes = (
            self._default_maximum_message_size
            if log_messages_larger_than_bytes is None
            else log_messages_larger_than_bytes
        )
        self.chunk_messages_larger_than_bytes = -1
        # Smaller messages than all limits, those of chunks included, are sent as they are.
        self._usual_size = min(
            self.maximum_message_size_in_bytes,
            self.log_messages_larger_than_bytes or MINIMUM_CHUNKED_MESSAGE_BYTES,
            MINIMUM_CHUNKED_MESSAGE_BYTES,
        )
        self._serializer_config = default_serializer_config
        self._serializers: dict[str, Serializer] = {}
        self._warn_again_at: dict[str, float] = {}
        self._new_timer = timer_maker(self.metrics)
        self._new_histogram = histogram_maker(self.metrics)
        if self.records_metrics:
            self._time_messages()

    def count(self, name: str) -> None:
        """Count an event, under the name that metrics of this side have."""
        if self.records_metrics:
            self.metrics.counter(self.metrics_prefix + name).increment()

    def warn(self, kind: str, text: str, *details: object) -> None:
        """Log a warning, at most one of each kind in a second: what arrives may be a flood."""
        now = monotonic()
        if now >= self._warn_again_at.get(kind, 0.0):
            self._warn_again_at[kind] = now + 1.0
            _logger.warning(text, *[printable(str(detail), 1000) for detail in details])

    def timer(self, name: str) -> contextlib.AbstractContextManager[Any]:
        """A timer to enter, under the name that metrics of this side have."""
        return self._new_timer(self.metrics_prefix + name) if self.records_metrics else contextlib.nullcontext()

    def begin(self, name: str) -> Timer:
        """A timer that runs, to be stopped; only where ``records_metrics``."""
        timer = self._new_timer(self.metrics_prefix + name)
        timer.start()
        return timer

    def _time_messages(self) -> None:
        """Put timers around the writing and the reading of messages: those who record nothing have none in the way."""
        encode, whole_frame, decode = self.encode, self.whole_frame, self.decode
        reading = _Reading()

        def timed_encode(*args: Any) -> list[bytes]:
            with self.timer("send.serialize"):
                return encode(*args)

        def timed_whole_frame(data: bytes, assembler: FrameAssembler | None) -> Frame | None:
            timer = reading.timer = reading.timer or self._new_timer(f"{self.metrics_prefix}receive.deserialize")
            try:
                with timer:  # the same one for all frames of a message: it adds up
                    return whole_frame(data, assembler)
            except BaseException:
                reading.timer = None
                raise

        def timed_decode(frame: Frame, clock: BrokerClock) -> ReceivedMessage:
            timer = reading.timer or self._new_timer(f"{self.metrics_prefix}receive.deserialize")
            reading.timer = None
            with timer:
                return decode(frame, clock)

        self.encode = timed_encode  # type: ignore[method-assign,assignment] # decided for the life of the instance
        self.whole_frame = timed_whole_frame  # type: ignore[method-assign]
        self.decode = timed_decode  # type: ignore[method-assign]
        self.read_reply = self._read_any_reply  # type: ignore[method-assign] # by way of these

    @functools.cached_property
    def default_serializer(self) -> Serializer:
        """Writes requests, and reads messages that do not say what they are written in."""
        config = self._serializer_config
        serializer: Serializer = (
            (config.get("object") or resolve_python_path(config["path"]))(**config.get("kwargs", {}))
            if config
            else MsgpackSerializer()
        )
        self._serializers[serializer.mime_type] = serializer
        return serializer

    def sealed(self, request_id: int, meta: dict[str, Any], body: Mapping[str, Any], expires_at: float) -> list[bytes]:
        """The frames of one message in the protocol and serializer that its meta asks for."""
        serializer = meta.pop("serializer", None) or self.default_serializer
        version = meta.pop("protocol_version", None) or self.protocol_version
        meta["__expiry__"] = expires_at
        try:
            return self.encode(request_id, meta, body, version, serializer)
        except BaseException:
            # A second try with another body must still speak the language of the one who asked.
            meta["serializer"] = serializer
            meta["protocol_version"] = version
            raise

    def encode(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: Mapping[str, Any],
        version: ProtocolVersion,
        serializer: Serializer,
    ) -> list[bytes]:
        """The frames of one message.

        Raises:
            InvalidMessageError: there is no request id.
            InvalidField: the serializer cannot write the message.
            MessageTooLarge: it is larger than the settings allow.
        """
        if request_id is None:
            raise InvalidMessageError("No request ID")
        payload = serializer.message_to_blob({"request_id": request_id, "meta": meta, "body": body})
        return self._framed(payload, body, version, serializer)

    def _framed(
        self, payload: bytes, body: Mapping[str, Any], version: ProtocolVersion, serializer: Serializer
    ) -> list[bytes]:
        size = len(payload)
        if self.records_metrics:
            self._new_histogram(self.metrics_prefix + "send.message_size").set(size)
        if size <= self._usual_size:
            return [frame_header(version, serializer.mime_type) + payload]
        if size > self.maximum_message_size_in_bytes:
            self.count("send.error.message_too_large")
            raise MessageTooLarge(size, "Message exceeds maximum message size")
        if 0 < self.log_messages_larger_than_bytes < size:
            self._log_oversized(size, body)
        if 0 < self.chunk_messages_larger_than_bytes < size:
            if not ProtocolFeature.CHUNKED_RESPONSES.supported_in(version):
                self.count("send.error.message_too_large")
                raise MessageTooLarge(size, "Message exceeds chunking threshold but client does not support chunking")
            frames = write_frames(version, serializer.mime_type, payload, self.chunk_messages_larger_than_bytes)
            if self.records_metrics:
                self._new_histogram(self.metrics_prefix + "send.chunk_count").set(len(frames))
            return frames
        return write_frames(version, serializer.mime_type, payload)

    def _log_oversized(self, size: int, body: Mapping[str, Any]) -> None:
        _oversized_message_logger.warning(
            "Oversized message sent for PySOA service %s",
            self.service_name,
            extra={
                "data": {
                    "message": RecursivelyCensoredDictWrapper(dict(body)),
                    "serialized_length_in_bytes": size,
                    "threshold": self.log_messages_larger_than_bytes,
                }
            },
        )

    def decode(self, frame: Frame, clock: BrokerClock) -> ReceivedMessage:
        """Read a whole message; its meta gains ``serializer`` and ``protocol_version``.

        Raises:
            InvalidMessage, InvalidMessageError: it cannot be read.
            MessageReceiveTimeout: it has expired.
        """
        version, mime_type, _, _, payload = frame
        serializer = self.default_serializer
        if mime_type is not None and mime_type != serializer.mime_type:
            serializer = self._serializer_for(mime_type)
        if type(payload) is not bytes and type(serializer) is not MsgpackSerializer:
            payload = bytes(payload)  # users' serializers need not know views
        message = serializer.blob_to_dict(payload)  # type: ignore[arg-type] # ours reads views
        try:
            envelope = read_envelope(message, self.service_name, clock.now())
        except MessageReceiveTimeout:
            self.count("receive.error.message_expired")
            raise
        except InvalidMessageError:
            if isinstance(message, dict) and message.get("request_id") is None:
                self.count("receive.error.no_request_id")
            raise
        meta = envelope[1]
        meta["serializer"] = serializer
        meta["protocol_version"] = version
        return _new_tuple(ReceivedMessage, envelope)

    def decode_request(self, data: bytes, clock: BrokerClock) -> ReceivedMessage:
        """Read a request, which is never in several pieces; see ``whole_frame`` and ``decode``."""
        frame = self.whole_frame(data, None)
        assert frame is not None  # without an assembler, a frame is whole or refused
        return self.decode(frame, clock)

    def _serializer_for(self, mime_type: str) -> Serializer:
        serializer = self._serializers.get(mime_type)
        if serializer is None:
            try:
                serializer = Serializer.resolve_serializer(mime_type)
            except ValueError:
                # A type that is not known is ignored, as the first PySOA does; not kept, since peers can make up many.
                return self.default_serializer
            self._serializers[mime_type] = serializer
        return serializer

    def reads_chunks(self) -> FrameAssembler | None:
        """What puts chunked messages together; None on a server, which takes none."""
        return None if self.is_server else FrameAssembler(self.service_name)

    def read_reply(self, data: bytes, assembler: FrameAssembler, clock: BrokerClock) -> ReceivedMessage | None:
        """Read what comes to a reply queue: the message that the frame holds or completes, or None.

        Raises:
            InvalidMessage, InvalidMessageError: it cannot be read.
            MessageReceiveTimeout: it has expired.
        """
        payload = data.removeprefix(USUAL_HEADER)
        if payload is not data and payload >= b"\x80" and not assembler.pieces and len(data) <= LARGE:
            serializer = self.default_serializer
            if type(serializer) is MsgpackSerializer:  # else somebody may have put another in its place
                try:
                    message = serializer.blob_to_dict(payload)
                    request_id, meta, body = read_envelope(message, self.service_name, clock.now())
                except (InvalidMessageError, MessageReceiveTimeout):
                    pass  # the long way says what is wrong with it, and counts it
                else:
                    meta["serializer"] = serializer
                    meta["protocol_version"] = _VERSION_3
                    return _new_tuple(ReceivedMessage, (request_id, meta, body))
        return self._read_any_reply(data, assembler, clock)

    def _read_any_reply(self, data: bytes, assembler: FrameAssembler, clock: BrokerClock) -> ReceivedMessage | None:
        try:
            frame = self.whole_frame(data, assembler)
        except InvalidMessageError:
            # The assembler starts anew now: what does not continue one message may well begin another.
            frame = self.whole_frame(data, assembler)
        return None if frame is None else self.decode(frame, clock)

    def whole_frame(self, data: bytes, assembler: FrameAssembler | None) -> Frame | None:
        """The frame that the bytes hold or complete; None while more of its chunks are missing.

        Raises:
            InvalidMessageError: the bytes are no frame, or one that must not come here or now.
        """
        frame = read_frame(data)
        if assembler is not None:
            return assembler.feed(frame)
        if frame.chunk_count is not None:
            raise InvalidMessageError("Unsupported chunked request on server Redis backend")
        return frame
