"""The version of this release, written here and nowhere else."""

from __future__ import annotations

__all__ = ("__version__", "__version_info__")

__version__ = "2.0.0.dev0"
__version_info__: tuple[int, int, int] = (2, 0, 0)
