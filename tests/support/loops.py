"""``AsyncClient`` for tests that wait for what they call: its calls run in an event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from pysoa.client.async_client import AsyncClient
from pysoa.client.async_future import AsyncFutureSOAResponse
from pysoa.common.types import JobResponse

__all__ = ("ClientOnLoop", "LoopThread")

Result = TypeVar("Result")


class LoopThread:
    """An event loop on a thread of its own.

    Attributes:
        complaints: what the loop has complained of: exceptions in callbacks, and those that nobody asked for.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.complaints: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(repr(context)))
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop of a test", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine there, and give back its result or raise its exception."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def tasks_left(self) -> list[str]:
        """The tasks that have not ended, but for the one that asks."""
        await asyncio.sleep(0)  # those that were cancelled end now
        return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    def stop(self) -> None:
        """End the loop. No task may be left in it, and nothing must have gone wrong unseen."""
        try:
            assert self.run(self.tasks_left()) == []
            assert self.complaints == []
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
            self.loop.close()


class _FutureOnLoop:
    """Has the methods of ``FutureSOAResponse``."""

    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any], future: AsyncFutureSOAResponse[Any]) -> None:
        self._run = run
        self._future = future

    def result(self, timeout: float | None = None) -> Any:
        return self._run(self._future.result(timeout))

    def exception(self, timeout: float | None = None) -> Any:
        return self._run(self._future.exception(timeout))

    def done(self) -> bool:
        return self._future.done()


class ClientOnLoop:
    """Has the methods of ``Client`` and makes its calls by an ``AsyncClient``, so that one text can test both.

    Attributes:
        client: the client.
        loop: where it runs.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.loop = LoopThread()
        self.client = AsyncClient(settings)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = self.loop.run(method(*args, **kwargs))
            return _FutureOnLoop(self.loop.run, result) if isinstance(result, AsyncFutureSOAResponse) else result

        return call

    def get_all_responses(self, *args: Any, **kwargs: Any) -> Iterator[tuple[int, JobResponse]]:
        responses: Any = self.client.get_all_responses(*args, **kwargs)

        async def following() -> tuple[int, JobResponse]:
            found: tuple[int, JobResponse] = await anext(responses)
            return found

        try:
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    yield self.loop.run(following())
        finally:
            self.loop.run(responses.aclose())

    def close(self) -> None:
        self.loop.run(self.client.close())
        self.loop.stop()

    def __enter__(self) -> ClientOnLoop:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
