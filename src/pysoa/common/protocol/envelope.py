"""Envelopes: request id, meta and body as one dict; and when a message has expired."""

from __future__ import annotations

from typing import Any

from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout

__all__ = ("LIFE_AFTER_TIMEOUT_IN_SECONDS", "is_expired", "read_envelope", "request_life")

LIFE_AFTER_TIMEOUT_IN_SECONDS = 1
"""How much longer a request lives than its caller waits, so that an answer in the last moment is not refused."""

_ID_TYPES = frozenset((int, str, bytes, float))
_TEXT = frozenset((str,))


def read_envelope(message: Any, service_name: str, now: float) -> tuple[int, dict[str, Any], Any]:
    """Take an envelope apart.

    Args:
        message: what the serializer has read.
        service_name: whose message it is, for texts of errors.
        now: seconds since 1970, by the clock that expiries are written in.

    Returns:
        The request id; foreign clients' ids may be other single values than integers, and come back to them as they
        are. Then the meta headers. Then the body, whatever it is: who gets it judges it.

    Raises:
        InvalidMessageError: it does not have the shape of an envelope.
        MessageReceiveTimeout: it has expired.
    """
    try:
        # Nearly all have the shape that PySOA gives them, which is soon seen.
        meta = message["meta"]
        expiry = meta["__expiry__"]
        request_id: int = message["request_id"]
        if (
            type(request_id) is int
            and type(expiry) is float
            and now <= expiry
            and type(meta) is type(message) is dict
            and (len(meta) == 1 or _TEXT.issuperset(map(type, meta)))
        ):
            return request_id, meta, message["body"]
    except (KeyError, IndexError, TypeError):
        pass
    return _read_unusual_envelope(message, service_name, now)


def _read_unusual_envelope(message: Any, service_name: str, now: float) -> tuple[int, dict[str, Any], Any]:
    request_id: Any
    if type(message) is not dict:
        raise InvalidMessageError(f"Message is not a map for service {service_name}")
    try:
        request_id, meta, body = message["request_id"], message["meta"], message["body"]
    except KeyError:
        request_id, meta, body = message.get("request_id"), message.get("meta", {}), message.get("body")
    if type(meta) is not dict:
        raise InvalidMessageError(f"Meta is not a map for service {service_name}")
    expiry = meta.get("__expiry__")
    if expiry:
        if type(expiry) is not float and type(expiry) is not int:
            raise InvalidMessageError(f"Expiry is not a number for service {service_name}")
        if expiry < now:
            raise MessageReceiveTimeout(f"Message expired for service {service_name}")
    if type(request_id) not in _ID_TYPES:
        if request_id is None:
            raise InvalidMessageError(f"No request ID for service {service_name}")
        raise InvalidMessageError(f"Request ID is not a single value for service {service_name}")
    if not _TEXT.issuperset(map(type, meta)):
        raise InvalidMessageError(f"A key of the meta is not text for service {service_name}")
    return request_id, meta, body


def is_expired(meta: dict[str, Any], now: float) -> bool:
    """Whether a message that ``read_envelope`` has let through has expired by now. Without expiry it never does."""
    expiry = meta.get("__expiry__", 0)
    return bool(expiry) and expiry < now


def request_life(asked: float | None, wait: float | None, default: float, *, clocks_agree: bool) -> float:
    """After how many seconds a request expires.

    Args:
        asked: what its sender asks for; None and 0 for nothing.
        wait: for how long its sender waits for the response at once; None if not at all.
        default: for requests that are not waited for at once.
        clocks_agree: whether the server reads the expiry by the same clock. If not, a request that is waited for lives
            for the default at least: clocks may be further apart than its sender waits.
    """
    if wait is None:
        return asked or default
    if not clocks_agree:
        return max(asked or 0.0, default)
    return asked or wait + LIFE_AFTER_TIMEOUT_IN_SECONDS
