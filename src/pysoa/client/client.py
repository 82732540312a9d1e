"""``Client``: the blocking door to services.

A call is a job request sent through ``Client.send_request`` and the response received for its id. Whoever puts
something in the place of ``send_request`` or ``get_all_responses``, by patching or in a subclass, sees every call.
Where nobody has, ``call_action`` takes a shorter way to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from pysoa.client.awaited import AwaitedCall, AwaitedResponses, gather_from_stand_in
from pysoa.client.base import ClientBase, Responses, raise_in_time, time_in_job, warn_of_continue_on_error
from pysoa.client.calls import (
    ActionRequestArgument,  # noqa: F401 - one of the names that the first PySOA has here
    ActionRequestArgumentIterable,
    ActionRequestArgumentList,
    JobRequestArgument,
    action_result,
    check_response,
    job_response,
    request_headers,
    sole_answer,
)
from pysoa.client.errors import NoResponse
from pysoa.client.expanded import ExpandedJobs
from pysoa.client.expander import Expansions
from pysoa.client.future import FutureSOAResponse
from pysoa.client.handler import ServiceHandler
from pysoa.client.jobs import Jobs, SentJobs, by_service, one_by_one
from pysoa.common.clock import monotonic
from pysoa.common.switches import Switch
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, JobResponse

__all__ = ("Client", "ServiceHandler")

_Result = TypeVar("_Result")


class Client(ClientBase[ServiceHandler]):
    """Calls actions of services and gives back their responses.

    Any thread may use a client, and several at once; it may be carried over a fork. Making one opens no connection. As
    a context manager it closes itself.

    Arguments that the methods named ``call_...`` share:

    * ``expansions``: for each type the expansions of its objects; means nothing without ``expansion_config``.
    * ``raise_job_errors``: raise ``CallJobError`` where a job response has errors.
    * ``raise_action_errors``: raise ``CallActionError`` where action responses have errors.
    * ``timeout``: seconds in which the whole call has to end; the server is told, too. ``None`` and 0 take the receive
      timeout of the transport. In a job, a call ends at the latest when the caller of the job stops waiting.
    * ``switches``: to add to those of the contexts.
    * ``correlation_id``: ties together all calls of one origin; where nothing gives one, each job gets a new one.
    * ``continue_on_error``: whether the server goes on with the next action of a job after one that failed.
    * ``context``: headers for people's code, over those of the client's own context.
    * ``control_extra``: headers for PySOA, over those that other arguments make.
    * ``catch_transport_errors``: give back a ``PySOATransportError`` in the place of the response that it cost.

    Besides, they raise ``PySOATransportError`` where sending or receiving fails (``MessageReceiveTimeout`` where no
    response came in time, its subclass ``DeadlinePassed`` where the caller of the job has stopped waiting),
    ``SerializationError`` where the request cannot be written, ``ImproperlyConfigured`` where the service is not known,
    and ``ValueError`` and ``TypeError`` where arguments are wrong. Each ``PySOAError`` says by its ``outcome`` whether
    the actions can have run.
    """

    handler_class: Any = ServiceHandler

    FutureResponse = FutureSOAResponse

    def __init__(
        self,
        config: Mapping[str, Mapping[str, Any]] | None,
        expansion_config: Mapping[str, Any] | None = None,
        settings_class: Any = None,
        context: Context | None = None,
    ) -> None:
        super().__init__(config, expansion_config, settings_class, context)
        self._stand_ins: dict[str, AwaitedResponses] = {}

    def close(self) -> None:
        """Give back all connections. A client that is used again opens them again."""
        for handler in list(self.handlers.values()):
            handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Calls that wait

    def call_action(
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
        """Call one action.

        Returns:
            Its response; where the job has errors and ``raise_job_errors`` is False, the list of those.
        """
        if continue_on_error is not None:
            warn_of_continue_on_error("Client.call_action")
        if expansions:
            actions = [ActionRequest(action, {} if body is None else body)]
            headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
            read = self._reader_of_action(service_name, raise_job_errors, raise_action_errors)
            return ExpandedJobs(self, [(service_name, actions)], False, timeout, headers, read, expansions).call()
        switches = switches if switches is None else list(switches)
        handler = None if control_extra else self._unseen_handler(service_name)
        if handler is not None:
            since = monotonic()
            what = (action, body, timeout, switches, correlation_id, context)
            message, expiry, within, moment = self._action_message(handler, *what)
            try:
                received = handler.call_alone(message, expiry, since + (within or handler.default_timeout or 0.0))
            except MessageReceiveTimeout as error:
                raise_in_time(error, service_name, moment)
            if received is not None:
                return sole_answer(received.body) or action_result(
                    job_response(service_name, received.body), service_name, raise_job_errors, raise_action_errors, self
                )
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        response = self._call(service_name, [ActionRequest(action, {} if body is None else body)], timeout, headers)
        return action_result(response, service_name, raise_job_errors, raise_action_errors, self)

    def call_actions(
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
            return ExpandedJobs(self, [(service_name, actions)], False, timeout, headers, read, expansions).call()
        response = self._call(service_name, actions, timeout, headers)
        check_response(response, raise_job_errors, raise_action_errors, self)
        return response

    def call_actions_parallel(
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
        """Call several actions of one service, each as a job of its own.

        All is sent, received and checked before this returns; of several that fail, the first in order raises.

        Returns:
            The responses in the order of the requests, to go through once; in the place of one the list of its job's
            errors, or the error that was caught.
        """
        if continue_on_error is not None:
            warn_of_continue_on_error("Client.call_actions_parallel")
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        jobs = one_by_one(service_name, actions)
        if expansions:
            read = self._reader_of_actions(service_name, raise_job_errors, raise_action_errors)
            return ExpandedJobs(self, jobs, catch_transport_errors, timeout, headers, read, expansions).call()
        responses = self._call_jobs(jobs, catch_transport_errors, timeout, headers)
        return self._action_results(responses, service_name, raise_job_errors, raise_action_errors)

    def call_jobs_parallel(
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
        """Call several jobs, of the same or of different services, each a dict with ``service_name`` and ``actions``.

        All are sent before the first response is awaited; of several that fail, the first in order raises.

        Returns:
            The responses in the order of the jobs; in the place of one the error that was caught.
        """
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        if expansions:
            read = self._reader_of_jobs(raise_job_errors, raise_action_errors)
            return ExpandedJobs(
                self, by_service(jobs), catch_transport_errors, timeout, headers, read, expansions
            ).call()
        responses = self._call_jobs(by_service(jobs), catch_transport_errors, timeout, headers)
        return self._checked(responses, raise_job_errors, raise_action_errors)

    # Calls that send, and wait when the result is asked for

    def call_action_future(
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
    ) -> FutureSOAResponse[ActionResponse]:
        """As ``call_action``, but return once the request is sent."""
        if continue_on_error is not None:
            warn_of_continue_on_error("Client.call_action_future")
        jobs = [(service_name, [ActionRequest(action, {} if body is None else body)])]
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        read = self._reader_of_action(service_name, raise_job_errors, raise_action_errors)
        return self._future(jobs, False, timeout, headers, read, expansions)

    def call_actions_future(
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
    ) -> FutureSOAResponse[JobResponse]:
        """As ``call_actions``, but return once the request is sent."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        read = self._reader_of_job(raise_job_errors, raise_action_errors)
        return self._future([(service_name, actions)], False, timeout, headers, read, expansions)

    def call_actions_parallel_future(
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
    ) -> FutureSOAResponse[Generator[ActionResponse, None, None]]:
        """As ``call_actions_parallel``, but return once the requests are sent. Its result can be gone through once."""
        if continue_on_error is not None:
            warn_of_continue_on_error("Client.call_actions_parallel_future")
        headers = request_headers(timeout, switches, correlation_id, False, context, control_extra)
        jobs = one_by_one(service_name, actions)
        read = self._reader_of_actions(service_name, raise_job_errors, raise_action_errors)
        return self._future(jobs, catch_transport_errors, timeout, headers, read, expansions)

    def call_jobs_parallel_future(
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
    ) -> FutureSOAResponse[list[JobResponse]]:
        """As ``call_jobs_parallel``, but return once the requests are sent."""
        headers = request_headers(timeout, switches, correlation_id, continue_on_error, context, control_extra)
        read = self._reader_of_jobs(raise_job_errors, raise_action_errors)
        return self._future(by_service(jobs), catch_transport_errors, timeout, headers, read, expansions)

    # Sending and receiving

    def send_request(
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
        """Send a job request and do not wait; ``get_all_responses`` receives the response.

        Args:
            service_name: the service.
            actions: action requests, or dicts with ``action`` and, if wanted, ``body``.
            switches: to add to those of the contexts.
            correlation_id: ties together all calls of one origin.
            continue_on_error: whether the server goes on after an action that failed.
            context: headers for people's code, over those of the client's own context.
            control_extra: headers for PySOA, over those that other arguments make.
            message_expiry_in_seconds: after so long no server may begin it; ``None`` takes that of the transport.
            suppress_response: tell the server not to answer.

        Returns:
            The request id.
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
        return handler.send_request(job_request, message_expiry_in_seconds)

    def get_all_responses(
        self, service_name: str, receive_timeout_in_seconds: float | None = None
    ) -> Iterator[tuple[int, JobResponse]]:
        """Receive the responses to what this thread has sent by ``send_request``, until none is outstanding.

        Args:
            service_name: the service.
            receive_timeout_in_seconds: how long to wait for each; ``None`` takes that of the transport. In a job, no
                longer than its caller waits.

        Returns:
            A generator of request ids and responses, in the order in which they come. It raises
            ``MessageReceiveTimeout`` where one does not come in time.
        """
        handler = self._get_handler(service_name)
        return handler.get_all_responses(receive_timeout_in_seconds)

    def _handler_for_call(self, service_name: str) -> ServiceHandler | None:
        """The handler that a call of this service will go through; None where that is not certain.

        It is not where somebody stands in for receiving, or for sending before the service has been used.
        """
        if getattr(self.get_all_responses, "__func__", None) is not _get_all_responses:
            return None
        if getattr(self.send_request, "__func__", None) is _send_request:
            handler = self._get_handler(service_name)
        else:
            handler = self.handlers.get(service_name)  # type: ignore[assignment] # None is seen below
        return handler if getattr(type(handler), "get_all_responses", None) is _handler_get_all_responses else None

    def _unseen_handler(self, service_name: str) -> ServiceHandler | None:
        """The handler of a call, where nobody stands in for anything on the way; None where somebody may."""
        if getattr(self.send_request, "__func__", None) is not _send_request:
            return None
        handler = self._handler_for_call(service_name)
        return handler if type(handler) is ServiceHandler and handler.default_timeout is not None else None

    def _call_for(self, service_name: str, request_ids: Iterable[int], is_future: bool) -> AwaitedCall:
        """What waits for the responses to requests that this thread has just sent."""
        handler = self.handlers.get(service_name)
        if not isinstance(handler, ServiceHandler):
            return AwaitedCall(request_ids, None)
        return handler.future_call(request_ids) if is_future else handler.call(request_ids)

    def _gather(self, service_name: str, call: AwaitedCall, deadline: float | None, from_any_thread: bool) -> None:
        """Wait for the responses that a call misses; some may still be missing when no more come."""
        handler = self._handler_for_call(service_name)
        if handler is not None:
            handler.claim_again(call)
            (handler.gather_for_future if from_any_thread else handler.gather)(call, deadline)
            return
        handler = self.handlers.get(service_name)
        if isinstance(handler, ServiceHandler):
            handler.release(call)  # whoever stands in may ask for all responses, and has to get these
        gather_from_stand_in(self.get_all_responses, service_name, call, deadline, self._stand_ins)

    def _forget(self, service_name: str, request_ids: Iterable[int]) -> None:
        handler = self.handlers.get(service_name)
        if isinstance(handler, ServiceHandler):
            handler.forget(tuple(request_ids))

    def _call(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        timeout: float | None,
        headers: Mapping[str, Any],
    ) -> JobResponse:
        since = monotonic()
        handler = self._handler_for_call(service_name)
        default_timeout = None if handler is None else handler.default_timeout
        timeout, headers, moment = time_in_job(service_name, timeout, default_timeout, headers)
        if handler is None:
            request_id = self.send_request(service_name, actions, **headers)
            call = self._call_for(service_name, (request_id,), False)
        else:
            intent = handler.intent
            intent.value = (True, timeout or None)
            try:
                request_id = self.send_request(service_name, actions, **headers)
                is_claimed = intent.value is None
            finally:
                intent.value = None
            call = AwaitedCall((request_id,), handler.channel())
            if not is_claimed:  # somebody stands in for sending
                handler.claim(call.missing)
        try:
            if handler is None:
                self._gather(service_name, call, since + timeout if timeout else None, False)
            else:
                seconds = timeout or default_timeout
                handler.gather(call, since + seconds if seconds else None)
        except MessageReceiveTimeout as error:
            raise_in_time(error, service_name, moment)
        finally:
            if call.missing:
                self._forget(service_name, call.missing)
        if (response := call.response_to(request_id)) is not None:
            return response
        dropped = list(handler.dropped_request_ids()) if handler is not None else []
        raise NoResponse(f"Got unexpected response(s) with ID(s) {dropped} for request with ID {request_id}")

    def _call_jobs(
        self, jobs: Jobs, catch_transport_errors: bool, timeout: float | None, headers: dict[str, Any]
    ) -> Responses:
        since = monotonic()
        sent = SentJobs(
            self, jobs, headers, catch_transport_errors=catch_transport_errors, wait=True, timeout=timeout or None
        )
        return sent.receive(since, timeout)

    def _future(
        self,
        jobs: Jobs,
        catch_transport_errors: bool,
        timeout: float | None,
        headers: dict[str, Any],
        read: Callable[[Responses], _Result],
        expansions: Expansions | None,
    ) -> FutureSOAResponse[_Result]:
        if expansions:
            expanded = ExpandedJobs(self, jobs, catch_transport_errors, timeout, headers, read, expansions, waits=False)
            return self.FutureResponse(expanded.send().result)
        sent = SentJobs(
            self, jobs, headers, catch_transport_errors=catch_transport_errors, wait=False, timeout=timeout or None
        )

        def get_response(timeout_of_result: float | None) -> _Result:
            return read(sent.receive(monotonic(), timeout_of_result or timeout))

        return self.FutureResponse(get_response)


# To see whether somebody stands in for them.
_send_request = Client.send_request
_get_all_responses = Client.get_all_responses
_handler_get_all_responses = ServiceHandler.get_all_responses
