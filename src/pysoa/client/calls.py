"""The rules of calls, without waiting: from arguments to a job request, from a job response to a result or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.protocol.envelope import LIFE_AFTER_TIMEOUT_IN_SECONDS
from pysoa.common.switches import Switch, get_switch, is_switch
from pysoa.common.transport.errors import (
    DeadlinePassed,
    InvalidMessageError,
    MessageReceiveTimeout,
    ServiceUnavailable,
)
from pysoa.common.types import (
    ActionRequest,
    ActionResponse,
    Context,
    Control,
    JobRequest,
    JobResponse,
    action_response,
)

__all__ = (
    "ActionRequestArgument",
    "ActionRequestArgumentIterable",
    "ActionRequestArgumentList",
    "ErrorClasses",
    "JobRequestArgument",
    "TimeForCall",
    "action_result",
    "check_response",
    "is_suppressed",
    "job_response",
    "late_error",
    "longest_timeout",
    "make_context",
    "make_control",
    "request_headers",
    "sole_answer",
    "time_for_call",
    "timeout_within",
    "wait_within",
)

_EARLY_IN_SECONDS = 0.01  # a wait may end so much before its time

ActionRequestArgument: TypeAlias = ActionRequest | Mapping[str, Any]
ActionRequestArgumentList: TypeAlias = Sequence[ActionRequestArgument]
ActionRequestArgumentIterable: TypeAlias = Iterable[ActionRequestArgument]
JobRequestArgument: TypeAlias = Mapping[str, Any]


class ErrorClasses(Protocol):
    """The classes of errors to raise; a client may have its own."""

    @property
    def CallJobError(self) -> type[CallJobError]: ...

    @property
    def CallActionError(self) -> type[CallActionError]: ...


def make_control(
    continue_on_error: bool,
    suppress_response: bool,
    message_expiry_in_seconds: float | None,
    control_extra: Mapping[str, Any] | None,
) -> Control:
    """The control headers of a request; ``control_extra`` wins."""
    control: Control = {"continue_on_error": continue_on_error, "suppress_response": suppress_response}
    if control_extra:
        control.update(control_extra)
    if message_expiry_in_seconds and not (control_extra and "timeout" in control_extra):
        control["timeout"] = message_expiry_in_seconds
    return control


def request_headers(
    timeout: float | None,
    switches: Iterable[Switch] | None,
    correlation_id: str | None,
    continue_on_error: bool,
    context: Mapping[str, Any] | None,
    control_extra: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What the arguments of a call mean as keyword arguments of ``Client.send_request``."""
    if timeout and not (control_extra and "timeout" in control_extra):
        control_extra = {**(control_extra or {}), "timeout": timeout}
    return {
        "switches": switches if switches is None else list(switches),  # several requests may need them
        "correlation_id": correlation_id,
        "continue_on_error": continue_on_error,
        "context": context,
        "control_extra": control_extra,
        "message_expiry_in_seconds": timeout + LIFE_AFTER_TIMEOUT_IN_SECONDS if timeout else None,
    }


class TimeForCall(NamedTuple):
    """How much time a call has, and what its requests say of that.

    Attributes:
        timeout: seconds for the whole call; None and 0 for what the transport allows by default.
        headers: keyword arguments of ``Client.send_request``.
        ends_with_job: whether the caller of the present job stops waiting before the call would have ended by itself.
    """

    timeout: float | None
    headers: Mapping[str, Any]
    ends_with_job: bool


def time_for_call(
    service_name: str,
    timeout: float | None,
    default_timeout: float | None,
    headers: Mapping[str, Any],
    left: float | None,
) -> TimeForCall:
    """The time of a call, which must not last longer than the caller of the present job waits.

    Args:
        service_name: the service that is called.
        timeout: what the call asks for; None and 0 for the default.
        default_timeout: what the transport allows, where that is known.
        headers: as ``request_headers`` makes them; not changed.
        left: the seconds until the caller of the present job stops waiting; None outside of jobs.

    Raises:
        DeadlinePassed: it has stopped waiting. Nothing must be sent.
    """
    within = timeout_within(timeout, default_timeout, left)
    control = headers["control_extra"] or {}
    if within is None or control.get("suppress_response"):
        return TimeForCall(timeout, headers, False)
    if within <= 0:
        raise DeadlinePassed(service_name, -within, is_of_job=True, outcome="not_sent")
    told = control.get("timeout")
    if told is None or type(told) not in (int, float) or not 0 < told < within:
        control = {**control, "timeout": within}
    life = within + LIFE_AFTER_TIMEOUT_IN_SECONDS
    return TimeForCall(within, {**headers, "control_extra": control, "message_expiry_in_seconds": life}, True)


def timeout_within(timeout: float | None, default_timeout: float | None, left: float | None) -> float | None:
    """What is left of the time of the present job, where that is less than the time that a call has by itself.

    Args:
        timeout: what the call asks for; None and 0 for the default.
        default_timeout: what the transport allows, where that is known.
        left: the seconds until the caller of the present job stops waiting; None outside of jobs.

    Returns:
        ``left``, which may be negative; None where the job does not matter to the call.
    """
    own = timeout or default_timeout
    return left if left is not None and (not own or left < own) else None


