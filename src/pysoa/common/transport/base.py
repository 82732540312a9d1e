"""What a transport is: the classes that the Redis gateway, the local transport and users' own ones extend.

A transport must implement the abstract methods. The other methods are offers: a client or a server tells the transport
more than it needs, so that it can do better (send and wait in one packet, put requests into one packet, leave a wait at
once). Their defaults do nothing, and no transport has to know them.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pysoa.common.clock import wall_clock
from pysoa.common.instruments import NO_METRICS, Recorder, adapt_recorder
from pysoa.common.types import Body

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncClientTransport, AsyncServerTransport

__all__ = (
    "NO_MESSAGE",
    "ClientTransport",
    "ReceivedMessage",
    "ServerTransport",
    "Transport",
    "get_hex_thread_id",
)


class ReceivedMessage(NamedTuple):
    """A message as a transport gives it out; all ``None`` when there is none.

    Attributes:
        request_id: pairs a response with its request.
        meta: headers of the transport, such as ``reply_to``.
        body: a job request or a job response as a plain dict.
    """

    request_id: int | None
    meta: dict[str, Any] | None
    body: Body | None


NO_MESSAGE = ReceivedMessage(None, None, None)


def get_hex_thread_id() -> str:
    """The ident of the current thread, as it stands at the end of a reply queue's name."""
    return f"{threading.get_ident() or 0:012x}"


class Transport:
    """Base of both sides.

    Attributes:
        service_name: the service whose messages are moved.
        metrics: where the transport records what it does.
        encodes_values: whether bodies may hold what ``common.types`` allows beyond plain data (attrs values, tuples,
            sets). Where False, bodies are converted to plain dicts and lists before the transport sees them.
    """

    encodes_values: ClassVar[bool] = False

    def __init__(self, service_name: str, metrics: Recorder = NO_METRICS) -> None:
        if not isinstance(service_name, str):
            raise ValueError("service_name must be a unicode string")
        self.service_name = service_name
        self.metrics = adapt_recorder(metrics)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service {self.service_name!r})"

    def close(self) -> None:
        """Give back connections and whatever else is held; a transport that is used again opens them again."""


class ClientTransport(Transport, abc.ABC):
    """The client's end: sends requests, receives responses."""

    @abc.abstractmethod
    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        """Send a request.

        Args:
            request_id: comes back with the response.
            meta: headers; the transport may add its own to this dict.
            body: a job request as a dict with the keys ``control``, ``context`` and ``actions``.
            message_expiry_in_seconds: after so long, no server may begin it. ``None`` takes the setting.

        Raises:
            PySOATransportError: it was not sent, or may not have been; ``outcome`` says which.
        """

    @abc.abstractmethod
    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        """Wait for the next response to any request that this thread has sent.

        They come in the order in which servers finish, not in the order sent: match them by id.

        Args:
            receive_timeout_in_seconds: how long to wait. ``None`` and 0 take the timeout from the settings.

        Returns:
            The request id, the meta headers, and a job response as a dict with the keys ``errors``, ``context`` and
            ``actions``. All ``None`` when no request is outstanding.

        Raises:
            MessageReceiveTimeout: nothing arrived in time. The request is still outstanding.
            MessageReceiveError: the broker failed. The response may be lost.
            InvalidMessageError: what arrived is not a PySOA message. It was dropped.
        """

    @classmethod
    def async_client_class(cls) -> type[AsyncClientTransport] | None:
        """The twin for asyncio, which takes the same arguments; None where there is none."""
        return None

    def expect_reply(self, timeout_in_seconds: float | None) -> None:
        """Say that the next request sent by this thread will be waited for at once, and at most for so long.

        The whole of sending and receiving then has this one deadline. ``None`` takes the receive timeout of the
        settings. Holds for one request, or for one ``batch``.
        """

    def batch(self) -> contextlib.AbstractContextManager[None]:
        """Collect the requests that this thread sends in the ``with`` block, and send them at its end."""
        return contextlib.nullcontext()

    def channel(self) -> Hashable:
        """Names the place where responses to the requests sent by this thread arrive, to pass to ``receive_from``."""
        return None

    def receive_from(self, channel: Hashable, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        """As ``receive_response_message``, for requests that may have been sent by another thread."""
        return self.receive_response_message(receive_timeout_in_seconds)

    def forget(self, request_ids: Iterable[int]) -> None:
        """Say that nobody waits for these requests any more: their responses, should they come, are dropped."""

    def idle_channel(self) -> Hashable:
        """The channel of this thread, if no response is outstanding there and ``call`` may be used; otherwise None."""
        return None

    def call(
        self, channel: Hashable, request_id: int, meta: dict[str, Any], body: Body, expiry: float | None, until: float
    ) -> ReceivedMessage:
        """Send a request and wait for its response, in one step.

        Nobody else reads the channel meanwhile. Afterwards nothing is outstanding there, whatever has come of it.

        Args:
            channel: what ``idle_channel`` has given this thread just now.
            request_id: as for ``send_request_message``; so are ``meta`` and ``body``.
            meta: headers.
            body: a job request.
            expiry: after so many seconds, no server may begin it; None leaves that to the transport.
            until: the moment, in ``monotonic`` time, at which all has to be over.

        Raises:
            PySOATransportError: as sending and receiving do.
        """
        raise NotImplementedError


class ServerTransport(Transport, abc.ABC):
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
    def receive_request_message(self) -> ReceivedMessage:
        """Wait for the next request, as long as the settings say.

        Raises:
            MessageReceiveTimeout: no request came, or one that had expired was dropped.
            MessageReceiveError: the broker failed.
            InvalidMessageError, SerializationError: what came cannot be read. It was dropped.
        """

    def seconds_until(self, expiry: float) -> float:
        """How long it is until the expiry of the request received last, by the clock that expiries are written in.

        This one goes by the wall clock. Infinite where the two clocks may disagree.
        """
        return expiry - wall_clock()

    @abc.abstractmethod
    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        """Send a response.

        Args:
            request_id: that of the request.
            meta: the meta of the request, as received. It may be used again for a second try after an error.
            body: a job response as a dict with the keys ``errors``, ``context`` and ``actions``.

        Raises:
            MessageTooLarge: it is larger than the settings allow. Nothing was sent.
            InvalidField: it holds what the serializer cannot write. Nothing was sent.
            PySOATransportError: it was not sent, or may not have been.
        """

    @classmethod
    def async_server_class(cls) -> type[AsyncServerTransport] | None:
        """The twin for asyncio, which takes the same arguments; None where there is none."""
        return None

    def expect_successor(self, seconds: float) -> None:
        """Say that within so many seconds of its end another worker will stand in the place of this one.

        Until then the service does not count as gone.
        """

    def read_again(self, taken: bytes) -> ReceivedMessage:
        """Read a request that has been ``taken``, perhaps of another process, to answer it.

        Raises:
            MessageReceiveTimeout: it has expired.
            PySOATransportError: there is no way to its caller at the moment.
        """
        raise NotImplementedError(f"{type(self).__name__} tells nothing that could be read again")

    def start_serving(self) -> None:
        """Say that a loop will go on receiving until ``stop_taking``: what is received ahead of time is then safe."""

    def stop_taking(self) -> None:
        """Take no more requests, and end a wait that is under way. May be called from a signal handler.

        Requests that were taken but not given out can still be received; ``MessageReceiveTimeout`` says that none is
        left.
        """
