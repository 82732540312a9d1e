"""Context managers that say which errors a call is to fail with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import pytest

from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error

__all__ = (
    "raises_call_action_error",
    "raises_error_codes",
    "raises_field_errors",
    "raises_only_error_codes",
    "raises_only_field_errors",
)

Codes: TypeAlias = str | Iterable[str]


@contextlib.contextmanager
def raises_call_action_error(**kwargs: Any) -> Iterator[Any]:
    """Fail unless the block raises ``Client.CallActionError``.

    After the block the value of ``as``, an ``ExceptionInfo``, has ``soa_errors``, too: the errors of the first action
    that failed, in order. Others are in ``value.actions``.

    Args:
        kwargs: for ``pytest.raises``.
    """
    __tracebackhide__ = True
    with pytest.raises(CallActionError, **kwargs) as info:
        yield info
    info.soa_errors = info.value.actions[0].errors


@contextlib.contextmanager
def raises_error_codes(error_codes: Codes, only: bool = False, **kwargs: Any) -> Iterator[Any]:
    """Fail unless the first action that fails has errors with these codes, and without a field.

    Args:
        error_codes: the codes. One that stands there twice has to be found twice.
        only: whether there may be no other errors.
        kwargs: for ``pytest.raises``.
    """
    __tracebackhide__ = True
    with raises_call_action_error(**kwargs) as info:
        yield info
    missing = list(_codes(error_codes))
    unexpected: list[Any] = []
    for error in info.soa_errors:
        if not error.field and error.code in missing:
            missing.remove(error.code)
        else:
            unexpected.append(_shown(error))
    _compare("errors", missing, unexpected if only else [])


@contextlib.contextmanager
def raises_only_error_codes(error_codes: Codes, **kwargs: Any) -> Iterator[Any]:
    """As ``raises_error_codes``, and there may be no other errors."""
    __tracebackhide__ = True
    with raises_error_codes(error_codes, only=True, **kwargs) as info:
        yield info


@contextlib.contextmanager
def raises_field_errors(field_errors: Mapping[str, Codes], only: bool = False, **kwargs: Any) -> Iterator[Any]:
    """Fail unless the first action that fails has errors with these codes in these fields.

    Args:
        field_errors: the codes of each field.
        only: whether there may be no other errors.
        kwargs: for ``pytest.raises``.
    """
    __tracebackhide__ = True
    with raises_call_action_error(**kwargs) as info:
        yield info
    missing = [{field: code} for field, codes in field_errors.items() for code in _codes(codes)]
    unexpected: list[Any] = []
    for error in info.soa_errors:
        if error.field and {error.field: error.code} in missing:
            missing.remove({error.field: error.code})
        else:
            unexpected.append(_shown(error))
    _compare("field errors", missing, unexpected if only else [])


@contextlib.contextmanager
def raises_only_field_errors(field_errors: Mapping[str, Codes], **kwargs: Any) -> Iterator[Any]:
    """As ``raises_field_errors``, and there may be no other errors."""
    __tracebackhide__ = True
    with raises_field_errors(field_errors, only=True, **kwargs) as info:
        yield info


def _codes(codes: Codes) -> Iterable[str]:
    return (codes,) if isinstance(codes, str) else codes


def _shown(error: Error) -> Any:
    shown = (error.code, error.message)
    return {error.field: shown} if error.field else shown


def _compare(what: str, missing: list[Any], unexpected: list[Any]) -> None:
    __tracebackhide__ = True
    faults = []
    if missing:
        faults.append(f"Expected {what} not found in response: {missing}")
    if unexpected:
        faults.append(f"Unexpected errors found in response: {unexpected}")
    if faults:
        pytest.fail("\n".join(faults))
