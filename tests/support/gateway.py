"""Clients and workers on the two ends of the Redis gateway, without the rest of a client or a server."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import (
    InvalidMessageError,
    MessageReceiveTimeout,
    PySOATransportError,
)
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.transport.redis_gateway.core import RedisTransportCore
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from tests.support.raw import command, wait_until

SERVICE = "svc"
REQUEST_KEY = "pysoa:service.svc"
HEADER = b"pysoa-redis/3//content-type:application/msgpack;"

_ids = itertools.count(random.randrange(1 << 40))


def next_id() -> int:
    """A request id that no other request of this process has."""
    return next(_ids)


def job(number: int = 0, **control: Any) -> dict[str, Any]:
    """A job request with one action."""
    return {"control": control, "context": {}, "actions": [{"action": "echo", "body": {"number": number}}]}


def answer_to(request: ReceivedMessage, extra: Any = None) -> dict[str, Any]:
    """A job response that holds the number of the request."""
    body = {"number": number_of(request), **({} if extra is None else {"extra": extra})}
    return {"errors": [], "context": {}, "actions": [{"action": "echo", "errors": [], "body": body}]}


def number_of(message: ReceivedMessage) -> int:
    """The number in a job request or a job response."""
    assert message.body is not None
    number: int = message.body["actions"][0]["body"]["number"]
    return number


def meta() -> dict[str, Any]:
    return {"client_version": [1, 4, 9]}


def send(client: RedisClientTransport, number: int = 0, **options: Any) -> int:
    """Send a request and return its id."""
    request_id = next_id()
    client.send_request_message(request_id, meta(), job(number), **options)
    return request_id


def call(client: RedisClientTransport, number: int = 0, timeout: float = 5.0) -> int:
    """Send a request, wait for its response, and return the number in it."""
    request_id = next_id()
    until = time.monotonic() + timeout
    client.expect_reply(timeout)
    client.send_request_message(request_id, meta(), job(number))
    while True:
        try:
            response = client.receive_response_message(max(until - time.monotonic(), 0.001))
        except MessageReceiveTimeout:
            client.forget([request_id])
            raise
        if response.request_id == request_id:
            return number_of(response)


def answer(server: RedisServerTransport, request: ReceivedMessage, extra: Any = None) -> None:
    """Send the response to a request."""
    assert request.request_id is not None
    assert request.meta is not None
    server.send_response_message(request.request_id, request.meta, answer_to(request, extra))


def requests_in_queue(broker: Broker) -> list[dict[str, Any]]:
    """The requests that wait, as dicts."""
    frames = command(broker.url, "LRANGE", REQUEST_KEY, 0, -1)
    return [msgpack.unpackb(one.removeprefix(HEADER)) for one in frames]


def reply_key(broker: Broker) -> str:
    """The key of the reply queue that the last request in the queue names; there is one, or is about to be."""
    request = wait_until(lambda: requests_in_queue(broker), "a request is in the queue")[-1]
    return f"pysoa:{request['meta']['reply_to']}"


def reply_key_of(client: RedisClientTransport) -> str:
    """The key of the reply queue of this thread."""
    return client._mailbox().reply_queues[0].key.decode()


def fails_in_time(client: RedisClientTransport, number: int, timeout: float) -> PySOAError:
    """Make a call that cannot succeed, and return its error."""
    began = time.monotonic()
    with pytest.raises(PySOAError) as raised:
        call(client, number, timeout)
    assert time.monotonic() - began <= timeout + 0.5
    assert raised.value.outcome in ("not_sent", "unknown")
    return raised.value


def is_right_again(client: RedisClientTransport, within: float = 2.0) -> None:
    """Call until it succeeds, which must be soon; from then on, each call succeeds."""
    until = time.monotonic() + within
    number = 1000
    while True:
        try:
            assert call(client, number, timeout=max(0.3, until - time.monotonic())) == number
            break
        except PySOAError:
            assert time.monotonic() < until, f"not right within {within} s"
            number += 1
    for number in range(5000, 5010):
        assert call(client, number) == number


class Worker:
    """A thread that serves until it is stopped.

    Attributes:
        transport: where it serves.
        served: the numbers of the requests that it has begun.
        refused: what could not be read.
        faults: what else went wrong.
    """

    def __init__(
        self, transport: RedisServerTransport, handle: Callable[[ReceivedMessage], dict[str, Any] | None]
    ) -> None:
        self.transport = transport
        self.served: list[int] = []
        self.refused: list[Exception] = []
        self.faults: list[PySOATransportError] = []
        self._handle = handle
        self._is_stopping = False
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()
        assert self._is_up.wait(10)

    def stop(self) -> None:
        """Leave as a server does: finish what was taken, and close."""
        self._is_stopping = True
        self.transport.stop_taking()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        self.transport.start_serving()
        self._is_up.set()
        try:
            while self._serve_one():
                pass
        finally:
            self.transport.close()

    def _serve_one(self) -> bool:
        try:
            request = self.transport.receive_request_message()
        except MessageReceiveTimeout:
            return not self._is_stopping
        except (InvalidMessageError, SerializationError) as error:
            self.refused.append(error)
            return True
        except PySOATransportError as error:
            self.faults.append(error)
            threading.Event().wait(0.05)
            return not self._is_stopping
        self.served.append(number_of(request))
        response = self._handle(request)
        if response is not None:
            assert request.request_id is not None
            assert request.meta is not None
            try:
                self.transport.send_response_message(request.request_id, request.meta, response)
            except PySOATransportError as error:
                self.faults.append(error)
        return True


class Gateway:
    """Makes clients, servers and workers, and closes them all at the end of the test.

    A host is a broker, a proxy, or whatever the setting ``hosts`` takes.
    """

    client_class: type[RedisClientTransport] = RedisClientTransport
    server_class: type[RedisServerTransport] = RedisServerTransport

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._stack.callback(_close_backends)

    def client(self, *hosts: Any, **settings: Any) -> RedisClientTransport:
        client = self.client_class(SERVICE, **_settings(hosts, settings))
        self._stack.callback(client.close)
        return client

    def server(self, *hosts: Any, **settings: Any) -> RedisServerTransport:
        server = self.server_class(SERVICE, **_settings(hosts, settings))
        self._stack.callback(server.close)
        return server

    def worker(
        self,
        *hosts: Any,
        handle: Callable[[ReceivedMessage], dict[str, Any] | None] = answer_to,
        **settings: Any,
    ) -> Worker:
        worker = Worker(self.server_class(SERVICE, **_settings(hosts, settings)), handle)
        self._stack.callback(worker.stop)
        return worker

    def close(self) -> None:
        self._stack.close()


def _settings(hosts: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
    layer = dict(settings.pop("backend_layer_kwargs", {}))
    if hosts:
        layer["hosts"] = [("127.0.0.1", host.port) if hasattr(host, "port") else host for host in hosts]
    return {"backend_type": "redis.standard", "backend_layer_kwargs": layer, **settings}


def _close_backends() -> None:
    for backend in RedisTransportCore._backend_layer_cache.values():
        backend.close()
    RedisTransportCore._backend_layer_cache.clear()


@pytest.fixture
def is_async() -> bool:
    """Whether the ends of the gateway are those of asyncio."""
    return False


BOTH_GATEWAYS = pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "asyncio"])
"""Marks tests of ``gateway``, or modules of them, that hold for both."""


@pytest.fixture
def gateway(is_async: bool) -> Iterator[Gateway]:
    """Makes the ends of the Redis gateway."""
    from tests.support.async_gateway import AsyncGateway

    maker = AsyncGateway() if is_async else Gateway()
    yield maker
    maker.close()
