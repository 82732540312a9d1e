from __future__ import annotations

import asyncio

import pytest

from pysoa.server.coroutine import CoroutineMiddleware, DefaultCoroutineMiddleware


async def work() -> int:
    return 5


async def fail() -> None:
    raise ValueError("kaboom")


def test_the_base_class_changes_nothing() -> None:
    middleware = CoroutineMiddleware()
    middleware.before_run_coroutine()

    assert asyncio.run(middleware.coroutine(work())) == 5


def test_the_default_middleware_passes_results_on() -> None:
    assert asyncio.run(DefaultCoroutineMiddleware().coroutine(work())) == 5


def test_the_default_middleware_logs_exceptions_and_passes_them_on(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="kaboom"):
        asyncio.run(DefaultCoroutineMiddleware().coroutine(fail()))

    (record,) = (record for record in caplog.records if record.name == "pysoa.server.coroutine")
    assert record.getMessage() == "Error occurred while awaiting coroutine in request.run_coroutine"
    assert record.exc_info
