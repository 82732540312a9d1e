"""Moves messages between clients and servers; the only floor that talks to Redis."""

from __future__ import annotations

from typing import Any

from pysoa.common.old_names import old_name


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
