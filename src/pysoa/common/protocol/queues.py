"""Names of request and reply queues, and which shard of several Redis masters holds a queue."""

from __future__ import annotations

import itertools
from typing import Final
from zlib import crc32

__all__ = (
    "PREFIX",
    "is_reply_queue_of",
    "queue_key",
    "reply_queue_name",
    "reply_suffix",
    "request_queue_name",
    "shard_index",
)

PREFIX: Final = "pysoa:"
"""Stands before the name of each queue in Redis, and is left out of names that travel."""

REPLY_MARK: Final = "!"
"""Tells reply queues, which live on the shard that their name hashes to, from request queues, which live on all."""

MAXIMUM_NAME_LENGTH: Final = 512

_HASH_BITS: Final = 0xFFF


def queue_key(queue_name: str) -> str:
    """The key of a queue in Redis."""
    return PREFIX + queue_name


def request_queue_name(service_name: str) -> str:
    """The queue that all servers of a service read."""
    return "service." + service_name


def reply_queue_name(service_name: str, client_id: str, suffix: str) -> str:
    """The queue that one thread of one client reads.

    Args:
        service_name: the service that answers.
        client_id: 32 hexadecimal digits.
        suffix: the hexadecimal ident of the thread, as ``reply_suffix`` gives it.
    """
    return f"service.{service_name}.{client_id}!{suffix}"


def shard_index(key: str, ring_size: int) -> int:
    """Which of ``ring_size`` masters holds the reply queue with this key (of which the prefix is a part)."""
    return int((crc32(key.encode()) & _HASH_BITS) / ((_HASH_BITS + 1) / ring_size))


def reply_suffix(service_name: str, client_id: str, thread_hex: str, shard: int, ring_size: int) -> str:
    """What follows the ``!`` in the name of a reply queue that lives on the given shard.

    The thread's ident where its name falls there, else the ident and further hexadecimal digits.
    """
    if not 0 <= shard < ring_size:
        raise ValueError(f"there is no shard {shard} of {ring_size}")
    suffixes = itertools.chain((thread_hex,), (f"{thread_hex}{number:x}" for number in itertools.count()))
    return next(
        suffix
        for suffix in suffixes
        if shard_index(queue_key(reply_queue_name(service_name, client_id, suffix)), ring_size) == shard
    )


def is_reply_queue_of(service_name: str, reply_to: object) -> bool:
    """Whether this is the name of a queue of one of the service's clients, so that it may be written to.

    A request could otherwise make its server write elsewhere, or talk to itself.
    """
    return (
        isinstance(reply_to, str)
        and len(reply_to) <= MAXIMUM_NAME_LENGTH
        and reply_to.startswith(prefix := f"service.{service_name}.")
        and reply_to.find(REPLY_MARK, len(prefix)) > 0
        and reply_to.isprintable()
    )
