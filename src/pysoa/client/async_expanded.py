"""Jobs whose responses are expanded, round by round, before anybody gets them; in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, Self, TypeVar

from pysoa.client.async_jobs import AsyncJobsClient, AsyncSentJobs
from pysoa.client.base import Responses
from pysoa.client.calls import longest_timeout
from pysoa.client.expanded import ExpandedJobsBase
from pysoa.client.expansion import ExpansionErrorClasses
from pysoa.client.jobs import Jobs
from pysoa.common.clock import monotonic
from pysoa.common.transport.errors import MessageReceiveTimeout

__all__ = ("AsyncExpandedJobs", "AsyncExpandingClient")

_Result = TypeVar("_Result")


class AsyncExpandingClient(AsyncJobsClient, ExpansionErrorClasses, Protocol):
    """What expanding needs of a client; besides, its ``expansion_converter`` where it has one."""


class AsyncExpandedJobs(ExpandedJobsBase[AsyncExpandingClient, AsyncSentJobs, _Result]):
    """Sends jobs, and receives their responses and the expansions of these; the twin of ``ExpandedJobs``."""

    _new_lock = staticmethod(asyncio.Lock)

    async def call(self) -> _Result:
        """Send the jobs and wait for the result."""
        return await (await self.send()).result()

    async def send(self) -> Self:
        """Send the jobs.

        Raises:
            PySOATransportError: they were not sent, or may not have been.
        """
        self._sent = await self._send(self._jobs, self._headers, self._timeout, self._catches)
        handlers = [self._client._get_handler(service_name) for service_name, _ in self._jobs]
        self._default_timeout = longest_timeout(handler.default_timeout for handler in handlers)
        return self

    async def _send(
        self, jobs: Jobs, headers: Mapping[str, Any], timeout: float | None, catches: bool
    ) -> AsyncSentJobs:
        sent = AsyncSentJobs(self._client, headers, catch_transport_errors=catches, waits=self._waits)
        await sent.send(jobs, timeout)
        return sent

    async def result(self, timeout: float | None = None) -> _Result:
        """Wait for the responses and for all rounds of their expansion.

        Args:
            timeout: how many seconds to wait, in place of the timeout of the call.

        Raises:
            MessageReceiveTimeout: not all has come in time. Where nobody was to wait at once, it may be tried again,
                and goes on with the round that it was at.
            PySOAError: what ``read`` raises, or what an expansion failed with.
        """
        _, timeout, deadline = self._times(timeout)
        assert self._sent is not None, "send comes first"
        responses = await self._sent.receive(timeout)
        result = self._read(responses)
        async with self._turn_of_this_task(deadline):
            with self._expansion.speaking_for_the_call():
                self._expansion.begin(responses)
                while jobs := self._expansion.jobs():
                    self._expansion.record(await self._responses_of_round(jobs, deadline))
        return result

    async def _responses_of_round(self, jobs: Jobs, deadline: float | None) -> Responses:
        time = self._expansion.time_for_round(monotonic(), deadline)
        if self._round is None:
            self._round = await self._send(jobs, time.headers, time.timeout, False)
        responses = await self._round.receive(time.left)
        self._round = None
        return responses

    @contextlib.asynccontextmanager
    async def _turn_of_this_task(self, deadline: float | None) -> AsyncIterator[None]:
        # Held while it waits: whoever else asks for the same result has nothing to do but to wait for it, too.
        left = None if deadline is None else max(deadline - monotonic(), 0)
        try:
            async with asyncio.timeout(left):
                await self._turn.acquire()
        except TimeoutError:
            raise MessageReceiveTimeout("another task is still waiting for the expansions of this call") from None
        try:
            yield
        finally:
            self._turn.release()
