"""Stubs as decorators of functions and classes, beside those of ``mock.patch``."""

from __future__ import annotations

import contextlib
import functools
import inspect
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeVar

from pysoa.test.compatibility import mock

__all__ = ("decorated", "decorated_class")

_DEFAULTS: Final = (mock.DEFAULT, unittest.mock.DEFAULT)

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)


class _Patching(Protocol):
    """What decorates: a stub, or what ``mock.patch`` makes."""

    attribute_name: str | None
    new: Any

    def __enter__(self) -> Any: ...

    def __exit__(self, *exc_info: Any) -> Any: ...


class _StubPatching(_Patching, Protocol):
    def copy(self) -> _StubPatching: ...


def decorated(function: _Function, patching: _Patching) -> _Function:
    """Have something entered around each call of a function or a coroutine function.

    What several such decorators, and those of ``mock.patch``, give is added to the positional arguments: first that of
    the decorator nearest to the function. All is left again, whatever the call ends with.
    """
    patchings: list[_Patching] | None = getattr(function, "patchings", None)
    if patchings is not None:
        # A decorator of mock knows its own sentinel only, and there may be two packages of that name.
        patching.new = getattr(function, "__globals__", {}).get("DEFAULT", patching.new)
        patchings.append(patching)
        return function
    return _wrapped(function, [patching])


def _wrapped(function: _Function, patchings: list[_Patching]) -> _Function:
    wrapper: Any
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with _entered(patchings, args, kwargs) as (all_args, all_kwargs):
                return await function(*all_args, **all_kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with _entered(patchings, args, kwargs) as (all_args, all_kwargs):
                return function(*all_args, **all_kwargs)

    wrapper.patchings = patchings
    result: _Function = wrapper
    return result


@contextlib.contextmanager
def _entered(
    patchings: list[_Patching], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    with contextlib.ExitStack() as stack:
        for patching in patchings:
            value = stack.enter_context(patching)
            if patching.attribute_name is not None:
                kwargs = {**kwargs, **value}
            elif any(patching.new is default for default in _DEFAULTS):
                args = (*args, value)
        yield args, kwargs


def decorated_class(cls: _Class, stub: _StubPatching) -> _Class:
    """Decorate all tests of a class, inherited ones too, each with a stub of its own."""
    prefix = mock.patch.TEST_PREFIX
    for name in dir(cls):
        if not name.startswith(prefix):
            continue
        value = inspect.getattr_static(cls, name)
        kind = type(value) if isinstance(value, staticmethod | classmethod) else None
        function = value.__func__ if kind is not None else value
        if not callable(function) or isinstance(function, type):
            continue
        patched = _decorated_test(function, stub.copy(), is_own=name in vars(cls))
        setattr(cls, name, patched if kind is None else kind(patched))
    return cls


def _decorated_test(function: Any, stub: _StubPatching, is_own: bool) -> Any:
    patchings = getattr(function, "patchings", None)
    if patchings is None or is_own:
        return decorated(function, stub)
    # That of a base class stays as it is.
    return _wrapped(getattr(function, "__wrapped__", function), [*patchings, stub])
