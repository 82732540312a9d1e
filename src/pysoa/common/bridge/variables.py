"""Context variables of what runs by turns in two threads, as if it were one."""

from __future__ import annotations

from contextvars import Context
from typing import Final

__all__ = ("adopt_variables",)

_UNSET: Final = object()


def adopt_variables(context: Context) -> None:
    """Give the caller's context variables the values that they have in another context; those without stay."""
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)
