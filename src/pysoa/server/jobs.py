"""The rules of jobs: whether one is sound, which action is next, and which error becomes which response. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from pysoa.common.constants import (
    ERROR_CODE_ACTION_TIMEOUT,
    ERROR_CODE_JOB_TIMEOUT,
    ERROR_CODE_SERVER_ERROR,
    ERROR_CODE_UNKNOWN,
)
from pysoa.common.errors import Error
from pysoa.common.protocol.envelope import LIFE_AFTER_TIMEOUT_IN_SECONDS
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, Control, JobResponse, job_response
from pysoa.server.schemas import JobRequestSchema

__all__ = (
    "JobRun",
    "RESPONSE_NOT_SERIALIZABLE",
    "RESPONSE_TOO_LARGE",
    "action_timeout_error",
    "check_response",
    "client_version",
    "deadline",
    "ended_job_response",
    "internal_error",
    "is_response_suppressed",
    "is_sound",
    "job_request_errors",
    "job_timeout_error",
    "only_action",
    "redacted_error",
    "unknown_action_error",
)

_TEXT: Final = frozenset((str,))
_INTEGERS: Final = frozenset((int,))
_ORDINARY_KINDS: Final = (dict, dict, list, dict, dict, list, bool, str, str)
_SEQUENCES: Final = (list, tuple)

RESPONSE_TOO_LARGE = "Could not send the response because it was too large"
RESPONSE_NOT_SERIALIZABLE = "Could not send the response because it failed to serialize"

# Beyond these nobody means what they say, and floats and timers cannot hold it.
_LONGEST_WAIT_IN_SECONDS: Final = 1e8
_LATEST_EXPIRY: Final = 1e11
_NUMBERS: Final = (float, int)  # and not bool, which is a kind of int


def job_request_errors(job_request: Any) -> list[Error]:
    """Everything that is wrong with the body of a request message; empty when it is a sound job request."""
    if is_sound(job_request):
        return []
    return [Error(issue.code, issue.message, issue.pointer) for issue in JobRequestSchema.errors(job_request) or ()]


def is_sound(job_request: Any) -> bool:
    """Whether it surely passes the schema: the ordinary case, told in a hundredth of the schema's time."""
    if type(job_request) is not dict or len(job_request) != 3:
        return False
    try:
        control, context, actions = job_request["control"], job_request["context"], job_request["actions"]
        if type(control) is not dict or type(context) is not dict or type(actions) is not list or not actions:
            return False
        if (
            type(control["continue_on_error"]) is not bool
            or type(control.get("suppress_response", False)) is not bool
            or type(context["correlation_id"]) is not str
            or type(switches := context["switches"]) is not list
        ):
            return False
        if len(context) > 2 and not (
            type(context.get("caller", "")) is str and type(context.get("calling_service", "")) is str
        ):
            return False
        if switches and not _INTEGERS.issuperset(map(type, switches)):
            return False
        for action in actions:
            if type(action) is not dict or type(action["action"]) is not str:
                return False
            if len(action) > 1:
                if len(action) > 2 or type(body := action["body"]) is not dict:
                    return False
                if not _TEXT.issuperset(map(type, body)):
                    return False
    except LookupError:
        return False
    return True


def only_action(job_request: Any) -> Body | None:
    """The action of a job that is surely sound, has no other and is to be answered; None for any other.

    Most jobs are of that kind. It takes less than ``is_sound``, so that it takes less time.
    """
    if type(job_request) is not dict or len(job_request) != 3:
        return None
    try:
        control, context, actions = job_request["control"], job_request["context"], job_request["actions"]
        action: Body = actions[0]
        body, switches = action["body"], context["switches"]
        kinds = (
            type(control),
            type(context),
            type(actions),
            type(action),
            type(body),
            type(switches),
            type(control["continue_on_error"]),
            type(context["correlation_id"]),
            type(action["action"]),
        )
    except (LookupError, TypeError):  # what is no dict has no such keys
        return None
    if (
        kinds != _ORDINARY_KINDS
        or len(actions) != 1
        or len(action) != 2
        or control.get("suppress_response", False) is not False
        or ((switches or len(context) > 2) and not is_sound(job_request))
        or not _TEXT.issuperset(map(type, body))
    ):
        return None
    return action


def is_response_suppressed(job_request: Any) -> bool:
    """Whether nothing may be sent back; any true-like value says so, even in a job that is refused."""
    control = job_request.get("control") if isinstance(job_request, dict) else None
    return isinstance(control, dict) and bool(control.get("suppress_response"))


def request_context(job_request: Any) -> Context:
    """The context of a job request that may be malformed; empty where it has none."""
    context = job_request.get("context") if isinstance(job_request, dict) else None
    return context if isinstance(context, dict) else {}


