"""Protocol versions, and what each can say."""

from __future__ import annotations

import enum
import re

__all__ = ("ProtocolFeature", "ProtocolVersion")

_VERSION_MARK = re.compile(rb"pysoa-redis/([0-9]+)//")
_CONTENT_TYPE = b"content-type"
_MOST_DIGITS = 9


class ProtocolVersion(enum.IntEnum):
    """How the payload of a message is framed.

    1: not at all. 2: headers stand before it. 3: a version mark stands before the headers.
    """

    VERSION_1 = 1
    VERSION_2 = 2
    VERSION_3 = 3

    @property
    def prefix(self) -> bytes:
        """The version mark; only version 3 sends it."""
        return b"pysoa-redis/%d//" % self

    @staticmethod
    def extract_version(message: bytes) -> tuple[ProtocolVersion, bytes]:
        """The version of a frame, and the frame without its version mark.

        Raises:
            ValueError: it says a version that does not exist.
        """
        mark = _VERSION_MARK.match(message)
        if mark is None:
            unmarked = ProtocolVersion.VERSION_2 if message.startswith(_CONTENT_TYPE) else ProtocolVersion.VERSION_1
            return unmarked, message
        digits = mark[1].lstrip(b"0") or b"0"
        if len(digits) > _MOST_DIGITS:
            raise ValueError(f"a number of {len(digits)} digits is not a valid ProtocolVersion")
        return ProtocolVersion(int(digits)), message[mark.end() :]


class ProtocolFeature(enum.Enum):
    """What a frame may have, from some version on."""

    CONTENT_TYPE_HEADER = enum.auto()
    VERSION_MARKER = enum.auto()
    CHUNKED_RESPONSES = enum.auto()

    def supported_in(self, version: ProtocolVersion) -> bool:
        """Whether frames of this version may have it."""
        return version >= _SINCE[self]


_SINCE = {
    ProtocolFeature.CONTENT_TYPE_HEADER: ProtocolVersion.VERSION_2,
    ProtocolFeature.VERSION_MARKER: ProtocolVersion.VERSION_3,
    ProtocolFeature.CHUNKED_RESPONSES: ProtocolVersion.VERSION_3,
}
