"""Runs services over a real broker for integration tests, in a thread of the test's process or in one of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from pysoa.cli.broker import ends_with_this_process
from pysoa.client.client import Client
from pysoa.common.clock import monotonic
from pysoa.common.errors import PySOAError
from pysoa.common.plugins import resolve_python_path
from pysoa.common.transport.errors import PySOATransportError
from pysoa.server.server import Server

if TYPE_CHECKING:
    from pysoa.client.async_client import AsyncClient

__all__ = ("RunningService", "ServiceDidNotStart", "client_settings", "run_service")

_CLIENT_TRANSPORT: Final = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
_SERVER_TRANSPORT: Final = "pysoa.common.transport.redis_gateway.server:RedisServerTransport"
_LONGEST_START_IN_SECONDS: Final = 30.0
_LONGEST_END_IN_SECONDS: Final = 10.0
_STEP_IN_SECONDS: Final = 0.25


class ServiceDidNotStart(PySOAError):
    """A service for a test has ended, or does not answer; the text ends with what is known of the reason."""


class _Host(Protocol):
    """Where a service runs."""

    def is_running(self) -> bool: ...

    def last_words(self) -> str: ...

    def stop(self) -> None: ...


class RunningService:
    """A service that runs until the test ends, or until ``stop``.

    Attributes:
        service_name: its name.
        client: calls it.
        config: settings for clients that call it, to be merged with those of others.
    """

    def __init__(self, service_name: str, config: Mapping[str, Any], host: _Host) -> None:
        self.service_name = service_name
        self.config = config
        self.client = Client(config)
        self._host = host

    def async_client(self) -> AsyncClient:
        """A new asyncio client that calls it, to be closed by whoever asks for it."""
        from pysoa.client.async_client import AsyncClient  # asyncio is not for those who have no use for it

        return AsyncClient(self.config)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._host.is_running()

    def stop(self) -> None:
        """End it, when it has served what it has taken."""
        self.client.close()
        self._host.stop()

    def wait_until_it_answers(self) -> None:
        """Wait for its start.

        Raises:
            ServiceDidNotStart: it has ended, or takes too long.
        """
        until = monotonic() + _LONGEST_START_IN_SECONDS
        while self._host.is_running() and monotonic() < until:
            try:
                self.client.call_action(
                    self.service_name,
                    "status",
                    timeout=_STEP_IN_SECONDS,
                    raise_job_errors=False,
                    raise_action_errors=False,
                )
            except PySOATransportError:
                threading.Event().wait(0.01)
            else:
                return
        what = "does not answer" if self._host.is_running() else "has ended"
        raise ServiceDidNotStart(f"service {self.service_name} {what}\n{self._host.last_words()}")


@contextlib.contextmanager
def run_service(
    server_class: type[Server],
    broker_url: str,
    settings: Mapping[str, Any] | None = None,
    *,
    own_process: bool = False,
) -> Iterator[RunningService]:
    """Run a service during the ``with`` block.

    Args:
        server_class: its server class.
        broker_url: its broker.
        settings: its settings; the transports in them are replaced by ones to that broker, in ``client_routing``, too.
        own_process: whether it gets a process of its own. Then its class has to be importable by its name, and its
            settings have to be such as JSON can hold.

    Raises:
        ServiceDidNotStart: it does not answer.
    """
    assert server_class.service_name, "the server class has no service_name"
    of_server = _server_settings(settings or {}, broker_url)
    host: _Host = _ProcessHost(server_class, of_server) if own_process else _ThreadHost(server_class, of_server)
    service = RunningService(server_class.service_name, client_settings([server_class.service_name], broker_url), host)
    try:
        service.wait_until_it_answers()
        yield service
    finally:
        service.stop()


def client_settings(service_names: Iterator[str] | list[str], broker_url: str) -> dict[str, Any]:
    """Settings for a client that calls services over a broker."""
    return {name: {"transport": {"path": _CLIENT_TRANSPORT, "kwargs": _backend(broker_url)}} for name in service_names}


def _backend(broker_url: str) -> dict[str, Any]:
    return {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [broker_url]}}


def _server_settings(settings: Mapping[str, Any], broker_url: str) -> dict[str, Any]:
    routing = {
        name: {**of_service, **client_settings([name], broker_url)[name]}
        for name, of_service in settings.get("client_routing", {}).items()
    }
    transport = {"path": _SERVER_TRANSPORT, "kwargs": _backend(broker_url)}
    return {**settings, "transport": transport, "client_routing": routing}


class _ThreadHost:
    """A service in a thread: quick to start, and its code can be patched and debugged by the test."""

    def __init__(self, server_class: type[Server], settings: Mapping[str, Any]) -> None:
        self._error: BaseException | None = None
        self._server = server_class.initialize(server_class.settings_class(settings))(
            server_class.settings_class(settings)
        )
        self._thread = threading.Thread(
            target=self._run, name=f"pysoa-service-{server_class.service_name}", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.run()
        except BaseException as error:  # boundary: it is told to the thread that waits for the start
            self._error = error

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def last_words(self) -> str:
        return f"  {self._error!r}" if self._error is not None else "  see its log"

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server._process.shutdown_asked()
            self._thread.join(_LONGEST_END_IN_SECONDS)


class _ProcessHost:
    """A service in a process of its own, as in production. It is killed when the test's process dies."""

    def __init__(self, server_class: type[Server], settings: Mapping[str, Any]) -> None:
        path = f"{server_class.__module__}:{server_class.__qualname__}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            ends_with_this_process([sys.executable, "-m", __name__, path, json.dumps(settings)]),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

    def is_running(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="backslashreplace").strip().splitlines()
        return "\n".join(f"  {line}" for line in lines[-5:])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_LONGEST_END_IN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


def _main(path: str, settings: str) -> None:
    server_class: type[Server] = resolve_python_path(path)
    checked = server_class.settings_class(json.loads(settings))
    server = server_class.initialize(checked)(checked)
    server.run()
    sys.exit(server.exit_code)


if __name__ == "__main__":
    _main(*sys.argv[1:])
