"""Cache backends for services, to be named as ``BACKEND`` in Django's setting ``CACHES``.

Django closes its caches after each request, and a server does so after each job. These say what that means.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import PyLibMCCache, PyMemcacheCache

__all__ = (
    "PySOAMemcachedCache",
    "PySOAProcessScopedMemoryCache",
    "PySOAPyLibMCCache",
    "PySOAPyMemcacheCache",
    "PySOARequestScopedMemoryCache",
)

request_scope: Final[ContextVar[dict[tuple[str, str], Any]]] = ContextVar("pysoa_django_request_scope")
"""What the request-scoped caches of a job hold, where several jobs run at a time."""


class _Scoped:
    """A part of a cache that is the job's own, or that of all caches of the name where jobs take turns."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        scope = request_scope.get(None)
        if scope is None:
            return instance.__dict__[self._name]
        key = (instance.__dict__["_scoped_name"], self._name)
        return scope[key] if key in scope else scope.setdefault(key, self._make())

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


class PySOARequestScopedMemoryCache(LocMemCache):  # type: ignore[misc] # Django has no types
    """Holds what it is given until the end of the job. In an asyncio loop, each job has its own."""

    _by_name: Final[dict[str, PySOARequestScopedMemoryCache]] = {}

    _cache = _Scoped(OrderedDict)
    _expire_info = _Scoped(dict)
    _lock = _Scoped(Lock)

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        self._scoped_name = name
        super().__init__(name, params)
        self._by_name.setdefault(name, self)

    @classmethod
    def one_of_each_name(cls) -> list[PySOARequestScopedMemoryCache]:
        """One cache for each name that is used in this process, in whatever thread: what they hold goes by the name."""
        return list(cls._by_name.values())

    def close(self, **kwargs: Any) -> None:
        """Forget everything."""
        self.clear()


class PySOAProcessScopedMemoryCache(LocMemCache):  # type: ignore[misc] # as above
    """Holds what it is given as long as the process lives, or until it expires."""

    def close(self, **kwargs: Any) -> None:
        """Nothing is to be done."""


class PySOAPyMemcacheCache(PyMemcacheCache):  # type: ignore[misc] # as above
    """Memcached by way of pymemcache, with connections that last longer than a job."""

    def close(self, **kwargs: Any) -> None:
        """Close the connections, if the server ends."""
        if kwargs.get("for_shutdown"):
            super().close(**kwargs)


class PySOAMemcachedCache(PySOAPyMemcacheCache):
    """The same, by the name that settings of 1.x have for python-memcached, which Django supports no more.

    pymemcache reads what python-memcached has written, and the other way round.
    """

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        warnings.warn(
            "PySOAMemcachedCache: Django has no backend for python-memcached any more, so this uses pymemcache; "
            "name PySOAPyMemcacheCache in CACHES",
            DeprecationWarning,
            stacklevel=2,
        )
        super().__init__(server, params)


class PySOAPyLibMCCache(PyLibMCCache):  # type: ignore[misc] # as above
    """Memcached by way of pylibmc, with connections that last longer than a job."""

    def close(self, **kwargs: Any) -> None:
        """Close the connections, if the server ends."""
        if kwargs.get("for_shutdown"):
            self._cache.disconnect_all()  # which Django leaves to libmemcached
