"""Names and limits of the Redis gateway."""

from __future__ import annotations

from typing import Final

from pysoa.common.protocol.versions import ProtocolFeature, ProtocolVersion

__all__ = (
    "DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT",
    "DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER",
    "MINIMUM_CHUNKED_MESSAGE_BYTES",
    "REDIS_BACKEND_TYPES",
    "REDIS_BACKEND_TYPE_SENTINEL",
    "REDIS_BACKEND_TYPE_STANDARD",
    "ProtocolFeature",
    "ProtocolVersion",
)

REDIS_BACKEND_TYPE_STANDARD: Final = "redis.standard"
REDIS_BACKEND_TYPE_SENTINEL: Final = "redis.sentinel"
REDIS_BACKEND_TYPES: Final = (REDIS_BACKEND_TYPE_STANDARD, REDIS_BACKEND_TYPE_SENTINEL)

DEFAULT_MAXIMUM_MESSAGE_BYTES_CLIENT: Final = 102_400
DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER: Final = 256_000
MINIMUM_CHUNKED_MESSAGE_BYTES: Final = 102_400
