"""How ``AsyncClient`` sees stubs: its handler of a service that has stubs answers for them.

All that an asyncio client does, it does by the handler of a service, so that is what stubs stand in for. The twin of
``active``, without layers: nobody else replaces ``AsyncClient._get_handler``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from pysoa.client.async_client import AsyncClient
from pysoa.client.async_handler import AsyncCall, AsyncServiceHandler
from pysoa.client.calls import is_suppressed
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import JobRequest, JobResponse
from pysoa.test.stubs.answers import JobOfStubs, Stub, StubExhausted, stubbed_request

__all__ = ("AsyncStubHandlers",)


class _StubbedCall(AsyncCall):
    """A request that stubs answer in part or in whole, as a call or a future waits for it."""

    __slots__ = ("_answer", "_of_service")

    def __init__(
        self,
        handler: AsyncServiceHandler,
        request_id: int,
        timeout: float | None,
        waits: bool,
        answer: JobOfStubs,
        of_service: AsyncCall | None,
    ) -> None:
        super().__init__(handler, request_id, timeout, waits)
        self._answer = answer
        self._of_service = of_service
        if of_service is not None:
            self.reply = of_service.reply
        else:
            self.reply = asyncio.get_running_loop().create_future()
            self.reply.set_result(None)  # type: ignore[arg-type] # nobody reads it, but whether it is there

    async def response(self) -> JobResponse:
        if self.reply is None:
            return await super().response()  # which says that there is none
        return self._answer.response(None if self._of_service is None else await self._of_service.response())

    def forget(self) -> None:
        if self._of_service is not None:
            self._of_service.forget()


class _StubbedHandler:
    """Stands in for the handler of a service that has stubs.

    Attributes:
        service_name: the service.
    """

    def __init__(self, handlers: AsyncStubHandlers, client: AsyncClient, service_name: str) -> None:
        self._handlers = handlers
        self._client = client
        self.service_name = service_name
        self._outstanding: list[_StubbedCall] = []

    def _of_service(self) -> AsyncServiceHandler:
        return self._handlers.genuine(self._client, self.service_name)

    @property
    def default_timeout(self) -> float | None:
        handler = self._client.handlers.get(self.service_name)
        return None if handler is None else handler.default_timeout

    def send(self) -> None:
        """Is there, as if there were middleware: then all requests come to ``sent``."""

    async def sent(
        self, job_request: JobRequest, expiry: float | None, timeout: float | None, *, waits: bool
    ) -> AsyncCall:
        """As that of a handler."""
        requests = [stubbed_request(item) for item in job_request.actions]
        stubs = self._handlers.stubs_of(self.service_name)
        chosen = [stubs.get(action) for action, _ in requests]
        passed_on = [item for item, stub in zip(job_request.actions, chosen, strict=True) if stub is None]
        of_service: AsyncCall | None = None
        if passed_on or not requests:
            part = JobRequest(job_request.control, job_request.context, passed_on)
            of_service = await self._of_service().sent(part, expiry, timeout, waits=waits)
            if len(passed_on) == len(requests):
                return of_service
        answer = JobOfStubs(chosen, bool(job_request.control.get("continue_on_error")))
        try:
            answer.call_stubs(requests)
        except StubExhausted as error:
            _forget(of_service)
            raise RuntimeError(str(error)) from error  # a coroutine cannot raise a StopIteration
        except BaseException:
            _forget(of_service)
            raise
        request_id = self._handlers.next_request_id()
        call = _StubbedCall(self, request_id, timeout, waits, answer, of_service)  # type: ignore[arg-type] # stands in
        if is_suppressed(job_request):
            call.reply = None
        return call

    async def send_request(self, job_request: JobRequest, expiry: float | None) -> int:
        """As that of a handler."""
        stubs = self._handlers.stubs_of(self.service_name)
        if not any(stubbed_request(item)[0] in stubs for item in job_request.actions):
            return await self._of_service().send_request(job_request, expiry)
        call = await self.sent(job_request, expiry, None, waits=False)
        if isinstance(call, _StubbedCall) and call.reply is not None:
            self._outstanding.append(call)
        return call.request_id

    async def get_all_responses(
        self, receive_timeout_in_seconds: float | None = None
    ) -> AsyncIterator[tuple[int, JobResponse]]:
        """As that of a handler: those of the service alone come first."""
        handler = self._client.handlers.get(self.service_name)
        if handler is not None:
            async for pair in handler.get_all_responses(receive_timeout_in_seconds):
                yield pair
        while self._outstanding:
            call = self._outstanding.pop(0)
            try:
                async with asyncio.timeout(receive_timeout_in_seconds or self.default_timeout):
                    response = await call.response()
            except TimeoutError:
                raise MessageReceiveTimeout(f"No message received for service {self.service_name}") from None
            yield call.request_id, response


def _forget(call: AsyncCall | None) -> None:
    if call is not None:
        call.forget()


class AsyncStubHandlers:
    """The stubs that are entered, and the handlers that stand in for those of their services.

    Args:
        client_class: where to find handlers; its ``_get_handler`` is replaced while there is any stub.
        request_ids: numbers requests.
    """

    def __init__(self, client_class: Any, request_ids: Iterator[int]) -> None:
        self._client_class = client_class
        self._genuine = client_class._get_handler  # inherited, so that the class need not have it back
        self._request_ids = request_ids
        self._stubs: list[Stub] = []
        self._by_service: Mapping[str, Mapping[str, Stub]] = {}
        # By the dict of handlers, which clients that share connections share, too; it is kept, so that its id is.
        self._stand_ins: dict[tuple[int, str], tuple[object, _StubbedHandler]] = {}

    def genuine(self, client: AsyncClient, service_name: str) -> AsyncServiceHandler:
        """The handler that there would be without stubs."""
        handler: AsyncServiceHandler = self._genuine(client, service_name)
        return handler

    def next_request_id(self) -> int:
        """A number for a request."""
        return next(self._request_ids)

    def stubs_of(self, service_name: str) -> Mapping[str, Stub]:
        """The stubs of a service, by their actions."""
        return self._by_service.get(service_name, {})

    def add(self, stub: Stub) -> None:
        """Have a stub answer."""
        if not self._stubs:
            self._client_class._get_handler = self._getter()
        self._set_stubs([*self._stubs, stub])

    def remove(self, stub: Stub) -> None:
        """Have a stub no longer answer."""
        self._set_stubs([each for each in self._stubs if each is not stub])
        if not self._stubs:
            self._stand_ins = {}
            if "_get_handler" in vars(self._client_class):
                del self._client_class._get_handler

    def _set_stubs(self, stubs: list[Stub]) -> None:
        # New objects: other threads read them without a lock.
        by_service: dict[str, dict[str, Stub]] = {}
        for stub in stubs:
            by_service.setdefault(stub.service, {})[stub.action] = stub
        self._stubs, self._by_service = stubs, by_service

    def _getter(self) -> Any:
        def get_handler(client: AsyncClient, service_name: str) -> Any:
            if service_name not in self._by_service:
                return self.genuine(client, service_name)
            new = client.handlers, _StubbedHandler(self, client, service_name)
            return self._stand_ins.setdefault((id(client.handlers), service_name), new)[1]

        return get_handler
