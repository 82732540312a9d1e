"""The local transport for asyncio: a client in an event loop, and the server in the same process.

A server with a ``concurrency`` above 1 runs in the client's loop. Another one blocks, so it has a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from pysoa.common.forks import FORKS
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.serializer.values import plain
from pysoa.common.threads import in_thread
from pysoa.common.transport.async_base import AsyncClientTransport, AsyncServerTransport, of_another_loop
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout
from pysoa.common.transport.local import (
    LocalClientTransport,
    LocalClientTransportSchema,
    LocalServerTransportSchema,
    resolve_server,
)
from pysoa.common.types import Body

__all__ = ("AsyncLocalClientTransport", "AsyncLocalServerTransport")

_Give = Callable[[ReceivedMessage], None]


@accepts_kwargs(LocalServerTransportSchema)
class AsyncLocalServerTransport(AsyncServerTransport):
    """What a server in the client's loop has for a transport. Requests are handed over; none is received.

    Attributes:
        give: what takes the response to each request under way, by its id.
    """

    is_local = True
    encodes_values = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.give: dict[int, _Give] = {}

    async def receive_request_message(self) -> ReceivedMessage:
        raise TypeError("The AsyncLocalServerTransport receives nothing: requests are handed over.")

    async def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        self.give[request_id](ReceivedMessage(request_id, meta, plain(body)))


class _Engine(Protocol):
    """What runs the jobs of a server in the running loop."""

    transport: Any
    concurrency: int

    async def handle(self, request_id: int, meta: dict[str, Any], job_request: Body) -> None: ...


class _Host(Protocol):
    """A server that runs."""

    async def serve(self, request_id: int, meta: dict[str, Any], body: Body, give: _Give) -> None:
        """Have a request served, and its response given."""

    async def aclose(self) -> None:
        """End the server."""


class _LoopHost:
    """A server whose jobs run side by side in this loop."""

    def __init__(self, server: Any, engine: _Engine) -> None:
        self._server = server
        self._engine = engine
        self._slots = asyncio.Semaphore(engine.concurrency)

    async def serve(self, request_id: int, meta: dict[str, Any], body: Body, give: _Give) -> None:
        waiting = self._engine.transport.give
        async with self._slots:
            waiting[request_id] = give
            try:
                await self._engine.handle(request_id, meta, body)
            finally:
                del waiting[request_id]

    async def aclose(self) -> None:
        await self._server._process.end_engine(self._engine)


class _ThreadHost:
    """A server that blocks, on a thread of its own: its jobs run one after another."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pysoa-local")
        self._transport: LocalClientTransport | None = None

    async def start(self, make: Callable[[], LocalClientTransport]) -> None:
        try:
            self._transport = await self._in_thread(make)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    def _in_thread(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._thread, context.run, function, *args)

    async def serve(self, request_id: int, meta: dict[str, Any], body: Body, give: _Give) -> None:
        response = await self._in_thread(self._serve, request_id, meta, body)
        if response.request_id is not None:
            give(response)

    def _serve(self, request_id: int, meta: dict[str, Any], body: Body) -> ReceivedMessage:
        assert self._transport is not None
        self._transport.send_request_message(request_id, meta, body)
        return self._transport.receive_response_message()

    async def aclose(self) -> None:
        assert self._transport is not None
        await self._in_thread(self._transport.close)
        await in_thread(self._thread.shutdown)


class _Call:
    """A request, and who waits for its response.

    Args:
        request_id: pairs them.
        future: of the response.
        is_claimed: whether a call waits for it, and is to be told what goes wrong; otherwise it is cancelled then.
    """

    __slots__ = ("future", "is_claimed", "request_id")

    def __init__(self, request_id: int, future: asyncio.Future[ReceivedMessage], is_claimed: bool) -> None:
        self.request_id = request_id
        self.future = future
        self.is_claimed = is_claimed

    def give(self, message: ReceivedMessage) -> None:
        if not self.future.done():
            self.future.set_result(message)

    def fail(self, error: Exception) -> None:
        if not self.is_claimed:
            self.future.cancel()
        elif not self.future.done():
            self.future.set_exception(error)


