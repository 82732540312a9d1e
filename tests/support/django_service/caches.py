"""A cache that says how it is closed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.cache.backends.locmem import LocMemCache


class NotedCache(LocMemCache):
    """Notes the arguments of ``close``."""

    closings: ClassVar[list[Any]] = []

    def close(self, **kwargs: Any) -> None:
        self.closings.append(kwargs.get("for_shutdown"))
