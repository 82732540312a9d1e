"""Runs each case over every pairing of client, server and transport."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from tests.support import brokers
from tests.support.contract_service import local_transport, redis_transport, services_of
from tests.support.doors import AsyncDoor, Door
from tests.support.processes import Process, python

MODULE = "tests.support.contract_service"


class Pairing(NamedTuple):
    """Who calls whom, and how.

    Attributes:
        is_async: whether the client is an ``AsyncClient``.
        concurrency: of the server: above 1, it runs in an event loop.
        broker: between them; None for the local transport.
    """

    is_async: bool
    concurrency: int
    broker: Broker | None

    @property
    def runs_in_loop(self) -> bool:
        return self.concurrency > 1

    def transport(self, service_name: str, **kwargs: Any) -> dict[str, Any]:
        """The settings of the client's transport; the arguments are for that of Redis."""
        if self.broker is None:
            return local_transport(service_name, self.concurrency)
        return redis_transport("client:RedisClientTransport", self.broker.port, **kwargs)

    def config(self, **transport: Any) -> dict[str, Any]:
        return {name: {"transport": self.transport(name, **transport)} for name in services_of(self.concurrency)}

    def door(self, config: Any = None, **kwargs: Any) -> Any:
        return (AsyncDoor if self.is_async else Door)(config or self.config(), **kwargs)


@pytest.fixture(scope="session")
def served_over_redis() -> Iterator[Callable[[int], Broker]]:
    """Starts, for each concurrency once, a broker and a process with all services."""
    with contextlib.ExitStack() as stack:
        running: dict[int, Broker] = {}

        def served(concurrency: int) -> Broker:
            if concurrency not in running:
                broker = stack.enter_context(brokers.start())
                stack.enter_context(Process(*python("-m", MODULE, str(broker.port), str(concurrency))))
                _wait_for_services(broker, concurrency)
                running[concurrency] = broker
            return running[concurrency]

        yield served


def _wait_for_services(broker: Broker, concurrency: int) -> None:
    transport = redis_transport("client:RedisClientTransport", broker.port)
    with Client({name: {"transport": transport} for name in services_of(concurrency)}) as client:
        for name in services_of(concurrency):
            for is_last in (False, False, True):
                try:
                    client.call_action(name, "events", timeout=10)
                    break
                except PySOAError:
                    if is_last:
                        raise


PAIRINGS = [
    pytest.param((is_async, concurrency, is_local), id=f"{client}-{server}-{'local' if is_local else 'redis'}")
    for is_local in (True, False)
    for concurrency, server in ((1, "blocking"), (8, "asyncio"))
    for is_async, client in ((False, "Client"), (True, "AsyncClient"))
]


@pytest.fixture(scope="module", params=PAIRINGS)
def pairing(request: pytest.FixtureRequest, served_over_redis: Callable[[int], Broker]) -> Pairing:
    is_async, concurrency, is_local = request.param
    return Pairing(is_async, concurrency, None if is_local else served_over_redis(concurrency))


@pytest.fixture
def door(pairing: Pairing) -> Iterator[Any]:
    """A client of all services, with plain methods."""
    door = pairing.door()
    yield door
    door.close()


@pytest.fixture
def over_redis(pairing: Pairing) -> None:
    """Leaves out what only a broker makes happen."""
    if pairing.broker is None:
        pytest.skip("the local transport writes no bytes")


@pytest.fixture
def in_event_loop(pairing: Pairing) -> None:
    """Leaves out what blocking servers do not do."""
    if not pairing.runs_in_loop:
        pytest.skip("a blocking server runs one job after another")
