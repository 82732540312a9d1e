"""Client and server in one process, without a broker: for tests, scripts and services that embed another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from pysoa.common.fields import NO_KWARGS, Any_, Anything, Dictionary, SchemalessDictionary, UnicodeString
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs, resolve_python_path
from pysoa.common.serializer.values import plain
from pysoa.common.transport.base import NO_MESSAGE, ClientTransport, ReceivedMessage, ServerTransport
from pysoa.common.types import Body

__all__ = (
    "LocalClientTransport",
    "LocalClientTransportSchema",
    "LocalServerTransport",
    "LocalServerTransportSchema",
)


class _LocalServer(Protocol):
    """What the transport needs of the server that it runs."""

    transport: ServerTransport

    def setup(self) -> None: ...

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

    Args:
        service_name: the service to call.
        metrics: a metrics recorder.
        server_class: the server class, or its import path.
        server_settings: the settings dict of the server, or its import path. Its transport is replaced.

    Attributes:
        server: the server.
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
        self.server_settings = server_class.settings_class(
            {**settings, "transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}}
        )
        self.response_messages: deque[ReceivedMessage] = deque()
        self._request: ReceivedMessage | None = None
        self._turn = threading.RLock()
        self.server: _LocalServer = server_class(self.server_settings)
        self.server.transport = self
        self.server.setup()

    def send_request_message(
        self, request_id: int, meta: dict[str, Any], body: Body, message_expiry_in_seconds: float | None = None
    ) -> None:
        with self._turn:
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
        try:
            return self.response_messages.popleft()
        except IndexError:
            return NO_MESSAGE


@accepts_kwargs(LocalServerTransportSchema)
class LocalServerTransport(ServerTransport):
    """Stands in the settings of a server that ``LocalClientTransport`` runs; moves nothing itself."""

    is_local = True

    def receive_request_message(self) -> ReceivedMessage:
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        raise TypeError("The LocalServerTransport cannot be used directly; it is a stub.")


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
