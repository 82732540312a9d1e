"""An event loop on a thread, in which a blocking client has a local server run that is made for one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from pysoa.common.clock import monotonic
from pysoa.common.forks import start_anew_in_children
from pysoa.common.transport.async_local import AsyncLocalClientTransport
from pysoa.common.transport.base import NO_MESSAGE, ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body

__all__ = ("LocalLoop",)

_T = TypeVar("_T")


class _LoopThread(threading.Thread):
    """Runs an event loop until ``end``."""

    def __init__(self) -> None:
        super().__init__(name="pysoa-local-loop", daemon=True)
        self._begun: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self.start()
        self._loop = self._begun.result()

    def run(self) -> None:
        asyncio.run(self._stay())

    async def _stay(self) -> None:
        self._end = asyncio.Event()
        self._begun.set_result(asyncio.get_running_loop())
        await self._end.wait()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop run a coroutine, with the context variables of the caller, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()


class LocalLoop:
    """Sends requests to a server in an event loop of its own, and receives the responses. Threads may share it.

    Args:
        arguments: those of the local transport.
    """

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Have no server, and expect nothing; in the child of a fork, the thread is gone."""
        self._building = threading.Lock()
        self._changed = threading.Condition()
        self._outstanding: set[int] = set()
        self._lost: set[int] = set()  # whose jobs have ended without a response
        self._arrived: deque[ReceivedMessage] = deque()
        self._running: tuple[_LoopThread, AsyncLocalClientTransport] | None = None

    def start(self) -> tuple[_LoopThread, AsyncLocalClientTransport]:
        """Start the server, if it does not run."""
        with self._building:
            if self._running is None:
                transport = AsyncLocalClientTransport(*self._arguments)
                thread = _LoopThread()
                try:
                    thread.call(transport.start())
                except BaseException:
                    thread.end()
                    raise
                self._running = thread, transport
            return self._running

    def send(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        """Have a request served; return at once, or when it is done if nobody wants its response."""
        thread, transport = self.start()
        with self._changed:
            self._outstanding.add(request_id)

        def arrived(future: asyncio.Future[ReceivedMessage]) -> None:
            with self._changed:
                if request_id in self._outstanding:
                    self._outstanding.discard(request_id)
                    if future.cancelled():
                        self._lost.add(request_id)
                    else:
                        self._arrived.append(future.result())
                self._changed.notify_all()

        async def send() -> None:
            future = await transport.send_request_message(request_id, meta, body)
            if future is not None:
                future.add_done_callback(arrived)
            else:
                self.forget((request_id,))

        try:
            thread.call(send())
        except BaseException:
            self.forget((request_id,))
            raise

    def receive(self, timeout: float | None) -> ReceivedMessage:
        """Wait for the next response, for so many seconds or as long as one is outstanding.

        Raises:
            MessageReceiveTimeout: none came in time, or none can come any more.
        """
        until = monotonic() + timeout if timeout else None
        with self._changed:
            while not self._arrived:
                if not self._outstanding:
                    if not self._lost:
                        return NO_MESSAGE
                    self._lost.clear()
                    raise MessageReceiveTimeout(f"Service {self._arguments[0]} has ended the job without a response")
                if not self._changed.wait(None if until is None else until - monotonic()):
                    raise MessageReceiveTimeout(f"No message received for service {self._arguments[0]}")
            return self._arrived.popleft()

    def forget(self, request_ids: Iterable[int]) -> None:
        """Wait no more for these."""
        with self._changed:
            for request_id in request_ids:
                self._outstanding.discard(request_id)
                self._lost.discard(request_id)
            self._changed.notify_all()

    def close(self) -> None:
        """End the server and its loop; who waits for a response gets none."""
        with self._building:
            running, self._running = self._running, None
            if running is None:
                return
            thread, transport = running
            try:
                thread.call(transport.aclose())
            finally:
                thread.end()
