from __future__ import annotations

import threading
import traceback
from typing import Any

import pytest

from pysoa.client.future import FutureSOAResponse
from pysoa.common.transport.errors import MessageReceiveTimeout


class Source:
    """Gives out, or raises, one thing after another, and notes the timeouts."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float | None] = []

    def __call__(self, timeout: float | None) -> Any:
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.mark.parametrize("result", [["something"], [], None, 0], ids=repr)
def test_a_result_is_received_once_and_kept_though_it_be_falsy(result: Any) -> None:
    source = Source(result)
    future = FutureSOAResponse[Any](source)
    assert (future.done(), future.running()) == (False, True)

    first, second = future.result(3), future.result(4)

    assert first is result
    assert second is result
    assert source.timeouts == [3]
    assert (future.done(), future.running()) == (True, False)
    assert future.exception() is None


def test_a_timeout_is_not_kept() -> None:
    future = FutureSOAResponse[Any](Source(MessageReceiveTimeout("late"), "there"))

    with pytest.raises(MessageReceiveTimeout, match="late"):
        future.result(1)

    assert future.running()
    assert future.result() == "there"


def test_asking_for_the_exception_raises_a_timeout_and_does_not_keep_it() -> None:
    future = FutureSOAResponse[Any](Source(MessageReceiveTimeout("late"), "there"))

    with pytest.raises(MessageReceiveTimeout, match="late"):
        future.exception(1)

    assert future.exception() is None


def test_an_exception_is_kept_and_raised_again() -> None:
    error = ValueError("wrong")
    source = Source(error)
    future = FutureSOAResponse[Any](source)

    for _ in range(2):
        with pytest.raises(ValueError, match="wrong") as raised:
            future.result()
        assert raised.value is error

    assert future.exception() is error
    assert future.done()
    assert len(source.timeouts) == 1


def test_the_exception_may_be_asked_for_first() -> None:
    error = ValueError("wrong")

    assert FutureSOAResponse[Any](Source(error)).exception(2) is error


def test_an_interrupt_is_not_kept() -> None:
    future = FutureSOAResponse[Any](Source(KeyboardInterrupt(), "there"))

    with pytest.raises(KeyboardInterrupt):
        future.result()

    assert future.result() == "there"


def test_raising_again_does_not_lengthen_the_traceback() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    def receive(timeout: float | None) -> None:
        fail()

    future = FutureSOAResponse[Any](receive)
    frames = []

    for _ in range(4):
        try:
            future.result()
        except ValueError as error:
            frames.append([frame.name for frame in traceback.extract_tb(error.__traceback__)])

    name = "test_raising_again_does_not_lengthen_the_traceback"
    assert frames[1:] == [[name, "result", "receive", "fail"]] * 3


def test_of_two_threads_that_wait_at_once_both_get_the_same() -> None:
    both_wait = threading.Barrier(2)

    def receive(timeout: float | None) -> object:
        both_wait.wait(10)
        return object()

    future = FutureSOAResponse[object](receive)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(future.result())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(results) == 2
    assert results[0] is results[1]
