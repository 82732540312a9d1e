"""``mock``: the package of that name where it is installed, else ``unittest.mock``."""

from __future__ import annotations

import importlib
from typing import Any, Final

__all__ = ("mock",)


def _mock() -> Any:
    try:
        return importlib.import_module("mock")
    except ImportError:
        return importlib.import_module("unittest.mock")


mock: Final = _mock()
