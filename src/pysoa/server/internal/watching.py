"""Tells when a source file of an imported module has changed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pysoa.common.clock import wall_clock

__all__ = ("RUN_MAIN", "WatchedFiles", "files_of", "process_began")

RUN_MAIN: Final = "PYSOA_RELOADER_RUN_MAIN"
"""The environment variable that is ``true`` where this process, or its supervisor, is to be replaced after a change."""

_COMPILED: Final = (".pyc", ".pyo")


class WatchedFiles:
    """The files of the modules that are imported at the moment, and what they were like when they were looked at last.

    Args:
        main_module_name: what the module ``__main__`` is called otherwise; empty if it is a script.
        prefixes: modules whose names begin with one of these are watched; None for all.
        loaded_since: when this process began, on the wall clock. What has changed since may have been read before that.
    """

    def __init__(self, main_module_name: str, prefixes: Sequence[str] | None, loaded_since: float) -> None:
        self._main_module_name = main_module_name
        self._prefixes = None if prefixes is None else tuple(prefixes)
        self._last_look = loaded_since
        self._seen: dict[str, tuple[int, int]] = {}
        self._further: set[str] = set()

    def add(self, files: Iterable[str]) -> None:
        """Watch these as well."""
        self._further.update(map(os.path.abspath, files))

    def paths(self) -> set[str]:
        """The files that are watched at the moment."""
        modules = list(sys.modules.items())
        return self._further.union(
            path for name, module in modules if self._is_wanted(name) and (path := _source_of(module))
        )

    def _is_wanted(self, module_name: str) -> bool:
        if self._prefixes is None:
            return True
        name = self._main_module_name if module_name == "__main__" else module_name
        return name.startswith(self._prefixes)

    def changed(self) -> list[str]:
        """The files that have changed since the last look; those that are not there at the moment are left out.

        What Python has compiled from them is removed.
        """
        changed = []
        last_look, self._last_look = self._last_look, wall_clock()
        for path in self.paths():
            try:
                status = os.stat(path)
            except OSError:  # it is being replaced, or in an archive
                continue
            state = status.st_mtime_ns, status.st_size
            before = self._seen.get(path)
            self._seen[path] = state
            # One that was imported since the last look may have changed since then, and after it was read. One from
            # the future would seem so in each process.
            if (last_look < status.st_mtime <= wall_clock()) if before is None else (state != before):
                changed.append(path)
                _remove_compiled(path)
        return changed


def _remove_compiled(path: str) -> None:
    # Python takes it for that of the new source where this has as many bytes and was written within the same second.
    with contextlib.suppress(OSError, NotImplementedError):
        os.remove(importlib.util.cache_from_source(path))


def process_began() -> float:
    """When this process began, on the wall clock, or a little later."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as status:
            ticks = int(status.read().rpartition(")")[2].split()[19])
        return wall_clock() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    return wall_clock() - time.process_time()


def files_of(error: BaseException) -> Iterator[str]:
    """The files that an exception and its causes have to do with."""
    seen = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, SyntaxError) and one.filename:
            yield one.filename
        traceback = one.__traceback__
        while traceback is not None:
            yield traceback.tb_frame.f_code.co_filename
            traceback = traceback.tb_next


def _source_of(module: Any) -> str | None:
    path = getattr(module, "__dict__", {}).get("__file__")
    if not isinstance(path, str):
        return None
    return os.path.abspath(path[:-1] if path.endswith(_COMPILED) else path)