def wait_within(
    since: float, timeout: float | None, default_timeout: float | None, deadline: float | None
) -> tuple[float | None, bool]:
    """When to stop waiting for the responses of a call, in ``monotonic`` time, and whether that is the job's deadline.

    Args:
        since: the moment from which the timeout counts.
        timeout: what the call asks for; None and 0 for the default.
        default_timeout: what the transport allows, where that is known.
        deadline: the moment at which the caller of the present job stops waiting; None outside of jobs.

    Returns:
        The moment; None leaves it to the transport.
    """
    if deadline is not None and timeout_within(timeout, default_timeout, deadline - since) is not None:
        return deadline, True
    seconds = timeout or default_timeout
    return (since + seconds if seconds else None), False


def longest_timeout(timeouts: Iterable[float | None]) -> float | None:
    """The default timeout of a call of several services: the longest of those that are known."""
    return max((timeout for timeout in timeouts if timeout is not None), default=None)


def late_error(error: MessageReceiveTimeout, service_name: str, overdue: float) -> DeadlinePassed | None:
    """What to raise in place of a timeout in a call that ends with its job.

    Args:
        error: what has been raised.
        service_name: the service that was called.
        overdue: how many seconds after the job's deadline it is.

    Returns:
        None where the timeout has another reason than that deadline.
    """
    if isinstance(error, ServiceUnavailable) or overdue < -_EARLY_IN_SECONDS:
        return None
    return DeadlinePassed(service_name, max(overdue, 0.0), is_of_job=True, outcome=error.outcome)


def make_context(
    base: Mapping[Any, Any] | None,
    extra: Mapping[Any, Any] | None,
    switches: Iterable[Switch] | None,
    correlation_id: str | None,
    new_correlation_id: Callable[[], str],
) -> Context:
    """The context headers of a request. Nothing that is given is changed.

    Args:
        base: what every request of the client says.
        extra: what this request says; it wins over all else, but for its ``switches``, which are added to the others.
        switches: to add to those of ``base`` and ``extra``.
        correlation_id: wins over that of ``base``.
        new_correlation_id: makes one where none is given.
    """
    if not base and not extra and not switches:
        return {
            "correlation_id": new_correlation_id() if correlation_id is None else correlation_id,
            "switches": [],
        }
    context: Context = dict(base) if base else {}
    if correlation_id is not None:
        context["correlation_id"] = correlation_id
    elif context.get("correlation_id") is None:
        context["correlation_id"] = new_correlation_id()
    active = context.get("switches")
    if extra:
        extra_switches = extra.get("switches")
        context["switches"] = _union(active, switches, extra_switches)
        for key, value in extra.items():
            if key != "switches":
                context[key] = value
    else:
        context["switches"] = _union(active, switches) if active or switches else []
    for key in context:
        if not isinstance(key, str):
            return {str(key): value for key, value in context.items()}
    return context


def _union(
    base: Iterable[Switch] | None, argument: Iterable[Switch] | None, extra: Iterable[Switch] | None = None
) -> list[int]:
    union: set[Any] = set()
    for switches in (base, argument, extra):
        if switches:
            is_argument = switches is argument
            union.update([switch if type(switch) is int else _number(switch, is_argument) for switch in switches])
    return list(union)


def _number(switch: Switch, is_argument: bool) -> Any:
    # What is no switch is a mistake in an argument; in a context it is for the server to refuse.
    return get_switch(switch) if is_argument or is_switch(switch) else switch


def is_suppressed(job_request: JobRequest) -> bool:
    """Whether the server is told not to answer."""
    return bool(job_request.control.get("suppress_response"))


def job_response(service_name: str, body: Any) -> JobResponse:
    """Read the response of a service.

    Raises:
        InvalidMessageError: it is none.
    """
    try:
        return JobResponse.from_message(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidMessageError(
            f"Response from service {service_name} is not a job response", repr(error), outcome="answered"
        ) from error


def check_response(
    response: JobResponse, raise_job_errors: bool, raise_action_errors: bool, errors: ErrorClasses
) -> None:
    """Raise the errors that a response holds: those of the job before those of its actions.

    Raises:
        CallJobError: the job has errors.
        CallActionError: actions have; all of them are in it.
    """
    if response.errors and raise_job_errors:
        raise errors.CallJobError(response.errors)
    if raise_action_errors:
        for action in response.actions:
            if action.errors:
                raise errors.CallActionError([action for action in response.actions if action.errors])


def action_result(
    response: JobResponse, service_name: str, raise_job_errors: bool, raise_action_errors: bool, errors: ErrorClasses
) -> ActionResponse:
    """The answer to a job of one action; the list of the job's errors where it has some and they are not to be raised.

    Raises:
        CallJobError, CallActionError: as ``check_response``.
        InvalidMessageError: the response has neither an answer nor errors.
    """
    if response.errors or not response.actions:
        check_response(response, raise_job_errors, raise_action_errors, errors)
        if response.errors:
            return response.errors  # type: ignore[return-value] # only where the caller asks for that
        raise InvalidMessageError(f"Response without actions from service {service_name}", outcome="answered")
    action = response.actions[0]
    if action.errors and raise_action_errors:
        raise errors.CallActionError([action for action in response.actions if action.errors])
    return action


def sole_answer(body: Any) -> ActionResponse | None:
    """What ``action_result`` gives for the body of a response with one answer and no errors; None for all others."""
    try:
        (answer,) = body["actions"]
        if body["errors"] or answer["errors"]:
            return None
        return action_response(answer["action"], answer["body"])
    except (KeyError, TypeError, ValueError):
        return None
