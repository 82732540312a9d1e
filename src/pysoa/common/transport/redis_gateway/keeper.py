"""The thread beside a worker.

It announces the worker, ends its pops when it is to stop, and puts requests back that a slow job keeps waiting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from pysoa.common.clock import monotonic
from pysoa.common.logging import printable
from pysoa.common.transport.redis_gateway import presence
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import Queue, push_back
from pysoa.common.transport.redis_gateway.connection import BrokerError, BrokerRefused, RedisConnection
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("Keeper", "Pop", "put_back", "unblock")

_logger = logging.getLogger(__name__)

_SLOW_AFTER_SECONDS: Final = 0.02
_LOOK_EVERY_SECONDS: Final = 0.01
_LIMIT_IN_SECONDS: Final = 1.0
_UNBLOCK_AGAIN_AFTER_SECONDS: Final = 0.05

Pop: TypeAlias = tuple[Master, bytes]
"""A pop under way: where, and the broker's number for its connection."""


def unblock(master: Master, client_id: bytes) -> None:
    """End a pop by asking on another connection: closing its own would lose a message that is on the way.

    Without the right to do so, the pop ends by its own time.
    """
    until = monotonic() + _LIMIT_IN_SECONDS
    with contextlib.suppress(BrokerError):
        connection = master.take(until)
        try:
            connection.ask(b"CLIENT", b"UNBLOCK", client_id, until=until)
        finally:
            master.give_back(connection)


def put_back(
    connection: RedisConnection, queue_key: bytes, life_in_seconds: int, frames: list[bytes], until: float
) -> None:
    """Put requests back to the head of their queue.

    Raises:
        BrokerRefused: none was put back.
        BrokerLost: nobody knows whether they were.
    """
    queue = Queue(queue_key, life_in_seconds, keeps_longer_life=True)
    connection.send(push_back(queue_key, frames) + queue.expire, 2, until)
    pushed, expired = connection.read(until), connection.read(until)
    if isinstance(pushed, BrokerRefused):
        raise pushed
    if isinstance(expired, BrokerRefused):
        queue.use_plain_expire()
        connection.send(queue.expire, 1, until)
        connection.read(until)


