"""The schema of class configurations, as 0.42 had it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysoa.common.fields import FieldError
from pysoa.common.old_names import old_name
from pysoa.common.plugins import ClassConfiguration


class _BasicClassSchema(ClassConfiguration):
    """Accepts ``{"path": import path of a class, "kwargs": any dict}``.

    Args:
        object_type: the class must be this one or extend it; any class will do without it.
    """

    def __init__(self, object_type: type | str | None = None, *, description: str | None = None) -> None:
        super().__init__(object_type or object, description=description)

    def _kwargs_errors(self, cls: type, path: str, kwargs: Any) -> list[FieldError]:
        return [] if isinstance(kwargs, Mapping) else [FieldError("Not a dict")]


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
