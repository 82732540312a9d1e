"""Stands in for other services in tests: for single actions, or, by ``StubClient``, for whole services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pysoa.client.client import Client
from pysoa.client.settings import ClientSettings
from pysoa.common.errors import Error
from pysoa.common.fields import (
    Any_,
    Anything,
    Dictionary,
    FieldError,
    List,
    SchemalessDictionary,
    UnicodeString,
)
from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.settings import SettingsData
from pysoa.common.transport.local import LocalClientTransport
from pysoa.common.types import ActionResponse, Body
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from pysoa.test.compatibility import mock
from pysoa.test.stubs import active
from pysoa.test.stubs.answers import StubExhausted, StubMock
from pysoa.test.stubs.captured import Kind, copied, get_stubbed_requests, get_stubbed_responses
from pysoa.test.stubs.decorating import decorated, decorated_class

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncClientTransport
    from pysoa.test.contracts import ServiceContract

__all__ = (
    "Errors",
    "StubClient",
    "StubClientSettings",
    "StubClientTransport",
    "StubClientTransportSchema",
    "StubDoesNotConform",
    "StubExhausted",
    "StubServer",
    "get_stubbed_requests",
    "get_stubbed_responses",
    "stub_action",
)

Errors: TypeAlias = Iterable[Error | Mapping[str, Any]]
ActionMap: TypeAlias = Mapping[str, Mapping[str, Any]]

_Decorated = TypeVar("_Decorated")


class stub_action:
    """Answers all calls of one action while it is entered, whoever makes them, in all threads and event loops.

    It is a context manager, a decorator of functions, coroutine functions and test classes, and has ``start`` and
    ``stop``. What ``as``, an additional argument and ``start`` give is a mock, which is called with the body of each
    request; ``call_body`` and ``call_bodies`` are what it was called with. Set its ``return_value`` or ``side_effect``
    where neither is given here: to a body, an ``ActionResponse``, a ``JobResponse``, or an exception to raise.

    The service need not be known to clients. Nothing is sent, validated or seen by middleware. Of several stubs for
    one action, the one that was entered last answers.

    Args:
        service: the name of the service.
        action: the name of the action.
        body: what it answers.
        errors: what it fails with, as ``Error`` or as dicts.
        side_effect: a body; a function from the body of a request to any of the results; an exception; or an iterable
            of all of these, one for each call.
        register_response_schema_contract: whether ``get_stubbed_responses`` is to have its responses.
        register_request_schema_contract: whether ``get_stubbed_requests`` is to have its requests.
        conforms_to: the server class that it stands for, or the path of that, as ``module:name``. Then it fails, with
            ``StubDoesNotConform``, where the service has no such action, would refuse a request, or would not give
            such a response.

    Attributes:
        enabled: whether it is entered.
        mock: the mock, while it is entered.
    """

    attribute_name: str | None = None
    _contract: ServiceContract | None = None

    def __init__(
        self,
        service: str,
        action: str,
        body: Body | None = None,
        errors: Errors | None = None,
        side_effect: Any = None,
        register_response_schema_contract: bool = True,
        register_request_schema_contract: bool = True,
        *,
        conforms_to: type[Server] | str | None = None,
    ) -> None:
        assert isinstance(service, str), f'Stubbed service name "{service}" must be unicode'
        assert isinstance(action, str), f'Stubbed action name "{action}" must be unicode'
        self.service = service
        self.action = action
        self.body: Body = body or {}
        self.errors: list[Any] = list(errors or [])
        self.side_effect = side_effect
        self.register_response_schema_contract = register_response_schema_contract
        self.register_request_schema_contract = register_request_schema_contract
        self.conforms_to = conforms_to
        self.enabled = False
        self.new: Any = mock.DEFAULT
        self.mock: Any = None

    @property
    def is_local(self) -> bool:
        """The same as ``enabled``, as ``mock.patch`` calls it."""
        return self.enabled

    def copy(self) -> Self:
        """Another stub that does the same, and is not entered."""
        return type(self)(
            self.service,
            self.action,
            self.body,
            self.errors,
            self.side_effect,
            self.register_response_schema_contract,
            self.register_request_schema_contract,
            conforms_to=self.conforms_to,
        )

    def start(self) -> Any:
        """Begin to answer; one that has begun already goes on, with the same mock.

        Returns:
            The mock.
        """
        if not self.enabled:
            self._contract = self._contract_to_keep()
            self.mock = self._new_mock()
            active.enter(self)
            self.enabled = True
        return self.mock

    def stop(self) -> None:
        """Answer no more."""
        if self.enabled:
            self.enabled = False
            active.leave(self)

    def _new_mock(self) -> Any:
        new = StubMock(name=f"{self.service}.{self.action}")
        if self.body or self.errors:
            new.return_value = ActionResponse(self.action, errors=self.errors, body=self.body)
        if self.side_effect:
            new.side_effect = self.side_effect
        return new

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(self, *exc_info: object) -> Literal[False]:
        self.stop()
        return False

    def __call__(self, function_or_class: _Decorated) -> _Decorated:
        """Decorate a function, or all tests of a class."""
        if isinstance(function_or_class, type):
            decorated_class(function_or_class, self)
            return function_or_class
        function: Any = function_or_class
        result: _Decorated = decorated(function, self)
        return result

    def _check(self, kind: Kind, body: Body) -> None:
        if self._contract is None:
            return
        faults_in = self._contract.request_faults if kind == "request" else self._contract.response_faults
        if faults := faults_in(self.action, body):
            raise StubDoesNotConform(self, kind, faults)

    def check_request(self, body: Body) -> None:
        """Called with the body of each request, before the mock.

        Raises:
            StubDoesNotConform: the service would refuse it.
        """
        self._check("request", body)

    def check_response(self, response: ActionResponse) -> None:
        """Called with each response; of one with errors, nothing is known.

        Raises:
            StubDoesNotConform: the service would not give it.
        """
        if not response.errors:
            self._check("response", response.body)

    def _contract_to_keep(self) -> ServiceContract | None:
        if self.conforms_to is None:
            return None
        from pysoa.test.contracts import ServiceContract

        contract = ServiceContract(self.conforms_to)
        faults = contract.action_faults(self.action)
        if contract.service_name != self.service:
            faults = [f"{self.conforms_to!r} is the service {contract.service_name}"]
        if faults:
            raise StubDoesNotConform(self, "action", faults)
        return contract


class StubDoesNotConform(AssertionError):
    """A stub stands for something that its service does not do.

    Attributes:
        faults: what is wrong, one text for each field.
    """

    def __init__(self, stub: stub_action, what: str, faults: Sequence[str]) -> None:
        shown = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"the {what} of the stub of {stub.service}.{stub.action} is not as the service has it:{shown}")
        self.faults = list(faults)


class _StubAction(Action):
    """An action that answers always the same.

    Attributes:
        body: what it answers.
        errors: what it fails with instead, if there are any.
    """

    body: Body
    errors: list[Error]

    def run(self, request: EnrichedActionRequest) -> Body:
        if self.errors:
            raise ActionError(self.errors)
        return copied(self.body)  # type: ignore[no-any-return] # a dict, as the body is


class StubServer(Server):
    """A server all of whose actions are stubs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "action_class_map" not in vars(type(self)):
            self.action_class_map = dict(self.action_class_map)  # of its own: that of the class is not only for it
        super().__init__(*args, **kwargs)

    def stub_action(self, action: str, body: Body | None = None, errors: Errors | None = None) -> None:
        """Add an action, or put it in the place of another one.

        Args:
            action: its name.
            body: what it answers.
            errors: what it fails with instead, as ``Error`` or as dicts.
        """
        actions: Any = self.action_class_map
        actions[action] = _stub_action_class(action, body, errors)


