"""Settings of a client, one set for each service that it calls."""

from __future__ import annotations

from typing import Any, ClassVar

from pysoa.common.fields import List
from pysoa.common.old_names import old_name, warn_of_old_setting
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
        warn_of_old_setting("transport_cache_time_in_seconds")
        return {key: value for key, value in data.items() if key != "transport_cache_time_in_seconds"}


class _LocalClientSettings(ClientSettings):
    defaults: ClassVar[SettingsData] = {"transport": {"path": "pysoa.common.transport.local:LocalClientTransport"}}


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
