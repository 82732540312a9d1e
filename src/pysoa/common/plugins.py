"""Plug-in classes: import paths, the keyword arguments a class takes, and the ``{path, kwargs}`` dicts naming both.

A class says which keyword arguments it takes by the decorator ``accepts_kwargs`` (or by Conformity's
``ClassConfigurationSchema.provider``, which leaves the same mark); its subclasses inherit that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TypeVar

from pysoa.common.constants import ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN
from pysoa.common.fields import (
    NO_KWARGS,
    Field,
    FieldError,
    Introspection,
    Schema,
    hint_for_unknown,
    own_errors,
    under,
)
from pysoa.common.instruments import NO_METRICS, NoOpMetricsRecorder, Recorder, adapt_recorder, is_recorder
from pysoa.common.old_names import current_path, warn_user

__all__ = (
    "ClassConfiguration",
    "MetricsConfiguration",
    "NO_OP_METRICS_PATH",
    "PythonPath",
    "TypePath",
    "accepts_kwargs",
    "kwargs_schema",
    "make_recorder",
    "resolve_python_path",
)

_SCHEMA_ATTRIBUTE: Final = "_conformity_initialization_schema"  # Conformity's decorator sets it, so ours does

NO_OP_METRICS_PATH: Final = "pysoa.common.instruments:NoOpMetricsRecorder"

# What earlier releases named where no metrics are wanted; their packages need not be installed for that.
_OLD_NO_OP_METRICS_PATHS: Final = (
    "pymetrics.recorders.noop:NonOperationalMetricsRecorder",
    "pymetrics.recorders.noop.NonOperationalMetricsRecorder",
    "pysoa.common.metrics:NoOpMetricsRecorder",
    "pysoa.common.metrics.NoOpMetricsRecorder",
)

_Class = TypeVar("_Class", bound=type)

_resolved: dict[str, Any] = {}


def resolve_python_path(path: str) -> Any:
    """Import what a path names; each path once in the life of the process.

    ``pkg.mod:Thing`` and ``pkg.mod:Outer.Inner`` part at the colon; ``pkg.mod.Thing`` parts at the last dot.

    Raises:
        ValueError: the text is no import path.
        ImportError: there is no such module, or it cannot be imported.
        AttributeError: the module has no such thing.
    """
    path = current_path(path)
    if path in _resolved:
        return _resolved[path]
    import importlib

    module_name, separator, attributes = path.partition(":") if ":" in path else path.rpartition(".")
    if not (separator and module_name and attributes) or module_name.startswith("."):
        raise ValueError(f"{path!r} is not an import path: give module:name or module.name")
    thing: Any = importlib.import_module(module_name)
    for name in attributes.split("."):
        thing = getattr(thing, name)
    _resolved[path] = thing
    return thing


def accepts_kwargs(schema: Schema) -> Callable[[_Class], _Class]:
    """Class decorator: says which keyword arguments settings may give to a plug-in class.

    Args:
        schema: judges the ``kwargs`` dict; ``fields.NO_KWARGS`` for a class that takes none.
    """

    def mark(cls: _Class) -> _Class:
        setattr(cls, _SCHEMA_ATTRIBUTE, schema)
        return cls

    return mark


def kwargs_schema(cls: type) -> Schema | None:
    """The schema that a class or one of its bases was decorated with, if any."""
    return getattr(cls, _SCHEMA_ATTRIBUTE, None)


class PythonPath(Field):
    """Accepts the import path of something that can be imported."""

    introspect_type = "python_path"

    def errors(self, value: Any) -> list[FieldError]:
        return self._resolve(value)[1]

    def _resolve(self, path: Any) -> tuple[Any, list[FieldError]]:
        if not isinstance(path, str):
            return None, [FieldError("Not a unicode string")]
        try:
            thing = resolve_python_path(path)
        except ValueError:
            return None, [
                FieldError(f'Value "{path}" is not a valid Python import path', hint="give module:name or module.name")
            ]
        except (ImportError, AttributeError) as error:
            kind = "ImportError" if isinstance(error, ImportError) else "AttributeError"
            return None, [FieldError(f"{kind}: {error}")]
        return thing, self._thing_errors(thing)

    def _thing_errors(self, thing: Any) -> list[FieldError]:
        return []


class TypePath(PythonPath):
    """Accepts the import path of a class.

    Args:
        base_class: the class must be this one or extend it; a class, or an import path that is followed when the
            first value is judged.
    """

    def __init__(self, base_class: type | str = object, *, description: str | None = None) -> None:
        super().__init__(description=description)
        self._base_class = base_class

    def resolve(self, path: Any) -> tuple[type, list[FieldError]]:
        """The class, and what is wrong with the path; only where nothing is wrong the class means something."""
        thing, errors = self._resolve(path)
        return thing, errors

    def base_class(self) -> type:
        """The class that must be extended, imported by now."""
        if isinstance(self._base_class, str):
            self._base_class = resolve_python_path(self._base_class)
        assert isinstance(self._base_class, type)
        return self._base_class

    def _thing_errors(self, thing: Any) -> list[FieldError]:
        if not isinstance(thing, type):
            return [FieldError("Not a type")]
        if not issubclass(thing, self.base_class()):
            return [FieldError(f"Type {thing} is not one of or a subclass of one of: {self.base_class()}")]
        return []

    def _parameters(self) -> Introspection:
        return {"value_schema": {"type": "type_reference", "base_classes": [str(self._base_class)]}}


class ClassConfiguration(Field):
    """Accepts ``{"path": import path of a class, "kwargs": its keyword arguments}``, and adds ``object``: the class.

    Undecorated classes are accepted with a ``DeprecationWarning``, for earlier releases took them with any ``kwargs``.

    Args:
        base_class: as for ``TypePath``.
        default_path: stands for a missing ``path``.
    """

    introspect_type = "class_config_dictionary"

    def __init__(
        self, base_class: type | str = object, default_path: str | None = None, *, description: str | None = None
    ) -> None:
        super().__init__(description=description)
        self._type_path = TypePath(base_class)
        self.default_path = default_path

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, Mapping):
            return [FieldError("Not a mapping (dictionary)", hint='give {"path": ..., "kwargs": {...}}')]
        extra = sorted(str(key) for key in value if key not in ("path", "kwargs", "object"))
        if extra:
            return [
                FieldError(
                    f"Extra keys present: {', '.join(extra)}",
                    code=ERROR_CODE_UNKNOWN,
                    hint=hint_for_unknown(extra, ("path", "kwargs")),
                )
            ]
        if "path" not in value and not self.default_path:
            return [FieldError("Missing key (and no default specified): path", "path", ERROR_CODE_MISSING)]
        path: Any = value.get("path") or self.default_path
        cls, errors = self._resolve(path)
        if errors:
            return under("path", errors)
        if isinstance(value, MutableMapping):
            value["path"] = path
            value["object"] = cls
        return under("kwargs", self._kwargs_errors(cls, path, value.get("kwargs", {})))

    def _resolve(self, path: Any) -> tuple[type, list[FieldError]]:
        return self._type_path.resolve(path)

    def _kwargs_errors(self, cls: type, path: str, kwargs: Any) -> list[FieldError]:
        schema = kwargs_schema(cls)
        errors = own_errors(schema.errors(kwargs)) if schema is not None else []
        if schema is not None and not (errors and _takes_more_than_declared(cls)):
            return errors
        if not isinstance(kwargs, Mapping):
            return [FieldError("Not a dict")]
        mismatch = _signature_mismatch(cls, kwargs)
        if mismatch:
            return [FieldError(mismatch)]
        warn_user(
            f"{path} does not say which keyword arguments it takes: decorate it with"
            " pysoa.common.plugins.accepts_kwargs"
        )
        return []

    def _parameters(self) -> Introspection:
        return {
            "default_path": self.default_path,
            "switch_field": "path",
            "switch_field_schema": self._type_path.introspect(),
            "kwargs_field": "kwargs",
        }


class MetricsConfiguration(ClassConfiguration):
    """Accepts the class configuration of a metrics recorder, known by its methods.

    The no-op recorders of earlier releases become ours where they are not installed.
    """

    def __init__(self, *, description: str | None = None) -> None:
        super().__init__(default_path=NO_OP_METRICS_PATH, description=description)

    def _resolve(self, path: Any) -> tuple[type, list[FieldError]]:
        cls, errors = super()._resolve(path)
        if errors and path in _OLD_NO_OP_METRICS_PATHS:
            return NoOpMetricsRecorder, []
        if not errors and not is_recorder(cls):
            errors = [
                FieldError(
                    f"Type {cls} is not a metrics recorder",
                    hint="it needs the methods counter, timer, histogram, gauge and publish_all",
                )
            ]
        return cls, errors

    def _kwargs_errors(self, cls: type, path: str, kwargs: Any) -> list[FieldError]:
        if path in _OLD_NO_OP_METRICS_PATHS:
            return []
        if cls is NoOpMetricsRecorder:
            return NO_KWARGS.errors(kwargs)
        return super()._kwargs_errors(cls, path, kwargs)


def make_recorder(configuration: Mapping[str, Any]) -> Recorder:
    """The metrics recorder that validated settings name: ``NO_METRICS`` itself where nothing is to be recorded."""
    if configuration["path"] == NO_OP_METRICS_PATH or configuration["path"] in _OLD_NO_OP_METRICS_PATHS:
        return NO_METRICS
    return adapt_recorder(configuration["object"](**configuration.get("kwargs", {})))


def _takes_more_than_declared(cls: type) -> bool:
    """Whether a class has a constructor of its own below the class of PySOA whose declaration it inherits."""
    declared_by = next(base for base in cls.__mro__ if _SCHEMA_ATTRIBUTE in vars(base))
    return (
        declared_by is not cls
        and declared_by.__module__.partition(".")[0] == "pysoa"
        and cls.__init__ is not declared_by.__init__  # type: ignore[misc]
    )


def _signature_mismatch(cls: type, kwargs: Mapping[str, Any]) -> str | None:
    import inspect

    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):
        return None  # built in C: it will say so itself when it is made
    try:
        signature.bind_partial(**kwargs)
    except TypeError as error:
        return f"{cls.__name__} does not take them: {error}"
    return None