def _stub_action_class(action: str, body: Body | None, errors: Errors | None) -> type[_StubAction]:
    made = [error if isinstance(error, Error) else Error(**error) for error in errors or ()]
    return type(_capitalised(action), (_StubAction,), {"body": body or {}, "errors": made})


def _capitalised(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name))


def stub_server_class(service_name: str, action_map: ActionMap | None) -> type[StubServer]:
    """A server class for one client, with the actions of a map."""
    actions = {
        action: _stub_action_class(action, stub.get("body"), stub.get("errors"))
        for action, stub in (action_map or {}).items()
    }
    attributes = {"service_name": service_name, "action_class_map": actions}
    return type(f"{_capitalised(service_name)}Server", (StubServer,), attributes)


class _ErrorValue(Anything):
    """Accepts an ``Error``."""

    def errors(self, value: Any) -> list[FieldError]:
        return [] if isinstance(value, Error) else [FieldError("Not an Error")]


class StubClientTransportSchema(Dictionary):
    """What ``StubClientTransport`` takes from settings."""

    contents = {  # noqa: RUF012 - the base class has it as an instance attribute
        "action_map": SchemalessDictionary(
            key_type=UnicodeString(description="The name of the action"),
            value_type=Dictionary(
                {
                    "body": SchemalessDictionary(
                        key_type=UnicodeString(), value_type=Anything(), description="What the action answers"
                    ),
                    "errors": List(
                        Any_(
                            _ErrorValue(description="An Error"),
                            Dictionary(
                                {
                                    "code": UnicodeString(),
                                    "message": UnicodeString(),
                                    "field": UnicodeString(),
                                    "traceback": UnicodeString(),
                                    "variables": SchemalessDictionary(key_type=UnicodeString(), value_type=Anything()),
                                    "denied_permissions": List(UnicodeString()),
                                },
                                optional_keys=("field", "traceback", "variables", "denied_permissions"),
                            ),
                        ),
                        description="What it fails with instead",
                    ),
                },
                optional_keys=("body", "errors"),
            ),
            description="For each action what it does",
        )
    }
    optional_keys = frozenset(("action_map",))
    description = "The constructor arguments of the stub client transport"


