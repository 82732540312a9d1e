"""Runs tests that are coroutine functions, where no plugin of pytest does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

__all__ = ("close_clients_after_coroutine_tests", "run_coroutine", "run_coroutine_test")

_PREFIX: Final = "test"


def run_coroutine(function: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
    """Run a coroutine function in an event loop that is made for it and closed after it."""
    import asyncio  # is not for those who have no use for it

    return asyncio.run(function(*args, **kwargs))


def run_coroutine_test(case: Any, function: Callable[..., Coroutine[Any, Any, Any]], **kwargs: Any) -> None:
    """Run a coroutine test of a test case, and close its asyncio client."""

    async def run() -> None:
        __tracebackhide__ = True
        try:
            await function(**kwargs)
        finally:
            await case._close_async_client()

    run_coroutine(run)


def close_clients_after_coroutine_tests(cls: type[Any]) -> None:
    """Have each coroutine test of a class close its asyncio client, in the event loop that it runs in.

    It is done here, and not when the test is torn down, since then the event loop of a plugin may be gone. Only what
    the class has of its own is looked at.
    """
    for name, value in list(vars(cls).items()):
        if name.startswith(_PREFIX) and inspect.iscoroutinefunction(value):
            setattr(cls, name, _closing(value))


def _closing(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(function)
    async def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return await function(self, *args, **kwargs)
        finally:
            await self._close_async_client()

    return run
