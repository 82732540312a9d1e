"""Bytes to frames and back: version mark, headers, payload, and the chunks of a payload that was cut.

A frame is one item in a Redis list. A message is one frame, or several that each carry a chunk of its payload.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from pysoa.common.protocol.versions import ProtocolFeature, ProtocolVersion
from pysoa.common.transport.errors import InvalidMessageError, MessageTooLarge

__all__ = (
    "LARGE",
    "MAXIMUM_JOINED_SIZE_IN_BYTES",
    "USUAL_HEADER",
    "Frame",
    "FrameAssembler",
    "frame_header",
    "read_frame",
    "write_frames",
)

MAXIMUM_JOINED_SIZE_IN_BYTES: Final = 512 * 1024 * 1024
"""The chunks of one message, together; as large as one item in Redis can be."""

LARGE: Final = 32_768
"""The payload of a frame that is larger is read as a view, which saves a copy."""

USUAL_HEADER: Final = b"pysoa-redis/3//content-type:application/msgpack;"
"""What nearly all frames begin with; a whole message follows where the next byte is that of a map, 128 or more."""

_HEADER = re.compile(rb"\s*+(content-type|chunk-count|chunk-id)\s*+:\s*+([a-zA-Z0-9_/.-]++)\s*+;")
_MOST_DIGITS = 9

_MSGPACK = "application/msgpack"
_JSON = "application/json"
_VERSION_3 = ProtocolVersion.VERSION_3
_V3_JSON_MAP = b"pysoa-redis/3//content-type:application/json;{"
_AFTER_V3_MSGPACK = len(USUAL_HEADER)
_INTO_V3_MSGPACK = _AFTER_V3_MSGPACK + 1
_AFTER_V3_JSON = len(_V3_JSON_MAP) - 1


class Frame(NamedTuple):
    """One item of a Redis list, taken apart.

    Attributes:
        version: how it was framed.
        content_type: the MIME type of the payload; None where the frame does not say.
        chunk_count: how many chunks the message was cut into; None for a whole message.
        chunk_id: which of them this one is, from 1; None for a whole message, or where the frame does not say.
        payload: the message in its content type, or a piece of it; of a large frame a view, which saves a copy.
    """

    version: ProtocolVersion
    content_type: str | None
    chunk_count: int | None
    chunk_id: int | None
    payload: bytes | memoryview


# In C; the constructor of a named tuple is a Python function.
_new_tuple: Callable[[type[Frame], tuple[object, ...]], Frame] = tuple.__new__


def read_frame(data: bytes) -> Frame:
    """Take a frame apart.

    Raises:
        InvalidMessageError: its version does not exist, or the numbers of its chunk are none.
    """
    # The usual frames need no regular expressions: after their header comes a map, and no header begins like one.
    if data.startswith(USUAL_HEADER) and data[_AFTER_V3_MSGPACK:_INTO_V3_MSGPACK] >= b"\x80":
        payload = memoryview(data)[_AFTER_V3_MSGPACK:] if len(data) > LARGE else data[_AFTER_V3_MSGPACK:]
        return _new_tuple(Frame, (_VERSION_3, _MSGPACK, None, None, payload))
    if data.startswith(_V3_JSON_MAP):
        return Frame(ProtocolVersion.VERSION_3, _JSON, None, None, data[_AFTER_V3_JSON:])
    return _read_unusual_frame(data)


def _read_unusual_frame(data: bytes) -> Frame:
    try:
        version, rest = ProtocolVersion.extract_version(data)
    except ValueError as error:
        raise InvalidMessageError(str(error)) from None
    headers: dict[bytes, bytes] = {}
    position = 0
    while (header := _HEADER.match(rest, position)) is not None:
        headers[header[1]] = header[2]
        position = header.end()
    content_type = headers.get(b"content-type")
    chunk_count = headers.get(b"chunk-count")
    chunk_id = headers.get(b"chunk-id") if chunk_count is not None else None
    return Frame(
        version,
        None if content_type is None else content_type.decode("ascii"),
        None if chunk_count is None else _number(chunk_count),
        None if chunk_id is None else _number(chunk_id),
        rest[position:],
    )


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise InvalidMessageError(f"Invalid number of a chunk: {text[:20].decode('ascii')}")
    return int(text)


@functools.cache
def frame_header(version: ProtocolVersion, mime_type: str) -> bytes:
    """What stands before the payload of a whole message."""
    if not ProtocolFeature.CONTENT_TYPE_HEADER.supported_in(version):
        return b""
    header = f"content-type:{mime_type};".encode("ascii")
    return version.prefix + header if ProtocolFeature.VERSION_MARKER.supported_in(version) else header


def write_frames(
    version: ProtocolVersion, mime_type: str, payload: bytes, chunk_size_in_bytes: int = -1
) -> list[bytes]:
    """Frame a payload: whole, or in chunks if it is larger than a positive ``chunk_size_in_bytes``.

    Raises:
        MessageTooLarge: it should be cut, but whoever speaks this version cannot put it together.
    """
    header = frame_header(version, mime_type)
    size = len(payload)
    if not 0 < chunk_size_in_bytes < size:
        return [header + payload]
    if not ProtocolFeature.CHUNKED_RESPONSES.supported_in(version):
        raise MessageTooLarge(size, "Message exceeds chunking threshold but client does not support chunking")
    count = -(-size // chunk_size_in_bytes)
    return [
        b"%bchunk-count:%d;chunk-id:%d;%b" % (header, count, chunk_id, payload[start : start + chunk_size_in_bytes])
        for chunk_id, start in enumerate(range(0, size, chunk_size_in_bytes), 1)
    ]


class FrameAssembler:
    """Puts the chunks of one message after another together; they come in order, from 1.

    Args:
        service_name: whose messages these are, for texts of errors.
        maximum_size_in_bytes: more than this is not collected.

    Attributes:
        pieces: what has been collected of a message; where there is none, the next frame may hold a whole one.
    """

    def __init__(self, service_name: str, maximum_size_in_bytes: int = MAXIMUM_JOINED_SIZE_IN_BYTES) -> None:
        self._service_name = service_name
        self._maximum_size = maximum_size_in_bytes
        self._reset()

    def _reset(self) -> None:
        self._content_type: str | None = None
        self._count = 0
        self._size = 0
        self.pieces: list[bytes | memoryview] = []

    def feed(self, frame: Frame) -> Frame | None:
        """Take the next frame.

        Returns:
            A frame with a whole message, or None while chunks of it are missing.

        Raises:
            InvalidMessageError: it is not the chunk expected. What was collected is dropped, and so is this frame.
        """
        if frame.chunk_count is None and not self.pieces:
            return frame
        try:
            self._check(frame)
        except InvalidMessageError:
            self._reset()
            raise
        if not self.pieces:
            self._content_type = frame.content_type
            self._count = frame.chunk_count or 0
        self.pieces.append(frame.payload)
        self._size += len(frame.payload)
        if len(self.pieces) < self._count:
            return None
        whole = Frame(frame.version, self._content_type, None, None, b"".join(self.pieces))
        self._reset()
        return whole

    def _check(self, frame: Frame) -> None:
        name = self._service_name
        expected = len(self.pieces) + 1
        count, chunk_id = frame.chunk_count, frame.chunk_id
        if not self.pieces:
            if chunk_id is None:
                raise InvalidMessageError(f"Invalid chunked response missing chunk ID for service {name}")
        elif count is None or chunk_id is None:
            raise InvalidMessageError(
                f"Invalid chunked response missing chunk headers expecting chunk {expected} of {self._count} "
                f"for service {name}."
            )
        elif count != self._count:
            raise InvalidMessageError(
                f"Invalid chunked response has different chunk count {count} expecting chunk {expected} of "
                f"{self._count} for service {name}."
            )
        # The first PySOA began with any chunk. The tail of a message alone is what its sender's data says it is.
        if chunk_id != expected or not count:
            raise InvalidMessageError(
                f"Invalid chunked response has incorrect chunk ID {chunk_id} expected {expected} of "
                f"{self._count or count} for service {name}."
            )
        if self._size + len(frame.payload) > self._maximum_size:
            raise InvalidMessageError(
                f"Invalid chunked response is larger than {self._maximum_size} bytes for service {name}."
            )
