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
from pysoa.common.transport.redis_gateway import presence
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.commands import Queue, push_back
from pysoa.common.transport.redis_gateway.connection import BrokerError
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("Keeper", "Pop", "unblock")

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
        self._queue = Queue(queue_key, core.request_queue_life_in_seconds)
        self._held = held
        self._pops_under_way = pops_under_way
        # A pipe, because signal handlers may write to it whatever they have interrupted.
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._is_releasing = False
        self._is_ending = False
        self._is_watching = False
        self._thread = threading.Thread(target=self._run, name="pysoa-keeper", daemon=True)

    def start(self) -> None:
        """Announce the worker, so that it counts as present before it takes its first request; then keep at it."""
        self._announce()
        self._thread.start()

    def something_held(self) -> None:
        """Say that requests have been taken that have not begun."""
        if not self._is_watching:
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

    def stop(self) -> None:
        """End the thread and withdraw the worker."""
        self._is_ending = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(_LIMIT_IN_SECONDS * 2)
        if not self._thread.is_alive():
            os.close(self._read_end)
            os.close(self._write_end)
        until = monotonic() + _LIMIT_IN_SECONDS
        try:
            for master in self._core.backend_layer.masters(until):
                connection = master.take(until)
                try:
                    presence.withdraw(connection, self._core.service_name, self._worker_id, until)
                finally:
                    master.give_back(connection)
        except BrokerError as error:
            _logger.debug("Could not withdraw: %s", error)

    def _run(self) -> None:
        announce_at = monotonic() + presence.REFRESH_IN_SECONDS
        while not self._is_ending:
            if self._is_releasing:
                for master, client_id in self._pops_under_way():
                    unblock(master, client_id)
                self._sleep(_UNBLOCK_AGAIN_AFTER_SECONDS)
            else:
                self._sleep(announce_at - monotonic())
            self._watch_held()
            if monotonic() >= announce_at and not self._is_ending:
                self._announce()
                announce_at = monotonic() + presence.REFRESH_IN_SECONDS

    def _watch_held(self) -> None:
        """While something is held, look now and then whether the running job has become slow."""
        while self._held and not self._is_ending:
            self._is_watching = True
            began = self.job_began
            if began and monotonic() - began > _SLOW_AFTER_SECONDS:
                self._put_back()
            self._sleep(_LOOK_EVERY_SECONDS)
            # The worker wakes only a keeper that does not watch: so this is said before looking once more.
            self._is_watching = False

    def _put_back(self) -> None:
        """Put all that is held back to the head of the queue, last first; the worker may take some meanwhile."""
        until = monotonic() + _LIMIT_IN_SECONDS
        frames: list[bytes] = []
        try:
            master = self._core.backend_layer.masters(until)[0]
            connection = master.take(until)
            try:
                # Only now that there is a connection: what cannot be put back is better kept.
                frames = self._take_held()
                if frames:
                    connection.send(push_back(self._queue.key, frames) + self._queue.expire, 2, until)
                    connection.read(until)
                    connection.read(until)
                    self._core.count("receive.put_back")
            finally:
                master.give_back(connection)
        except BrokerError as error:
            # Perhaps the broker has them, perhaps not: running them could run them twice.
            _logger.warning("Could not put %d requests back: %s", len(frames), error)

    def _take_held(self) -> list[bytes]:
        frames: list[bytes] = []
        with contextlib.suppress(IndexError):  # the worker may have taken the last one meanwhile
            while True:
                frames.append(self._held.pop())
        frames.reverse()
        return frames

    def _announce(self) -> None:
        until = monotonic() + _LIMIT_IN_SECONDS
        try:
            for master in self._core.backend_layer.masters(until):
                connection = master.take(until)
                try:
                    now = master.clock.now()
                    presence.announce(connection, now, self._core.service_name, self._worker_id, until)
                finally:
                    master.give_back(connection)
        except BrokerError as error:
            _logger.debug("Could not announce the worker: %s", error)
