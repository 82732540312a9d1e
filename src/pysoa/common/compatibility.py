"""Context variables and the running loop, under the names that earlier releases gave them."""

from __future__ import annotations

import contextvars
import threading
from typing import Any, Generic, TypeVar

__all__ = ("ContextVar", "set_running_loop")

T = TypeVar("T")

_MISSING: Any = object()


class _ThreadVar:
    """Stands in where ``contextvars`` is missing: one value for each thread."""

    def __init__(self, default: Any) -> None:
        self._values = threading.local()
        self._default = default

    def get(self) -> Any:
        value = getattr(self._values, "value", self._default)
        if value is _MISSING:
            raise LookupError(self)
        return value

    def set(self, value: Any) -> Any:
        before = getattr(self._values, "value", _MISSING)
        self._values.value = value
        return before

    def reset(self, token: Any) -> None:
        if token is _MISSING:
            del self._values.value
        else:
            self._values.value = token


class ContextVar(Generic[T]):
    """A context variable; ``contextvars.ContextVar`` does as well in new code.

    Args:
        name: shown in its ``repr``.
        default: what ``get`` gives where nothing was set; without it, that is a ``LookupError``.
    """

    def __init__(self, name: str, default: T = _MISSING) -> None:
        self.name = name
        self._variable: Any
        if not contextvars:  # tests of services written for Python 2 take it away
            self._variable = _ThreadVar(default)
        elif default is _MISSING:
            self._variable = contextvars.ContextVar(name)
        else:
            self._variable = contextvars.ContextVar(name, default=default)

    def get(self) -> T:
        """Its value in the present context.

        Raises:
            LookupError: it has none.
        """
        value: T = self._variable.get()
        return value

    def set(self, value: T) -> Any:
        """Set it, and give back a token for ``reset``."""
        return self._variable.set(value)

    def reset(self, token: Any) -> None:
        """Give it the value that it had before the ``set`` that made the token."""
        self._variable.reset(token)


def set_running_loop(loop: Any) -> None:
    """Tell asyncio that this loop, or none, runs in the current thread."""
    import asyncio

    asyncio._set_running_loop(loop)
