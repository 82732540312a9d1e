"""The keyword arguments of the Redis transports, as settings give them."""

from __future__ import annotations

from typing import Any, Final

from pysoa.common.constants import ERROR_CODE_UNKNOWN
from pysoa.common.fields import (
    Constant,
    Dictionary,
    Field,
    FieldError,
    Float,
    Integer,
    List,
    SchemalessDictionary,
    UnicodeString,
)
from pysoa.common.old_names import warn_of_old_setting
from pysoa.common.plugins import ClassConfiguration
from pysoa.common.transport.redis_gateway.constants import (
    DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER,
    MINIMUM_CHUNKED_MESSAGE_BYTES,
    REDIS_BACKEND_TYPE_SENTINEL,
    REDIS_BACKEND_TYPES,
)

__all__ = ("RedisServerTransportSchema", "RedisTransportSchema")

_SENTINEL_ONLY: Final = ("sentinel_services", "sentinel_failover_retries", "sentinel_kwargs")
_URL_SCHEMES: Final = ("redis", "rediss", "unix")


class _Host(Field):
    """Accepts the address of a broker: name and port, name alone, or URL."""

    introspect_type = "redis_host"
    _allowed: Final = 'give ("name", port), "name", or a redis://, rediss:// or unix:// URL'

    def errors(self, value: Any) -> list[FieldError]:
        if isinstance(value, str):
            return self._text_errors(value)
        if not isinstance(value, tuple | list):
            return [FieldError("Not a host", hint=self._allowed)]
        if len(value) != 2 or not isinstance(value[0], str) or not value[0]:
            return [FieldError("Not a pair of host name and port", hint=self._allowed)]
        port_errors = _PORT.errors(value[1])
        return [FieldError(error.message, "1", hint="a port is 1 to 65535") for error in port_errors]

    def _text_errors(self, value: str) -> list[FieldError]:
        scheme, separator, address = value.partition("://")
        if separator and scheme not in _URL_SCHEMES:
            return [FieldError(f'URLs of brokers do not begin with "{scheme}://"', hint=self._allowed)]
        if not (address if separator else value.strip()):
            return [FieldError("Not a host", hint=self._allowed)]
        return []


_PORT: Final = Integer(gte=1, lte=65535)

_BACKEND_LAYER_KWARGS: Final = Dictionary(
    {
        "hosts": List(_Host(), min_length=1, description="Masters of a ring, or Sentinels; the same order everywhere"),
        "redis_port": Integer(gte=1, lte=65535, description="Port of hosts that are given by name alone"),
        "redis_db": Integer(gte=0, description="Number of the database"),
        "connection_kwargs": SchemalessDictionary(
            UnicodeString(), description="Given to redis-py's connections: TLS, users, passwords, timeouts"
        ),
        "sentinel_services": List(
            UnicodeString(min_length=1), min_length=1, description="Names of the masters; by default all are found"
        ),
        "sentinel_failover_retries": Integer(gte=0, description="How often a master that is gone is looked for again"),
        "sentinel_kwargs": SchemalessDictionary(
            UnicodeString(), description="Given to the connections to the Sentinels"
        ),
    },
    optional_keys=("hosts", "redis_port", "redis_db", "connection_kwargs", *_SENTINEL_ONLY),
)

_CONTENTS: Final[dict[str, Field]] = {
    "backend_type": Constant(*REDIS_BACKEND_TYPES, description="How masters are found"),
    "backend_layer_kwargs": _BACKEND_LAYER_KWARGS,
    "message_expiry_in_seconds": Float(gt=0, description="How long messages live"),
    "receive_timeout_in_seconds": Float(gt=0, description="How long a receive waits"),
    "queue_capacity": Integer(gt=0, description="How many messages may wait in a queue that this side sends to"),
    "queue_full_retries": Integer(gte=0, description="How often a send to a full queue is tried again"),
    "log_messages_larger_than_bytes": Integer(gte=0, description="Larger messages are logged; 0 for none"),
    "maximum_message_size_in_bytes": Integer(gt=0, description="Larger messages are refused"),
    "default_serializer_config": ClassConfiguration(
        "pysoa.common.serializer.base:Serializer",
        "pysoa.common.serializer:MsgpackSerializer",
        description="How bodies become bytes, where the other side has no say",
    ),
    "request_queue_life_in_seconds": Float(gt=0, description="How long a request queue lives after its last request"),
}


class _TransportSchema(Dictionary):
    """What the two sides have in common: rules about several keys at once, and names of earlier releases."""

    def errors(self, value: Any) -> list[FieldError]:
        if isinstance(value, dict) and "serializer_config" in value and "default_serializer_config" not in value:
            warn_of_old_setting("serializer_config")
            value["default_serializer_config"] = value.pop("serializer_config")
        errors = super().errors(value)
        return errors or _sentinel_errors(value) + _chunk_errors(value)


def _sentinel_errors(kwargs: dict[str, Any]) -> list[FieldError]:
    if kwargs["backend_type"] == REDIS_BACKEND_TYPE_SENTINEL:
        return []
    return [
        FieldError(
            f'Extra keys present: {key} is for "{REDIS_BACKEND_TYPE_SENTINEL}" only',
            f"backend_layer_kwargs.{key}",
            ERROR_CODE_UNKNOWN,
        )
        for key in _SENTINEL_ONLY
        if key in kwargs.get("backend_layer_kwargs", {})
    ]


def _chunk_errors(kwargs: dict[str, Any]) -> list[FieldError]:
    chunk = kwargs.get("chunk_messages_larger_than_bytes", -1)
    if chunk < 0:
        return []
    enabled = "If chunk_messages_larger_than_bytes is enabled (non-negative),"
    if chunk < MINIMUM_CHUNKED_MESSAGE_BYTES:
        message = f"{enabled} it must be >= {MINIMUM_CHUNKED_MESSAGE_BYTES}, got {chunk}"
        return [FieldError(message, "chunk_messages_larger_than_bytes")]
    if kwargs.get("maximum_message_size_in_bytes", DEFAULT_MAXIMUM_MESSAGE_BYTES_SERVER) < 5 * chunk:
        message = (
            f"{enabled} maximum_message_size_in_bytes must be at least 5 times larger to allow for multiple chunks to"
            " be sent."
        )
        return [FieldError(message, "maximum_message_size_in_bytes")]
    return []


_CLIENT_CONTENTS: Final = {
    **_CONTENTS,
    "protocol_version": Integer(gte=1, lte=3, description="1 for servers before 0.67, 2 for servers before 1.0"),
}

_SERVER_CONTENTS: Final = {
    **_CONTENTS,
    "chunk_messages_larger_than_bytes": Integer(
        description=f"Larger responses are sent in chunks: -1 for never, or {MINIMUM_CHUNKED_MESSAGE_BYTES} or more"
    ),
    "prefetch": Integer(gte=1, lte=64, description="How many requests a worker may take ahead"),
}


class RedisTransportSchema(_TransportSchema):
    """What ``RedisClientTransport`` takes."""

    contents = _CLIENT_CONTENTS
    optional_keys = frozenset(_CLIENT_CONTENTS) - {"backend_type"}
    description = "The constructor arguments of the Redis client transport"


class RedisServerTransportSchema(_TransportSchema):
    """What ``RedisServerTransport`` takes."""

    contents = _SERVER_CONTENTS
    optional_keys = frozenset(_SERVER_CONTENTS) - {"backend_type"}
    description = "The constructor arguments of the Redis server transport"
