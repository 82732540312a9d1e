"""Dict-based settings: a schema and defaults that are merged along the classes, checked when they are given.

A settings class names its keys in ``schema`` (fields of ``common.fields`` or of Conformity, or any object with
``errors`` and ``introspect``) and their defaults in ``defaults``; or it annotates them::

    class WarehouseSettings(ServerSettings):
        restock_below: int = 10
"""

from __future__ import annotations

import copy
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, ClassVar, TypeAlias

from pysoa.common.fields import FieldError, List, Schema, hint_for_unknown, own_errors
from pysoa.common.old_names import old_name, warn_user
from pysoa.common.plugins import NO_OP_METRICS_PATH, ClassConfiguration, MetricsConfiguration

__all__ = ("SOASettings", "Settings", "SettingsData", "SettingsSchema")

SettingsData: TypeAlias = Mapping[str, Any]
SettingsSchema: TypeAlias = Mapping[str, Schema]


class Settings(Mapping[str, Any]):
    """Checked settings, read like a dict.

    ``schema`` and ``defaults`` of a class are merged key by key with those of its bases when the class is defined:
    own keys win over those of bases, and left bases over right ones. Annotated keys count as part of both; they can be
    read as attributes too.

    Attributes:
        schema: what each key may hold.
        defaults: what keys hold that are not given. Dicts in the data are merged into dicts in the defaults.
    """

    schema: ClassVar[SettingsSchema] = {}
    defaults: ClassVar[SettingsData] = {}
    _annotated: ClassVar[frozenset[str]] = frozenset()

    class ImproperlyConfigured(Exception):
        """The settings lack a key, have one too many, or one holds what it may not."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bases = [base for base in reversed(cls.__bases__) if issubclass(base, Settings)]
        own_schema = dict(cls.__dict__.get("schema", {}))
        own_defaults = dict(cls.__dict__.get("defaults", {}))
        annotated = _annotated_keys(cls)
        own_schema |= {key: _AnnotatedKey(cls, key) for key in annotated}
        cls._annotated = frozenset(annotated).union(*(base._annotated for base in bases))
        for key in cls._annotated:
            if key in cls.__dict__:
                own_defaults[key] = cls.__dict__[key]
                delattr(cls, key)  # else the attribute would hide the value that was set
        cls.schema = {key: field for base in bases for key, field in base.schema.items()} | own_schema
        cls.defaults = {key: value for base in bases for key, value in base.defaults.items()} | own_defaults

    def __init__(self, data: SettingsData) -> None:
        """Take a copy of the data, merge it into the defaults, and check it.

        Raises:
            ImproperlyConfigured: what is wrong, with keys, values and what is allowed.
        """
        self._data: dict[str, Any] = {}
        self.set(data)

    def set(self, data: SettingsData) -> None:
        """Replace the settings by a copy of the data, merged into the defaults; after an error nothing has changed.

        Raises:
            ImproperlyConfigured: what is wrong, with keys, values and what is allowed.
        """
        merged = _merged(copy.deepcopy(dict(self._without_old_keys(data))), copy.deepcopy(dict(self.defaults)))
        missing = [key for key in self.schema if key not in merged]
        if missing:
            raise self.ImproperlyConfigured(f"No value provided for required setting(s): {', '.join(missing)}")
        unknown = sorted(str(key) for key in merged if key not in self.schema)
        if unknown:
            raise self.ImproperlyConfigured(
                f"Unknown setting(s): {', '.join(unknown)} ({hint_for_unknown(unknown, self.schema)})"
            )
        faults = "".join(
            _described(key, merged[key], errors)
            for key, field in self.schema.items()
            if (errors := own_errors(field.errors(merged[key])))
        )
        if faults:
            raise self.ImproperlyConfigured(faults)
        for key, field in self.schema.items():
            if isinstance(field, _AnnotatedKey):
                merged[key] = field.convert(merged[key])
        self._data = self._converted(merged)

    def _without_old_keys(self, data: SettingsData) -> SettingsData:
        """The data without keys that earlier releases knew and that mean nothing now."""
        return data

    def _converted(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the ``convert_<key>`` methods of 0.42 make of the checked values."""
        for key, value in data.items():
            convert = getattr(self, f"convert_{key}", None)
            if convert is not None:
                warn_user(
                    f"{type(self).__name__}.convert_{key}: convert the setting where it is used, or annotate its type"
                )
                data[key] = convert(value)
        return data

    def __getattr__(self, name: str) -> Any:
        if name in type(self)._annotated:
            return self._data[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, default)

    def keys(self) -> KeysView[str]:
        return self._data.keys()

    def values(self) -> ValuesView[Any]:
        return self._data.values()

    def items(self) -> ItemsView[str, Any]:
        return self._data.items()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._data == other._data

    __hash__ = None  # type: ignore[assignment] # equal by value, and the values can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}(keys: {', '.join(self._data)})"  # values may hold secrets


