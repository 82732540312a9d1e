"""Calls for ``pysoa call``: finds out what can be said at once, and turns what goes wrong into lines."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from pysoa.cli.broker import Broker
from pysoa.cli.hints import action_hint, field_hint
from pysoa.cli.terminal import EXIT_NO_ANSWER, EXIT_USAGE, Failure, say
from pysoa.client.client import Client
from pysoa.common.clock import monotonic
from pysoa.common.constants import ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN
from pysoa.common.errors import Error, PySOAError
from pysoa.common.logging import printable
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.transport.errors import (
    MessageReceiveTimeout,
    MessageTooLarge,
    PySOATransportError,
    ServiceUnavailable,
)
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.connection import BrokerError
from pysoa.common.transport.redis_gateway.presence import Presence, known_services, look_up
from pysoa.common.types import Body

__all__ = ("Caller", "client_settings", "error_lines")

_PAUSES_IN_SECONDS: Final = (0.0, 0.25, 0.5)
_LIMIT_IN_SECONDS: Final = 2.0
_MOST_SHOWN: Final = 8


def client_settings(url: str) -> dict[str, Any]:
    """The client settings of a service on the broker at a URL."""
    return {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
            "kwargs": {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [url]}},
        }
    }


class Caller:
    """Calls actions of one service. Use it as a context manager.

    Args:
        service: its name.
        url: its broker.
        timeout_in_seconds: how long a call may take.
    """

    def __init__(self, service: str, url: str, timeout_in_seconds: float) -> None:
        self._service = service
        self._broker = Broker(url, "given")
        self._timeout = timeout_in_seconds
        self._client = Client({service: client_settings(url)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def see_who_serves(self) -> None:
        """Ask the broker for servers of the service, and say so if none has ever been there.

        Raises:
            Failure: the broker is down, or there were servers and all have gone.
        """
        master = self._reach_broker()
        found = look_up(master, self._service, monotonic() + _LIMIT_IN_SECONDS)
        if found is Presence.ABSENT:
            raise self._nobody_serves()
        if found is Presence.UNKNOWN:
            say(self._about_unknown_service(master))

    def call(self, action: str, body: Body) -> tuple[list[Error], Body]:
        """Call an action.

        Returns:
            The errors of the job and of the action, and the body of the answer.

        Raises:
            Failure: there is no answer, or the request cannot be sent.
        """
        try:
            return self._call(action, body, self._timeout)
        except ServiceUnavailable as error:
            raise self._nobody_serves() from error
        except MessageReceiveTimeout as error:
            text = f"no answer from {self._service!r} within {self._timeout:g} s; the action may run yet"
            raise Failure(text, EXIT_NO_ANSWER) from error
        except (SerializationError, MessageTooLarge) as error:
            raise Failure(f"the request cannot be sent: {printable(str(error), 300)}", EXIT_USAGE) from error
        except PySOATransportError as error:
            text = f"the call failed: {printable(str(error), 300)} ({_OUTCOMES[error.outcome]})"
            raise Failure(text, EXIT_NO_ANSWER) from error

    def hints(self, errors: list[Error], action: str, body: Body) -> list[str]:
        """What may have been meant, in at most one line, as the service's introspection tells."""
        codes = {error.code for error in errors}
        if not codes & {ERROR_CODE_UNKNOWN, ERROR_CODE_MISSING}:
            return []
        is_unknown_action = any(error.code == ERROR_CODE_UNKNOWN and error.field == "action" for error in errors)
        question = {} if is_unknown_action else {"action_name": action}
        try:
            refused, told = self._call("introspect", question, min(self._timeout, _LIMIT_IN_SECONDS))
        except PySOAError:
            return []
        if refused:
            return []
        names = [name for name in told.get("action_names") or () if isinstance(name, str)]
        if is_unknown_action and action not in names:
            return [printable(action_hint(action, names), 300)]
        described = told.get("actions")
        about = described.get(action) if isinstance(described, dict) else None
        hint = field_hint(body, about.get("request_schema")) if isinstance(about, dict) else None
        return [printable(hint, 300)] if hint else []

    def _call(self, action: str, body: Body, timeout: float) -> tuple[list[Error], Body]:
        response = self._client.call_actions(
            self._service,
            [{"action": action, "body": body}],
            raise_job_errors=False,
            raise_action_errors=False,
            timeout=timeout,
        )
        if response.errors or not response.actions:
            return response.errors, {}
        return response.actions[0].errors, response.actions[0].body

    def _reach_broker(self) -> Master:
        began = time.monotonic()
        reason = ""
        for pause in _PAUSES_IN_SECONDS:
            time.sleep(pause)
            until = monotonic() + min(self._timeout, _LIMIT_IN_SECONDS)
            try:
                backend = self._client._get_handler(self._service).transport.core.backend_layer
                master: Master = backend.masters(until)[0]
                master.give_back(master.take(until))
            except BrokerError as error:
                cause = error.__cause__
                reason = (isinstance(cause, OSError) and cause.strerror) or str(error)
            else:
                return master
        tries, seconds = len(_PAUSES_IN_SECONDS), time.monotonic() - began
        raise Failure(
            f"no broker at {self._broker.shown_url}: {printable(reason)} ({tries} tries in {seconds:.1f} s)",
            EXIT_NO_ANSWER,
        )

    def _nobody_serves(self) -> Failure:
        return Failure(f"nobody serves {self._service!r} now: its servers have all gone", EXIT_NO_ANSWER)

    def _about_unknown_service(self, master: Master) -> str:
        waiting = f"waiting {self._timeout:g} s in case it is an older server"
        until = monotonic() + _LIMIT_IN_SECONDS
        try:
            connection = master.take(until)
            try:
                names = known_services(connection, until)
            finally:
                master.give_back(connection)
        except BrokerError:  # it may not be allowed to look
            return f"nobody has announced service {self._service!r} on this broker; {waiting}"
        known = printable(", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else ""))
        line = f"nobody has announced service {self._service!r} on this broker (known: {known or 'none'})"
        near = difflib.get_close_matches(self._service, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{line}; {hint}{waiting}"


_OUTCOMES: Final = {
    "not_sent": "the action has not run",
    "unknown": "the action may have run",
    "answered": "the service has answered",
}


def error_lines(errors: Iterable[Error]) -> Iterator[str]:
    """One line for each error: code, field, message."""
    for error in errors:
        place = f" {error.field}" if error.field else ""
        yield printable(f"{error.code}{place}: {error.message}", 1000)
