"""Factories of factory_boy; ``pysoa.test.factories`` is where to import them from."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings

__all__ = ("ServerFactory", "ServerSettingsFactory")

factory: Any = importlib.import_module("factory")  # it has no types that fit

_LOCAL = "pysoa.common.transport.local:LocalServerTransport"


class ServerSettingsFactory(factory.Factory):  # type: ignore[misc] # Any, see above
    """Makes settings of a server with the local transport, whatever transport ``data`` names."""

    class Meta:
        """Says what is made."""

        model = ServerSettings

    data: Any = MappingProxyType({})

    @classmethod
    def _create(cls, model_class: type[ServerSettings], *args: Any, **kwargs: Any) -> ServerSettings:
        data: Mapping[str, Any] = kwargs.pop("data")
        return model_class({**data, "transport": {"path": _LOCAL}}, *args, **kwargs)

    @classmethod
    def from_module(cls, module_path: str) -> Any:
        """Make settings from ``SOA_SERVER_SETTINGS`` of a module, or else from its ``settings``."""
        module = importlib.import_module(module_path)
        return cls(data=module.SOA_SERVER_SETTINGS if hasattr(module, "SOA_SERVER_SETTINGS") else module.settings)


class ServerFactory(factory.Factory):  # type: ignore[misc] # as above
    """Makes a server with settings of ``ServerSettingsFactory``."""

    class Meta:
        """Says what is made."""

        model = Server

    settings = factory.SubFactory(ServerSettingsFactory)
