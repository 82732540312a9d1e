from __future__ import annotations

import builtins

import pytest

from pysoa.common.errors import PySOAError
from pysoa.common.transport import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_the_one_root(name: str) -> None:
    assert issubclass(getattr(errors, name), PySOAError)
    assert issubclass(getattr(errors, name), errors.PySOATransportError)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("MessageTooLarge", "not_sent"),
        ("MessageSendTimeout", "not_sent"),
        ("ConnectionError", "not_sent"),
        ("MessageSendError", "unknown"),
        ("MessageReceiveTimeout", "unknown"),
        ("MessageReceiveError", "unknown"),
        ("InvalidMessageError", "unknown"),
        ("ServiceUnavailable", "unknown"),
    ],
)
def test_every_error_says_whether_the_action_can_have_run(name: str, outcome: str) -> None:
    assert getattr(errors, name)().outcome == outcome


def test_what_is_known_better_is_said() -> None:
    assert errors.MessageSendError("full", outcome="not_sent").outcome == "not_sent"
    assert errors.MessageSendError("full", 5).args == ("full", 5)


@pytest.mark.parametrize("name", ["DeadlinePassed", "ServiceUnavailable"])
def test_handlers_of_timeouts_catch_it(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.MessageReceiveTimeout)


def test_a_deadline_says_by_how_much() -> None:
    error = errors.DeadlinePassed("svc", 0.25)

    assert str(error) == "call to svc is 0.250 s past its deadline"
    assert error.overdue_in_seconds == 0.25


def test_the_connection_error_is_not_the_builtin() -> None:
    assert not issubclass(errors.ConnectionError, builtins.ConnectionError)


def test_a_batch_error_is_told_as_its_first() -> None:
    first = errors.MessageSendError("one", outcome="not_sent")
    error = errors.BatchSendError({1: first, 2: errors.MessageSendError("two")})

    assert error.args == ("one",)
    assert error.outcome == "not_sent"
    assert list(error.errors) == [1, 2]


def test_a_message_that_is_too_large_knows_its_size() -> None:
    assert errors.MessageTooLarge(12, "text").message_size_in_bytes == 12
    assert errors.MessageTooLarge().message_size_in_bytes == 0
