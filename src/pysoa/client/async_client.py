"""``AsyncClient``: the asyncio door to services; the twin of ``Client``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from pysoa.client.async_expanded import AsyncExpandedJobs
from pysoa.client.async_future import AsyncFutureSOAResponse
from pysoa.client.async_handler import AsyncCall, AsyncServiceHandler
from pysoa.client.async_jobs import AsyncSentJobs
from pysoa.client.base import ClientBase, Responses, raise_in_time, time_in_job, warn_of_continue_on_error
from pysoa.client.calls import (
    ActionRequestArgumentIterable,
    ActionRequestArgumentList,
    JobRequestArgument,
    action_result,
    check_response,
    job_response,
    request_headers,
    sole_answer,
)
from pysoa.client.expander import Expansions
from pysoa.client.jobs import Jobs, by_service, one_by_one
from pysoa.common.switches import Switch
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, Body, JobRequest, JobResponse

__all__ = ("AsyncClient",)

_Result = TypeVar("_Result")


class AsyncClient(ClientBase[AsyncServiceHandler]):
    """Calls actions of services and gives back their responses, from coroutines.

    It takes the settings of ``Client``, and its methods have the same names, arguments, results and errors; they are to
    be awaited. Any number of tasks may call at once: all calls of an event loop share two connections to each master.
    A call that is cancelled is forgotten, and disturbs no other.

    A client belongs to the event loop in which it is used first, until it is closed there. As an asynchronous context
    manager it closes itself.
    """

    handler_class: Any = AsyncServiceHandler

    FutureResponse = AsyncFutureSOAResponse

    async def close(self) -> None:
        """Give back all connections; calls under way fail. A client that is used again opens them again."""
        for handler in list(self.handlers.values()):
            await handler.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Calls that wait

    async def call_action(
        self,
        service_name: str,
        action: str,
        body: Body | None = None,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        *,
        continue_on_error: bool | None = None,
    ) -> ActionResponse:
        """Call one action; see ``Client.call_action``."""
        if continue_on_error is not None:
            warn_of_continue_on_error("AsyncClient.call_action")
        if expansions:
            actions = [ActionRequest(action, {} if body is None else body)]
            headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
            read = self._reader_of_action(service_name, raise_job_errors, raise_action_errors)
            jobs = [(service_name, actions)]
            return await AsyncExpandedJobs(self, jobs, False, timeout, headers, read, expansions).call()
        handler = self._get_handler(service_name)
        if control_extra or handler.send is not None:
            headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
            actions = [ActionRequest(action, {} if body is None else body)]
            response = await self._call(service_name, actions, timeout, headers)
            return action_result(response, service_name, raise_job_errors, raise_action_errors, self)
        # The way of most calls: no middleware wants to see a request or a response, so that none is made.
        message, expiry, timeout, moment = self._action_message(
            handler, action, body, timeout, switches, correlation_id, context
        )
        request_id, reply = handler.start(message, expiry, timeout or None)
        try:
            received = await reply
        except MessageReceiveTimeout as error:
            raise_in_time(error, service_name, moment)
        except asyncio.CancelledError:
            handler.forget(request_id, reply)
            raise
        return sole_answer(received.body) or action_result(
            job_response(service_name, received.body), service_name, raise_job_errors, raise_action_errors, self
        )

    async def call_actions(
        self,
        service_name: str,
        actions: ActionRequestArgumentList,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
    ) -> JobResponse:
        """Call several actions as one job: one server runs them in order."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        if expansions:
            read = self._reader_of_job(raise_job_errors, raise_action_errors)
            return await AsyncExpandedJobs(
                self, [(service_name, actions)], False, timeout, headers, read, expansions
            ).call()
        response = await self._call(service_name, actions, timeout, headers)
        check_response(response, raise_job_errors, raise_action_errors, self)
        return response

    async def call_actions_parallel(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        *,
        continue_on_error: bool | None = None,
    ) -> Generator[ActionResponse, None, None]:
        """Call several actions of one service, each as a job of its own; see ``Client.call_actions_parallel``."""
        if continue_on_error is not None:
            warn_of_continue_on_error("AsyncClient.call_actions_parallel")
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        jobs = one_by_one(service_name, actions)
        if expansions:
            read = self._reader_of_actions(service_name, raise_job_errors, raise_action_errors)
            return await AsyncExpandedJobs(
                self, jobs, catch_transport_errors, timeout, headers, read, expansions
            ).call()
        responses = await self._call_jobs(jobs, catch_transport_errors, timeout, headers)
        return self._action_results(responses, service_name, raise_job_errors, raise_action_errors)

    async def call_jobs_parallel(
        self,
        jobs: Iterable[JobRequestArgument],
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
    ) -> list[JobResponse]:
        """Call several jobs, of the same or of different services; see ``Client.call_jobs_parallel``."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        if expansions:
            read = self._reader_of_jobs(raise_job_errors, raise_action_errors)
            return await AsyncExpandedJobs(
                self, by_service(jobs), catch_transport_errors, timeout, headers, read, expansions
            ).call()
        responses = await self._call_jobs(by_service(jobs), catch_transport_errors, timeout, headers)
        return self._checked(responses, raise_job_errors, raise_action_errors)

    # Calls that send, and wait when the result is awaited

    async def call_action_future(
        self,
        service_name: str,
        action: str,
        body: Body | None = None,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        *,
        continue_on_error: bool | None = None,
    ) -> AsyncFutureSOAResponse[ActionResponse]:
        """As ``call_action``, but return once the request is sent."""
        if continue_on_error is not None:
            warn_of_continue_on_error("AsyncClient.call_action_future")
        jobs = [(service_name, [ActionRequest(action, {} if body is None else body)])]
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        read = self._reader_of_action(service_name, raise_job_errors, raise_action_errors)
        return await self._future(jobs, False, timeout, headers, read, expansions)

    async def call_actions_future(
        self,
        service_name: str,
        actions: ActionRequestArgumentList,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
    ) -> AsyncFutureSOAResponse[JobResponse]:
        """As ``call_actions``, but return once the request is sent."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        read = self._reader_of_job(raise_job_errors, raise_action_errors)
        return await self._future([(service_name, actions)], False, timeout, headers, read, expansions)

    async def call_actions_parallel_future(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        *,
        continue_on_error: bool | None = None,
    ) -> AsyncFutureSOAResponse[Generator[ActionResponse, None, None]]:
        """As ``call_actions_parallel``, but return once the requests are sent. Its result can be gone through once."""
        if continue_on_error is not None:
            warn_of_continue_on_error("AsyncClient.call_actions_parallel_future")
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        jobs = one_by_one(service_name, actions)
        read = self._reader_of_actions(service_name, raise_job_errors, raise_action_errors)
        return await self._future(jobs, catch_transport_errors, timeout, headers, read, expansions)

    async def call_jobs_parallel_future(
        self,
        jobs: Iterable[JobRequestArgument],
        expansions: Expansions | None = None,
        raise_job_errors: bool = True,
        raise_action_errors: bool = True,
        catch_transport_errors: bool = False,
        timeout: float | None = None,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
    ) -> AsyncFutureSOAResponse[list[JobResponse]]:
        """As ``call_jobs_parallel``, but return once the requests are sent."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        read = self._reader_of_jobs(raise_job_errors, raise_action_errors)
        return await self._future(by_service(jobs), catch_transport_errors, timeout, headers, read, expansions)

    # Sending and receiving

    async def send_request(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        message_expiry_in_seconds: float | None = None,
        suppress_response: bool = False,
    ) -> int:
        """Send a job request and do not wait for its response, only for the broker; see ``Client.send_request``.

        Calls do not go by it, unlike those of ``Client``: what is to see all requests is middleware.
        """
        handler = self._get_handler(service_name)
        job_request = self._job_request(
            actions,
            switches,
            correlation_id,
            continue_on_error,
            context,
            control_extra,
            message_expiry_in_seconds,
            suppress_response,
        )
        return await handler.send_request(job_request, message_expiry_in_seconds)

    def get_all_responses(
        self, service_name: str, receive_timeout_in_seconds: float | None = None
    ) -> AsyncIterator[tuple[int, JobResponse]]:
        """Receive the responses to what has been sent by ``send_request``, until none is outstanding.

        Args:
            service_name: the service.
            receive_timeout_in_seconds: how long to wait for each; ``None`` takes that of the transport.

        Returns:
            An asynchronous generator of request ids and responses, in the order in which they come. It raises
            ``MessageReceiveTimeout`` where one does not come in time.
        """
        return self._get_handler(service_name).get_all_responses(receive_timeout_in_seconds)

    async def _call(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        timeout: float | None,
        headers: Mapping[str, Any],
    ) -> JobResponse:
        handler = self._get_handler(service_name)
        timeout, headers, moment = time_in_job(service_name, timeout, handler.default_timeout, headers)
        expiry = headers["message_expiry_in_seconds"]
        try:
            call = await self._begin(handler, self._job_request(actions, **headers), expiry, timeout or None)
            return await call.response()
        except MessageReceiveTimeout as error:
            raise_in_time(error, service_name, moment)

    async def _begin(
        self, handler: AsyncServiceHandler, job_request: JobRequest, expiry: float | None, timeout: float | None
    ) -> AsyncCall:
        """Send, without waiting for more than middleware wants to wait."""
        if handler.send is None:
            return handler.begin(job_request, expiry, timeout)
        return await handler.sent(job_request, expiry, timeout, waits=True)

    async def _call_jobs(
        self, jobs: Jobs, catch_transport_errors: bool, timeout: float | None, headers: dict[str, Any]
    ) -> Responses:
        sent = AsyncSentJobs(self, headers, catch_transport_errors=catch_transport_errors, waits=True)
        await sent.send(jobs, timeout or None)
        return await sent.receive(None)

    async def _future(
        self,
        jobs: Jobs,
        catch_transport_errors: bool,
        timeout: float | None,
        headers: dict[str, Any],
        read: Callable[[Responses], _Result],
        expansions: Expansions | None,
    ) -> AsyncFutureSOAResponse[_Result]:
        if expansions:
            expanded = AsyncExpandedJobs(
                self, jobs, catch_transport_errors, timeout, headers, read, expansions, waits=False
            )
            return self.FutureResponse((await expanded.send()).result)
        sent = AsyncSentJobs(self, headers, catch_transport_errors=catch_transport_errors, waits=False)
        await sent.send(jobs, timeout or None)

        async def get_response(timeout_of_result: float | None) -> _Result:
            return read(await sent.receive(timeout_of_result or timeout))

        return self.FutureResponse(get_response)