@accepts_kwargs(LocalClientTransportSchema())
class AsyncLocalClientTransport(AsyncClientTransport):
    """Runs a server in this process, for an ``AsyncClient``; the twin of ``LocalClientTransport``.

    The server begins with the first call, and ends with ``aclose``, which cancels jobs under way where it can. Bodies
    are copied as plain data, but not serialized. A call ends by its timeout, if it has one; its job goes on. A request
    that wants no response is served by the time that it is sent.

    Args:
        service_name: the service to call.
        metrics: a metrics recorder.
        server_class: the server class, or its import path.
        server_settings: the settings dict of the server, or its import path. Its transport is replaced.
    """

    encodes_values = True

    def __init__(
        self,
        service_name: str,
        metrics: Recorder = NO_METRICS,
        server_class: Any = None,
        server_settings: Any = None,
    ) -> None:
        super().__init__(service_name, metrics)
        self._arguments = (service_name, metrics, server_class, server_settings)
        self._server_class, self.server_settings = resolve_server(service_name, server_class, server_settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = FORKS.count
        self._forget_everything()

    def _forget_everything(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[_Host] | None = None

    def _bind(self) -> asyncio.AbstractEventLoop:
        """Belong to the running event loop.

        Raises:
            MessageSendError: it belongs to another one, which is not closed.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._generation != FORKS.count:
            if self._loop is not None and not self._loop.is_closed() and self._generation == FORKS.count:
                raise of_another_loop()
            self._loop, self._generation = loop, FORKS.count
            self._forget_everything()
        return loop

    # The server

    async def start(self) -> None:
        """Start the server, if it does not run yet."""
        self._bind()
        await self._host()

    async def _host(self) -> _Host:
        if self._starting is None:
            loop = asyncio.get_running_loop()  # and a context of its own, for it is not of the call that comes first
            self._starting = loop.create_task(self._start(), name="pysoa-local-start", context=contextvars.Context())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except Exception:
            if self._starting is starting:
                self._starting = None  # the next call tries again
            raise

    async def _start(self) -> _Host:
        if self.server_settings["concurrency"] > 1:
            server = self._server_class(self.server_settings)
            server._async_event_loop_thread.daemon = True
            return _LoopHost(server, await server._process.start_engine())
        host = _ThreadHost()
        await host.start(lambda: LocalClientTransport(*self._arguments))
        return host

    # Calls

    def start_call(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: Body,
        message_expiry_in_seconds: float | None,
        timeout_in_seconds: float | None,
    ) -> asyncio.Future[ReceivedMessage]:
        future, _ = self._begin(request_id, meta, body, is_claimed=True)
        if timeout_in_seconds:
            timer = future.get_loop().call_later(timeout_in_seconds, self._time_is_over, request_id)
            future.add_done_callback(lambda _: timer.cancel())
        return future

    async def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> asyncio.Future[ReceivedMessage] | None:
        future, job = self._begin(request_id, meta, body, is_claimed=False)
        if not body["control"].get("suppress_response"):
            await self._host()
            return future
        future.cancel()
        await asyncio.wait([job])
        return None

    def _begin(
        self, request_id: int, meta: dict[str, Any], body: Body, *, is_claimed: bool
    ) -> tuple[asyncio.Future[ReceivedMessage], asyncio.Task[None]]:
        loop = self._bind()
        call = _Call(request_id, loop.create_future(), is_claimed)
        self._calls[request_id] = call
        call.future.add_done_callback(lambda _: self._calls.pop(request_id, None))
        job = loop.create_task(self._serve(call, meta, plain(body)), name="pysoa-local-job")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return call.future, job

    async def _serve(self, call: _Call, meta: dict[str, Any], body: Body) -> None:
        try:
            host = await self._host()
            await host.serve(call.request_id, meta, body, call.give)
        except Exception as error:  # boundary: it is the caller's, as where the server is run while sending
            call.fail(error)
        call.fail(MessageReceiveTimeout(f"Service {self.service_name} has ended the job without a response"))

    def _time_is_over(self, request_id: int) -> None:
        if request_id in self._calls:
            self._calls[request_id].fail(MessageReceiveTimeout(f"No message received for service {self.service_name}"))

    def forget(self, request_ids: Iterable[int]) -> None:
        for request_id in request_ids:
            self._calls.pop(request_id, None)

    async def aclose(self) -> None:
        self._bind()
        self._loop = None
        calls, jobs, starting = self._calls, self._jobs, self._starting
        self._forget_everything()
        for call in calls.values():
            call.fail(MessageReceiveError(f"The client of service {self.service_name} was closed"))
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)
        if starting is None:
            return
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().aclose()

    @property
    def requests_outstanding(self) -> int:
        """How many requests have been sent whose responses have not come."""
        return len(self._calls)
