from __future__ import annotations

import pickle

import pytest

from pysoa.client import errors
from pysoa.common.errors import Error, PySOAError
from pysoa.common.types import ActionResponse

ONE, TWO = Error("ONE", "first"), Error("TWO", "second", field="a.b")


def test_job_errors_are_told_one_on_a_line() -> None:
    error = errors.CallJobError([ONE, TWO])

    assert str(error) == f"Error executing job:\n{ONE}\n{TWO}"
    assert repr(error) == str(error)


def test_action_errors_are_told_one_action_on_a_line() -> None:
    error = errors.CallActionError([ActionResponse("a", [ONE]), ActionResponse("b", [TWO])])

    assert str(error) == f"Error calling action(s):\na: [{ONE!r}]\nb: [{TWO!r}]"


@pytest.mark.parametrize("make", [errors.CallJobError, errors.CallActionError])
def test_errors_may_be_made_without_details(make: type[Exception]) -> None:
    error = make()

    assert vars(error) in ({"errors": []}, {"actions": []})


@pytest.mark.parametrize("kind", [errors.InvalidExpansionKey, errors.InvalidExpansionResponse])
def test_errors_of_expansions_are_key_errors_with_a_plain_text(kind: type[Exception]) -> None:
    error = kind("Invalid key in expansion request: no")

    assert isinstance(error, KeyError)
    assert str(error) == "Invalid key in expansion request: no"


def test_errors_survive_pickling() -> None:
    error = errors.CallJobError([ONE])

    assert pickle.loads(pickle.dumps(error)).errors == [ONE]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("PySOAClientError", "unknown"),
        ("ImproperlyConfigured", "not_sent"),
        ("InvalidExpansionKey", "answered"),
        ("InvalidExpansionResponse", "answered"),
        ("NoResponse", "unknown"),
        ("CallJobError", "answered"),
        ("CallActionError", "answered"),
    ],
)
def test_every_error_says_whether_the_action_can_have_run(name: str, outcome: str) -> None:
    error = getattr(errors, name)

    assert issubclass(error, errors.PySOAClientError)
    assert issubclass(error, PySOAError)
    assert error.outcome == outcome
