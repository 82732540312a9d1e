"""What the blocking and the asyncio client share: settings, context, and the handlers of services."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

from pysoa.client.calls import (
    ActionRequestArgumentIterable,
    action_result,
    check_response,
    late_error,
    make_context,
    make_control,
    request_headers,
    time_for_call,
)
from pysoa.client.errors import CallActionError, CallJobError, ImproperlyConfigured, InvalidExpansionKey
from pysoa.client.expander import ExpansionConverter, ExpansionSettings
from pysoa.client.settings import ClientSettings
from pysoa.common.clock import monotonic
from pysoa.common.deadline import current_deadline
from pysoa.common.forks import BuildLock
from pysoa.common.old_names import warn_user
from pysoa.common.switches import Switch
from pysoa.common.transport.errors import MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import ActionResponse, Body, Context, JobRequest, JobResponse

__all__ = ("ClientBase", "Responses", "raise_in_time", "time_in_job", "warn_of_continue_on_error")

Handler = TypeVar("Handler")


class CalledHandler(Protocol):
    """What the time of a call needs of a handler."""

    service_name: str
    default_timeout: float | None


Responses = list[JobResponse | PySOATransportError]


class ClientBase(Generic[Handler]):
    """A client without its calls.

    Attributes:
        config: the settings as given.
        settings: the checked settings of each service, by its name.
        context: headers for people's code that every request gets.
        handlers: what talks to each service, by its name, from the first use on.
        expansion_converter: knows what can be expanded; there only where that is configured.
    """

    settings_class: Any = ClientSettings
    handler_class: Any

    ImproperlyConfigured = ImproperlyConfigured
    InvalidExpansionKey = InvalidExpansionKey
    CallJobError = CallJobError
    JobError = CallJobError
    CallActionError = CallActionError

    expansion_converter: ExpansionConverter

    def __init__(
        self,
        config: Mapping[str, Mapping[str, Any]] | None,
        expansion_config: Mapping[str, Any] | None = None,
        settings_class: Any = None,
        context: Context | None = None,
    ) -> None:
        """Check the settings.

        Args:
            config: settings of each service, by its name.
            expansion_config: what can be expanded, as ``ExpansionSettings`` has it.
            settings_class: takes the place of the class attribute: a class, or a callable that gives settings.
            context: headers for people's code that every request gets.

        Raises:
            Settings.ImproperlyConfigured: the settings of a service, or of expansions, are wrong.
        """
        if settings_class:
            self.settings_class = settings_class
        self.config = config or {}
        self.context: Context = context or {}
        self.settings = {name: self.settings_class(settings) for name, settings in self.config.items()}
        self.handlers: dict[str, Handler] = {}
        self._building = BuildLock()
        if expansion_config:
            expansion_settings = ExpansionSettings(expansion_config)
            self.expansion_converter = ExpansionConverter(
                expansion_settings["type_routes"], expansion_settings["type_expansions"]
            )

    def with_context(self, context: Context) -> Self:
        """A client with another base context that shares all else with this one, connections included."""
        client = object.__new__(type(self))
        client.__dict__.update(self.__dict__)
        client.context = context
        return client

    def _get_handler(self, service_name: str) -> Handler:
        try:
            return self.handlers[service_name]
        except (KeyError, TypeError):
            pass
        if not isinstance(service_name, str):
            raise ValueError(f'Called service name "{service_name!s}" must be unicode')
        with self._building:
            if service_name not in self.handlers:
                if service_name not in self.settings:
                    raise self.ImproperlyConfigured(f'Unrecognized service name "{service_name}"')
                self.handlers[service_name] = self.handler_class(service_name, self.settings[service_name])
            return self.handlers[service_name]

    def _job_request(
        self,
        actions: ActionRequestArgumentIterable,
        switches: Iterable[Switch] | None = None,
        correlation_id: str | None = None,
        continue_on_error: bool = False,
        context: Mapping[str, Any] | None = None,
        control_extra: Mapping[str, Any] | None = None,
        message_expiry_in_seconds: float | None = None,
        suppress_response: bool = False,
    ) -> JobRequest:
        """The request that the arguments of ``send_request`` ask for."""
        return JobRequest(
            make_control(continue_on_error, suppress_response, message_expiry_in_seconds, control_extra),
            make_context(self.context, context, switches, correlation_id, _new_correlation_id),
            actions,
        )

    def _action_message(
        self,
        handler: CalledHandler,
        action: str,
        body: Body | None,
        timeout: float | None,
        switches: Iterable[Switch] | None,
        correlation_id: str | None,
        context: Mapping[str, Any] | None,
    ) -> tuple[Body, float | None, float | None, float | None]:
        """The request of a call of one action as a message, where nobody wants to see a ``JobRequest`` of it.

        Returns:
            The message and its expiry; then the timeout and the moment that ``time_in_job`` gives.
        """
        control_extra = expiry = moment = None
        if timeout or current_deadline() is not None:
            asked = request_headers(timeout, None, None, False, None, None)
            timeout, told, moment = time_in_job(handler.service_name, timeout, handler.default_timeout, asked)
            control_extra, expiry = told["control_extra"], told["message_expiry_in_seconds"]
        message: Body = {
            "control": make_control(False, False, expiry, control_extra),
            "context": make_context(self.context, context, switches, correlation_id, _new_correlation_id),
            "actions": [{"action": action, "body": {} if body is None else body}],
        }
        return message, expiry, timeout, moment

    def _checked(self, responses: Responses, raise_job_errors: bool, raise_action_errors: bool) -> list[JobResponse]:
        for response in responses:
            if isinstance(response, JobResponse):
                check_response(response, raise_job_errors, raise_action_errors, self)
        return responses  # type: ignore[return-value] # errors among them only where the caller asks for that

    def _action_results(
        self, responses: Responses, service_name: str, raise_job_errors: bool, raise_action_errors: bool
    ) -> Generator[ActionResponse, None, None]:
        results: list[Any] = [
            action_result(response, service_name, raise_job_errors, raise_action_errors, self)
            if isinstance(response, JobResponse)
            else response
            for response in responses
        ]
        return (result for result in results)

    # What makes the result of each kind of call from its responses, or raises what the call fails with

    def _reader_of_action(
        self, service_name: str, raise_job_errors: bool, raise_action_errors: bool
    ) -> Callable[[Responses], ActionResponse]:
        read = self._reader_of_actions(service_name, raise_job_errors, raise_action_errors)
        return lambda responses: next(read(responses))

    def _reader_of_actions(
        self, service_name: str, raise_job_errors: bool, raise_action_errors: bool
    ) -> Callable[[Responses], Generator[ActionResponse, None, None]]:
        return lambda responses: self._action_results(responses, service_name, raise_job_errors, raise_action_errors)

    def _reader_of_job(self, raise_job_errors: bool, raise_action_errors: bool) -> Callable[[Responses], JobResponse]:
        return lambda responses: self._checked(responses, raise_job_errors, raise_action_errors)[0]

    def _reader_of_jobs(
        self, raise_job_errors: bool, raise_action_errors: bool
    ) -> Callable[[Responses], list[JobResponse]]:
        return lambda responses: self._checked(responses, raise_job_errors, raise_action_errors)


def time_in_job(
    service_name: str, timeout: float | None, default_timeout: float | None, headers: Mapping[str, Any]
) -> tuple[float | None, Mapping[str, Any], float | None]:
    """The timeout and the headers of a call, and the deadline of the present job where the call ends by that."""
    moment = current_deadline()
    if moment is None:
        return timeout, headers, None
    left = moment - monotonic()
    timeout, headers, ends_with_job = time_for_call(service_name, timeout, default_timeout, headers, left)
    return timeout, headers, moment if ends_with_job else None


def raise_in_time(error: MessageReceiveTimeout, service_name: str, moment: float | None) -> NoReturn:
    """Raise a timeout, or what says that the job's time is over; ``moment`` is as ``time_in_job`` gives it."""
    late = None if moment is None else late_error(error, service_name, monotonic() - moment)
    if late is None:
        raise error
    raise late from error


_random = random.Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def _new_correlation_id() -> str:
    """Ties calls together in logs; nobody's secret, so it need not be hard to guess, and people may seed ``random``."""
    return _random.randbytes(16).hex()


def warn_of_continue_on_error(method: str) -> None:
    """Say that an argument of 0.42 means nothing here."""
    warn_user(f"{method}: continue_on_error means nothing for jobs of one action")
