"""Jobs that are sent together and whose responses are awaited together, in an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from pysoa.client.async_handler import AsyncCall, AsyncServiceHandler
from pysoa.client.base import Responses
from pysoa.client.calls import late_error, time_for_call, wait_within
from pysoa.client.jobs import Jobs
from pysoa.common.clock import monotonic
from pysoa.common.deadline import current_deadline, time_left
from pysoa.common.transport.errors import DeadlinePassed, MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import JobRequest, JobResponse

__all__ = ("AsyncJobsClient", "AsyncSentJobs")


class AsyncJobsClient(Protocol):
    """What sending jobs needs of a client."""

    def _get_handler(self, service_name: str) -> AsyncServiceHandler: ...

    @property
    def _job_request(self) -> Callable[..., JobRequest]: ...

    def _begin(
        self, handler: AsyncServiceHandler, job_request: JobRequest, expiry: float | None, timeout: float | None
    ) -> Awaitable[AsyncCall]: ...


class AsyncSentJobs:
    """Jobs on their way, and the responses that have come; a slot for each job, in order.

    Args:
        client: sends and receives.
        headers: arguments of the requests, as for ``AsyncClient.send_request``.
        catch_transport_errors: put a ``PySOATransportError`` into the slots of the responses that it cost.
        waits: whether ``receive`` follows at once.
    """

    def __init__(
        self, client: AsyncJobsClient, headers: Mapping[str, Any], *, catch_transport_errors: bool, waits: bool
    ) -> None:
        self._client = client
        self._headers = headers
        self._catches = catch_transport_errors
        self._waits = waits
        self._calls: list[AsyncCall | PySOATransportError] = []
        self._responses: dict[int, JobResponse | Exception] = {}

    async def send(self, jobs: Jobs, timeout: float | None) -> None:
        """Send all jobs; those of one turn of the loop leave together.

        Args:
            jobs: to send.
            timeout: seconds for the whole call; None for those of the transports.
        """
        handlers = [(self._client._get_handler(service_name), actions) for service_name, actions in jobs]
        left = time_left()
        try:
            sending: list[Callable[[], Awaitable[None]]] = []
            for handler, actions in handlers:
                try:
                    time = time_for_call(handler.service_name, timeout, handler.default_timeout, self._headers, left)
                except DeadlinePassed as error:
                    if not self._catches:
                        raise
                    self._calls.append(error)
                    continue
                job_request = self._client._job_request(actions, **time.headers)
                expiry = time.headers["message_expiry_in_seconds"]
                if self._waits and handler.send is None:
                    self._calls.append(self._begin(handler, job_request, expiry, time.timeout))
                else:
                    slot = len(self._calls)
                    sending.append(functools.partial(self._send_into, slot, handler, job_request, expiry, time.timeout))
                    self._calls.append(PySOATransportError("not sent yet", outcome="not_sent"))
            if sending:
                await self._send_slowly(sending)
        except BaseException as error:
            self.forget()
            if isinstance(error, PySOATransportError) and error.outcome == "not_sent" and len(handlers) > 1:
                error.outcome = "unknown"  # it speaks for one request, and the call is more
            raise

    def _begin(
        self, handler: AsyncServiceHandler, job_request: JobRequest, expiry: float | None, timeout: float | None
    ) -> AsyncCall | PySOATransportError:
        try:
            return handler.begin(job_request, expiry, timeout)
        except PySOATransportError as error:
            if not self._catches:
                raise
            return error

    async def _send_slowly(self, sending: list[Callable[[], Awaitable[None]]]) -> None:
        results = await asyncio.gather(*[send() for send in sending], return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _send_into(
        self,
        slot: int,
        handler: AsyncServiceHandler,
        job_request: JobRequest,
        expiry: float | None,
        timeout: float | None,
    ) -> None:
        try:
            self._calls[slot] = await handler.sent(job_request, expiry, timeout, waits=self._waits)
        except PySOATransportError as error:
            if not self._catches:
                raise
            self._calls[slot] = error

    async def receive(self, timeout: float | None) -> Responses:
        """Wait for the responses that are missing.

        Args:
            timeout: seconds in which all has to come, where the sending has not begun it; ``None`` takes those of the
                transports.

        Raises:
            PySOATransportError: receiving failed, or took too long. What has come is kept: after a timeout it may be
                tried again, unless it followed the sending at once.
        """
        moment = current_deadline()
        now = monotonic()
        try:
            if self._waits:
                return [await self._slot(call, moment) for call in self._calls]
            until, ends_with_job = wait_within(now, timeout, self._default_timeout(), moment)
            try:
                async with asyncio.timeout(None if until is None else until - now):
                    return [await self._slot(call, moment) for call in self._calls]
            except TimeoutError:
                name = self._service_name()
                error = MessageReceiveTimeout(f"No message received for service {name}")
                late = late_error(error, name, monotonic() - moment) if ends_with_job and moment is not None else None
                if not self._catches:
                    raise late or error from None
                self._give_up(late or error)
                return [await self._slot(call, moment) for call in self._calls]
        finally:
            if self._waits:
                self.forget()

    async def _slot(
        self, call: AsyncCall | PySOATransportError, moment: float | None
    ) -> JobResponse | PySOATransportError:
        if isinstance(call, PySOATransportError):
            return call
        key = id(call)
        outcome = self._responses.get(key)
        if outcome is None:
            outcome = await self._outcome(call)
            if isinstance(outcome, MessageReceiveTimeout) and moment is not None:
                outcome = late_error(outcome, call.handler.service_name, monotonic() - moment) or outcome
            self._responses[key] = outcome
        if isinstance(outcome, JobResponse):
            return outcome
        if self._catches and isinstance(outcome, PySOATransportError):
            return outcome
        if isinstance(outcome, PySOATransportError) and outcome.outcome == "not_sent" and len(self._calls) > 1:
            outcome.outcome = "unknown"  # it speaks for one request, and this is for several
        raise outcome

    def _give_up(self, error: PySOATransportError) -> None:
        """Put an error in the place of each response that has not come."""
        for call in self._calls:
            if isinstance(call, AsyncCall) and call.reply is not None and not call.reply.done():
                self._responses.setdefault(id(call), error)
                call.forget()

    async def _outcome(self, call: AsyncCall) -> JobResponse | Exception:
        try:
            if not self._waits and call.reply is not None:
                await asyncio.wait([call.reply])  # a timeout must leave it to be asked for again
                if call.reply.cancelled():
                    return MessageReceiveTimeout(f"No message received for service {call.handler.service_name}")
            return await call.response()
        except Exception as error:
            return error

    def _default_timeout(self) -> float | None:
        timeouts = [call.handler.default_timeout for call in self._calls if isinstance(call, AsyncCall)]
        known = [timeout for timeout in timeouts if timeout is not None]
        return max(known) if known else None

    def _service_name(self) -> str:
        return next(
            call.handler.service_name
            for call in self._calls
            if isinstance(call, AsyncCall) and id(call) not in self._responses
        )

    def forget(self) -> None:
        """Wait no more for what is missing."""
        for call in self._calls:
            if isinstance(call, AsyncCall):
                call.forget()

    def __del__(self) -> None:
        # Nobody will ask for what a future was for.
        if not self._waits:
            for call in self._calls:
                if isinstance(call, AsyncCall) and call.reply is not None and not call.reply.done():
                    loop = call.reply.get_loop()
                    if not loop.is_closed():
                        loop.call_soon_threadsafe(call.forget)
