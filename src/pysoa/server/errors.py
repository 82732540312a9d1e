"""What services raise to answer with errors, and what the server raises when a service breaks its own rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attr

from pysoa.common.errors import Error, PySOAError
from pysoa.common.fields import Issue

__all__ = ("ActionError", "JobError", "PySOAServerError", "ResponseValidationError")


class PySOAServerError(PySOAError):
    """The root of the exceptions of the server."""


class JobError(PySOAServerError):
    """Raised to fail the whole job: its answer has these errors, and nothing of what its actions returned.

    Args:
        errors: the errors of the answer.
        set_is_caller_error_to: what every error's ``is_caller_error`` becomes; ``None`` leaves them as they are.

    Attributes:
        errors: the errors, so adjusted.
    """

    def __init__(self, errors: Iterable[Error], set_is_caller_error_to: bool | None = False) -> None:
        super().__init__(errors)
        self.errors = _with_caller_error(errors, set_is_caller_error_to)


class ActionError(PySOAServerError):
    """Raised to fail one action: its response has these errors and an empty body.

    Args:
        errors: the errors of the response.
        set_is_caller_error_to: what every error's ``is_caller_error`` becomes; ``None`` leaves them as they are.

    Attributes:
        errors: the errors, so adjusted.
    """

    def __init__(self, errors: Iterable[Error], set_is_caller_error_to: bool | None = True) -> None:
        super().__init__(errors)
        self.errors = _with_caller_error(errors, set_is_caller_error_to)


def _with_caller_error(errors: Iterable[Error], is_caller_error: bool | None) -> list[Error]:
    if is_caller_error is None:
        return list(errors)
    return [
        error if error.is_caller_error is is_caller_error else attr.evolve(error, is_caller_error=is_caller_error)
        for error in errors
    ]


class ResponseValidationError(PySOAServerError):
    """An action returned what its own response schema refuses.

    Attributes:
        action: the name of the action.
        errors: what the schema finds wrong.
    """

    def __init__(self, action: str, errors: Sequence[Issue]) -> None:
        super().__init__(action, errors)
        self.action = action
        self.errors = errors

    def __str__(self) -> str:
        """Every fault on a line of its own."""
        faults = "\n\t".join(f"{error.pointer} {error.code}: {error.message}" for error in self.errors)
        return f"{self.action} had an invalid response:\n\t{faults}"
