"""``AsyncFutureSOAResponse``: a response that somebody will await later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from pysoa.common.transport.errors import MessageReceiveTimeout

__all__ = ("AsyncFutureSOAResponse",)

_Result_co = TypeVar("_Result_co", covariant=True)


class AsyncFutureSOAResponse(Generic[_Result_co]):
    """The result of a call that has been sent; the twin of ``FutureSOAResponse``. It may be awaited itself.

    Args:
        get_response: receives the response within the timeout given to it; ``None`` takes the timeout of the call.
    """

    def __init__(self, get_response: Callable[[float | None], Awaitable[_Result_co]]) -> None:
        self._get_response = get_response
        self._outcome: tuple[_Result_co | None, Exception | None, TracebackType | None] | None = None

    async def result(self, timeout: float | None = None) -> _Result_co:
        """Wait for the result; after that give back, or raise, the same thing again.

        Args:
            timeout: how many seconds to wait, in place of the timeout of the call.

        Raises:
            MessageReceiveTimeout: it has not come in time. It can be asked for again.
            PySOAError: what the call of the same name that waits would raise.
        """
        if self._outcome is None:
            try:
                result = await self._get_response(timeout)
                self._outcome = self._outcome or (result, None, None)
            except MessageReceiveTimeout:
                raise
            except Exception as error:
                # Without this frame: every raise adds one of its own.
                traceback = error.__traceback__.tb_next if error.__traceback__ else None
                self._outcome = self._outcome or (None, error, traceback)
        result_or_none, error_or_none, traceback_or_none = self._outcome
        if error_or_none is not None:
            raise error_or_none.with_traceback(traceback_or_none)
        return result_or_none  # type: ignore[return-value] # a result of None is one of type None

    def __await__(self) -> Generator[Any, None, _Result_co]:
        return self.result().__await__()

    async def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait for the outcome, and give back the exception that ``result`` would raise, or None.

        Raises:
            MessageReceiveTimeout: the outcome has not come in time.
        """
        if self._outcome is None:
            try:
                await self.result(timeout)
            except MessageReceiveTimeout:
                raise
            except Exception as error:
                return error
        return None if self._outcome is None else self._outcome[1]

    def done(self) -> bool:
        """Whether the outcome has been received; looks for nothing and never waits."""
        return self._outcome is not None

    def running(self) -> bool:
        """Whether the outcome has not been received yet."""
        return self._outcome is None
