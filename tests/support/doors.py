"""Clients of both kinds for tests that are written once: those of an ``AsyncClient`` run its event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
from collections.abc import Iterator
from typing import Any

from pysoa.client.async_client import AsyncClient
from pysoa.client.async_future import AsyncFutureSOAResponse
from pysoa.client.client import Client

_LONGEST_WAIT_IN_SECONDS = 30


class Door:
    """A ``Client``, which it passes on.

    Attributes:
        client: the client.
    """

    is_async = False

    def __init__(self, config: Any, **kwargs: Any) -> None:
        self.client: Any = Client(config, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def close(self) -> None:
        self.client.close()


class AsyncDoor:
    """An ``AsyncClient`` whose methods are plain: each runs the event loop until its result is there.

    Attributes:
        client: the client.
    """

    is_async = True

    def __init__(self, config: Any, **kwargs: Any) -> None:
        self.client = AsyncClient(config, **kwargs)
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        return getattr(_Plain(self, self.client), name)

    def run(self, awaitable: Any) -> Any:
        """Run the loop until the awaitable has its result."""

        async def wait() -> Any:
            async with asyncio.timeout(_LONGEST_WAIT_IN_SECONDS):
                return await awaitable

        return self._runner.run(wait(), context=contextvars.copy_context())

    def close(self) -> None:
        """Close the client and the loop, in which nothing may be left."""
        try:
            self.run(self.client.close())
            left = asyncio.all_tasks(self._runner.get_loop())
            assert not left, f"left behind: {left}"
        finally:
            self._runner.close()
        gc.collect()  # so that what asyncio says of lost tasks and exceptions is said in this test


class _Plain:
    """Something asynchronous, with plain methods."""

    def __init__(self, door: AsyncDoor, thing: Any) -> None:
        self._door = door
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._thing, name)
        if not inspect.ismethod(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            result = attribute(*args, **kwargs)
            if inspect.isawaitable(result):
                result = self._door.run(result)
            if isinstance(result, AsyncClient | AsyncFutureSOAResponse):
                return _Plain(self._door, result)
            return self._each_of(result) if hasattr(result, "__anext__") else result

        return call

    def _each_of(self, results: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._door.run(anext(results))
            except StopAsyncIteration:
                return
