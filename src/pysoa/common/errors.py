"""``Error``, the value that travels in responses, and ``PySOAError``, the root of every exception raised here."""

from __future__ import annotations

from typing import Any, Literal

import attr

__all__ = ("Error", "Outcome", "PySOAError")

Outcome = Literal["not_sent", "unknown", "answered"]
"""Whether the action that was called can have run.

``not_sent``: it has not run and will not. ``unknown``: it may have run, may be running or may run yet.
``answered``: the server has answered, so what it did is in the answer.
"""


class PySOAError(Exception):
    """The root of every exception that PySOA raises.

    Attributes:
        outcome: whether the action of the call that failed can have run; see ``Outcome``. Exceptions that have
            nothing to do with a call say ``unknown``.
    """

    outcome: Outcome = "unknown"


@attr.s(auto_attribs=True, frozen=True)
class Error:
    """One error of a job or of an action, as it stands in a response.

    Attributes:
        code: what went wrong, for programs.
        message: what went wrong, for people.
        field: dotted path to the offending field of the request, list indexes as numbers (``a.b.0.c``).
        traceback: formatted traceback of an error in the server, where the server gives it.
        variables: ``repr()`` of variables that help, by name.
        denied_permissions: set by applications when permissions were missing.
        is_caller_error: True when the caller did something wrong, False when the server did.
    """

    code: str
    message: str
    field: str | None = None
    traceback: str | None = None
    variables: dict[str, Any] | None = attr.ib(default=None, hash=False)
    denied_permissions: list[str] | None = attr.ib(default=None, hash=False)
    is_caller_error: bool = False
