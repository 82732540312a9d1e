"""What can go wrong while a message is moved.

Every class says, by its ``outcome``, whether the action that was called can have run.
"""

from __future__ import annotations

from typing import Any

from pysoa.common.errors import Outcome, PySOAError

__all__ = (
    "BatchSendError",
    "ConnectionError",
    "DeadlinePassed",
    "InvalidMessageError",
    "MessageReceiveError",
    "MessageReceiveTimeout",
    "MessageSendError",
    "MessageSendTimeout",
    "MessageTooLarge",
    "PySOATransportError",
    "ServiceUnavailable",
    "TransientPySOATransportError",
)


class PySOATransportError(PySOAError):
    """The root of all errors of transports.

    Args:
        args: a text for people, and details.
        outcome: whether the action can have run, where that differs from what the class says.
    """

    def __init__(self, *args: Any, outcome: Outcome | None = None) -> None:
        super().__init__(*args)
        if outcome is not None:
            self.outcome = outcome

    def __str__(self) -> str:
        return ": ".join(map(str, self.args))


class MessageTooLarge(PySOATransportError):
    """A message is larger than the settings allow; it has not been sent.

    Attributes:
        message_size_in_bytes: the size of the serialized message, headers aside.
    """

    outcome: Outcome = "not_sent"

    def __init__(self, message_size_in_bytes: int = 0, *args: Any) -> None:
        super().__init__(*args)
        self.message_size_in_bytes = message_size_in_bytes


class InvalidMessageError(PySOATransportError):
    """What arrived, or was to be sent, is not a PySOA message; it has been dropped."""


class TransientPySOATransportError(PySOATransportError):
    """The root of errors that may be gone at the next try."""


class MessageReceiveTimeout(TransientPySOATransportError):
    """Nothing arrived in time. A request that was sent may still be queued, running or answered later."""


class DeadlinePassed(MessageReceiveTimeout):
    """The time allowed for a whole call ran out; the service may still be working on it.

    Args:
        service_name: the service that was called.
        overdue_in_seconds: how long after the deadline this was noticed.
        is_of_job: whether it was the deadline of the job that made the call.
        outcome: whether the action can have run, where that is not unknown.

    Attributes:
        overdue_in_seconds: as given.
        is_of_job: as given.
    """

    def __init__(
        self,
        service_name: str,
        overdue_in_seconds: float,
        *,
        is_of_job: bool = False,
        outcome: Outcome | None = None,
    ) -> None:
        text = f"call to {service_name} is {overdue_in_seconds:.3f} s past "
        text += "the deadline of its job: the caller of that has stopped waiting" if is_of_job else "its deadline"
        super().__init__(text, outcome=outcome)
        self.overdue_in_seconds = overdue_in_seconds
        self.is_of_job = is_of_job


class ServiceUnavailable(MessageReceiveTimeout):
    """No server of the service is running now, by what its servers have announced on the broker.

    The request has been taken off the queue again where that was still possible; then ``outcome`` is ``not_sent``.
    """


class MessageSendTimeout(TransientPySOATransportError):
    """The message could not be sent in time; it has not been sent."""

    outcome: Outcome = "not_sent"


class MessageReceiveError(TransientPySOATransportError):
    """The broker failed while a message was awaited; the message may be lost."""


class MessageSendError(TransientPySOATransportError):
    """The broker refused a message or failed while it was sent; ``outcome`` says whether it can have arrived."""


class ConnectionError(TransientPySOATransportError):  # noqa: A001 - a public name of the first PySOA
    """No connection to the broker could be had; nothing has been sent. Not a subclass of the built-in of that name."""

    outcome: Outcome = "not_sent"


class BatchSendError(MessageSendError):
    """Some requests of a batch could not be sent; the others were.

    Attributes:
        errors: what went wrong, by request id.
    """

    def __init__(self, errors: dict[int, PySOATransportError]) -> None:
        first = next(iter(errors.values()))
        super().__init__(*first.args, outcome=first.outcome)
        self.errors = errors