class _AnnotatedKey:
    """The schema of a key that is given as an annotation; what the annotation means is found out at first use."""

    def __init__(self, owner: type, key: str) -> None:
        self._owner, self._key = owner, key
        self._typed: Any = None

    def errors(self, value: Any) -> list[FieldError]:
        return own_errors(self._schema().errors(value))

    def introspect(self) -> Mapping[str, Any]:
        introspection: Mapping[str, Any] = self._schema().introspect()
        return introspection

    def convert(self, value: Any) -> Any:
        return self._schema().convert(value)

    def _schema(self) -> Any:
        if self._typed is None:
            from typing import get_type_hints

            from pysoa.common.typed import TypedSchema

            self._typed = TypedSchema(get_type_hints(self._owner, include_extras=True)[self._key])
        return self._typed


def _annotated_keys(cls: type[Settings]) -> list[str]:
    return [
        name
        for name, annotation in cls.__annotations__.items()
        if not name.startswith("_")
        and name not in ("schema", "defaults")
        and not str(annotation).removeprefix("typing.").startswith("ClassVar")
    ]


def _merged(data: Mapping[Any, Any], defaults: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(defaults)
    for key, value in data.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            merged[key] = _merged(value, default)
        else:
            merged[key] = value
    return merged


def _described(key: str, value: Any, errors: Iterable[FieldError]) -> str:
    lines = [f"Invalid setting '{key}':\n"]
    for error in errors:
        pointer = f"{error.pointer}: " if error.pointer else ""
        lines.append(f"  - {pointer}{error.message}{_said_more(key, value, error)}\n")
    return "".join(lines)


def _said_more(key: str, value: Any, error: FieldError) -> str:
    """The value that is refused, where showing it helps and gives no secret away, and what would be right."""
    more = []
    if not error.message.startswith("Extra keys present"):
        shown = _shown(value, key, error.pointer)
        if shown is not None:
            more.append(f"got {shown}")
    if error.hint:
        more.append(error.hint)
    return f" ({'; '.join(more)})" if more else ""


_NOT_FOUND: Any = object()
_SECRET_WORDS = ("pass", "secret", "token", "key", "auth", "credential", "user")


def _shown(value: Any, key: str, pointer: str | None) -> str | None:
    if any(word in f"{key}.{pointer or ''}".lower() for word in _SECRET_WORDS):
        return None
    part = _part(value, pointer) if pointer else value
    if part is _NOT_FOUND:
        return None
    if isinstance(part, str):
        if "@" in part:
            part = f"...@{part.rpartition('@')[2]}"
        return repr(part if len(part) <= 100 else part[:100] + "...")
    if part is None or isinstance(part, bool | int | float):
        return repr(part)
    return f"a {type(part).__name__}"


def _part(value: Any, pointer: str) -> Any:
    """The part that a pointer names; keys may hold dots themselves."""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, part in parts:
        if pointer == str(key):
            return part
        if pointer.startswith(f"{key}."):
            found = _part(part, pointer.removeprefix(f"{key}."))
            if found is not _NOT_FOUND:
                return found
    return _NOT_FOUND


class SOASettings(Settings):
    """What the settings of clients and of servers have in common."""

    schema: ClassVar[SettingsSchema] = {
        "transport": ClassConfiguration(description="The transport that moves messages"),
        "middleware": List(ClassConfiguration(), description="Middleware, outermost first"),
        "metrics": MetricsConfiguration(description="Where metrics are recorded"),
    }
    defaults: ClassVar[SettingsData] = {
        "middleware": [],
        "metrics": {"path": NO_OP_METRICS_PATH},
    }


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
