"""``FutureSOAResponse``: a response that has not been received yet."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from pysoa.common.transport.errors import MessageReceiveTimeout

__all__ = ("FutureSOAResponse",)

_Result_co = TypeVar("_Result_co", covariant=True)


class _Outcome(NamedTuple, Generic[_Result_co]):
    result: _Result_co | None
    exception: BaseException | None
    traceback: TracebackType | None


class FutureSOAResponse(Generic[_Result_co]):
    """The result of a call that has been sent, to be received when it is asked for.

    Nothing is received in the background: ``result`` and ``exception`` wait. Any thread may call them.

    Args:
        get_response: receives the response within the timeout given to it; ``None`` takes the timeout of the call.
    """

    def __init__(self, get_response: Callable[[float | None], _Result_co]) -> None:
        self._get_response = get_response
        # At most one outcome counts, the first: where two threads wait at once, appending decides which that is.
        self._outcomes: list[_Outcome[_Result_co]] = []

    def result(self, timeout: float | None = None) -> _Result_co:
        """Wait for the result, once; after that give back, or raise, the same thing again.

        Args:
            timeout: how many seconds to wait, in place of the timeout of the call.

        Raises:
            MessageReceiveTimeout: it has not come in time. It can be asked for again.
            PySOAError: what the call of the same name that waits would raise.
        """
        if not self._outcomes:
            try:
                self._outcomes.append(_Outcome(self._get_response(timeout), None, None))
            except MessageReceiveTimeout:
                raise
            except Exception as error:
                # Without this frame: every raise adds one of its own.
                traceback = error.__traceback__.tb_next if error.__traceback__ else None
                self._outcomes.append(_Outcome(None, error, traceback))
        outcome = self._outcomes[0]
        if outcome.exception is not None:
            raise outcome.exception.with_traceback(outcome.traceback)
        return outcome.result  # type: ignore[return-value] # a result of None is one of type None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome, and give back the exception that ``result`` would raise, or None.

        Args:
            timeout: how many seconds to wait, in place of the timeout of the call.

        Raises:
            MessageReceiveTimeout: the outcome has not come in time.
        """
        if not self._outcomes:
            try:
                self.result(timeout)
            except MessageReceiveTimeout:
                raise
            except Exception as error:
                return error
        return self._outcomes[0].exception

    def done(self) -> bool:
        """Whether the outcome has been received; looks for nothing and never waits."""
        return bool(self._outcomes)

    def running(self) -> bool:
        """Whether the outcome has not been received yet."""
        return not self._outcomes
