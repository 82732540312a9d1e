"""The Redis commands of the gateway as bytes, ready but for the message. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pysoa.common.transport.redis_gateway.connection import pack

__all__ = ("Queue", "blocking_pop", "is_queue_full", "pop_more", "push_back")

_QUEUE_FULL: Final = "queue full"


class Queue:
    """A list to push to: its commands, and how long it was when last seen.

    Attributes:
        key: the full key.
        expire: the command that sets the life of the list.
        life_in_seconds: that life.
        length: as the last push saw it.
        seen_at: when that was, on the monotonic clock.
    """

    __slots__ = ("_push_one", "expire", "key", "length", "life_in_seconds", "seen_at")

    def __init__(self, key: bytes, life_in_seconds: int) -> None:
        self.key = key
        self.life_in_seconds = life_in_seconds
        self.expire = pack(b"EXPIRE", key, b"%d" % life_in_seconds)
        self.length = 0
        self.seen_at = float("-inf")
        self._push_one = b"*3\r\n$5\r\nRPUSH\r\n$%d\r\n%b\r\n$" % (len(key), key)

    def push(self, frames: Sequence[bytes], then: bytes) -> bytes:
        """Push the frames of one message at once, and append other commands."""
        if len(frames) == 1:
            frame = frames[0]
            return b"%b%d\r\n%b\r\n%b" % (self._push_one, len(frame), frame, then)
        return pack(b"RPUSH", self.key, *frames) + then

    def saw_length(self, length: int, now: float) -> None:
        """Note how long a push found the list."""
        self.length = length
        self.seen_at = now

    def may_be_full(self, capacity: int, now: float) -> bool:
        """Whether the length has to be checked by the script before the next push."""
        # The overshoot of an unchecked push is bounded by what others push within a second into the free half.
        return capacity < 100 or now - self.seen_at > 1.0 or self.length > capacity // 2


def push_back(key: bytes, frames: Sequence[bytes]) -> bytes:
    """Put frames back at the head of the list, the first of them foremost."""
    return pack(b"LPUSH", key, *reversed(frames))


def blocking_pop(key: bytes, seconds: float) -> bytes:
    """Wait so long for one item; a time below a millisecond, which Redis would take for 'for ever', becomes one."""
    return pack(b"BLPOP", key, b"%.3f" % max(seconds, 0.001))


def pop_more(key: bytes, count: int) -> bytes:
    """Take up to so many items that are there now."""
    return pack(b"LPOP", key, b"%d" % count)


def is_queue_full(text: str) -> bool:
    """Whether an error reply is the script's."""
    return text.removeprefix("ERR ").startswith(_QUEUE_FULL)
