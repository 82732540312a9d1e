"""The values that clients and servers exchange: action and job requests and responses.

They are mutable attrs classes, equal by value; fields are converted once, at construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attr

from pysoa.common.errors import Error

__all__ = (
    "ActionRequest",
    "ActionResponse",
    "Body",
    "Context",
    "Control",
    "JobRequest",
    "JobResponse",
    "UnicodeKeysDict",
)

Body: TypeAlias = dict[str, Any]
Context: TypeAlias = dict[str, Any]
Control: TypeAlias = dict[str, Any]


class UnicodeKeysDict(dict[str, Any]):
    """A ``dict`` that turns keys into text when one is set; constructing it from an iterable does not."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(str(key), value)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return super().setdefault(str(key), default)


_ERROR_FIELDS = frozenset(field.name for field in attr.fields(Error))


def _to_errors(items: Iterable[Error | Mapping[str, Any]]) -> list[Error]:
    if not items:
        return []
    return [
        item
        if isinstance(item, Error)
        # Newer servers may say more about an error than this release knows: what it does not know is left out.
        else Error(**{key: value for key, value in item.items() if key in _ERROR_FIELDS})
        for item in items
    ]


@attr.s(auto_attribs=True)
class ActionRequest:
    """The call of one action.

    Attributes:
        action: the name of the action.
        body: what the action is given.
    """

    action: str
    body: Body = attr.Factory(dict)


@attr.s(auto_attribs=True)
class ActionResponse:
    """The answer of one action.

    Attributes:
        action: the name of the action.
        errors: what went wrong; empty when the action succeeded. Dicts are turned into ``Error``.
        body: what the action returned; empty when it failed.
    """

    action: str
    errors: list[Error] = attr.ib(factory=list, converter=_to_errors)
    body: Body = attr.Factory(dict)


def _to_action_requests(items: Iterable[ActionRequest | Mapping[str, Any]]) -> list[ActionRequest]:
    return [item if isinstance(item, ActionRequest) else ActionRequest(**item) for item in items]


def _to_action_responses(items: Iterable[ActionResponse | Mapping[str, Any]]) -> list[ActionResponse]:
    return [item if isinstance(item, ActionResponse) else _to_action_response(item) for item in items]


def _to_action_response(item: Mapping[str, Any]) -> ActionResponse:
    response = action_response(item["action"], item.get("body", {}))
    if errors := item.get("errors"):
        response.errors = _to_errors(errors)
    return response


@attr.s(auto_attribs=True)
class JobRequest:
    """One or more action requests, served together and in order.

    Attributes:
        control: headers for PySOA, such as ``continue_on_error``.
        context: headers for people's code, such as ``correlation_id`` and ``switches``.
        actions: the calls. Dicts are turned into ``ActionRequest``; an unknown key or a missing ``action`` is a
            ``TypeError``.
    """

    control: Control = attr.Factory(dict)
    context: Context = attr.Factory(dict)
    actions: list[ActionRequest] = attr.ib(factory=list, converter=_to_action_requests)


@attr.s(auto_attribs=True)
class JobResponse:
    """The answer of one job.

    Attributes:
        errors: why the job as a whole failed; then ``actions`` is empty.
        context: headers for people's code, such as ``correlation_id``.
        actions: the answers, in the order of the requests; those after a failed action may be missing.
    """

    errors: list[Error] = attr.ib(factory=list, converter=_to_errors)
    context: Context = attr.Factory(dict)
    actions: list[ActionResponse] = attr.ib(factory=list, converter=_to_action_responses)

    @classmethod
    def from_message(cls, body: Mapping[str, Any]) -> JobResponse:
        """Read the body of a response message; keys that this release does not know are left out.

        Raises:
            KeyError, TypeError, AttributeError, ValueError: the body does not have the shape of a job response.
        """
        response = cls.__new__(cls)
        errors = body.get("errors")
        response.__dict__ = {
            "errors": _to_errors(errors) if errors else [],
            "context": body.get("context") or {},
            "actions": [_to_action_response(item) for item in body.get("actions") or ()],
        }
        return response


# The converters of __init__ cost more than all the rest, and what is made here needs none. Setting one field after the
# other costs half of what a new __dict__ does.
_new: Callable[[type[Any]], Any] = object.__new__


def action_request(item: Mapping[str, Any]) -> ActionRequest:
    """One of the action requests of a sound message."""
    request: ActionRequest = _new(ActionRequest)
    request.action = item["action"]
    request.body = item.get("body", {})
    return request


def action_response(action: str, body: Body) -> ActionResponse:
    """The answer of an action that succeeded."""
    response: ActionResponse = _new(ActionResponse)
    response.action = action
    response.errors = []
    response.body = body
    return response


def job_response(actions: list[ActionResponse]) -> JobResponse:
    """The answer of a job whose actions were run."""
    response: JobResponse = _new(JobResponse)
    response.errors = []
    response.context = {}
    response.actions = actions
    return response


def job_request_message(job_request: JobRequest) -> Body:
    """The body of a request message. Bodies and headers are put in as they are, not copied."""
    return {
        "control": job_request.control,
        "context": job_request.context,
        "actions": [{"action": action.action, "body": action.body} for action in job_request.actions],
    }


_CALLER_ERRORS_SINCE = (0, 70, 0)


def job_response_message(job_response: JobResponse, client_version: tuple[int, ...] = ()) -> Body:
    """The body of a response message. Bodies and headers are put in as they are, not copied.

    Args:
        job_response: the answer of the job.
        client_version: what the client says of itself in the request's meta; empty when it says nothing, as clients
            before 0.70 do. Those get errors without ``is_caller_error``; and clients before 0.44 refuse answers with
            ``context`` or ``denied_permissions``, so these are left out where they say nothing.
    """
    message: Body = {
        "errors": _error_messages(job_response.errors, client_version) if job_response.errors else [],
        "context": job_response.context,
        "actions": [
            {
                "action": action.action,
                "errors": _error_messages(action.errors, client_version) if action.errors else [],
                "body": action.body,
            }
            for action in job_response.actions
        ],
    }
    if not client_version:
        del message["context"]
    return message


def answer_message(response: ActionResponse, context: Context, client_version: tuple[int, ...]) -> Body:
    """The same of a job with one action that has succeeded."""
    actions = [{"action": response.action, "errors": [], "body": response.body}]
    if client_version:
        return {"errors": [], "context": context, "actions": actions}
    return {"errors": [], "actions": actions}


def _error_messages(errors: list[Error], client_version: tuple[int, ...]) -> list[Body]:
    return [_error_message(error, client_version) for error in errors]


def _error_message(error: Error, client_version: tuple[int, ...]) -> Body:
    message: Body = {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "traceback": error.traceback,
        "variables": error.variables,
        "denied_permissions": error.denied_permissions,
        "is_caller_error": error.is_caller_error,
    }
    if client_version < _CALLER_ERRORS_SINCE:
        del message["is_caller_error"]
    if not client_version and error.denied_permissions is None:
        del message["denied_permissions"]
    return message