def deadline(meta: Any, job_request: Any, now: float, seconds_until: Callable[[float], float] | None) -> float | None:
    """The moment at which the caller of a job stops waiting, as far as the request tells.

    Args:
        meta: the meta headers of the request, as it came.
        job_request: its body, as it came.
        now: the moment at which the job begins, on the monotonic clock.
        seconds_until: how long it is until an expiry, by the clock that expiries are written in; None if nobody knows.
            A request expires some time after its caller stops waiting.

    Returns:
        The moment, on the monotonic clock; it may be over. None where nobody waits for an answer, and where nothing
        tells, or not more than that it is very long.
    """
    left = _LONGEST_WAIT_IN_SECONDS
    if seconds_until is not None and isinstance(meta, dict):
        expiry: Any = meta.get("__expiry__")
        if type(expiry) in _NUMBERS and 0 < expiry < _LATEST_EXPIRY:
            until_expiry = seconds_until(expiry)
            if -left < until_expiry < left:
                left = until_expiry - LIFE_AFTER_TIMEOUT_IN_SECONDS
    control = job_request.get("control") if isinstance(job_request, dict) else None
    if isinstance(control, dict):
        if control.get("suppress_response"):
            return None
        if "timeout" in control:
            timeout = control["timeout"]
            if type(timeout) in _NUMBERS and 0 < timeout < left:
                left = float(timeout)
    return now + left if left < _LONGEST_WAIT_IN_SECONDS else None


def client_version(meta: dict[str, Any]) -> tuple[int, ...]:
    """What a request's meta says of the version of its client; empty when it says nothing that makes sense."""
    version = meta.get("client_version")
    if not isinstance(version, _SEQUENCES):
        return ()
    return tuple(version) if _INTEGERS.issuperset(map(type, version)) else ()


def check_response(response: Any) -> None:
    """Hold an action to its word.

    Raises:
        TypeError: what it has returned is not a response.
    """
    if not isinstance(response, ActionResponse):
        raise TypeError(f"an action returned {type(response).__name__} instead of an ActionResponse")


ActionRequestT = TypeVar("ActionRequestT", bound=ActionRequest)


class JobRun(Generic[ActionRequestT]):
    """One job under way: which action is next, and what to answer once there is none.

    Args:
        actions: the action requests, in their order.
        control: the control headers of the job.
    """

    __slots__ = ("_continue_on_error", "_responses", "_waiting")

    def __init__(self, actions: Sequence[ActionRequestT], control: Control) -> None:
        self._waiting = iter(actions)
        self._continue_on_error = bool(control.get("continue_on_error", False))
        self._responses: list[ActionResponse] = []

    def next_action(self) -> ActionRequestT | None:
        """The next request to run, or None when there is none."""
        return next(self._waiting, None)

    def record(self, response: ActionResponse, *, is_last: bool = False) -> None:
        """Take the response of an action; ``is_last`` ends the job whatever its control says.

        Raises:
            TypeError: it is not a response.
        """
        check_response(response)
        self._responses.append(response)
        if is_last or (response.errors and not self._continue_on_error):
            self._waiting = iter(())

    def response(self) -> JobResponse:
        """What the job answers."""
        return job_response(self._responses)


def unknown_action_error(action: str, *, is_caller_error: bool = True) -> Error:
    """What is said of an action that the service does not have."""
    message = f'The action "{action}" was not found on this server.'
    return Error(ERROR_CODE_UNKNOWN, message, field="action", is_caller_error=is_caller_error)


def action_timeout_error(action: str) -> Error:
    """What is said of an action that was interrupted."""
    return Error(ERROR_CODE_ACTION_TIMEOUT, f'The action "{action}" ran for too long and had to be interrupted.')


def ended_job_response(job_request: Any, actions_begun: int) -> JobResponse:
    """What is answered for a job that ran for so long that its process was ended.

    The responses of the actions before the one that was running are lost with it: where there were some, the whole job
    has failed.
    """
    if not is_sound(job_request) or not 0 < actions_begun <= len(job_request["actions"]):
        return JobResponse([job_timeout_error()], context=_correlation(job_request))
    name = job_request["actions"][actions_begun - 1]["action"]
    error = action_timeout_error(name)
    if actions_begun > 1:
        return JobResponse([error], context=_correlation(job_request))
    return JobResponse(actions=[ActionResponse(name, [error])], context=_correlation(job_request))


def _correlation(job_request: Any) -> Context:
    context = request_context(job_request)
    return {"correlation_id": context["correlation_id"]} if "correlation_id" in context else {}


def job_timeout_error() -> Error:
    """What is said of a job that was interrupted outside of its actions."""
    message = "The service job ran for too long and had to be interrupted (probably a middleware issue)."
    return Error(ERROR_CODE_JOB_TIMEOUT, message)


def internal_error(text: str, traceback: str, variables: Any) -> Error:
    """What the caller is told of an exception, in full."""
    return Error(ERROR_CODE_SERVER_ERROR, f"Internal server error: {text}", traceback=traceback, variables=variables)


def redacted_error(error_id: str) -> Error:
    """What the caller is told of an exception by default: an id by which the service's log tells all of it."""
    return Error(ERROR_CODE_SERVER_ERROR, f"Internal server error (error id {error_id})")
