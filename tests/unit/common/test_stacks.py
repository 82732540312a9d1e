"""Plain and asynchronous wraps in any order around plain and asynchronous bases."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.common import bridge
from pysoa.common.stacks import Task, build_stack, settled

FIBERS = pytest.param("fibers", marks=pytest.mark.skipif(not importlib.util.find_spec("greenlet"), reason="greenlet"))


@pytest.fixture(params=[FIBERS, "threads"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "threads":
        monkeypatch.setitem(sys.modules, "pysoa.common.bridge.fibers", None)
    bridge._way.cache_clear()
    yield
    bridge._way.cache_clear()


def plain_wrap(name: str) -> Any:
    def wrap(task: Task) -> Task:
        def wrapped(trail: list[str], fails: bool) -> Any:
            trail.append(f"into {name}")
            try:
                return [name, *task(trail, fails)]
            finally:
                trail.append(f"out of {name}")

        return wrapped

    return wrap, False


def async_wrap(name: str) -> Any:
    def wrap(task: Task) -> Task:
        async def wrapped(trail: list[str], fails: bool) -> Any:
            trail.append(f"into {name}")
            try:
                return [name, *await task(trail, fails)]
            finally:
                trail.append(f"out of {name}")

        return wrapped

    return wrap, True


def plain_base(trail: list[str], fails: bool) -> list[str]:
    trail.append("base")
    if fails:
        raise KeyError("base")
    return ["base"]


async def async_base(trail: list[str], fails: bool) -> list[str]:
    await asyncio.sleep(0)
    return plain_base(trail, fails)


def run(task: Task, is_async: bool, *args: Any) -> Any:
    async def main() -> Any:
        return await task(*args)

    return asyncio.run(main()) if is_async else task(*args)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("base_is_async", [False, True])
@pytest.mark.parametrize("kinds", [kinds for n in range(4) for kinds in itertools.product("pa", repeat=n)], ids="".join)
def test_every_mixture_nests_as_it_is_listed(kinds: tuple[str, ...], base_is_async: bool) -> None:
    names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    wraps = [plain_wrap(name) if name.startswith("p") else async_wrap(name) for name in names]
    trail: list[str] = []

    task, is_async = build_stack(wraps, async_base if base_is_async else plain_base, base_is_async)
    result = run(task, is_async, trail, False)

    assert is_async == (base_is_async or "a" in kinds)
    assert result == [*names, "base"]
    assert trail == [*(f"into {name}" for name in names), "base", *(f"out of {name}" for name in reversed(names))]


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("base_is_async", [False, True])
def test_an_exception_passes_through_every_layer(base_is_async: bool) -> None:
    wraps = [plain_wrap("p0"), async_wrap("a1"), plain_wrap("p2"), plain_wrap("p3")]
    trail: list[str] = []
    task, is_async = build_stack(wraps, async_base if base_is_async else plain_base, base_is_async)

    with pytest.raises(KeyError, match="base"):
        run(task, is_async, trail, True)

    assert trail[-4:] == ["out of p3", "out of p2", "out of a1", "out of p0"]


def test_plain_wraps_around_a_plain_base_are_all_there_is() -> None:
    seen = []

    def wrap(task: Task) -> Task:
        seen.append(task)
        return len

    task, is_async = build_stack([(wrap, False), (wrap, False)], plain_base, False)

    assert (task, is_async) == (len, False)
    assert seen == [plain_base, len]


def test_asynchronous_wraps_get_an_asynchronous_base_as_it_is() -> None:
    seen = []

    def wrap(task: Task) -> Task:
        seen.append(task)
        return async_base

    task, is_async = build_stack([(wrap, True)], async_base, True)

    assert (task, is_async, seen) == (async_base, True, [async_base])


def test_a_row_of_plain_wraps_is_entered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []

    async def run_sync(function: Any, *args: Any) -> Any:
        entered.append(function)
        return await bridge.run_sync(function, *args)

    monkeypatch.setattr("pysoa.common.stacks.run_sync", run_sync)
    wraps = [plain_wrap("p0"), plain_wrap("p1"), async_wrap("a2"), plain_wrap("p3"), plain_wrap("p4")]

    task, is_async = build_stack(wraps, async_base, True)
    run(task, is_async, [], False)

    assert len(entered) == 2


@pytest.mark.parametrize("base", [plain_base, async_base])
def test_a_settled_step_may_answer_either_way(base: Task) -> None:
    assert asyncio.run(settled(base)([], False)) == ["base"]
