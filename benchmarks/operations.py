"""The operations that every asyncio client is asked for. Standard library only, as peers use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

BODY: dict[str, Any] = {"number": 7}
FAN_OUT = 10
PAYLOADS = {"10 KiB": 10 * 1024, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}


def operations(
    call: Callable[[str, dict[str, Any]], Awaitable[object]],
) -> dict[str, Callable[[], Awaitable[object]]]:
    """The operations of a client, by name.

    Args:
        call: calls an action with a body, and gives the body of the response.
    """

    async def ten_calls() -> None:
        for _ in range(FAN_OUT):
            await call("echo", BODY)

    return {
        "echo": lambda: call("echo", BODY),
        "sleep": lambda: call("sleep", BODY),
        "ten calls": ten_calls,
        "gather": lambda: asyncio.gather(*(call("echo", BODY) for _ in range(FAN_OUT))),
    }
