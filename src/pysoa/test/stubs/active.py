"""Which stubs are entered, and how ``Client`` sees them: by what stands in for its sending and receiving.

While any stub is entered, ``Client.send_request`` and ``Client.get_all_responses`` are wrapped, once for all stubs.
If somebody else has put something in their place since, the next stub wraps that: a new layer. Stubs may be left in
any order. A layer goes with its last stub, if nobody has put something over it; else it lets everything through.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pysoa.client.async_client import AsyncClient
from pysoa.client.awaited import AwaitedCall, FutureCall, StandIn, gather_from_stand_in
from pysoa.client.client import Client
from pysoa.client.handler import ServiceHandler
from pysoa.common.types import JobResponse
from pysoa.test.stubs.answers import JobOfStubs, Stub, stubbed_request
from pysoa.test.stubs.async_handler import AsyncStubHandlers

__all__ = ("enter", "leave")

_SEND: Final = "send_request"
_RECEIVE: Final = "get_all_responses"
_SEND_PARAMETERS: Final = (
    "switches",
    "correlation_id",
    "continue_on_error",
    "context",
    "control_extra",
    "message_expiry_in_seconds",
    "suppress_response",
)

_request_ids: Final = itertools.count()
_lock: Final = threading.RLock()
_layers: Final[list[_Layer]] = []
_genuine: Final[Any] = Client.get_all_responses


class _Sent:
    """A request that stubs answer in part or in whole.

    Attributes:
        answer: to it.
        request_id: of the part that has gone to the service; None if there is none.
        service_name: the service.
        client: what its client has in common with the clients that share its connections.
        thread: the one that has sent it.
    """

    __slots__ = ("answer", "client", "request_id", "service_name", "thread")

    def __init__(self, answer: JobOfStubs, request_id: int | None, service_name: str, client: object) -> None:
        self.answer = answer
        self.request_id = request_id
        self.service_name = service_name
        self.client = client
        self.thread = threading.get_ident()


class _Receiving(StandIn):
    """What ``Client.get_all_responses`` is while stubs are entered."""

    def __init__(self, layer: _Layer) -> None:
        self._layer = layer
        self.description = ""

    def __call__(
        self, client: Client, service_name: str, *args: Any, **kwargs: Any
    ) -> Iterator[tuple[int, JobResponse]]:
        return self._layer.receive(client, service_name, args, kwargs)

    def gather(self, client: Client, service_name: str, call: AwaitedCall, deadline: float | None) -> None:
        self._layer.gather(client, service_name, call, deadline)


class _Layer:
    """What stands in for sending and receiving, and the stubs for which it does."""

    def __init__(self) -> None:
        self._wrapped = {name: vars(Client)[name] for name in (_SEND, _RECEIVE)}
        self._stubs: list[Stub] = []
        self._by_action: Mapping[tuple[str, str], Stub] = {}
        self._services: frozenset[str] = frozenset()
        self._sent: dict[int, _Sent] = {}
        self._passed_on: set[tuple[int, str]] = set()
        self._put_in_place = {_SEND: self._sending(), _RECEIVE: _Receiving(self)}
        for name, stand_in in self._put_in_place.items():
            setattr(Client, name, stand_in)

    def _sending(self) -> Any:
        def send_request(client: Client, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            return self.send(client, service_name, list(actions), args, kwargs)

        return send_request

    @property
    def is_on_top(self) -> bool:
        """Whether nobody has put anything in its place."""
        return all(vars(Client)[name] is stand_in for name, stand_in in self._put_in_place.items())

    @property
    def is_idle(self) -> bool:
        """Whether all its stubs have been left."""
        return not self._stubs

    def add(self, stub: Stub) -> None:
        """Have it answer for a stub, too."""
        self._set_stubs([*self._stubs, stub])

    def remove(self, stub: Stub) -> bool:
        """Have it no longer answer for a stub; whether it has done so."""
        if not any(each is stub for each in self._stubs):
            return False
        self._set_stubs([each for each in self._stubs if each is not stub])
        return True

    def _set_stubs(self, stubs: list[Stub]) -> None:
        # New objects: other threads read them without a lock.
        self._stubs = stubs
        self._by_action = {(stub.service, stub.action): stub for stub in stubs}
        self._services = frozenset(stub.service for stub in stubs)
        for name, stand_in in self._put_in_place.items():
            wrapped = self._wrapped[name]
            description = getattr(wrapped, "description", None)
            description = description if isinstance(description, str) else repr(wrapped)
            for stub in stubs:
                description = f"<stub {stub.service}.{stub.action} wrapper around {description}>"
            stand_in.description = description

    def restore(self) -> None:
        """Put back what was there before."""
        for name, wrapped in self._wrapped.items():
            setattr(Client, name, wrapped)

    def _bound(self, name: str, client: Client) -> Callable[..., Any]:
        wrapped = self._wrapped[name]
        bound: Callable[..., Any] = wrapped.__get__(client, type(client)) if hasattr(wrapped, "__get__") else wrapped
        return bound

    # Sending

    def send(
        self, client: Client, service_name: str, actions: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        """Have stubs answer what they stand for, and send the rest."""
        assert isinstance(service_name, str), f'Called service name "{service_name}" must be unicode'
        requests = [stubbed_request(item) for item in actions]
        stubs = [self._by_action.get((service_name, action)) for action, _ in requests]
        passed_on = [item for item, stub in zip(actions, stubs, strict=True) if stub is None]
        request_id: int | None = None
        if passed_on or not requests:
            request_id = self._bound(_SEND, client)(service_name, passed_on, *args, **kwargs)
            self._passed_on.add((id(_shared_by(client)), service_name))
            if len(passed_on) == len(requests):
                return request_id
        given = {**dict(zip(_SEND_PARAMETERS, args, strict=False)), **kwargs}
        control = given.get("control_extra") or {}
        answer = JobOfStubs(stubs, bool(control.get("continue_on_error", given.get("continue_on_error"))))
        try:
            answer.call_stubs(requests)
        except BaseException:
            if request_id is not None:
                client._forget(service_name, (request_id,))
            raise
        stub_id = next(_request_ids)
        if not (given.get("suppress_response") or control.get("suppress_response")):
            self._sent[stub_id] = _Sent(answer, request_id, service_name, _shared_by(client))
        return stub_id

    # Receiving

    def receive(
        self, client: Client, service_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[tuple[int, JobResponse]]:
        """All responses that this thread has not had: those of the service, then those of stubs alone."""
        if service_name not in self._services and not self._outstanding(client, service_name):
            responses: Iterator[tuple[int, JobResponse]] = self._bound(_RECEIVE, client)(service_name, *args, **kwargs)
            return responses
        return self._received(client, service_name, args, kwargs)

    def _outstanding(self, client: Client, service_name: str) -> list[tuple[int, _Sent]]:
        """What this thread has sent and stubs answer."""
        shared, thread = _shared_by(client), threading.get_ident()
        return [
            (stub_id, sent)
            for stub_id, sent in list(self._sent.items())
            if sent.client is shared and sent.service_name == service_name and sent.thread == thread
        ]

    def _received(
        self, client: Client, service_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[tuple[int, JobResponse]]:
        if (id(_shared_by(client)), service_name) in self._passed_on:
            for request_id, response in self._bound(_RECEIVE, client)(service_name, *args, **kwargs):
                mixed = [pair for pair in self._outstanding(client, service_name) if pair[1].request_id == request_id]
                for stub_id, sent in mixed:
                    self._sent.pop(stub_id, None)
                    yield stub_id, sent.answer.response(response)
                if not mixed:
                    yield request_id, response
        for stub_id, sent in self._outstanding(client, service_name):
            if sent.request_id is None:
                self._sent.pop(stub_id, None)
                yield stub_id, sent.answer.response()

    def gather(self, client: Client, service_name: str, call: AwaitedCall, deadline: float | None) -> None:
        """Wait for the responses that a call misses."""
        stub_ids: dict[int, int] = {}
        of_service: set[int] = set()
        for request_id in list(call.missing):
            sent = self._sent.get(request_id)
            if sent is None:
                if request_id in call.missing:
                    of_service.add(request_id)
            elif sent.request_id is not None:
                stub_ids[sent.request_id] = request_id
                of_service.add(sent.request_id)
            else:
                self._take(call, request_id, None)
        if not of_service:
            return
        waiting = AwaitedCall(of_service, call.channel)
        waiting.generation = call.generation
        try:
            self._gather_from_service(client, service_name, waiting, deadline, isinstance(call, FutureCall))
        finally:
            for request_id, response in waiting.responses.items():
                if request_id in stub_ids:
                    self._take(call, stub_ids[request_id], response)
                else:
                    call.responses[request_id] = response
                    call.missing.discard(request_id)

    def _take(self, call: AwaitedCall, stub_id: int, of_service: JobResponse | Exception | None) -> None:
        sent = self._sent.get(stub_id)
        if sent is None:  # another thread has taken it for the same future
            return
        outcome: JobResponse | Exception
        if isinstance(of_service, Exception):
            outcome = of_service
        elif sent.answer.error is not None:
            outcome = sent.answer.error
        else:
            outcome = sent.answer.response(of_service)
        # In this order: another thread may be waiting for the same future.
        call.responses[stub_id] = outcome
        call.missing.discard(stub_id)
        self._sent.pop(stub_id, None)

    def _gather_from_service(
        self, client: Client, service_name: str, call: AwaitedCall, deadline: float | None, is_future: bool
    ) -> None:
        handler = client.handlers.get(service_name)
        if self._wrapped[_RECEIVE] is _genuine and isinstance(handler, ServiceHandler):
            handler.claim_again(call)
            (handler.gather_for_future if is_future else handler.gather)(call, deadline)
        else:
            gather_from_stand_in(self._bound(_RECEIVE, client), service_name, call, deadline, client._stand_ins)


def _shared_by(client: Any) -> object:
    """What clients that share all connections have in common; for a double in a test, the double."""
    return getattr(client, "handlers", client)


def enter(stub: Stub) -> None:
    """Have a stub answer, from now on and in all threads."""
    with _lock:
        _drop_idle_layers()
        if not _layers or not _layers[-1].is_on_top:
            _layers.append(_Layer())
        _layers[-1].add(stub)
        _async_handlers.add(stub)


def leave(stub: Stub) -> None:
    """Have a stub no longer answer. What it has answered and nobody has received is lost."""
    with _lock:
        _async_handlers.remove(stub)
        for layer in _layers:
            if layer.remove(stub):
                break
        _drop_idle_layers()


def _drop_idle_layers() -> None:
    while _layers and _layers[-1].is_idle and _layers[-1].is_on_top:
        _layers.pop().restore()


_async_handlers: Final = AsyncStubHandlers(AsyncClient, _request_ids)
