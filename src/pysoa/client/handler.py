"""``ServiceHandler``: a client's end to one service; transport, middleware, and who waits for what."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from pysoa.client.awaited import OWN_CHANNEL, AwaitedCall, AwaitedResponses, FutureCall
from pysoa.client.calls import is_suppressed, job_response, late_error, timeout_within
from pysoa.client.errors import ImproperlyConfigured
from pysoa.client.middleware import (
    AsyncClientMiddleware,
    ClientMiddleware,
    ClientRequestMiddlewareTask,
    ClientResponseMiddlewareTask,
)
from pysoa.common.clock import monotonic
from pysoa.common.deadline import current_deadline
from pysoa.common.forks import start_anew_in_children
from pysoa.common.instruments import NO_METRICS, timer_maker
from pysoa.common.old_names import warn_of_old_attribute
from pysoa.common.plugins import make_recorder
from pysoa.common.serializer.values import plain
from pysoa.common.transport.base import ClientTransport, ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body, JobRequest, JobResponse, job_request_message
from pysoa.version import __version_info__

__all__ = ("ServiceHandler",)

_MAX_DROPPED_WITHOUT_TIMEOUT = 10_000
_SHORTEST_WAIT_IN_SECONDS = 0.001

_Task = TypeVar("_Task", bound=Callable[..., Any])


class _Intent(threading.local):
    """What the next request of a thread is sent for; None when nobody has said that they will wait for the response.

    Otherwise whether its sender will wait at once, and for how many seconds at most.
    """

    value: tuple[bool, float | None] | None = None


class ServiceHandler:
    """Sends job requests to one service and receives the responses. Any thread may use it.

    Args:
        service_name: the service.
        settings: checked settings, as ``ClientSettings`` has them.

    Raises:
        ImproperlyConfigured: there is asynchronous middleware in the settings.

    Attributes:
        service_name: the service.
        metrics: where it records, beside the transport.
        transport: moves the messages. Tests may put another in its place.
        default_timeout: how many seconds the transport waits for a response, if it says so in its ``core``.
        intent: what the next request of the current thread is sent for.
        channel: where the responses to requests of the current thread arrive, for transports that tell channels apart.
    """

    _client_version: ClassVar[list[int]] = list(max(__version_info__, (1, 4, 9)))

    def __init__(self, service_name: str, settings: Mapping[str, Any]) -> None:
        _refuse_async_middleware(service_name, settings["middleware"])
        self.service_name = service_name
        self.metrics = make_recorder(settings["metrics"])
        self._new_timer = timer_maker(self.metrics)
        with self._new_timer("client.transport.initialize"):
            self.transport = settings["transport"]["object"](
                service_name, self.metrics, **settings["transport"].get("kwargs", {})
            )
        with self._new_timer("client.middleware.initialize"):
            self._middleware: list[ClientMiddleware] = [
                middleware["object"](**middleware.get("kwargs", {})) for middleware in settings["middleware"]
            ]
            self._send = self._make_request_stack()
            self._receive = self._make_response_stack()
        self.intent = _Intent()
        self._intents: dict[int, tuple[bool, float | None]] = {}
        self._awaited = AwaitedResponses(service_name)
        self._has_sent_suppressed = False
        self._draw_request_ids()
        start_anew_in_children(self)

    def _make_request_stack(self) -> ClientRequestMiddlewareTask:
        send: ClientRequestMiddlewareTask = self._timed("client.send.excluding_middleware", self._base_send_request)
        for middleware in reversed(self._middleware):
            send = middleware.request(send)
        return self._timed("client.send.including_middleware", send)

    def _make_response_stack(self) -> ClientResponseMiddlewareTask:
        receive: ClientResponseMiddlewareTask = self._timed(
            "client.receive.excluding_middleware", self._base_get_response
        )
        for middleware in reversed(self._middleware):
            receive = middleware.response(receive)
        return self._timed("client.receive.including_middleware", receive)

    def _timed(self, name: str, task: _Task) -> _Task:
        if self.metrics is NO_METRICS:
            return task
        new_timer = self._new_timer

        def timed(*args: Any) -> Any:
            with new_timer(name):
                return task(*args)

        return timed  # type: ignore[return-value] # called as the task is

    def _draw_request_ids(self) -> None:
        # Not to be guessed, so that nobody can forge a response to a request that they have not seen.
        self.request_counter = int.from_bytes(os.urandom(7), "big") >> 4

    def start_anew(self) -> None:
        """Draw other request ids and expect nothing; for the child of a fork."""
        self._intents.clear()
        self._draw_request_ids()

    @property
    def transport(self) -> Any:
        return self._transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self._transport = transport
        self._encodes_values = getattr(transport, "encodes_values", False) is True
        default_timeout = getattr(getattr(transport, "core", None), "receive_timeout_in_seconds", None)
        self.default_timeout = default_timeout if isinstance(default_timeout, int | float) else None
        # Only one that listens is told more: a double in a test may have nothing but the methods to send and receive.
        self._has_hooks = isinstance(transport, ClientTransport) and any(
            getattr(type(transport), hook) is not getattr(ClientTransport, hook)
            for hook in ("expect_reply", "batch", "channel", "receive_from", "forget")
        )
        self.channel: Callable[[], Hashable] = transport.channel if self._has_hooks else self._no_channel

    @property
    def holds_batches(self) -> bool:
        """Whether requests of a ``batch`` are sent at its end and none before."""
        return self._has_hooks and type(self._transport).batch is not ClientTransport.batch

    @property
    def request_counter(self) -> int:
        """The id of the last request; the next one gets the number after it."""
        return self._last_request_id

    @request_counter.setter
    def request_counter(self, request_id: int) -> None:
        self._last_request_id = request_id
        self._request_ids = itertools.count(request_id + 1)

    @property
    def middleware(self) -> list[ClientMiddleware]:
        """Deprecated: the name of 0.42 for ``_middleware``."""
        warn_of_old_attribute("pysoa.client.client:ServiceHandler.middleware")
        return self._middleware

    # Sending

    def send_request(self, job_request: JobRequest, message_expiry_in_seconds: float | None = None) -> int:
        """Send a job request through the middleware.

        Args:
            job_request: what to send; middleware may change it.
            message_expiry_in_seconds: after so long, no server may begin it. ``None`` leaves that to the transport.

        Returns:
            The request id.

        Raises:
            PySOAError: it was not sent, or may not have been; ``outcome`` says which.
        """
        self._last_request_id = request_id = next(self._request_ids)
        intent = self.intent.value
        if intent is not None:
            self.intent.value = None  # middleware may send requests of its own, on its own account
            self._intents[request_id] = intent
        if self._awaited.abandoned:
            self._forget_abandoned()
        try:
            self._send(request_id, {"client_version": self._client_version}, job_request, message_expiry_in_seconds)
        except BaseException:
            self.forget((request_id,))
            raise
        finally:
            if intent is not None:
                self._intents.pop(request_id, None)
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()
        return request_id

    def _base_send_request(
        self, request_id: int, meta: dict[str, Any], job_request: JobRequest, message_expiry_in_seconds: float | None
    ) -> None:
        transport = self._transport
        body = job_request_message(job_request)
        if not self._encodes_values:
            body = plain(body)
        if is_suppressed(job_request):
            self._has_sent_suppressed = True
            transport.send_request_message(request_id, meta, body, message_expiry_in_seconds)
            if self._has_hooks:
                transport.forget((request_id,))
            return
        # Before it is sent: another thread that reads the same channel may get the response before this one goes on.
        intent = self._intents.get(request_id)
        if intent is not None:
            self._awaited.expect_for_call(request_id)
            if intent[0] and self._has_hooks:
                transport.expect_reply(intent[1])
        else:
            forgotten = self._awaited.expect(request_id, self.channel())
            if forgotten and self._has_hooks:
                transport.forget(forgotten)
        transport.send_request_message(request_id, meta, body, message_expiry_in_seconds)

    @contextlib.contextmanager
    def batch(self, wait: bool, timeout: float | None) -> Iterator[None]:
        """Send the requests of the ``with`` block together at its end, where the transport can.

        Args:
            wait: whether their sender will wait for the responses at once.
            timeout: and for how many seconds at most.
        """
        if not self._has_hooks:
            yield
            return
        if wait:
            self._transport.expect_reply(timeout)
        with self._transport.batch():
            yield

    def call_alone(self, message: Body, expiry: float | None, until: float) -> ReceivedMessage | None:
        """Send a request and wait for its response, where neither middleware nor another request is to be minded.

        Args:
            message: the body of the request's message.
            expiry: after so many seconds, no server may begin it. ``None`` leaves that to the transport.
            until: when to stop waiting, in ``monotonic`` time.

        Returns:
            The response's message; None where the request has to go the usual way. Then it has not been sent.

        Raises:
            PySOAError: it was not sent, or its response has not come.
        """
        if self._middleware or self.metrics is not NO_METRICS or not self._has_hooks:
            return None
        if ServiceHandler.send_request is not _send_request:  # patched, to see every request
            return None
        awaited = self._awaited
        if awaited.abandoned:
            self._forget_abandoned()
        transport = self._transport
        channel = transport.idle_channel()
        if channel is None or not awaited.lead_alone(channel):
            return None
        try:
            self._last_request_id = request_id = next(self._request_ids)
            meta = {"client_version": self._client_version}
            received: ReceivedMessage = transport.call(channel, request_id, meta, message, expiry, until)
            return received
        finally:
            awaited.resign(channel)

    # Receiving

    def _no_channel(self) -> Hashable:
        return None

    def call(self, request_ids: Iterable[int]) -> AwaitedCall:
        """What waits at once for the responses to requests that this thread has just sent."""
        return AwaitedCall(request_ids, self.channel())

    def future_call(self, request_ids: Iterable[int]) -> FutureCall:
        """What may wait later for the responses to requests that this thread has just sent."""
        return FutureCall(request_ids, self.channel(), self._awaited.abandoned)

    def claim(self, request_ids: Iterable[int]) -> None:
        """Keep the responses to these requests from ``get_all_responses``."""
        self._awaited.claim(request_ids)

    def release(self, call: AwaitedCall) -> None:
        """Let ``get_all_responses`` have what the call waits for."""
        self._awaited.release(call)

    def claim_again(self, call: AwaitedCall) -> None:
        """Undo ``release``."""
        self._awaited.claim_again(call)

    def gather(self, call: AwaitedCall, deadline: float | None) -> None:
        """Wait until a call of this thread misses no response, or the transport has no more.

        Args:
            call: takes up the responses.
            deadline: when to stop, in ``monotonic`` time; with ``None`` each read takes the timeout of the transport.

        Raises:
            PySOATransportError: receiving failed, or the deadline has passed. What has come is in the call.
        """
        try:
            self._awaited.gather(call, self._receive, deadline)
        finally:
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()

    def gather_for_future(self, call: AwaitedCall, deadline: float | None) -> None:
        """As ``gather``, for a call that another thread may have sent."""
        reading = self._awaited.reading
        channel_before = reading.channel
        if self._has_hooks and call.channel != self._transport.channel():
            reading.channel = call.channel
        try:
            self.gather(call, deadline)
        finally:
            reading.channel = channel_before

    def forget(self, request_ids: Iterable[int]) -> None:
        """Wait no more for these requests; their responses, should they come, are dropped."""
        self._awaited.forget(request_ids)
        if self._has_hooks:
            self._transport.forget(request_ids)

    def _forget_abandoned(self) -> None:
        abandoned = self._awaited.abandoned
        self.forget([abandoned.popleft() for _ in range(len(abandoned))])

    def dropped_request_ids(self) -> tuple[int, ...]:
        """The ids of unexpected responses that this thread has dropped since it last asked."""
        reading = self._awaited.reading
        dropped, reading.dropped = reading.dropped, ()
        return dropped

    def get_all_responses(self, receive_timeout_in_seconds: float | None = None) -> Iterator[tuple[int, JobResponse]]:
        """Receive, through the middleware, what requests of this thread are answered, until none is outstanding.

        Responses that a call or a future waits for are left to it.

        Args:
            receive_timeout_in_seconds: how long to wait for each. ``None`` and 0 leave that to the transport. In a job,
                no longer than its caller waits.

        Yields:
            A request id and its response, in the order in which they come.

        Raises:
            PySOATransportError: receiving failed; responses that came before have been given out.
        """
        channel = self.channel()
        # Without hooks, a transport may count a suppressed request as outstanding, and wait for its response.
        may_ask_for_nothing = self._has_hooks or not self._has_sent_suppressed
        try:
            while True:
                response = self._next_unclaimed(channel, receive_timeout_in_seconds, may_ask_for_nothing)
                if response is None:
                    return
                yield response
        finally:
            if self.metrics is not NO_METRICS:
                self.metrics.publish_all()

    def _next_unclaimed(
        self, channel: Hashable, timeout: float | None, may_ask_for_nothing: bool
    ) -> tuple[int, JobResponse] | None:
        deadline = current_deadline()
        left = None if deadline is None else timeout_within(timeout, self.default_timeout, deadline - monotonic())
        if deadline is None or left is None:
            return self._awaited.next_unclaimed(channel, self._receive, timeout, may_ask_for_nothing)
        try:
            # Even when it is too late, what has come by then is given out; 0 would mean the default.
            timeout = max(left, _SHORTEST_WAIT_IN_SECONDS)
            return self._awaited.next_unclaimed(channel, self._receive, timeout, may_ask_for_nothing)
        except MessageReceiveTimeout as error:
            late = late_error(error, self.service_name, monotonic() - deadline)
            if late is None:
                raise
            raise late from error

    def _base_get_response(
        self, receive_timeout_in_seconds: float | None = None
    ) -> tuple[int | None, JobResponse | None]:
        reading = self._awaited.reading
        reading.request_id = None
        if reading.channel is OWN_CHANNEL:
            request_id, _, body = self._transport.receive_response_message(receive_timeout_in_seconds)
        else:
            request_id, _, body = self._transport.receive_from(reading.channel, receive_timeout_in_seconds)
        if request_id is None:
            return None, None
        if not self._awaited.is_awaited(request_id):
            request_id, body = self._skip_unknown(request_id, receive_timeout_in_seconds)
            if request_id is None:
                return None, None
        reading.request_id = request_id
        return request_id, job_response(self.service_name, body)

    def _skip_unknown(self, request_id: Any, timeout: float | None) -> tuple[int | None, Any]:
        """Drop the response to a request that nobody waits for, and wait for one that somebody does."""
        reading = self._awaited.reading
        deadline = monotonic() + timeout if timeout else None
        body: Any = None
        for _ in itertools.repeat(None) if deadline else range(_MAX_DROPPED_WITHOUT_TIMEOUT):
            reading.dropped = (*reading.dropped[-9:], request_id)
            if self.metrics is not NO_METRICS:
                self.metrics.counter("client.receive.error.unknown_request_id").increment()
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                break
            if reading.channel is OWN_CHANNEL:
                request_id, _, body = self._transport.receive_response_message(left)
            else:
                request_id, _, body = self._transport.receive_from(reading.channel, left)
            if request_id is None:
                return None, None
            if self._awaited.is_awaited(request_id):
                reading.dropped = ()
                return request_id, body
        raise MessageReceiveTimeout(f"No message received for service {self.service_name}")

    def close(self) -> None:
        """Close the transport. A handler that is used again opens it again."""
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()


_send_request = ServiceHandler.send_request


def _refuse_async_middleware(service_name: str, middleware: Iterable[Mapping[str, Any]]) -> None:
    for each in middleware:
        middleware_class = each["object"]
        if isinstance(middleware_class, type) and issubclass(middleware_class, AsyncClientMiddleware):
            name = f"{middleware_class.__module__}:{middleware_class.__qualname__}"
            raise ImproperlyConfigured(
                f"middleware {name} of service {service_name} is asynchronous, and this client is not: "
                "call the service with an AsyncClient, or make the middleware a ClientMiddleware"
            )
