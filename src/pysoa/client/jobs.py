"""Jobs that are sent together and whose responses are awaited together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pysoa.client.awaited import AwaitedCall
from pysoa.client.calls import ActionRequestArgumentIterable, JobRequestArgument
from pysoa.client.errors import NoResponse
from pysoa.client.handler import ServiceHandler
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import BatchSendError, PySOATransportError
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
        timeout: if so, how many seconds sending and receiving may take in all.
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
        jobs = list(jobs)
        for service_name, _ in jobs:
            if service_name not in self._handlers:
                self._handlers[service_name] = client._handler_for_call(service_name)
        if headers["control_extra"] and headers["control_extra"].get("suppress_response"):
            wait = False  # for nothing
        # One request alone goes as that of a call does; several of one service in a batch.
        self._intent = (wait, timeout) if len(jobs) == 1 else (False, None)
        try:
            self._send(jobs, headers, self._batches(wait, timeout) if len(jobs) > 1 else {})
        except BaseException:
            self.forget()
            raise

    def _batches(self, wait: bool, timeout: float | None) -> dict[str, AbstractContextManager[None]]:
        return {
            service_name: handler.batch(wait, timeout)
            for service_name, handler in self._handlers.items()
            if handler is not None
        }

    def _send(
        self,
        jobs: list[tuple[str, ActionRequestArgumentIterable]],
        headers: Mapping[str, Any],
        batches: dict[str, AbstractContextManager[None]],
    ) -> None:
        entered: list[str] = []
        try:
            for service_name, batch in batches.items():
                batch.__enter__()
                entered.append(service_name)
            for service_name, actions in jobs:
                self._send_job(service_name, actions, headers)
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

    def _send_job(self, service_name: str, actions: ActionRequestArgumentIterable, headers: Mapping[str, Any]) -> None:
        handler = self._handlers[service_name]
        if handler is not None:
            handler.intent.value = self._intent
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
        """Wait for the responses that are missing, service by service.

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
        try:
            for service_name, call in self._calls.items():
                if call.missing:
                    handler = self._handlers[service_name]
                    seconds = timeout or (handler.default_timeout if handler is not None else None)
                    self._gather(service_name, call, since + seconds if seconds else None)
            return [self._content(slot) for slot in self._slots]
        finally:
            if self._waits:
                self.forget()

    def _gather(self, service_name: str, call: AwaitedCall, deadline: float | None) -> None:
        try:
            self._client._gather(service_name, call, deadline, not self._waits)
        except PySOATransportError as error:
            if error.outcome == "not_sent" and len(self._slots if not self._catches else call.missing) > 1:
                error.outcome = "unknown"  # it speaks for one request, and this is for several
            if not self._catches:
                raise
            self._fail(service_name, error)
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
