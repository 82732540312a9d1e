from __future__ import annotations

import pytest

from pysoa.common.errors import Error, PySOAError
from pysoa.common.fields import FieldError
from pysoa.server.errors import ActionError, JobError, PySOAServerError, ResponseValidationError

OURS, THEIRS = Error("A", "a"), Error("B", "b", is_caller_error=True)


@pytest.mark.parametrize(("kind", "is_caller_error"), [(JobError, False), (ActionError, True)])
def test_errors_say_whose_fault_they_are_by_the_kind_of_the_exception(
    kind: type[JobError | ActionError], is_caller_error: bool
) -> None:
    error = kind([OURS, THEIRS])

    assert [each.is_caller_error for each in error.errors] == [is_caller_error] * 2
    assert error.args == ([OURS, THEIRS],)


@pytest.mark.parametrize("kind", [JobError, ActionError])
def test_errors_may_be_left_as_they_are_or_be_set(kind: type[JobError | ActionError]) -> None:
    assert kind([OURS, THEIRS], set_is_caller_error_to=None).errors == [OURS, THEIRS]
    assert kind(errors=[OURS, THEIRS], set_is_caller_error_to=True).errors[0].is_caller_error
    assert not kind([OURS, THEIRS], False).errors[1].is_caller_error


def test_an_invalid_response_names_every_fault() -> None:
    error = ResponseValidationError(
        "act", [FieldError("Not a boolean", "ok"), FieldError("Extra keys", None, "UNKNOWN")]
    )

    assert str(error) == "act had an invalid response:\n\tok INVALID: Not a boolean\n\tNone UNKNOWN: Extra keys"
    assert (error.action, len(error.errors)) == ("act", 2)


@pytest.mark.parametrize("kind", [JobError, ActionError, ResponseValidationError])
def test_all_have_one_root(kind: type) -> None:
    assert issubclass(kind, PySOAServerError)
    assert issubclass(kind, PySOAError)
