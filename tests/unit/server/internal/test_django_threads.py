from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="django is not installed")

from asgiref.sync import sync_to_async
from django.db import connections

from pysoa.server.internal.django_threads import BesideJobs, Executors, JobExecutor, JobThread, LoopJob
from tests.support.django_project import django_settings, sqlite
from tests.support.raw import wait_until


@pytest.fixture
def executors(tmp_path: Path) -> Iterator[Executors]:
    """Threads for two jobs, in a project with two databases, of which one keeps its connections."""
    entries = {"default": sqlite(tmp_path, CONN_MAX_AGE=0), "kept": sqlite(tmp_path, "kept", CONN_MAX_AGE=None)}
    with django_settings(DATABASES=entries):
        executors = Executors(2, lambda: True)
        yield executors
        executors.end()


def here() -> int:
    return threading.get_ident()


def use(*aliases: str) -> list[Any]:
    """Open connections; what this thread has now."""
    for alias in aliases:
        connections[alias].ensure_connection()
    return [connections[alias].connection for alias in connections]


def is_open(raw: Any) -> bool:
    try:
        raw.total_changes  # noqa: B018
    except Exception:
        return False
    return True


def until_free(executors: Executors) -> None:
    """Wait until no thread has anything to do for a job that is over."""
    wait_until(lambda: not executors._to_be_free, "the threads are free")


def test_a_job_has_one_thread_and_the_next_takes_it_over(executors: Executors) -> None:
    first, second = JobExecutor(executors), JobExecutor(executors)

    threads = [job.submit(here).result() for job in (first, second, first, second)]
    first.release()
    until_free(executors)
    third = JobExecutor(executors)
    thread_of_third = third.submit(here).result()

    assert threads[:2] == threads[2:]
    assert len({*threads, here()}) == 3
    assert thread_of_third == threads[0]
    second.release()
    third.release()


def test_a_job_that_needs_no_thread_has_none(executors: Executors) -> None:
    before = threading.active_count()

    JobExecutor(executors).release()

    assert threading.active_count() == before


def test_at_the_end_of_a_job_its_connections_are_closed_but_those_that_last(executors: Executors) -> None:
    job = JobExecutor(executors)
    raw = job.submit(use, "default", "kept").result()
    job.release()
    until_free(executors)
    assert [is_open(each) for each in raw] == [False, True]

    following = JobExecutor(executors)
    assert following.submit(use).result() == [None, raw[1]]
    following.release()


def test_no_more_threads_are_made_than_jobs_run_at_a_time(executors: Executors) -> None:
    blocked = threading.Event()
    seen = set()
    for _ in range(20):
        job = JobExecutor(executors)
        future = job.submit(here)
        job.submit(blocked.wait)  # is still to be waited for when the job is over
        job.release()
        blocked.set()
        seen.add(future.result())

    assert len(seen) <= 2


def test_a_thread_that_is_held_up_is_left_alone_while_there_may_be_another(executors: Executors) -> None:
    blocked = threading.Event()
    job = JobExecutor(executors)
    held_up = job.submit(here).result()
    job.submit(blocked.wait)
    job.release()

    following = JobExecutor(executors)
    other = following.submit(here).result(10)

    blocked.set()
    assert other != held_up
    following.release()


def test_what_comes_after_the_job_runs_beside_it_and_leaves_no_connection(executors: Executors) -> None:
    job = JobExecutor(executors)
    own = job.submit(here).result()
    job.release()

    late = job.submit(here).result()
    [raw, _] = job.submit(use, "default").result()
    after = job.submit(use).result()

    assert late != own
    assert (after[0], is_open(raw)) == (None, False)


def test_what_runs_beside_jobs_shares_a_thread_that_is_cleaned_when_all_have_ended(executors: Executors) -> None:
    first, second = BesideJobs(executors), BesideJobs(executors)
    [raw, _] = first.submit(use, "default").result()

    first.release()
    assert second.submit(use).result()[0] is raw
    assert first.submit(here).result() == second.submit(here).result()
    second.release()

    assert executors.submit(use).result()[0] is None
    assert not is_open(raw)


