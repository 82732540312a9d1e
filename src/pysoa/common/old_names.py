"""What 0.42 called things, and where each has gone: one table for all of it.

A module that has names in the table asks it in its ``__getattr__``; ``pysoa upgrade-check`` reads it, too. Whoever uses
an old name gets the thing and a ``DeprecationWarning`` for the line that does so.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, NamedTuple

__all__ = (
    "MOVED_MODULES",
    "OLD_ATTRIBUTES",
    "OLD_NAMES",
    "OLD_SETTINGS",
    "OldName",
    "current_path",
    "old_name",
    "replacement",
    "warn_of_old_attribute",
    "warn_of_old_setting",
    "warn_user",
)


class OldName(NamedTuple):
    """What has become of one name of a module.

    Attributes:
        new: the path of the thing that the old name stands for, as ``module:name``.
        instead: what is to be used in its place; without it, ``new``.
    """

    new: str
    instead: str = ""

    def advice(self) -> str:
        """What is to be used in its place, as one writes it."""
        return self.instead or self.new.replace(":", ".")


MOVED_MODULES: Final = {
    "pysoa.common.serializer.exceptions": "pysoa.common.serializer.errors",
    "pysoa.common.transport.exceptions": "pysoa.common.transport.errors",
    "pysoa.server.logging": "pysoa.common.logging",
}
"""Modules whose names are all in another module now."""

_LED_THROUGH: Final = ("collections", "importlib", "multiprocessing", "pysoa")
"""Packages that stand between a line of users and the place where it shows that the line is deprecated."""

_CLIENT_SETTINGS: Final = "pysoa.client.settings:ClientSettings"
_SERVER_SETTINGS: Final = "pysoa.server.settings:ServerSettings"

OLD_NAMES: Final = {
    "pysoa.client.settings:LocalClientSettings": OldName(
        "pysoa.client.settings:_LocalClientSettings",
        "pysoa.client.settings.ClientSettings, with the path of the local transport",
    ),
    "pysoa.client.settings:PolymorphicClientSettings": OldName(_CLIENT_SETTINGS),
    "pysoa.client.settings:RedisClientSettings": OldName(_CLIENT_SETTINGS),
    "pysoa.common.metrics:Counter": OldName(
        "pysoa.common.metrics:_Counter", "pysoa.common.instruments.Counter, a protocol"
    ),
    "pysoa.common.metrics:MetricsRecorder": OldName(
        "pysoa.common.metrics:_MetricsRecorder", "pysoa.common.instruments.Recorder, a protocol"
    ),
    "pysoa.common.metrics:MetricsSchema": OldName("pysoa.common.plugins:MetricsConfiguration"),
    "pysoa.common.metrics:NoOpMetricsRecorder": OldName(
        "pysoa.common.metrics:_NoOpMetricsRecorder", "pysoa.common.instruments.NoOpMetricsRecorder"
    ),
    "pysoa.common.metrics:Timer": OldName("pysoa.common.metrics:_Timer", "pysoa.common.instruments.Timer, a protocol"),
    "pysoa.common.metrics:TimerResolution": OldName("pysoa.common.instruments:TimerResolution"),
    "pysoa.common.schemas:BasicClassSchema": OldName(
        "pysoa.common.schemas:_BasicClassSchema", "pysoa.common.plugins.ClassConfiguration"
    ),
    "pysoa.common.settings:SettingsMetaclass": OldName("abc:ABCMeta"),
    "pysoa.common.settings:resolve_python_path": OldName("pysoa.common.plugins:resolve_python_path"),
    "pysoa.common.transport:LocalClientTransport": OldName("pysoa.common.transport.local:LocalClientTransport"),
    "pysoa.common.transport:LocalServerTransport": OldName("pysoa.common.transport.local:LocalServerTransport"),
    "pysoa.common.transport.local:LocalTransportSchema": OldName(
        "pysoa.common.transport.local:LocalClientTransportSchema"
    ),
    "pysoa.server.settings:LocalServerSettings": OldName(
        "pysoa.server.settings:_LocalServerSettings",
        "pysoa.server.settings.ServerSettings, with the path of the local transport",
    ),
    "pysoa.server.settings:PolymorphicServerSettings": OldName(_SERVER_SETTINGS),
    "pysoa.server.settings:RedisServerSettings": OldName(_SERVER_SETTINGS),
    "pysoa.server.settings:log_level_schema": OldName(
        "pysoa.server.settings:_LOG_LEVEL", "pysoa.common.fields.Constant, with the names of the levels"
    ),
}
"""Single names, as ``module:name``."""

OLD_ATTRIBUTES: Final = {
    "pysoa.client.client:ServiceHandler.middleware": "ServiceHandler._middleware",
    "pysoa.common.serializer.msgpack_serializer:MsgpackSerializer.default": "MsgpackSerializer.dict_to_blob",
    "pysoa.common.serializer.msgpack_serializer:MsgpackSerializer.ext_hook": "MsgpackSerializer.blob_to_dict",
    "pysoa.server.server:Server.handle_job_exception": "Server.handle_unhandled_exception(exception, JobResponse)",
    "pysoa.server.server:Server.middleware": "Server._middleware",
}
"""Attributes of classes, as ``module:class.attribute``, and what is to be used in the place of each."""

OLD_SETTINGS: Final = {
    "serializer_config": "is now default_serializer_config",
    "transport_cache_time_in_seconds": "does nothing: transports are kept",
}
"""Keys of settings, and what has become of each: the former of Redis transports, the latter of clients."""


def replacement(path: str) -> OldName | None:
    """What has become of a name of a module, given as ``module:name`` or ``module.name``; None if it is no old one."""
    if not path.startswith("pysoa."):
        return None
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if module in MOVED_MODULES:
        return OldName(f"{MOVED_MODULES[module]}:{name}")
    return OLD_NAMES.get(f"{module}:{name}")


def current_path(path: str) -> str:
    """An import path of settings in today's words; warns where it was in those of 0.42."""
    found = replacement(path)
    if found is None:
        return path
    warn_user(f"{path} is now {found.advice()}")
    return found.new


def old_name(module: str, name: str) -> Any:
    """What a module gives for a name that it does not have; for its ``__getattr__``.

    Raises:
        AttributeError: the name is no old one, either.
    """
    found = replacement(f"{module}:{name}")
    if found is None or (name.startswith("__") and name != "__all__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    new_module, _, new_name = found.new.partition(":")
    thing = getattr(importlib.import_module(new_module), new_name)
    # ``from package import name`` asks twice: at first whether there is such a name, or whether it may be a submodule.
    if name != "__all__" and sys._getframe(2).f_globals.get("__name__") != "importlib._bootstrap":
        warn_user(f"{module}.{name} is now {found.advice()}")
    return thing


def warn_of_old_attribute(path: str) -> None:
    """Say that an attribute of the table is an old one."""
    warn_user(f"{path.partition(':')[2]} is now {OLD_ATTRIBUTES[path]}")


def warn_of_old_setting(key: str) -> None:
    """Say that a key of the table is an old one."""
    warn_user(f"the setting {key} {OLD_SETTINGS[key]}")


def warn_user(text: str) -> None:
    """Warn of something deprecated, at the line outside of PySOA that has led to it."""
    frame = next(_frames_of_users(sys._getframe(1)), None) or sys._getframe(1)
    warnings.warn_explicit(
        text,
        DeprecationWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _frames_of_users(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _LED_THROUGH:
            yield frame
        frame = frame.f_back
