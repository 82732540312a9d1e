"""Jobs that are sent together and whose responses are awaited together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pysoa.client.awaited import AwaitedCall
from pysoa.client.calls import (
    ActionRequestArgumentIterable,
    JobRequestArgument,
    TimeForCall,
    late_error,
    time_for_call,
    wait_within,
)
from pysoa.client.errors import NoResponse
from pysoa.client.handler import ServiceHandler
from pysoa.common.clock import monotonic
from pysoa.common.deadline import current_deadline, time_left
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import BatchSendError, DeadlinePassed, MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import JobResponse

__all__ = ("Jobs", "JobsClient", "SentJobs", "by_service", "one_by_one")

Jobs = Iterable[tuple[str, ActionRequestArgumentIterable]]
"""For each job the name of its service and its action requests."""


class JobsClient(Protocol):
    """What sending jobs needs of a client."""

    @property
    def send_request(self) -> Callable[..., int]: ...

    def _handler_for_call(self, service_name: str) -> ServiceHandler | None: ...

    def _call_for(self, service_name: str, request_ids: Iterable[int], is_future: bool) -> AwaitedCall: ...

    def _gather(self, service_name: str, call: AwaitedCall, deadline: float | None, from_any_thread: bool) -> None: ...

    def _forget(self, service_name: str, request_ids: Iterable[int]) -> None: ...


class SentJobs:
    """Jobs on their way, and the responses that have come; a slot for each job, in order.

    Args:
        client: sends and receives.
        jobs: to send.
        headers: keyword arguments for ``Client.send_request``.
        catch_transport_errors: put a ``PySOATransportError`` into the slots of the responses that it cost.
        wait: whether ``receive`` follows at once, and in the same thread.
        timeout: how many seconds the call asks for, which ``headers`` tell the server. Without it, requests that are
            not waited for at once are sent whatever the deadline of the present job.

    Raises:
        DeadlinePassed: the caller of the present job has stopped waiting. Nothing has been sent.
        PySOATransportError: they were not sent, or may not have been.
    """

    def __init__(
        self,
        client: JobsClient,
        jobs: Jobs,
        headers: Mapping[str, Any],
        *,
        catch_transport_errors: bool,
        wait: bool,
        timeout: float | None,
    ) -> None:
        self._client = client
        self._catches = catch_transport_errors
        self._waits = wait
        self._slots: list[tuple[str, int] | PySOATransportError] = []
        self._calls: dict[str, AwaitedCall] = {}
        self._handlers: dict[str, ServiceHandler | None] = {}
        self._times: dict[str, TimeForCall] = {}
        jobs = list(jobs)
        for service_name, _ in jobs:
            if service_name not in self._handlers:
                self._handlers[service_name] = client._handler_for_call(service_name)
        self._is_suppressed = bool(headers["control_extra"] and headers["control_extra"].get("suppress_response"))
        waits_at_once = wait and not self._is_suppressed
        errors = self._plan(timeout, headers, time_left() if waits_at_once or timeout else None)
        if errors:
            self._slots.extend([errors[service_name] for service_name, _ in jobs])
            return
        try:
            self._send(jobs, waits_at_once)
        except BaseException:
            self.forget()
            raise

    def _plan(
        self, timeout: float | None, headers: Mapping[str, Any], left: float | None
    ) -> dict[str, PySOATransportError]:
        """See how much time the requests to each service have; what is given back has to take the place of sending."""
        errors: dict[str, PySOATransportError] = {}
        for service_name in self._handlers:
            default_timeout = self._default_timeout(service_name)
            try:
                self._times[service_name] = time_for_call(service_name, timeout, default_timeout, headers, left)
            except DeadlinePassed as error:
                if not self._catches:
                    raise
                errors[service_name] = error
        return errors

    def _default_timeout(self, service_name: str) -> float | None:
        handler = self._handlers[service_name]
        return None if handler is None else handler.default_timeout

    def _batches(self, wait: bool) -> dict[str, AbstractContextManager[None]]:
        return {
            service_name: handler.batch(wait, self._times[service_name].timeout)
            for service_name, handler in self._handlers.items()
            if handler is not None
        }

    def _send(self, jobs: list[tuple[str, ActionRequestArgumentIterable]], wait: bool) -> None:
        # One request alone goes as that of a call does; several of one service in a batch.
        batches = self._batches(wait) if len(jobs) > 1 else {}
        entered: list[str] = []
        try:
            for service_name, batch in batches.items():
                batch.__enter__()
                entered.append(service_name)
            for service_name, actions in jobs:
                time = self._times[service_name]
                intent = (wait, time.timeout) if len(jobs) == 1 else (False, None)
                self._send_job(service_name, actions, time.headers, intent)
            while entered:
                # Not one around the other: what goes wrong with one service's requests is nothing to another's.
                service_name = entered.pop()
                try:
                    batches[service_name].__exit__(None, None, None)
                except PySOATransportError as error:
                    self._fail(service_name, error)
                    if not self._catches:
                        first = next(iter(error.errors.values())) if isinstance(error, BatchSendError) else error
                        raise first from first.__cause__
        except BaseException as error:
            if isinstance(error, PySOAError) and error.outcome == "not_sent" and self._has_left(entered):
                error.outcome = "unknown"  # it speaks for one request, and the call is more
            for service_name in entered:
                batches[service_name].__exit__(*sys.exc_info())
            raise

    def _has_left(self, batched: list[str]) -> bool:
        """Whether any request may have been sent, rather than failed or held back with the others of its service."""
        for service_name, call in self._calls.items():
            handler = self._handlers[service_name]
            is_held_back = service_name in batched and handler is not None and handler.holds_batches
            if call.missing and not is_held_back:
                return True
        return False

    def _send_job(
        self,
        service_name: str,
        actions: ActionRequestArgumentIterable,
        headers: Mapping[str, Any],
        intent: tuple[bool, float | None],
    ) -> None:
        handler = self._handlers[service_name]
        if handler is not None:
            handler.intent.value = intent
        try:
            request_id = self._client.send_request(service_name, actions, **headers)
        except PySOATransportError as error:
            if not self._catches:
                raise
            self._slots.append(error)
            return
        finally:
            if handler is not None:
                handler.intent.value = None
        call = self._calls.get(service_name)
        if call is None:
            call = self._calls[service_name] = self._client._call_for(service_name, (), not self._waits)
        call.missing.add(request_id)
        if handler is not None:
            handler.claim((request_id,))
        self._slots.append((service_name, request_id))

    def receive(self, since: float, timeout: float | None) -> list[JobResponse | PySOATransportError]:
        """Wait for the responses that are missing, service by service, and not beyond the deadline of the present job.

        Args:
            since: the moment, in ``monotonic`` time, from which the timeout counts.
            timeout: seconds in which all has to come; ``None`` and 0 take the timeouts of the transports.

        Returns:
            A response, or an error that was caught, for each slot.

        Raises:
            PySOATransportError: receiving failed, or took too long. What has come is kept: after a timeout it may be
                tried again, unless it followed the sending at once.
            NoResponse: the transport has no more responses.
        """
        deadline_of_job = None if self._is_suppressed else current_deadline()
        try:
            for service_name, call in self._calls.items():
                if call.missing:
                    until, ends_with_job = wait_within(
                        since, timeout, self._default_timeout(service_name), deadline_of_job
                    )
                    self._gather(service_name, call, until, ends_with_job)
            return [self._content(slot) for slot in self._slots]
        finally:
            if self._waits:
                self.forget()

    def _gather(self, service_name: str, call: AwaitedCall, deadline: float | None, ends_with_job: bool) -> None:
        try:
            self._client._gather(service_name, call, deadline, not self._waits)
        except PySOATransportError as error:
            if error.outcome == "not_sent" and len(self._slots if not self._catches else call.missing) > 1:
                error.outcome = "unknown"  # it speaks for one request, and this is for several
            late = None
            if isinstance(error, MessageReceiveTimeout) and ends_with_job and deadline is not None:
                late = late_error(error, service_name, monotonic() - deadline)
            if not self._catches:
                if late is None:
                    raise
                raise late from error
            self._fail(service_name, late or error)
        if call.missing:
            handler = self._handlers[service_name]
            dropped = handler.dropped_request_ids() if handler is not None else ()
            if dropped:
                expected = call.missing | call.responses.keys()
                raise NoResponse(f"Got response ID {dropped[-1]}, not in set of expected IDs {expected}")
            raise NoResponse(f"There was no response for service {service_name}, request {min(call.missing)}")

    def _content(self, slot: tuple[str, int] | PySOATransportError) -> JobResponse | PySOATransportError:
        if isinstance(slot, PySOATransportError):
            return slot
        service_name, request_id = slot
        response = self._calls[service_name].responses[request_id]
        if isinstance(response, JobResponse) or (self._catches and isinstance(response, PySOATransportError)):
            return response
        assert response is not None
        raise response

    def _fail(self, service_name: str, error: PySOATransportError) -> None:
        """Put an error in the place of each response of the service that it cost."""
        call = self._calls.get(service_name)
        if call is None:
            return
        errors = error.errors if isinstance(error, BatchSendError) else dict.fromkeys(call.missing, error)
        call.responses.update(errors)
        self._client._forget(service_name, errors)
        call.missing.difference_update(errors)

    def forget(self) -> None:
        """Wait no more for what is missing."""
        for service_name, call in self._calls.items():
            if call.missing:
                self._client._forget(service_name, call.missing)
                call.missing.clear()


def one_by_one(service_name: str, actions: ActionRequestArgumentIterable) -> Jobs:
    """A job for each action."""
    return [(service_name, [action]) for action in actions]


def by_service(jobs: Iterable[JobRequestArgument]) -> Jobs:
    """The jobs, from dicts with ``service_name`` and ``actions``."""
    return [(job["service_name"], job["actions"]) for job in jobs]
