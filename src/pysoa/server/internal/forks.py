"""The number of a forked worker in the settings of its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ("with_fork_id",)

_MARKS: Final = ("{{fid}}", "[[fid]]", "%%fid%%")


def with_fork_id(metrics: Mapping[str, Any], forked_process_id: int | None) -> dict[str, Any]:
    """The metrics settings with the marks for the fork id replaced in what their publishers are given.

    The settings themselves are left alone: they are shared with servers of other numbers.
    """
    kwargs = metrics.get("kwargs") or {}
    config = kwargs.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("publishers"), list | tuple):
        return dict(metrics)
    fork_id = "main" if forked_process_id is None else str(forked_process_id)
    publishers = [
        _replaced(publisher, fork_id)
        if config.get("version") == 1 or not isinstance(publisher, dict)
        else {**publisher, "kwargs": _replaced(publisher.get("kwargs") or {}, fork_id)}
        for publisher in config["publishers"]
    ]
    return {**metrics, "kwargs": {**kwargs, "config": {**config, "publishers": publishers}}}


def _replaced(value: Any, fork_id: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, fork_id) for key, item in value.items()}
    if isinstance(value, str):
        for mark in _MARKS:
            value = value.replace(mark, fork_id)
    return value
