"""The clocks: one for people and other machines, and one that measures time without ever being set."""

from __future__ import annotations

import time

__all__ = ("monotonic", "wall_clock")

monotonic = time.monotonic
wall_clock = time.time
