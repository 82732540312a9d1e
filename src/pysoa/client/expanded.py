"""Jobs whose responses are expanded, round by round, before anybody gets them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from pysoa.client.base import Responses
from pysoa.client.calls import longest_timeout
from pysoa.client.expander import Expansions
from pysoa.client.expansion import CallExpansion, ExpansionErrorClasses
from pysoa.client.jobs import Jobs, JobsClient, SentJobs
from pysoa.common.clock import monotonic
from pysoa.common.transport.errors import MessageReceiveTimeout

__all__ = ("ExpandedJobs", "ExpandedJobsBase", "ExpandingClient")

_Result = TypeVar("_Result")
_Client = TypeVar("_Client", bound=ExpansionErrorClasses)
_Sent = TypeVar("_Sent")


class ExpandingClient(JobsClient, ExpansionErrorClasses, Protocol):
    """What expanding needs of a client; besides, its ``expansion_converter`` where it has one."""


class ExpandedJobsBase(Generic[_Client, _Sent, _Result]):
    """Jobs to send, their responses, and the expansions of these, without sending and receiving.

    Args:
        client: sends and receives.
        jobs: to send.
        catch_transport_errors: put a ``PySOATransportError`` into the slots of the responses that it cost. Those of
            expansions are always raised.
        timeout: how many seconds the call asks for, which ``headers`` tell the server; None and 0 for the default.
        headers: keyword arguments for the client's ``send_request``.
        read: makes the result from the responses, and raises what the call fails with before anything is expanded.
        expansions: what to expand.
        waits: whether ``result`` follows ``send`` at once, and in the same thread.
    """

    def __init__(
        self,
        client: _Client,
        jobs: Jobs,
        catch_transport_errors: bool,
        timeout: float | None,
        headers: Mapping[str, Any],
        read: Callable[[Responses], _Result],
        expansions: Expansions,
        *,
        waits: bool = True,
    ) -> None:
        self._client = client
        self._jobs = list(jobs)
        self._catches = catch_transport_errors
        self._timeout = timeout or None
        self._headers = headers
        self._read = read
        self._waits = waits
        self._began = monotonic()
        self._default_timeout: float | None = None
        self._sent: _Sent | None = None
        self._expansion = CallExpansion(
            getattr(client, "expansion_converter", None),
            expansions,
            headers=headers,
            timeout=timeout,
            waits=waits,
            errors=client,
        )
        self._round: _Sent | None = None
        self._turn = self._new_lock()

    @staticmethod
    def _new_lock() -> Any:
        raise NotImplementedError

    def _times(self, timeout: float | None) -> tuple[float, float | None, float | None]:
        """Since when the time of the result counts, the timeout that was asked for, and when the result is due."""
        since = self._began if self._waits else monotonic()
        timeout = timeout or self._timeout
        seconds = timeout or self._default_timeout
        return since, timeout, since + seconds if seconds else None


class ExpandedJobs(ExpandedJobsBase[ExpandingClient, SentJobs, _Result]):
    """Sends jobs, and receives their responses and the expansions of these."""

    _new_lock = staticmethod(threading.Lock)

    def call(self) -> _Result:
        """Send the jobs and wait for the result."""
        return self.send().result()

    def send(self) -> Self:
        """Send the jobs.

        Raises:
            PySOATransportError: they were not sent, or may not have been.
        """
        self._sent = self._send(self._jobs, self._headers, self._timeout, self._catches)
        handlers = [self._client._handler_for_call(service_name) for service_name, _ in self._jobs]
        self._default_timeout = longest_timeout(handler.default_timeout for handler in handlers if handler is not None)
        return self

    def _send(self, jobs: Jobs, headers: Mapping[str, Any], timeout: float | None, catches: bool) -> SentJobs:
        return SentJobs(self._client, jobs, headers, catch_transport_errors=catches, wait=self._waits, timeout=timeout)

    def result(self, timeout: float | None = None) -> _Result:
        """Wait for the responses and for all rounds of their expansion.

        Args:
            timeout: how many seconds to wait, in place of the timeout of the call.

        Raises:
            MessageReceiveTimeout: not all has come in time. Where nobody was to wait at once, it may be tried again,
                and goes on with the round that it was at.
            PySOAError: what ``read`` raises, or what an expansion failed with.
        """
        since, timeout, deadline = self._times(timeout)
        assert self._sent is not None, "send comes first"
        responses = self._sent.receive(since, timeout)
        result = self._read(responses)
        with self._turn_of_this_thread(deadline), self._expansion.speaking_for_the_call():
            self._expansion.begin(responses)
            while jobs := self._expansion.jobs():
                self._expansion.record(self._responses_of_round(jobs, deadline))
        return result

    def _responses_of_round(self, jobs: Jobs, deadline: float | None) -> Responses:
        now = monotonic()
        time = self._expansion.time_for_round(now, deadline)
        if self._round is None:
            self._round = self._send(jobs, time.headers, time.timeout, False)
        responses = self._round.receive(now, time.left)
        self._round = None
        return responses

    @contextlib.contextmanager
    def _turn_of_this_thread(self, deadline: float | None) -> Iterator[None]:
        # Held while it waits: whoever else asks for the same result has nothing to do but to wait for it, too.
        left = -1 if deadline is None else max(deadline - monotonic(), 0)
        if not self._turn.acquire(timeout=left):
            raise MessageReceiveTimeout("another thread is still waiting for the expansions of this call")
        try:
            yield
        finally:
            self._turn.release()
