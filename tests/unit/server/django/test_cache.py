from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("django", reason="django is not installed")

from pysoa.server.django import cache as caches
from pysoa.server.django.cache import (
    PySOAMemcachedCache,
    PySOAProcessScopedMemoryCache,
    PySOAPyLibMCCache,
    PySOAPyMemcacheCache,
    PySOARequestScopedMemoryCache,
    request_scope,
)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of no other test's cache: what is in a cache goes by it."""
    return f"cache of {request.node.name}"


def test_a_request_scoped_cache_is_empty_after_the_request(name: str) -> None:
    cache = PySOARequestScopedMemoryCache(name, {})
    cache.set("a", 1)
    assert cache.get("a") == 1

    cache.close(for_shutdown=False)

    assert cache.get("a") is None


def test_a_process_scoped_cache_stays_as_it_is(name: str) -> None:
    cache = PySOAProcessScopedMemoryCache(name, {})
    cache.set("a", 1)

    cache.close(for_shutdown=True)

    assert PySOAProcessScopedMemoryCache(name, {}).get("a") == 1


def test_request_scoped_caches_of_one_name_are_one_where_jobs_take_turns(name: str) -> None:
    PySOARequestScopedMemoryCache(name, {}).set("a", 1)
    assert PySOARequestScopedMemoryCache(name, {}).get("a") == 1

    for cache in PySOARequestScopedMemoryCache.one_of_each_name():
        cache.close()

    assert PySOARequestScopedMemoryCache(name, {}).get("a") is None


def test_jobs_that_run_side_by_side_do_not_see_what_others_have_put_there(name: str) -> None:
    cache = PySOARequestScopedMemoryCache(name, {})
    cache.set("a", "outside")

    def job(value: str) -> Iterator[Any]:
        request_scope.set({})
        yield cache.get("a")
        cache.set("a", value)
        cache.set("b", value)
        yield cache.get("a"), PySOARequestScopedMemoryCache(name, {}).get("b")
        cache.close()
        yield cache.get("b")

    jobs = [(contextvars.copy_context(), job(value)) for value in "xy"]
    seen = [[context.run(next, steps) for context, steps in jobs] for _ in range(3)]

    assert seen == [[None, None], [("x", "x"), ("y", "y")], [None, None]]
    assert cache.get("a") == "outside"


@pytest.fixture
def pymemcache(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for the library."""
    library: Any = ModuleType("pymemcache")
    library.Client, library.HashClient = mock.Mock(), mock.Mock()
    library.serde = ModuleType("pymemcache.serde")
    library.serde.pickle_serde = object()
    monkeypatch.setitem(sys.modules, "pymemcache", library)
    monkeypatch.setitem(sys.modules, "pymemcache.serde", library.serde)
    return library


def test_connections_to_memcached_are_closed_at_the_end_only(pymemcache: Any) -> None:
    cache = PySOAPyMemcacheCache("127.0.0.1:11211", {})

    cache.close()
    cache.close(for_shutdown=False)
    assert pymemcache.HashClient.return_value.disconnect_all.call_count == 0
    cache.close(for_shutdown=True)
    assert pymemcache.HashClient.return_value.disconnect_all.call_count == 1


def test_the_name_for_python_memcached_means_pymemcache_and_says_so(pymemcache: Any) -> None:
    with pytest.warns(DeprecationWarning, match="name PySOAPyMemcacheCache in CACHES"):
        cache = PySOAMemcachedCache("127.0.0.1:11211", {})

    cache.set("a", 1)

    assert pymemcache.HashClient.return_value.set.called
    cache.close(for_shutdown=False)
    assert pymemcache.HashClient.return_value.disconnect_all.call_count == 0


def test_connections_of_pylibmc_are_closed_at_the_end_only(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = ModuleType("pylibmc")
    library.Client, library.NotFound = mock.Mock(), KeyError
    monkeypatch.setitem(sys.modules, "pylibmc", library)
    cache = PySOAPyLibMCCache("127.0.0.1:11211", {})

    cache.close(for_shutdown=False)
    assert library.Client.return_value.disconnect_all.call_count == 0
    cache.close(for_shutdown=True)
    assert library.Client.return_value.disconnect_all.call_count == 1


def test_the_names_of_the_first_pysoa_are_there() -> None:
    assert {
        "PySOARequestScopedMemoryCache",
        "PySOAProcessScopedMemoryCache",
        "PySOAMemcachedCache",
        "PySOAPyLibMCCache",
    } < set(caches.__all__)
