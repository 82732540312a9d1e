"""The server: a service's actions, and the loop that answers requests for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysoa.server.server import Server as Server

    BaseServer = Server


def __getattr__(name: str) -> Any:
    if name in ("Server", "BaseServer"):  # at first use: transports are below the server, and import this package
        from pysoa.server.server import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
