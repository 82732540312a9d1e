"""Calls actions of services: ``Client``, and ``AsyncClient`` for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysoa.client.async_client import AsyncClient
    from pysoa.client.client import Client

__all__ = ("AsyncClient", "Client")


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for: settings, errors and middleware are imported without the client itself, and the
    # local transport closes a circle of imports from the client to the server and back.
    if name == "AsyncClient":
        from pysoa.client.async_client import AsyncClient

        return AsyncClient
    if name == "Client":
        from pysoa.client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