@accepts_kwargs(StubClientTransportSchema())
class StubClientTransport(LocalClientTransport):
    """A transport with a server of stubs.

    Args:
        service_name: the service.
        metrics: a metrics recorder.
        action_map: for each action what it answers (``body``), or fails with (``errors``).
    """

    def __init__(
        self, service_name: str = "test", metrics: Recorder | None = None, action_map: ActionMap | None = None
    ) -> None:
        server_class = stub_server_class(service_name, action_map)
        super().__init__(service_name, metrics or NO_METRICS, server_class=server_class, server_settings={})

    @classmethod
    def async_client_class(cls) -> type[AsyncClientTransport] | None:
        from pysoa.test.stubs.async_transport import AsyncStubClientTransport

        return AsyncStubClientTransport

    def stub_action(self, action: str, body: Body | None = None, errors: Errors | None = None) -> None:
        """Add an action, or put it in the place of another one; see ``StubServer.stub_action``."""
        self.server.stub_action(action, body=body, errors=errors)


class StubClientSettings(ClientSettings):
    """Settings of a service of stubs."""

    defaults: ClassVar[SettingsData] = {"transport": {"path": "pysoa.test.stub_service:StubClientTransport"}}


class StubClient(Client):
    """A client all of whose services are stubs.

    Args:
        service_action_map: for each service and action what it answers (``body``), or fails with (``errors``).
    """

    settings_class = StubClientSettings

    def __init__(self, service_action_map: Mapping[str, ActionMap] | None = None, **_: Any) -> None:
        config = {service: _config(action_map) for service, action_map in (service_action_map or {}).items()}
        super().__init__(config)

    def stub_action(
        self, service_name: str, action: str, body: Body | None = None, errors: Errors | None = None
    ) -> None:
        """Add an action, or put it in the place of another one; the service need not have been there."""
        if service_name not in self.settings:
            self.settings[service_name] = self.settings_class(_config({}))
        self._get_handler(service_name).transport.stub_action(action, body=body, errors=errors)


def _config(action_map: ActionMap) -> dict[str, Any]:
    return {"transport": {"kwargs": {"action_map": action_map}}}
