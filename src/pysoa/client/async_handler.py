"""``AsyncServiceHandler``: an asyncio client's end to one service; transport, middleware, and what is outstanding."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from pysoa.client.calls import is_suppressed, job_response
from pysoa.client.errors import ImproperlyConfigured, NoResponse
from pysoa.client.middleware import AsyncClientMiddleware, ClientMiddleware
from pysoa.common.clock import monotonic
from pysoa.common.forks import start_anew_in_children
from pysoa.common.instruments import NO_METRICS, timer_maker
from pysoa.common.plugins import make_recorder
from pysoa.common.serializer.values import plain
from pysoa.common.stacks import Task, build_stack
from pysoa.common.transport.async_base import AsyncClientTransport
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body, JobRequest, JobResponse, job_request_message
from pysoa.version import __version_info__

__all__ = ("AsyncCall", "AsyncServiceHandler")

_MOST_UNCLAIMED: Final = 10_000


class AsyncCall:
    """A request on its way, and its response; a call, or a future, waits for it.

    Attributes:
        handler: of the service.
        request_id: pairs them.
        timeout: seconds for sending and receiving together.
        waits: whether somebody waits for the response at once.
        reply: the future of the response; None until it is being sent, and where there will be none.
    """

    __slots__ = ("__weakref__", "handler", "reply", "request_id", "timeout", "waits")

    def __init__(self, handler: AsyncServiceHandler, request_id: int, timeout: float | None, waits: bool) -> None:
        self.handler = handler
        self.request_id = request_id
        self.timeout = timeout
        self.waits = waits
        self.reply: asyncio.Future[ReceivedMessage] | None = None

    async def response(self) -> JobResponse:
        """Wait for the response; afterwards it is not outstanding any more, whatever has come of it."""
        reply = self.reply
        if reply is None:
            raise NoResponse(f"Got unexpected response(s) with ID(s) [] for request with ID {self.request_id}")
        handler = self.handler
        if handler.receive is not None:
            return await handler.received(self)
        try:
            message = await reply
        except asyncio.CancelledError:
            self.forget()
            raise
        return job_response(handler.service_name, message.body)

    def forget(self) -> None:
        """Wait no more: what has not left is not sent, and an answer is dropped."""
        if self.reply is not None:
            self.handler.forget(self.request_id, self.reply)


_receiving: ContextVar[AsyncCall | None] = ContextVar("pysoa_receiving", default=None)


class AsyncServiceHandler:
    """Sends job requests to one service and receives the responses, in one event loop.

    Args:
        service_name: the service.
        settings: checked settings, as ``ClientSettings`` has them.

    Attributes:
        service_name: the service.
        metrics: where it records, beside the transport.
        transport: moves the messages.
        default_timeout: how many seconds the transport waits for a response, if it says so in its ``core``.
        send: the stack of middleware around sending; None without middleware.
        receive: the stack of middleware around receiving; None without middleware.
    """

    _client_version: ClassVar[list[int]] = list(max(__version_info__, (1, 4, 9)))

    def __init__(self, service_name: str, settings: Mapping[str, Any]) -> None:
        self.service_name = service_name
        self.metrics = make_recorder(settings["metrics"])
        self._new_timer = timer_maker(self.metrics)
        transport_class = settings["transport"]["object"].async_client_class()
        if transport_class is None:
            raise ImproperlyConfigured(
                f"the transport of service {service_name!r}, {settings['transport']['path']}, cannot be used with "
                "asyncio: override its method async_client_class"
            )
        with self._new_timer("client.transport.initialize"):
            self.transport: AsyncClientTransport = transport_class(
                service_name, self.metrics, **settings["transport"].get("kwargs", {})
            )
        with self._new_timer("client.middleware.initialize"):
            self._middleware: list[ClientMiddleware] = [
                middleware["object"](**middleware.get("kwargs", {})) for middleware in settings["middleware"]
            ]
            self.send = self._stack("request", "send", self._base_send)
            self.receive = self._stack("response", "receive", self._base_receive)
        timeout = getattr(getattr(self.transport, "core", None), "receive_timeout_in_seconds", None)
        self.default_timeout: float | None = timeout if isinstance(timeout, int | float) else None
        self._encodes_values = self.transport.encodes_values
        self._calls: dict[int, AsyncCall] = {}
        self._unclaimed: dict[int, AsyncCall] = {}
        self._arrived: deque[AsyncCall] = deque()
        self._somebody_waits: list[asyncio.Future[None]] = []
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Draw other request ids and expect nothing; for the child of a fork."""
        # Not to be guessed, so that nobody can forge a response to a request that they have not seen.
        self._request_ids = itertools.count(int.from_bytes(os.urandom(7), "big") >> 4)
        self._calls.clear()
        self._unclaimed.clear()
        self._arrived.clear()

    def _stack(self, side: str, step: str, base: Task) -> Task | None:
        """The middleware of one side around its innermost step; None where there is nothing around it."""
        if not self._middleware and self.metrics is NO_METRICS:
            return None
        wraps = [(getattr(each, side), isinstance(each, AsyncClientMiddleware)) for each in self._middleware]
        task, _ = build_stack(wraps, self._timed(f"client.{step}.excluding_middleware", base), base_is_async=True)
        return self._timed(f"client.{step}.including_middleware", task)

    def _timed(self, name: str, task: Task) -> Task:
        if self.metrics is NO_METRICS:
            return task
        new_timer = self._new_timer

        async def timed(*args: Any) -> Any:
            with new_timer(name):
                return await task(*args)

        return timed

    # Calls

    def begin(self, job_request: JobRequest, expiry: float | None, timeout: float | None) -> AsyncCall:
        """Begin a call whose response is awaited at once; only without middleware around sending.

        Args:
            job_request: what to send.
            expiry: after so many seconds, no server may begin it. ``None`` leaves that to the timeout.
            timeout: seconds for sending and receiving together; ``None`` takes that of the transport.
        """
        if is_suppressed(job_request):
            request_id = next(self._request_ids)
            raise NoResponse(f"Got unexpected response(s) with ID(s) [] for request with ID {request_id}")
        call = AsyncCall(self, 0, timeout, True)
        call.request_id, call.reply = self.start(job_request_message(job_request), expiry, timeout)
        return call

    def start(
        self, body: Body, expiry: float | None, timeout: float | None
    ) -> tuple[int, asyncio.Future[ReceivedMessage]]:
        """As ``begin``, from the body of a message that asks for a response; gives the request id and the future."""
        request_id = next(self._request_ids)
        meta = {"client_version": self._client_version}
        if not self._encodes_values:
            body = plain(body)
        return request_id, self.transport.start_call(request_id, meta, body, expiry, timeout)

    def forget(self, request_id: int, reply: asyncio.Future[ReceivedMessage]) -> None:
        """Wait no more: what has not left is not sent, and an answer is dropped."""
        if reply.done() and not reply.cancelled():
            reply.exception()  # nobody needs to be told of it any more
        else:
            self.transport.forget((request_id,))  # a cancelled task has cancelled it before
            reply.cancel()

    async def sent(
        self, job_request: JobRequest, expiry: float | None, timeout: float | None, *, waits: bool
    ) -> AsyncCall:
        """Send a job request through the middleware.

        Args:
            job_request: what to send; middleware may change it.
            expiry: after so many seconds, no server may begin it. ``None`` leaves that to the transport.
            timeout: as for ``begin``.
            waits: whether its response is awaited at once; otherwise this returns once the broker has the request.

        Raises:
            PySOAError: it was not sent, or may not have been; ``outcome`` says which.
        """
        call = AsyncCall(self, next(self._request_ids), timeout, waits)
        self._calls[call.request_id] = call
        try:
            meta = {"client_version": self._client_version}
            await (self.send or self._base_send)(call.request_id, meta, job_request, expiry)
        except BaseException:
            call.forget()
            raise
        finally:
            self._calls.pop(call.request_id, None)
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()
        return call

    async def _base_send(
        self, request_id: int, meta: dict[str, Any], job_request: JobRequest, expiry: float | None
    ) -> None:
        body = job_request_message(job_request)
        if not self._encodes_values:
            body = plain(body)
        call = self._calls.get(request_id)
        if call is not None and call.waits and not is_suppressed(job_request):
            call.reply = self.transport.start_call(request_id, meta, body, expiry, call.timeout)
            return
        reply = await self.transport.send_request_message(request_id, meta, body, expiry)
        if call is not None:
            call.reply = reply

    async def received(self, call: AsyncCall) -> JobResponse:
        """The response of a call, through the middleware."""
        assert self.receive is not None
        token = _receiving.set(call)
        try:
            request_id, response = await self.receive(call.timeout)
        except BaseException:
            call.forget()
            raise
        finally:
            _receiving.reset(token)
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()
        if request_id is None or response is None:
            raise NoResponse(f"Got unexpected response(s) with ID(s) [] for request with ID {call.request_id}")
        answer: JobResponse = response
        return answer

    async def _base_receive(self, timeout: float | None = None) -> tuple[int | None, JobResponse | None]:
        call = _receiving.get()
        if call is None or call.reply is None:
            return None, None
        if timeout is None or call.reply.done() or (call.timeout is not None and timeout >= call.timeout):
            message = await call.reply
        else:
            done, _ = await asyncio.wait([call.reply], timeout=timeout)
            if not done:
                raise MessageReceiveTimeout(f"No message received for service {self.service_name}")
            message = call.reply.result()
        return call.request_id, job_response(self.service_name, message.body)

    # Requests that nobody waits for yet

    async def send_request(self, job_request: JobRequest, expiry: float | None) -> int:
        """Send a job request; ``get_all_responses`` gives its response."""
        call = await self.sent(job_request, expiry, None, waits=False)
        if call.reply is not None:
            self._unclaimed[call.request_id] = call
            if len(self._unclaimed) > _MOST_UNCLAIMED:
                self._unclaimed.pop(next(iter(self._unclaimed))).forget()
            call.reply.add_done_callback(lambda _: self._note_arrival(call))
        return call.request_id

    def _note_arrival(self, call: AsyncCall) -> None:
        if self._unclaimed.pop(call.request_id, None) is None:
            return
        if call.reply is not None and not call.reply.cancelled():
            self._arrived.append(call)
        waiting, self._somebody_waits = self._somebody_waits, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def get_all_responses(
        self, receive_timeout_in_seconds: float | None = None
    ) -> AsyncIterator[tuple[int, JobResponse]]:
        """Receive, through the middleware, what ``send_request`` has asked for, until none is outstanding.

        Args:
            receive_timeout_in_seconds: how long to wait for each. ``None`` and 0 leave that to the transport.

        Yields:
            A request id and its response, in the order in which they come.

        Raises:
            PySOATransportError: receiving failed; responses that came before have been given out.
        """
        try:
            while self._arrived or self._unclaimed:
                await self._wait_for_arrival(receive_timeout_in_seconds or self.default_timeout)
                if self._arrived:
                    call = self._arrived.popleft()
                    yield call.request_id, await call.response()
            if self.receive is not None:
                await self.receive(receive_timeout_in_seconds)  # middleware sees the end, as in the blocking client
        finally:
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()

    async def _wait_for_arrival(self, timeout: float | None) -> None:
        until = None if timeout is None else monotonic() + timeout
        while not self._arrived and self._unclaimed:
            waiter = asyncio.get_running_loop().create_future()
            self._somebody_waits.append(waiter)
            done, _ = await asyncio.wait([waiter], timeout=None if until is None else max(until - monotonic(), 0.0))
            if not done:
                raise MessageReceiveTimeout(f"No message received for service {self.service_name}")

    async def aclose(self) -> None:
        """Close the transport. A handler that is used again opens it again."""
        await self.transport.aclose()
