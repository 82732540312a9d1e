"""The asyncio ends of the Redis gateway, with the methods of the others, so that one text can test both.

Each runs in an event loop on a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from pysoa.common.errors import PySOAError
from pysoa.common.transport.base import NO_MESSAGE, ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.async_client import AsyncRedisClientTransport
from pysoa.common.transport.redis_gateway.async_server import AsyncRedisServerTransport
from tests.support.gateway import Gateway
from tests.support.loops import LoopThread

__all__ = ("AsyncGateway",)

_MARGIN_IN_SECONDS = 0.4  # replies know themselves when their time is over


class _OfThread(threading.local):
    """What a thread awaits: for how long the next request, and the replies that have ended."""

    def __init__(self) -> None:
        self.time: float | None = None
        self.ended: queue.SimpleQueue[asyncio.Future[ReceivedMessage]] = queue.SimpleQueue()


class ClientOnLoop:
    """Has the methods of ``RedisClientTransport``."""

    def __init__(self, service_name: str, **settings: Any) -> None:
        self._loop = LoopThread()
        self._transport = AsyncRedisClientTransport(service_name, **settings)
        self._awaited = _OfThread()
        self._is_over = False

    def expect_reply(self, timeout: float) -> None:
        self._awaited.time = timeout

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        yield

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Any, message_expiry_in_seconds: float | None = None
    ) -> None:
        expiry, awaited = message_expiry_in_seconds, self._awaited
        timeout, awaited.time, ended = awaited.time, None, awaited.ended

        async def send() -> None:
            if timeout is None:
                reply = await self._transport.send_request_message(request_id, meta, body, expiry)
            else:
                reply = self._transport.start_call(request_id, meta, body, expiry, timeout)
            if reply is not None:
                reply.add_done_callback(ended.put)

        self._loop.run(send())

    def receive_response_message(self, timeout: float | None = None) -> ReceivedMessage:
        if not self.requests_outstanding:
            self._loop.run(asyncio.sleep(0))  # a reply that has just come is told of a turn of the loop later
            if self._awaited.ended.empty():
                return NO_MESSAGE
        try:
            while (reply := self._awaited.ended.get(timeout=(timeout or 5.0) + _MARGIN_IN_SECONDS)).cancelled():
                pass
        except queue.Empty:
            raise MessageReceiveTimeout("No message received") from None
        return reply.result()

    @property
    def requests_outstanding(self) -> int:
        return self._transport.requests_outstanding

    def forget(self, request_ids: Iterable[int]) -> None:
        self._loop.loop.call_soon_threadsafe(self._transport.forget, list(request_ids))

    def close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._loop.run(self._transport.aclose())
            while not self._awaited.ended.empty():
                with contextlib.suppress(PySOAError, asyncio.CancelledError):
                    self._awaited.ended.get().result()
            self._loop.stop()


class ServerOnLoop:
    """Has the methods of ``RedisServerTransport``."""

    def __init__(self, service_name: str, **settings: Any) -> None:
        self._loop = LoopThread()
        self._transport = AsyncRedisServerTransport(service_name, **settings)
        self._is_over = False

    def start_serving(self) -> None:
        self._loop.run(self._transport.start_serving())

    def receive_request_message(self) -> ReceivedMessage:
        return self._loop.run(self._transport.receive_request_message())

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Any) -> None:
        self._loop.run(self._transport.send_response_message(request_id, meta, body))

    def stop_taking(self) -> None:
        if not self._is_over:
            self._loop.loop.call_soon_threadsafe(self._transport.stop_taking)

    def close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._loop.run(self._transport.aclose())
            self._loop.stop()


class AsyncGateway(Gateway):
    """Makes the asyncio ends."""

    client_class: Any = ClientOnLoop
    server_class: Any = ServerOnLoop
