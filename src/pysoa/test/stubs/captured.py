"""What stubs have been asked and have answered: what tests take for granted about other services."""

from __future__ import annotations

import os
from typing import Any, Final, Literal, NamedTuple

from pysoa.common.types import Body

__all__ = ("CAPTURED", "Captured", "Kind", "capture", "copied", "get_stubbed_requests", "get_stubbed_responses")

Kind = Literal["request", "response"]


class Captured(NamedTuple):
    """A body that a stub was given or gave.

    Attributes:
        kind: which of both.
        service: the service that the stub stands for.
        action: the action.
        body: the body; None for a request without one.
        errors: the codes of the errors of a response.
        test: where it happened, as pytest names it; empty outside of its tests.
    """

    kind: Kind
    service: str
    action: str
    body: Body | None
    errors: tuple[str, ...]
    test: str


CAPTURED: Final[list[Captured]] = []
_requests: Final[list[dict[str, Any]]] = []
_responses: Final[list[dict[str, Any]]] = []


def capture(kind: Kind, service: str, action: str, body: Body | None, errors: tuple[str, ...] = ()) -> None:
    """Keep a body, which nobody may change any more."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]  # what is in brackets is its phase
    CAPTURED.append(Captured(kind, service, action, body, errors, test))
    (_requests if kind == "request" else _responses).append({"service": service, "action": action, "body": body})


def get_stubbed_requests() -> list[dict[str, Any]]:
    """All requests that stubs have had in this process, in order, as dicts with ``service``, ``action``, ``body``.

    It is the list itself, which goes on growing.
    """
    return _requests


def get_stubbed_responses() -> list[dict[str, Any]]:
    """All responses that stubs have given in this process; as ``get_stubbed_requests``."""
    return _responses


def copied(value: Any) -> Any:
    """A copy of a body in which dicts and lists are new at every level; what else is in it is the same."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
