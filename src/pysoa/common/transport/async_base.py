"""What a transport for asyncio is: the twins of ``transport.base``.

A transport belongs to the event loop in which it is used first, until it is closed.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pysoa.common.clock import wall_clock
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.transport.base import ReceivedMessage, Transport
from pysoa.common.transport.errors import MessageSendError
from pysoa.common.types import Body

if TYPE_CHECKING:
    import asyncio

__all__ = ("AsyncClientTransport", "AsyncServerTransport", "of_another_loop")


def of_another_loop() -> MessageSendError:
    """What to raise where a client transport is used in an event loop while it belongs to another one."""
    return MessageSendError(
        "this AsyncClient belongs to another event loop: close it there first, or make one for each loop",
        outcome="not_sent",
    )


class AsyncClientTransport(Transport, abc.ABC):
    """The client's end: sends requests, and gives a future for each response.

    Responses are paired with requests by their ids here, so that any number of tasks may wait at once.
    """

    @abc.abstractmethod
    def start_call(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: Body,
        message_expiry_in_seconds: float | None,
        timeout_in_seconds: float | None,
    ) -> asyncio.Future[ReceivedMessage]:
        """Begin to send a request whose response somebody awaits, and return at once.

        Requests that are begun in one turn of the event loop may leave together.

        Args:
            request_id: comes back with the response.
            meta: headers; the transport may add its own to this dict.
            body: a job request as a dict with the keys ``control``, ``context`` and ``actions``.
            message_expiry_in_seconds: after so long, no server may begin it. ``None`` leaves that to the timeout.
            timeout_in_seconds: for sending and receiving together; ``None`` takes the receive timeout of the settings.

        Returns:
            A future of the request id, the meta headers and a job response as a dict. It fails with a
            ``PySOATransportError``, whose ``outcome`` says whether the action can have run. Whoever cancels it, or
            stops waiting, calls ``forget``.

        Raises:
            SerializationError, MessageTooLarge: the request cannot be written; nothing is sent.
        """

    @abc.abstractmethod
    async def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> asyncio.Future[ReceivedMessage] | None:
        """Send a request, and return when it has been sent.

        Returns:
            A future of the response, for whoever may want it; it is cancelled when none can come any more. None where
            the request says ``suppress_response``.

        Raises:
            PySOATransportError: it was not sent, or may not have been; ``outcome`` says which.
        """

    def forget(self, request_ids: Iterable[int]) -> None:
        """Say that nobody waits for these requests any more: what has not left is not sent, and answers are dropped."""

    async def aclose(self) -> None:
        """Give back connections. Calls under way fail. The transport may be used again, in any event loop."""
        self.close()


class AsyncServerTransport(Transport, abc.ABC):
    """The server's end: receives requests, sends responses.

    Attributes:
        instance_index: the number of the worker among its siblings, from 1.
        is_local: whether client and server share one process, so that errors may be told in full.
        taken: the request that was given out last, as it came; None where the transport does not tell.
    """

    is_local: ClassVar[bool] = False
    taken: bytes | None = None

    def __init__(self, service_name: str, metrics: Recorder = NO_METRICS, instance_index: int = 1) -> None:
        super().__init__(service_name, metrics)
        self.instance_index = instance_index

    @abc.abstractmethod
    async def receive_request_message(self) -> ReceivedMessage:
        """Wait for the next request. As many requests are taken as tasks wait here, and no more.

        Raises:
            MessageReceiveTimeout: none will come any more, after ``stop_taking``; or one that had expired was dropped.
            MessageReceiveError: the broker failed.
            InvalidMessageError, SerializationError: what came cannot be read. It was dropped.
        """

    @abc.abstractmethod
    async def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        """Send a response, or begin to: what goes wrong later is logged and counted.

        Raises:
            MessageTooLarge: it is larger than the settings allow. Nothing was sent.
            InvalidField: it holds what the serializer cannot write. Nothing was sent.
            PySOATransportError: it was not sent, or may not have been.
        """

    def seconds_until(self, expiry: float) -> float:
        """How many seconds there are until the expiry of the request received last, by the clock of expiries."""
        return expiry - wall_clock()

    def expect_successor(self, seconds: float) -> None:
        """Say that within so many seconds of its end another worker will stand in the place of this one.

        Until then the service does not count as gone.
        """

    async def read_again(self, taken: bytes) -> ReceivedMessage:
        """Read a request that has been ``taken``, perhaps of another process, to answer it.

        Raises:
            MessageReceiveTimeout: it has expired.
            PySOATransportError: there is no way to its caller at the moment.
        """
        raise NotImplementedError(f"{type(self).__name__} tells nothing that could be read again")

    @property
    def is_receiving(self) -> bool:
        """Whether the broker is being asked for requests now. A transport that cannot tell says no."""
        return False

    async def start_serving(self) -> None:
        """Say that a loop will go on receiving until ``stop_taking``."""

    def stop_taking(self) -> None:
        """Take no more requests.

        Those that were taken are still given out; then whoever waits for one gets ``MessageReceiveTimeout``.
        """

    async def aclose(self) -> None:
        """Send what has not left yet, and give back connections."""
        self.close()
