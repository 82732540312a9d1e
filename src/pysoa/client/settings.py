"""Settings of a client, one set for each service that it calls."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from pysoa.common.fields import List
from pysoa.common.plugins import ClassConfiguration
from pysoa.common.settings import SettingsData, SettingsSchema, SOASettings

__all__ = ("ClientSettings",)


class ClientSettings(SOASettings):
    """How one service is called: transport, middleware and metrics."""

    schema: ClassVar[SettingsSchema] = {
        "transport": ClassConfiguration(
            "pysoa.common.transport.base:ClientTransport", description="The transport that moves messages"
        ),
        "middleware": List(
            ClassConfiguration("pysoa.client.middleware:ClientMiddleware"), description="Middleware, outermost first"
        ),
    }
    defaults: ClassVar[SettingsData] = {
        "transport": {"path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport"},
    }

    def _without_old_keys(self, data: SettingsData) -> SettingsData:
        if "transport_cache_time_in_seconds" not in data:
            return data
        warnings.warn(
            "the client setting transport_cache_time_in_seconds does nothing: transports are kept",
            DeprecationWarning,
            stacklevel=4,
        )
        return {key: value for key, value in data.items() if key != "transport_cache_time_in_seconds"}


class _LocalClientSettings(ClientSettings):
    defaults: ClassVar[SettingsData] = {"transport": {"path": "pysoa.common.transport.local:LocalClientTransport"}}


_OLD_NAMES = {
    "RedisClientSettings": ClientSettings,
    "PolymorphicClientSettings": ClientSettings,
    "LocalClientSettings": _LocalClientSettings,
}


def __getattr__(name: str) -> Any:
    if name in _OLD_NAMES:
        warnings.warn(f"pysoa.client.settings.{name} is now ClientSettings", DeprecationWarning, stacklevel=2)
        return _OLD_NAMES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
