from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import pytest

from pysoa.common.deadline import current_deadline, reset_deadline, set_deadline
from pysoa.server.coroutine import Coroutine, CoroutineMiddleware
from pysoa.server.internal.event_loop import AsyncEventLoopThread, coroutine_middleware_config

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Tracing(CoroutineMiddleware):
    def __init__(self, name: str, trace: list[str]) -> None:
        self.name, self.trace = name, trace

    def before_run_coroutine(self) -> None:
        self.trace.append(f"{self.name} before, in {threading.current_thread().name}")

    def coroutine(self, coroutine: Coroutine) -> Coroutine:
        async def traced() -> Any:
            self.trace.append(f"{self.name} in")
            return await coroutine

        return traced()


async def where() -> tuple[str, str]:
    return threading.current_thread().name, variable.get()


def test_a_coroutine_runs_in_the_thread_of_the_loop_with_the_variables_of_its_caller() -> None:
    thread = AsyncEventLoopThread()
    thread.start()
    variable.set("mine")

    result = thread.run_coroutine(where()).result(5)

    thread.join()
    assert result == ("pysoa-event-loop", "mine")
    assert thread.loop.is_closed()


def test_a_coroutine_outlives_the_job_and_so_its_deadline() -> None:
    async def deadline() -> float | None:
        return current_deadline()

    thread = AsyncEventLoopThread()
    thread.starts_on_demand = True
    before = set_deadline(1000.0)

    inside = thread.run_coroutine(deadline()).result(5)
    after = current_deadline()
    reset_deadline(before)

    thread.join()
    assert (inside, after) == (None, 1000.0)


def test_the_first_middleware_is_the_outermost() -> None:
    trace: list[str] = []
    thread = AsyncEventLoopThread([Tracing("a", trace), Tracing("b", trace)])
    thread.starts_on_demand = True

    thread.run_coroutine(where()).result(5)

    thread.join()
    here = threading.current_thread().name
    assert trace == [f"a before, in {here}", f"b before, in {here}", "a in", "b in"]


def test_what_is_under_way_is_finished_before_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.async")
    thread = AsyncEventLoopThread()
    thread.start()
    begun = threading.Event()

    async def work() -> str:
        begun.set()
        await asyncio.sleep(0.05)
        return "done"

    future = thread.run_coroutine(work())
    begun.wait(5)

    thread.join()

    assert future.result(0) == "done"
    assert caplog.messages == [
        "Starting async event loop thread",
        "Async event loop thread available and running",
        "Scheduling async event loop thread shutdown",
        "Stopping async event loop thread",
        "Completing uncompleted async tasks",
        "Closing async event loop",
    ]


def test_a_process_that_must_end_at_once_cancels_what_is_under_way() -> None:
    thread = AsyncEventLoopThread()
    thread.start()
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    future = thread.run_coroutine(work())
    begun.wait(5)

    thread.cancel_tasks()
    thread.join()

    assert future.cancelled()


def test_nothing_is_made_before_the_first_coroutine() -> None:
    thread = AsyncEventLoopThread()

    assert not thread.is_used
    assert not thread.is_alive()


def test_to_end_a_loop_that_does_not_run_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    AsyncEventLoopThread().join()

    assert caplog.record_tuples == [("pysoa.async", logging.WARNING, "Async event loop is already not running!")]


def test_many_threads_start_it_once() -> None:
    thread = AsyncEventLoopThread()
    thread.starts_on_demand = True
    results: list[Any] = []
    callers = [
        threading.Thread(target=lambda: results.append(thread.run_coroutine(where()).result(5))) for _ in range(8)
    ]

    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(5)

    thread.join()
    assert len(results) == 8


def test_settings_name_middleware_by_its_class() -> None:
    assert not coroutine_middleware_config.errors({"path": "pysoa.server.coroutine:DefaultCoroutineMiddleware"})
    assert coroutine_middleware_config.errors({"path": "pysoa.server.middleware:ServerMiddleware"})
