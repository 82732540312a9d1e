"""Client transports that behave, without a broker, and clients on them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import attr

from pysoa.client.client import Client
from pysoa.common.clock import monotonic
from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.transport.async_base import AsyncClientTransport
from pysoa.common.transport.base import NO_MESSAGE, ClientTransport, ReceivedMessage
from pysoa.common.transport.errors import BatchSendError, MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import Body

Answer = Body | BaseException | None


def echo(body: Body) -> Body:
    """What a service answers that gives back the body of each action and the correlation id."""
    return {
        "errors": [],
        "context": {"correlation_id": body["context"]["correlation_id"]},
        "actions": [{"action": action["action"], "errors": [], "body": action["body"]} for action in body["actions"]],
    }


WRONG = {"code": "WRONG", "message": "it is"}


def failing(body: Body) -> Body:
    """As ``echo``, but actions named ``fail`` have errors, and a job that begins with ``fail_job`` has."""
    answer = echo(body)
    if answer["actions"][0]["action"] == "fail_job":
        return {"errors": [WRONG], "context": {}, "actions": []}
    for action in answer["actions"]:
        if action["action"] == "fail":
            action.update(errors=[WRONG], body={})
    return answer


def lost(body: Body) -> Body | None:
    """As ``failing``, but there is no response to a job with an action named ``lost``."""
    return None if any(action["action"] == "lost" for action in body["actions"]) else failing(body)


@attr.s(auto_attribs=True)
class SentRequest:
    """A request as it was sent."""

    request_id: int
    meta: dict[str, Any]
    body: Body
    message_expiry_in_seconds: float | None


@accepts_kwargs(NO_KWARGS)
class ScriptedTransport(ClientTransport):
    """A transport as users write them, with sending and receiving only; its service answers at once.

    It counts what is outstanding, as those of the first PySOA do, and takes a response that is not there for a timeout.

    Attributes:
        answer: what the service makes of a request's body; None loses the response.
        send_errors: raised by the next tries to send; None lets one through.
        receive_errors: raised by the next tries to receive; None lets one through.
        sent: the requests.
        arrived: what will be received, in this order.
        timeouts: those that receiving was called with.
    """

    encodes_values = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer: Callable[[Body], Answer] = echo
        self.send_errors: deque[BaseException | None] = deque()
        self.receive_errors: deque[BaseException | None] = deque()
        self.sent: list[SentRequest] = []
        self.arrived: deque[ReceivedMessage] = deque()
        self.timeouts: list[float | None] = []
        self.outstanding = 0
        self.closed = 0

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        if self.send_errors and (error := self.send_errors.popleft()) is not None:
            raise error
        self.sent.append(SentRequest(request_id, meta, body, message_expiry_in_seconds))
        self.outstanding += 1
        if not body["control"]["suppress_response"]:
            self.respond(request_id, self.answer(body))

    def respond(self, request_id: Any, answer: Any) -> None:
        if answer is not None:
            self.arrived.append(ReceivedMessage(request_id, {}, answer))

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        if not self.outstanding:
            return NO_MESSAGE
        self.timeouts.append(receive_timeout_in_seconds)
        if self.receive_errors and (error := self.receive_errors.popleft()) is not None:
            raise error
        if not self.arrived:
            raise MessageReceiveTimeout(f"No message received for service {self.service_name}")
        self.outstanding -= 1
        return self.arrived.popleft()

    def close(self) -> None:
        self.closed += 1


@accepts_kwargs(NO_KWARGS)
class ListeningTransport(ScriptedTransport):
    """As the transports of PySOA: tracks ids, has a channel for each thread, and listens to what else it is told.

    Attributes:
        told: what it was told, in order.
        batch_errors: raised by the ends of the next batches; errors by the position of a request in its batch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[Any] = []
        self.batch_errors: deque[PySOATransportError | dict[int, PySOATransportError]] = deque()
        self._batches: dict[int, list[tuple[Any, ...]]] = {}
        self._ids: dict[Hashable, set[int]] = defaultdict(set)
        self._boxes: dict[Hashable, deque[ReceivedMessage]] = defaultdict(deque)
        self._changed = threading.Condition()

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        batch = self._batches.get(threading.get_ident())
        if batch is not None:
            batch.append((request_id, meta, body, message_expiry_in_seconds))
        else:
            self._send(request_id, meta, body, message_expiry_in_seconds)

    def _send(self, request_id: int, meta: dict[str, Any], body: Body, expiry: float | None) -> None:
        if self.send_errors and (error := self.send_errors.popleft()) is not None:
            raise error
        self.sent.append(SentRequest(request_id, meta, body, expiry))
        if not body["control"]["suppress_response"]:
            with self._changed:
                self._ids[self.channel()].add(request_id)
            self.respond(request_id, self.answer(body))

    def respond(self, request_id: Any, answer: Any) -> None:
        if answer is None:
            return
        with self._changed:
            for channel, ids in self._ids.items():
                if request_id in ids:
                    self._boxes[channel].append(ReceivedMessage(request_id, {}, answer))
            self._changed.notify_all()

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        return self.receive_from(self.channel(), receive_timeout_in_seconds)

    def expect_reply(self, timeout_in_seconds: float | None) -> None:
        self.told.append(("expect_reply", timeout_in_seconds))

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        me = threading.get_ident()
        self._batches[me] = []
        try:
            yield
            batch = self._batches[me]
            errors = self.batch_errors.popleft() if self.batch_errors else {}
            if isinstance(errors, PySOATransportError):
                raise errors
            self.told.append(("batch", len(batch)))
            for index, request in enumerate(batch):
                if index not in errors:
                    self._send(*request)
            if errors:
                raise BatchSendError({batch[index][0]: error for index, error in errors.items()})
        finally:
            del self._batches[me]

    def channel(self) -> Hashable:
        return threading.get_ident()

    def receive_from(self, channel: Hashable, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        self.timeouts.append(receive_timeout_in_seconds)
        if self.receive_errors and (error := self.receive_errors.popleft()) is not None:
            raise error
        until = monotonic() + (receive_timeout_in_seconds or 5.0)
        with self._changed:
            while True:
                if not self._ids[channel]:
                    return NO_MESSAGE
                if self._boxes[channel]:
                    message = self._boxes[channel].popleft()
                    if message.request_id in self._ids[channel]:
                        self._ids[channel].discard(message.request_id)
                        return message
                elif not self._changed.wait(until - monotonic()):
                    raise MessageReceiveTimeout(f"No message received for service {self.service_name}")

    def forget(self, request_ids: Iterable[int]) -> None:
        request_ids = list(request_ids)
        self.told.append(("forget", request_ids))
        with self._changed:
            for ids in self._ids.values():
                ids.difference_update(request_ids)


@accepts_kwargs(NO_KWARGS)
class SharedTransport(ListeningTransport):
    """The same with one channel for all threads."""

    def channel(self) -> Hashable:
        return None


@accepts_kwargs(NO_KWARGS)
class ShortWayTransport(ListeningTransport):
    """Offers the short way, and notes when it is taken."""

    core = SimpleNamespace(receive_timeout_in_seconds=5.0)
    calls = 0

    def idle_channel(self) -> Hashable:
        return None if self._ids[self.channel()] else self.channel()

    def call(
        self, channel: Hashable, request_id: int, meta: dict[str, Any], body: Body, expiry: float | None, until: float
    ) -> ReceivedMessage:
        self.calls += 1
        assert channel == self.channel()
        try:
            self.send_request_message(request_id, meta, body, expiry)
            return self.receive_response_message(until - monotonic())
        finally:
            self._ids[channel].discard(request_id)


@accepts_kwargs(NO_KWARGS)
class AsyncScriptedTransport(AsyncClientTransport):
    """The twin: its service answers at once, too, but what it loses stays outstanding.

    Attributes:
        answer: what the service makes of a request's body: a response, an exception, or None to lose it.
        send_errors: raised by the next tries to send; None lets one through.
        sent: the requests.
        timeouts: those that calls were begun with.
        pending: what is outstanding, by request id.
        forgotten: the requests that nobody waits for any more.
    """

    encodes_values = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer: Callable[[Body], Answer] = echo
        self.send_errors: deque[BaseException | None] = deque()
        self.sent: list[SentRequest] = []
        self.timeouts: list[float | None] = []
        self.pending: dict[int, asyncio.Future[ReceivedMessage]] = {}
        self.forgotten: list[int] = []

    def start_call(
        self,
        request_id: int,
        meta: dict[str, Any],
        body: Body,
        message_expiry_in_seconds: float | None,
        timeout_in_seconds: float | None,
    ) -> asyncio.Future[ReceivedMessage]:
        self.timeouts.append(timeout_in_seconds)
        return self._send(SentRequest(request_id, meta, body, message_expiry_in_seconds))

    async def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> asyncio.Future[ReceivedMessage] | None:
        await asyncio.sleep(0)
        reply = self._send(SentRequest(request_id, meta, body, message_expiry_in_seconds))
        return None if body["control"]["suppress_response"] else reply

    def _send(self, request: SentRequest) -> asyncio.Future[ReceivedMessage]:
        if self.send_errors and (error := self.send_errors.popleft()) is not None:
            raise error
        self.sent.append(request)
        reply = self.pending[request.request_id] = asyncio.get_running_loop().create_future()
        self.respond(request.request_id, self.answer(request.body))
        return reply

    def respond(self, request_id: int, answer: Answer) -> None:
        """Answer a request that is outstanding; None leaves it so."""
        if answer is None:
            return
        reply = self.pending.pop(request_id)
        if isinstance(answer, BaseException):
            reply.set_exception(answer)
        else:
            reply.set_result(ReceivedMessage(request_id, {}, answer))

    def forget(self, request_ids: Iterable[int]) -> None:
        for request_id in request_ids:
            self.forgotten.append(request_id)
            self.pending.pop(request_id, None)


@accepts_kwargs(NO_KWARGS)
class TwinTransport(ScriptedTransport):
    """One with a twin."""

    @classmethod
    def async_client_class(cls) -> type[AsyncClientTransport]:
        return AsyncScriptedTransport


def make_client(*services: str, transport: str = "ScriptedTransport", client_class: Any = Client, **kwargs: Any) -> Any:
    """A client of the services, each on a transport of the class."""
    settings = {"transport": {"path": f"{__name__}:{transport}"}, "middleware": kwargs.pop("middleware", [])}
    return client_class(dict.fromkeys(services or ("square",), settings), **kwargs)


def transport_of(client: Any, service_name: str = "square") -> Any:
    return client._get_handler(service_name).transport
