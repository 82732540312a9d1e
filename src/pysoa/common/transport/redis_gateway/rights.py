"""The least rights on Redis that a server and a client of one service need, and what each of them is for.

Rules are written for Redis 7 and Valkey, whose selectors (the parts in parentheses) allow a command on some keys only.
A right that is marked as optional may be withheld: what it is for is then done without.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pysoa.common.protocol.queues import queue_key, request_queue_name
from pysoa.common.transport.redis_gateway.presence import presence_key

__all__ = ("CLIENT_RIGHTS", "SERVER_RIGHTS", "Right", "acl_rules")

REQUESTS: Final = "requests"
REPLIES: Final = "replies"
PRESENCE: Final = "presence"


class Right(NamedTuple):
    """Some commands, and what they are needed for.

    Attributes:
        commands: names of commands, as access rules have them.
        keys: on which keys: ``requests``, ``replies`` or ``presence``; None for commands without keys.
        reason: what for.
        is_optional: whether it works without them.
    """

    commands: tuple[str, ...]
    keys: str | None
    reason: str
    is_optional: bool = False


_CONNECTING: Final = (
    Right(("hello", "auth", "ping", "select"), None, "to log in and choose a database"),
    Right(("client|setname",), None, "to bear the name that the settings give, if they do", True),
    Right(("time",), None, "expiries in the broker's time; else in that of the wall clock", True),
    Right(("role",), None, "to know a replica that a failover has left behind; else by its refusals", True),
)

SERVER_RIGHTS: Final = (
    *_CONNECTING,
    Right(("client|id", "client|unblock"), None, "to leave at once; else at the end of the wait under way", True),
    Right(("blpop",), REQUESTS, "to wait for a request"),
    Right(("lpop",), REQUESTS, "to take several small requests at a time, and to look at several masters"),
    Right(("lpush", "expire"), REQUESTS, "to put requests back that a slow one keeps waiting", True),
    Right(("rpush", "expire"), REPLIES, "to send responses"),
    Right(("evalsha", "eval", "llen", "ttl"), REPLIES, "to send responses only where there is room"),
    Right(("zadd", "zrem", "zremrangebyscore"), PRESENCE, "to say that it is there", True),
)

CLIENT_RIGHTS: Final = (
    *_CONNECTING,
    Right(("client|id",), None, "to be told apart in logs of the broker", True),
    Right(("client|unblock",), None, "in asyncio, to await another service's answers at once, not 0.1 s later", True),
    Right(("rpush", "expire"), REQUESTS, "to send requests"),
    Right(("evalsha", "eval", "llen", "ttl"), REQUESTS, "to send requests only where there is room"),
    Right(("lrem",), REQUESTS, "to take a request back that nobody will serve", True),
    Right(("blpop", "lpop"), REPLIES, "to wait for responses"),
    Right(("zscore", "zcount"), PRESENCE, "to know at once that nobody serves", True),
)


def acl_rules(service_name: str) -> tuple[str, str]:
    """The access rules for servers and for clients of a service, to follow ``ACL SETUSER name reset on >password``."""
    requests = queue_key(request_queue_name(service_name))
    patterns = {
        REQUESTS: _exactly(requests),
        REPLIES: _exactly(requests) + ".*!*",
        PRESENCE: _exactly(presence_key(service_name).decode()),
    }
    return _rule(SERVER_RIGHTS, patterns), _rule(CLIENT_RIGHTS, patterns)


def _rule(rights: tuple[Right, ...], patterns: dict[str, str]) -> str:
    parts = ["-@all"]
    parts += [f"+{command}" for right in rights if right.keys is None for command in right.commands]
    for keys, pattern in patterns.items():
        commands = [command for right in rights if right.keys == keys for command in right.commands]
        allowed = " ".join(f"+{command}" for command in dict.fromkeys(commands))
        parts.append(f"({allowed} ~{pattern})")
    return " ".join(parts)


def _exactly(key: str) -> str:
    """A pattern that only this key matches."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", key)