def test_a_broken_connection_is_dropped_while_others_still_use_it(executors: Executors) -> None:
    def break_it() -> Any:
        [raw, _] = use("default")
        connections["default"].errors_occurred, connections["default"].is_usable = True, lambda: False
        return raw

    first, second = BesideJobs(executors), BesideJobs(executors)
    raw = first.submit(break_it).result()

    first.release()

    assert second.submit(use).result()[0] is None
    assert not is_open(raw)
    second.release()


def test_threads_without_a_job_close_what_has_grown_old_meanwhile(executors: Executors) -> None:
    jobs = [JobExecutor(executors), JobExecutor(executors)]
    [busy, idle] = [job.submit(use, "kept").result()[1] for job in jobs]
    wrapper = jobs[1].submit(lambda: connections["kept"]).result()
    jobs[1].release()
    until_free(executors)
    wrapper.close_at = 0.0

    executors.clean_free()
    until_free(executors)

    assert [is_open(busy), is_open(idle)] == [True, False]
    jobs[0].release()


def test_nothing_is_closed_where_that_is_not_wanted(tmp_path: Path) -> None:
    with django_settings(DATABASES={"default": sqlite(tmp_path, CONN_MAX_AGE=0)}):
        executors = Executors(1, lambda: False)
        job = JobExecutor(executors)
        [raw] = job.submit(use, "default").result()
        job.release()
        until_free(executors)
        following = JobExecutor(executors)

        assert following.submit(use).result() == [raw]
        following.release()
        executors.end()


def test_an_exception_is_the_callers_and_a_cancelled_call_does_not_begin(executors: Executors) -> None:
    job = JobExecutor(executors)
    may_go = threading.Event()
    job.submit(may_go.wait)
    failing: Future[Any] = job.submit(int, "x")
    calls: list[str] = []
    cancelled = job.submit(calls.append, "called")

    cancelled.cancel()
    may_go.set()

    with pytest.raises(ValueError, match="invalid literal"):
        failing.result()
    assert job.submit(calls.copy).result() == []
    job.release()


def test_asgiref_finds_the_thread_of_the_job_that_it_is_called_in(executors: Executors) -> None:
    owner = object()

    async def job() -> Any:
        thread = LoopJob(JobExecutor(executors), owner)
        await asyncio.sleep(0)
        assert JobThread.current(owner) is thread
        assert JobThread.current(object()) is None
        try:
            seen = [await sync_to_async(here)(), *await asyncio.gather(sync_to_async(here)(), sync_to_async(here)())]
        finally:
            thread.end()
        assert JobThread.current(owner) is None
        return seen

    async def jobs() -> Any:
        return await asyncio.gather(job(), job())

    first, second = asyncio.run(jobs())

    assert [len(set(first)), len(set(second))] == [1, 1]
    assert first[0] != second[0]


def test_a_coroutine_that_is_collected_ends_its_job_all_the_same(executors: Executors) -> None:
    async def job() -> None:
        thread = LoopJob(JobExecutor(executors), object())
        try:
            await asyncio.Event().wait()
        finally:
            thread.end()

    async def leave() -> None:
        coroutine = job()
        coroutine.send(None)
        await asyncio.to_thread(coroutine.close)

    asyncio.run(leave())


def test_the_end_does_not_wait_for_a_thread_that_hangs(monkeypatch: pytest.MonkeyPatch, executors: Executors) -> None:
    monkeypatch.setattr("pysoa.server.internal.django_threads._END_WITHIN_SECONDS", 0.05)
    hanging = threading.Event()
    job = JobExecutor(executors)
    hung = job.submit(hanging.wait)

    executors.end()

    assert not hung.done()
    hanging.set()
    assert hung.result()
