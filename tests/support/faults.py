"""What tests of faults share: services as processes, clients, and the judgement of how a call has ended."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hiredis
import pytest

from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from tests.support.loops import ClientOnLoop
from tests.support.processes import Process
from tests.support.raw import command, wait_until

SERVICE = "faulty"
OUTCOMES = ("not_sent", "unknown", "answered")
MARGIN_IN_SECONDS = 0.5
"""How much longer than its timeout a call may take."""


def standard(*urls: str) -> dict[str, Any]:
    """Backend settings for brokers at these URLs."""
    return {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": list(urls)}}


def by_sentinel(sentinels: Sequence[tuple[str, int]], name: str) -> dict[str, Any]:
    """Backend settings for the master that these Sentinels watch over."""
    return {
        "backend_type": "redis.sentinel",
        "backend_layer_kwargs": {"hosts": [list(address) for address in sentinels], "sentinel_services": [name]},
    }


def routing(backend: Mapping[str, Any], *services: str, **kwargs: Any) -> dict[str, Any]:
    """Settings of a client of these services, or of the usual one."""
    path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    transport = {"path": path, "kwargs": {**backend, **kwargs}}
    return {name: {"transport": transport} for name in services or (SERVICE,)}


def client_of(backend: Mapping[str, Any], *services: str, **kwargs: Any) -> Client:
    """A client of these services, or of the usual one."""
    return Client(routing(backend, *services, **kwargs))


class Services:
    """Starts services as processes of their own, makes clients of them, and reads what their actions have noted.

    Attributes:
        concurrency: how many jobs each worker runs at a time; 1 for the blocking engine.
    """

    def __init__(self, start_module: Callable[..., Process], folder: Path, concurrency: int = 1) -> None:
        self._start_module = start_module
        self._tokens = folder / "tokens"
        self.concurrency = concurrency

    def client(self, backend: Mapping[str, Any], *services: str, **kwargs: Any) -> Client:
        """A client with the engine of the services."""
        settings = routing(backend, *services, **kwargs)
        # It has the methods of a Client, without being one.
        return Client(settings) if self.concurrency == 1 else ClientOnLoop(settings)  # type: ignore[return-value]

    def start(
        self,
        backend: Mapping[str, Any],
        *arguments: str,
        name: str = SERVICE,
        announced_at: str | None = None,
        workers: int = 1,
        **run: Any,
    ) -> Process:
        """Start a service.

        Args:
            backend: settings of its transports.
            arguments: of its command line.
            name: of the service.
            announced_at: the broker at which to wait until it has announced itself.
            workers: how many workers will do so.
            run: see ``fault_service``.
        """
        before = workers_of(announced_at, name) if announced_at else 0
        run = {"name": name, "backend": dict(backend), "tokens": str(self._tokens), **run}
        run["settings"] = {"concurrency": self.concurrency, **run.get("settings", {})}
        module = "tests.support.fault_service"
        process = self._start_module(module, "-s", module, *arguments, env={"FAULT_SERVICE": json.dumps(run)})
        process.wait_for_line("server starting up", count=workers)
        if announced_at is not None:
            wait_until(lambda: workers_of(announced_at, name) >= before + workers, "the service is there")
        return process

    def noted(self) -> Counter[str]:
        """How often each token has been noted by an action that began."""
        return Counter(self._tokens.read_text().split()) if self._tokens.exists() else Counter()


def workers_of(url: str, name: str) -> int:
    """How many workers of a service are announced at a broker."""
    try:
        return int(command(url, "ZCOUNT", f"pysoa:presence.{name}", "1", "+inf"))
    except (OSError, hiredis.ReplyError):  # it is away, or not yet there
        return 0


ENGINES = {"blocking": 1, "asyncio": 8}
BOTH_ENGINES = pytest.mark.parametrize("concurrency", ENGINES.values(), ids=ENGINES)
"""Marks tests of ``services``, or modules of them, that hold for both engines of servers and clients."""


@pytest.fixture
def concurrency() -> int:
    """How many jobs each worker of the services runs at a time; the blocking engine runs one."""
    return 1


@pytest.fixture
def services(start_module: Callable[..., Process], tmp_path: Path, concurrency: int) -> Services:
    """Starts services."""
    return Services(start_module, tmp_path, concurrency)


@dataclass(frozen=True)
class Ended:
    """How one call ended: when it began and ended, on the monotonic clock, and the error, if it was one."""

    began: float
    ended: float
    error: PySOAError | None


class Calls:
    """Keeps what came of calls, and judges it by what every call is promised.

    Attributes:
        right: the calls that were answered.
        failed: the others.
        broken: what must never happen, in words.
        longest_overrun: by how many seconds a call outlived its timeout at most.
    """

    def __init__(self) -> None:
        self.right: list[Ended] = []
        self.failed: list[Ended] = []
        self.broken: list[str] = []
        self.longest_overrun = 0.0
        self._tokens = itertools.count()

    def token(self) -> str:
        """A text that no other call of this process has."""
        return f"{os.getpid()}-{threading.get_ident():x}-{next(self._tokens)}"

    def try_one(self, call: Callable[[str], Any], timeout: float) -> PySOAError | None:
        """Make one call.

        Args:
            call: makes it with a token that it is given, and returns the token of the answer.
            timeout: that of the call.
        """
        token = self.token()
        failure: PySOAError | None = None
        began = time.monotonic()
        try:
            answer = call(token)
        except PySOAError as error:
            failure = error
            self.failed.append(Ended(began, time.monotonic(), error))
            if error.outcome not in OUTCOMES:
                self.broken.append(f"{error!r} has the outcome {error.outcome!r}")
        except BaseException as error:
            self.broken.append(f"{type(error).__module__}.{type(error).__name__} reached the caller: {error}")
        else:
            self.right.append(Ended(began, time.monotonic(), None))
            if answer != token:
                self.broken.append(f"asked with {token!r}, answered with {answer!r}")
        overrun = time.monotonic() - began - timeout
        self.longest_overrun = max(self.longest_overrun, overrun)
        if overrun > MARGIN_IN_SECONDS:
            self.broken.append(f"a call with a timeout of {timeout:g} s ended {overrun:.3f} s late ({failure!r})")
        return failure

    def outcomes(self) -> Counter[str]:
        """How often calls failed with each outcome."""
        return Counter(call.error.outcome for call in self.failed if call.error is not None)


@contextlib.contextmanager
def load(
    calls: Calls, call: Callable[[str], Any], *, timeout: float, threads: int, pause: float = 0.0
) -> Iterator[None]:
    """Make calls from several threads, one after the other in each, for the length of the block."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            calls.try_one(call, timeout)
            if pause:
                over.wait(pause)

    workers = [threading.Thread(target=work, name=f"load {number}") for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join(timeout + 10)
            assert not worker.is_alive(), "a call never ended"


def echo(client: Client, timeout: float, service: str = SERVICE) -> Callable[[str], Any]:
    """The simplest call: for ``Calls.try_one``."""
    return lambda token: client.call_action(service, "echo", {"token": token}, timeout=timeout).body["token"]
