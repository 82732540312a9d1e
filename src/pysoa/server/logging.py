"""The name that ``pysoa.common.logging`` had in 0.42."""

from __future__ import annotations

from typing import Any

from pysoa.common.old_names import old_name


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
