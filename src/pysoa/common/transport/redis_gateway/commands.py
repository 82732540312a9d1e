"""The Redis commands of the gateway as bytes, ready but for the message. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pysoa.common.transport.redis_gateway.connection import pack

__all__ = ("LENGTHEN_EVERY_SECONDS", "Queue", "blocking_pop", "is_queue_full", "pop_more", "push_back")

_LARGE: Final = 65_536
_QUEUE_FULL: Final = "queue full"

LENGTHEN_EVERY_SECONDS: Final = 60
"""How much of the life of a list may have passed when a message is pushed without lengthening it."""


class Queue:
    """A list to push to: its commands, and how long it was when last seen.

    Args:
        key: the full key.
        life_in_seconds: how long the list lives after a push, at least.
        keeps_longer_life: whether others may give the list a longer life, which a push must not shorten. A push then
            sets a life only where there is none, and the script, which lengthens, is used now and then.

    Attributes:
        key: the full key.
        expire: the command that sets the life of the list.
        life_in_seconds: that life.
        length: as the last push saw it.
        full_until: until then it is taken to be full, after it has been so for long; on the monotonic clock.
        seen_at: when that was, on the monotonic clock.
    """

    __slots__ = (
        "_push_one",
        "_script_due_at",
        "expire",
        "full_until",
        "keeps_longer_life",
        "key",
        "length",
        "life_in_seconds",
        "seen_at",
    )

    def __init__(self, key: bytes, life_in_seconds: int, *, keeps_longer_life: bool = False) -> None:
        self.key = key
        self.life_in_seconds = life_in_seconds
        self.keeps_longer_life = keeps_longer_life
        self.expire = pack(b"EXPIRE", key, b"%d" % life_in_seconds, *((b"NX",) if keeps_longer_life else ()))
        self.length = 0
        self.full_until = 0.0
        self.seen_at = float("-inf")
        self._script_due_at = float("-inf" if keeps_longer_life else "inf")
        self._push_one = b"*3\r\n$5\r\nRPUSH\r\n$%d\r\n%b\r\n$" % (len(key), key)

    def push(self, frames: Sequence[bytes], then: bytes) -> bytes | Sequence[bytes]:
        """Push the frames of one message at once, and append other commands; in pieces where there is much."""
        if len(frames) == 1:
            frame = frames[0]
            if len(frame) > _LARGE:
                return (b"%b%d\r\n" % (self._push_one, len(frame)), frame, b"\r\n" + then)
            return b"%b%d\r\n%b\r\n%b" % (self._push_one, len(frame), frame, then)
        return pack(b"RPUSH", self.key, *frames) + then

    def saw_length(self, length: int, now: float, *, by_script: bool = False) -> None:
        """Note how long a push found the list."""
        self.length = length
        self.seen_at = now
        if by_script and self.keeps_longer_life:
            self._script_due_at = now + LENGTHEN_EVERY_SECONDS

    def wants_script(self, capacity: int, now: float) -> bool:
        """Whether the next push goes by the script, which checks the length and lengthens the life."""
        # The overshoot of an unchecked push is bounded by what others push within a second into the free half.
        return capacity < 100 or now - self.seen_at > 1.0 or self.length > capacity // 2 or now > self._script_due_at

    def use_plain_expire(self) -> None:
        """Set the life at each push from now on: Redis before 7 knows no condition for it."""
        self.keeps_longer_life = False
        self._script_due_at = float("inf")
        self.expire = pack(b"EXPIRE", self.key, b"%d" % self.life_in_seconds)


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
