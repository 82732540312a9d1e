"""What a client raises, beside the errors of transports and serializers."""

from __future__ import annotations

from collections.abc import Iterable

from pysoa.common.errors import Error, Outcome, PySOAError
from pysoa.common.types import ActionResponse

__all__ = (
    "CallActionError",
    "CallJobError",
    "ImproperlyConfigured",
    "InvalidExpansionKey",
    "InvalidExpansionResponse",
    "NoResponse",
    "PySOAClientError",
)


class PySOAClientError(PySOAError):
    """The root of the client's own errors."""


class ImproperlyConfigured(PySOAClientError):
    """The client is not configured for what is asked of it; nothing has been sent."""

    outcome: Outcome = "not_sent"


class InvalidExpansionKey(PySOAClientError, KeyError):
    """An expansion was asked for that is not configured; the call itself has been answered."""

    outcome: Outcome = "answered"

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would put quotes around the text


class InvalidExpansionResponse(PySOAClientError, KeyError):
    """The response to an expansion lacks the field that its route names, or holds no mapping there."""

    outcome: Outcome = "answered"

    def __str__(self) -> str:
        return Exception.__str__(self)


class NoResponse(PySOAClientError):
    """The transport has no more responses, and the one that is waited for was not among them."""


class CallJobError(PySOAClientError):
    """The server refused a job, or failed before it could run actions.

    Attributes:
        errors: what the response says is wrong.
    """

    outcome: Outcome = "answered"

    def __init__(self, errors: Iterable[Error] | None = None) -> None:
        self.errors: list[Error] = list(errors or ())
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "Error executing job:\n" + "\n".join(str(error) for error in self.errors)

    def __repr__(self) -> str:
        return str(self)


class CallActionError(PySOAClientError):
    """One or more actions failed.

    Attributes:
        actions: the responses of those that did, with their errors.
    """

    outcome: Outcome = "answered"

    def __init__(self, actions: Iterable[ActionResponse] | None = None) -> None:
        self.actions: list[ActionResponse] = list(actions or ())
        super().__init__(self.actions)

    def __str__(self) -> str:
        return "Error calling action(s):\n" + "\n".join(f"{action.action}: {action.errors}" for action in self.actions)
