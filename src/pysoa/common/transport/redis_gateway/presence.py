"""Who serves a service, as its workers announce it on the broker.

One sorted set for each service: ``pysoa:presence.<service>``. Its members are workers, by an id of their own, and the
score is the broker's time until which the worker counts as present. The member ``known`` with the score 0 never goes
away, and so keeps the memory that workers of PySOA 2 have served here: only then is absence an answer, because older
servers announce nothing.
"""

from __future__ import annotations

import enum
from typing import Final

from pysoa.common.protocol.queues import PREFIX
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.connection import BrokerError, BrokerRefused, RedisConnection, Reply, pack

__all__ = (
    "REFRESH_IN_SECONDS",
    "Presence",
    "announce",
    "hand_over",
    "judged",
    "known_services",
    "look_up",
    "presence_key",
    "questions",
    "withdraw",
)

REFRESH_IN_SECONDS: Final = 15.0
"""How often a worker announces itself."""

_LIFE_IN_SECONDS: Final = 90
_FORGET_AFTER_SECONDS: Final = 3600
_KNOWN: Final = b"known"


class Presence(enum.Enum):
    """What the broker says of a service."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def presence_key(service_name: str) -> bytes:
    """The key under which the workers of a service are kept."""
    return f"{PREFIX}presence.{service_name}".encode()


def announce(connection: RedisConnection, now: float, service_name: str, worker_id: str, until: float) -> None:
    """Say that the worker is there, and drop the traces of workers that died long ago.

    Args:
        connection: to the broker.
        now: the broker's time.
        service_name: what it serves.
        worker_id: tells it from its siblings.
        until: moment on the monotonic clock to give up at.

    Raises:
        BrokerError: the broker failed. A refusal is ignored: a worker without this right serves all the same.
    """
    key = presence_key(service_name)
    connection.send(
        pack(b"ZADD", key, b"0", _KNOWN, b"%.3f" % (now + _LIFE_IN_SECONDS), worker_id.encode())
        + pack(b"ZREMRANGEBYSCORE", key, b"(0", b"%.3f" % (now - _FORGET_AFTER_SECONDS)),
        2,
        until,
    )
    connection.read(until)
    connection.read(until)


def hand_over(
    connection: RedisConnection, now: float, service_name: str, worker_id: str, seconds: float, until: float
) -> None:
    """Say that the worker has gone and that another will announce itself in its place within so many seconds.

    Raises:
        BrokerError: the broker failed; the worker counts as gone after its time anyway.
    """
    connection.ask(
        b"ZADD", presence_key(service_name), b"XX", b"%.3f" % (now + seconds), worker_id.encode(), until=until
    )


def withdraw(connection: RedisConnection, service_name: str, worker_id: str, until: float) -> None:
    """Say that the worker has gone.

    Raises:
        BrokerError: the broker failed; the worker counts as gone after its time anyway.
    """
    connection.ask(b"ZREM", presence_key(service_name), worker_id.encode(), until=until)


def look_up(master: Master, service_name: str, until: float) -> Presence:
    """Ask whether any worker of the service is there; ``UNKNOWN`` when nobody can tell."""
    try:
        connection = master.take(until)
        try:
            connection.send(questions(service_name, master.clock.now()), 2, until)
            known, present = connection.read(until), connection.read(until)
        finally:
            master.give_back(connection)
    except BrokerError:
        return Presence.UNKNOWN
    return judged(known, present)


def questions(service_name: str, now: float) -> bytes:
    """The two commands that ask for what ``judged`` judges; ``now`` is the broker's time."""
    key = presence_key(service_name)
    return pack(b"ZSCORE", key, _KNOWN) + pack(b"ZCOUNT", key, b"(%.3f" % now, b"+inf")


def judged(known: Reply, present: Reply) -> Presence:
    """What the replies to ``questions`` mean; None stands for one that did not come."""
    if known is None or isinstance(known, BrokerRefused) or not isinstance(present, int):
        return Presence.UNKNOWN
    return Presence.PRESENT if present else Presence.ABSENT


def known_services(connection: RedisConnection, until: float) -> list[str]:
    """The names of all services that workers of PySOA 2 have ever announced on this broker.

    Raises:
        BrokerError: the broker failed or does not allow to look.
    """
    start = f"{PREFIX}presence."
    names: set[str] = set()
    cursor = b"0"
    while True:
        reply = connection.ask(b"SCAN", cursor, b"MATCH", start.encode() + b"*", b"COUNT", b"1000", until=until)
        if isinstance(reply, BrokerRefused):
            raise reply
        if not isinstance(reply, list) or not isinstance(reply[0], bytes) or not isinstance(reply[1], list):
            raise BrokerError(f"the broker answered {reply!r} to SCAN")
        cursor = reply[0]
        names.update(key.decode().removeprefix(start) for key in reply[1] if isinstance(key, bytes))
        if cursor == b"0":
            return sorted(names)
