"""Client and server in one process, without a broker: for tests, scripts and services that embed another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pysoa.common.fields import NO_KWARGS, Any_, Anything, Dictionary, SchemalessDictionary, UnicodeString
from pysoa.common.forks import BuildLock
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.old_names import old_name
from pysoa.common.plugins import accepts_kwargs, resolve_python_path
from pysoa.common.serializer.values import plain
from pysoa.common.transport.base import NO_MESSAGE, ClientTransport, ReceivedMessage, ServerTransport
from pysoa.common.types import Body

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncClientTransport, AsyncServerTransport
    from pysoa.common.transport.local_loop import LocalLoop

__all__ = (
    "LocalClientTransport",
    "LocalClientTransportSchema",
    "LocalServerTransport",
    "LocalServerTransportSchema",
    "resolve_server",
)


class _LocalServerProcess(Protocol):
    """The server's start and end."""

    def start_within(self) -> None: ...

    def shut_down(self) -> None: ...


class _LocalServer(Protocol):
    """What the transport needs of the server that it runs."""

    transport: ServerTransport
    _process: _LocalServerProcess

    def handle_next_request(self) -> None: ...


class LocalClientTransportSchema(Dictionary):
    """What ``LocalClientTransport`` takes."""

    contents = {  # noqa: RUF012 - the base class has it as an instance attribute
        "server_class": Any_(UnicodeString(), Anything(), description="The server class, or its import path"),
        "server_settings": Any_(
            UnicodeString(), SchemalessDictionary(), description="The settings dict of the server, or its import path"
        ),
    }
    optional_keys = frozenset[str]()
    description = "The constructor arguments of the local client transport"


LocalServerTransportSchema = NO_KWARGS


@accepts_kwargs(LocalClientTransportSchema())
class LocalClientTransport(ClientTransport, ServerTransport):
    """Runs a server in this process: a request is served while it is sent.

    Bodies are copied as plain data, but not serialized: values that no serializer can write pass. Nothing expires and
    nothing waits. May be shared by threads; they take turns.

    A server whose setting ``concurrency`` is above 1 has its event loop, on a thread: its jobs run side by side, and
    responses are waited for. There, too, a request that wants no response is served while it is sent.

    ``close`` ends the server. A transport that is used again starts another one.

    Args:
        service_name: the service to call.
        metrics: a metrics recorder.
        server_class: the server class, or its import path.
        server_settings: the settings dict of the server, or its import path. Its transport is replaced.

    Attributes:
        server: the server; None where it has an event loop.
        response_messages: responses that have not been received yet.
    """

    is_local = True
    encodes_values = True

    def __init__(
        self,
        service_name: str,
        metrics: Recorder = NO_METRICS,
        server_class: Any = None,
        server_settings: Any = None,
    ) -> None:
        ServerTransport.__init__(self, service_name, metrics)
        self._server_class, self.server_settings = resolve_server(service_name, server_class, server_settings)
        self.response_messages: deque[ReceivedMessage] = deque()
        self._request: ReceivedMessage | None = None
        self._turn = BuildLock()
        self._beside: LocalLoop | None = None
        self.server: Any = None
        if self.server_settings["concurrency"] > 1:
            from pysoa.common.transport.local_loop import LocalLoop

            self._beside = LocalLoop(service_name, metrics, server_class, server_settings)
        self._start()

    def _start(self) -> None:
        """Have a server that runs."""
        if self._beside is not None:
            self._beside.start()
        elif self.server is None:
            server: _LocalServer = self._server_class(self.server_settings)
            server.transport = self
            server._process.start_within()
            self.server = server

    @classmethod
    def async_client_class(cls) -> type[AsyncClientTransport] | None:
        from pysoa.common.transport.async_local import AsyncLocalClientTransport

        return AsyncLocalClientTransport

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        if self._beside is not None:
            self._beside.send(request_id, meta, body)
            return
        with self._turn:
            self._start()
            self._request = ReceivedMessage(request_id, meta, plain(body))
            try:
                self.server.handle_next_request()
            finally:
                self._request = None

    def receive_request_message(self) -> ReceivedMessage:
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError("Local server tried to receive message more than once")
        return request

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        self.response_messages.append(ReceivedMessage(request_id, meta, plain(body)))

    def receive_response_message(self, receive_timeout_in_seconds: float | None = None) -> ReceivedMessage:
        if self._beside is not None:
            return self._beside.receive(receive_timeout_in_seconds)
        try:
            return self.response_messages.popleft()
        except IndexError:
            return NO_MESSAGE

    def forget(self, request_ids: Iterable[int]) -> None:
        if self._beside is not None:
            self._beside.forget(request_ids)

    def close(self) -> None:
        if self._beside is not None:
            self._beside.close()
            return
        with self._turn:
            server, self.server = self.server, None  # which closes its transport, and that is this one
            if server is not None:
                server._process.shut_down()


@accepts_kwargs(LocalServerTransportSchema)
class LocalServerTransport(ServerTransport):
    """Stands in the settings of a server that ``LocalClientTransport`` runs; moves nothing itself."""

    is_local = True

    @classmethod
    def async_server_class(cls) -> type[AsyncServerTransport] | None:
        from pysoa.common.transport.async_local import AsyncLocalServerTransport

        return AsyncLocalServerTransport

    def receive_request_message(self) -> ReceivedMessage:
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")


def resolve_server(service_name: str, server_class: Any, server_settings: Any) -> tuple[Any, Mapping[str, Any]]:
    """The class and the checked settings of the server to run, from the arguments of the transport.

    Raises:
        TypeError, ValueError, ImportError, AttributeError: they are none.
        ImproperlyConfigured: there is something wrong with the settings.
    """
    server_class = _resolve("server class", server_class)
    if not _is_server_class(server_class):
        raise TypeError("server_class must be or extend Server")
    if server_class.service_name != service_name:
        raise Exception(
            f'Server {server_class} service name "{server_class.service_name}" does not match "{service_name}"'
        )
    settings = _resolve("settings", server_settings)
    if not isinstance(settings, Mapping):
        raise TypeError(f"Imported settings path {server_settings} is not a dictionary.")
    transport = {"path": "pysoa.common.transport.local:LocalServerTransport"}
    return server_class, server_class.settings_class({**settings, "transport": transport})


def _resolve(what: str, thing: Any) -> Any:
    if not isinstance(thing, str):
        return thing
    try:
        return resolve_python_path(thing)
    except (ValueError, ImportError, AttributeError) as error:
        raise type(error)(f"Could not resolve {what} path {thing}: {error!r}") from error


def _is_server_class(candidate: Any) -> bool:
    """Known by name, so that this floor need not import the server's."""
    return isinstance(candidate, type) and any(
        base.__module__ == "pysoa.server.server" and base.__name__ == "Server" for base in candidate.__mro__
    )


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