class Keeper:
    """Looks after one worker from a thread of its own, on connections of its own.

    Attributes:
        job_began: when the running job began, on the monotonic clock; 0 while none is running. Set by the worker.
    """

    def __init__(
        self,
        core: RedisTransportCore,
        worker_id: str,
        queue_key: bytes,
        held: deque[bytes],
        pops_under_way: Callable[[], list[Pop]],
    ) -> None:
        self.job_began = 0.0
        self._core = core
        self._worker_id = worker_id
        self._queue_key = queue_key
        self._held = held
        self._pops_under_way = pops_under_way
        # A pipe, because signal handlers may write to it whatever they have interrupted.
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._is_releasing = False
        self._is_ending = False
        self._is_watching = False
        self._announce_at = 0.0
        self._put_back_not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="pysoa-keeper", daemon=True)

    def start(self) -> None:
        """Announce the worker, so that it counts as present before it takes its first request; then keep at it."""
        if self._announce():
            self._announce_at = monotonic() + presence.REFRESH_IN_SECONDS
        self._thread.start()

    def something_held(self) -> None:
        """Say that requests have been taken that have not begun."""
        if not self._is_watching:
            self._wake()

    def announce_again(self) -> None:
        """Announce the worker soon: the broker may have forgotten it, and others that it has just come to know."""
        self._announce_at = 0.0
        self._wake()

    def release_pops(self) -> None:
        """End all pops under way from now on. May be called from a signal handler."""
        self._is_releasing = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: then it is about to wake anyway
            os.write(self._write_end, b"!")

    def _sleep(self, seconds: float) -> None:
        """Sleep until woken, or for so long."""
        poll = select.poll()
        poll.register(self._read_end, select.POLLIN)
        if poll.poll(max(0.0, seconds) * 1000):
            with contextlib.suppress(OSError):
                os.read(self._read_end, 4096)

    def stop(self, successor_within: float = 0.0) -> None:
        """End the thread and withdraw the worker; later, if another is to come so many seconds from now."""
        self._is_ending = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(_LIMIT_IN_SECONDS * 2)
        if not self._thread.is_alive():
            os.close(self._read_end)
            os.close(self._write_end)
        self._withdraw(successor_within)

    def _run(self) -> None:
        while not self._is_ending:
            if self._is_releasing:
                for master, client_id in self._pops_under_way():
                    unblock(master, client_id)
                self._sleep(_UNBLOCK_AGAIN_AFTER_SECONDS)
            else:
                self._sleep(self._announce_at - monotonic())
            self._watch_held()
            if monotonic() >= self._announce_at and not self._is_ending:
                self._announce_at = monotonic() + presence.REFRESH_IN_SECONDS
                if not self._announce():
                    self._announce_at = monotonic() + _LIMIT_IN_SECONDS

    def _watch_held(self) -> None:
        """While something is held, look now and then whether the running job has become slow."""
        while self._held and not self._is_ending:
            self._is_watching = True
            began = self.job_began
            now = monotonic()
            if began and now - began > _SLOW_AFTER_SECONDS and now >= self._put_back_not_before:
                self._put_back()
            self._sleep(_LOOK_EVERY_SECONDS)
            # The worker wakes only a keeper that does not watch: so this is said before looking once more.
            self._is_watching = False

    def _put_back(self) -> None:
        """Put all that is held back to the head of the queue, last first; the worker may take some meanwhile."""
        until = monotonic() + _LIMIT_IN_SECONDS
        frames: list[bytes] = []
        try:
            master, connection = self._connection(until)
            try:
                # Only now that there is a connection: what cannot be put back is better kept.
                frames = self._take_held()
                if frames:
                    put_back(connection, self._queue_key, self._core.request_queue_life_in_seconds, frames, until)
                    self._core.count("receive.put_back")
            finally:
                master.give_back(connection)
        except BrokerRefused as error:
            self._held.extendleft(reversed(frames))
            self._put_back_not_before = monotonic() + _LIMIT_IN_SECONDS
            self._core.warn("put back", "The broker does not take requests back: %s", error)
        except BrokerError as error:
            self._put_back_not_before = monotonic() + _LIMIT_IN_SECONDS
            if frames:
                # Perhaps the broker has them, perhaps not: running them could run them twice.
                _logger.warning("Could not put %d requests back: %s", len(frames), printable(str(error)))

    def _connection(self, until: float) -> tuple[Master, RedisConnection]:
        """A connection to the first master that can be reached: all queues of the service are equal."""
        *others, last = self._core.backend_layer.masters(until)
        for master in others:
            with contextlib.suppress(BrokerError):
                return master, master.take(until)
        return last, last.take(until)

    def _take_held(self) -> list[bytes]:
        frames: list[bytes] = []
        with contextlib.suppress(IndexError):  # the worker may have taken the last one meanwhile
            while True:
                frames.append(self._held.pop())
        frames.reverse()
        return frames

    def _announce(self) -> bool:
        """Announce the worker on each master; False when one of them did not hear it."""
        until = monotonic() + _LIMIT_IN_SECONDS
        try:
            masters = self._core.backend_layer.masters(until)
        except BrokerError as error:
            _logger.debug("Could not announce the worker: %s", printable(str(error)))
            return False
        # No generator: a master that is away must not keep the others from hearing it.
        heard = [self._announce_to(master) for master in masters]
        return all(heard)

    def _announce_to(self, master: Master) -> bool:
        until = monotonic() + _LIMIT_IN_SECONDS
        try:
            connection = master.take(until)
            try:
                now = master.clock.now()
                presence.announce(connection, now, self._core.service_name, self._worker_id, until)
            finally:
                master.give_back(connection)
        except BrokerError as error:
            _logger.debug("Could not announce the worker: %s", printable(str(error)))
            return False
        return True

    def _withdraw(self, successor_within: float) -> None:
        try:
            masters = self._core.backend_layer.masters(monotonic() + _LIMIT_IN_SECONDS)
        except BrokerError as error:
            _logger.debug("Could not withdraw the worker: %s", printable(str(error)))
            return
        for master in masters:
            until = monotonic() + _LIMIT_IN_SECONDS
            try:
                connection = master.take(until)
                try:
                    name = self._core.service_name
                    if successor_within:
                        now = master.clock.now()
                        presence.hand_over(connection, now, name, self._worker_id, successor_within, until)
                    else:
                        presence.withdraw(connection, name, self._worker_id, until)
                finally:
                    master.give_back(connection)
            except BrokerError as error:
                _logger.debug("Could not withdraw the worker: %s", printable(str(error)))
