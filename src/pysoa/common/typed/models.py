"""Types that pydantic checks: its models, whatever holds them, and annotations with its constraints.

pydantic's own validation turns text into numbers and passes over unknown fields. So its core schema is compiled again
with our rules, which leaves what a model says explicitly (``strict``, ``extra``) as it is.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import decimal
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError, SchemaValidator

from pysoa.common.constants import ERROR_CODE_INVALID, ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN
from pysoa.common.fields import Constant, FieldError, Introspection, without_none

__all__ = ("ModelEngine",)


class ModelEngine:
    """Checks and converts values by pydantic's core."""

    def __init__(self, type_: Any) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)
        self._adapter.rebuild(raise_errors=True)
        schema = _with_our_rules(self._adapter.core_schema)
        try:
            # Newer releases take the validators of nested models from their classes, where our rules are not.
            validator = SchemaValidator(schema, _use_prebuilt=False)
        except TypeError:
            validator = SchemaValidator(schema)
        self.convert = validator.validate_python

    def errors(self, value: Any) -> list[FieldError]:
        """Everything that is wrong with the value."""
        try:
            self.convert(value)
        except ValidationError as error:
            return [_field_error(fault, value) for fault in error.errors(include_url=False, include_input=False)]
        except Exception as error:  # validators are users' code
            return [FieldError(str(error))]
        return []

    def introspect(self) -> Introspection:
        """What the JSON schema of the type says, in the shape of other introspections."""
        json_schema = self.json_schema()
        if json_schema is None:
            return {"type": "anything"}
        return _introspection(json_schema, json_schema.get("$defs", {}), ())

    def json_schema(self) -> dict[str, Any] | None:
        """The type in JSON Schema; None where that cannot say it."""
        try:
            return self._adapter.json_schema(schema_generator=_JsonSchema)
        except Exception:  # not every type that can be checked can be told in JSON schema
            return None


class _JsonSchema(GenerateJsonSchema):
    def model_schema(self, schema: Any) -> Any:
        """Say that a model lets further fields pass, also where it leaves them out."""
        told = super().model_schema(schema)
        if "extra_fields_behavior" in (schema.get("config") or {}):
            told.setdefault("additionalProperties", True)
        return told


_NO_SCHEMAS: Final = frozenset(("metadata", "serialization", "default", "config", "cls", "expected", "members", "ref"))
_EXACT: Final = frozenset(("int", "float", "str", "bool"))
_OBJECTS: Final = frozenset(("model", "dataclass", "typed-dict"))
_FIELDS: Final = frozenset(("model-fields", "dataclass-args", "typed-dict"))


def _with_our_rules(node: Any, allows_extras: bool = False) -> Any:
    if isinstance(node, list):
        return [_with_our_rules(item, allows_extras) for item in node]
    if isinstance(node, tuple):
        return tuple(_with_our_rules(item, allows_extras) for item in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind in _OBJECTS:
        allows_extras = "extra_fields_behavior" in (node.get("config") or {})
    changed = {key: part if key in _NO_SCHEMAS else _with_our_rules(part, allows_extras) for key, part in node.items()}
    if kind in _FIELDS and not allows_extras:
        changed.setdefault("extra_behavior", "forbid")
    if kind in _EXACT:
        changed.setdefault("strict", True)
    check = _enum(node) if kind == "enum" else _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is not None:
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": check},
            "schema": changed,
        }
    return changed


def _refusal(message: str) -> PydanticCustomError:
    return PydanticCustomError("pysoa", message)


def _is_iso(value: Any) -> bool:
    """Whether a value is text other than a number: pydantic takes numbers for seconds since 1970, in digits too."""
    return isinstance(value, str) and not value.lstrip("+-").replace(".", "", 1).isdigit()


def _date(value: Any) -> Any:
    if _is_iso(value) or (isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)):
        return value
    raise _refusal(_NO_DATE)


def _datetime(value: Any) -> Any:
    if _is_iso(value) or isinstance(value, datetime.datetime):
        return value
    raise _refusal(_NO_DATETIME)


def _time(value: Any) -> Any:
    if _is_iso(value) or isinstance(value, datetime.time):
        return value
    raise _refusal(_NO_TIME)


def _timedelta(value: Any) -> Any:
    if _is_iso(value) or isinstance(value, datetime.timedelta):
        return value
    raise _refusal(_NO_DURATION)


def _decimal(value: Any) -> Any:
    if isinstance(value, int | float | str | decimal.Decimal) and not isinstance(value, bool):
        return value
    raise _refusal(_NO_DECIMAL)


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    if isinstance(value, str):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(value, validate=True)
    raise _refusal("Not bytes, nor base64 text")


def _enum(node: Mapping[str, Any]) -> Callable[[Any], Any]:
    cls = node["cls"]
    kinds = frozenset(type(member.value) for member in cls) | {cls}
    refusal = Constant(*(member.value for member in cls)).errors(object())[0].message

    def check(value: Any) -> Any:
        if type(value) in kinds:  # 1 is no value of an enum of text, True none of an enum of integers
            with contextlib.suppress(ValueError):
                return cls(value)
        raise PydanticCustomError("enum", "{refusal}", {"refusal": refusal})

    return check


_NO_DATE: Final = "Not a date, nor its ISO text"
_NO_DATETIME: Final = "Not a datetime, nor its ISO text"
_NO_TIME: Final = "Not a time of day, nor its ISO text"
_NO_DURATION: Final = "Not a duration, nor its ISO text"
_NO_DECIMAL: Final = "Not a decimal, nor its text"

_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "timedelta": _timedelta,
    "decimal": _decimal,
    "bytes": _bytes,
}

# What pydantic finds, in the words that other schemas use.
_TEXTS: Final = {
    "int_type": "Not an integer",
    "float_type": "Not a float",
    "string_type": "Not a unicode string",
    "bool_type": "Not a boolean",
    "list_type": "Not a list",
    "tuple_type": "Not a list",
    "set_type": "Not a list",
    "frozen_set_type": "Not a list",
    "dict_type": "Not a dict",
    "model_type": "Not a dict",
    "model_attributes_type": "Not a dict",
    "dataclass_type": "Not a dict",
    "greater_than": "Value not > {gt}",
    "greater_than_equal": "Value not >= {ge}",
    "less_than": "Value not < {lt}",
    "less_than_equal": "Value not <= {le}",
    "string_too_short": "String must have a length of at least {min_length}",
    "string_too_long": "String must have a length no more than {max_length}",
    "too_short": "List is shorter than {min_length}",
    "too_long": "List is longer than {max_length}",
    "date_from_datetime_parsing": _NO_DATE,
    "date_parsing": _NO_DATE,
    "datetime_from_date_parsing": _NO_DATETIME,
    "datetime_parsing": _NO_DATETIME,
    "time_parsing": _NO_TIME,
    "time_delta_parsing": _NO_DURATION,
    "decimal_parsing": _NO_DECIMAL,
    "uuid_type": "Not a UUID, nor its text",
    "uuid_parsing": "Not a UUID, nor its text",
}
_MISSING: Final = frozenset(
    ("missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument")
)
_UNKNOWN: Final = frozenset(("extra_forbidden", "unexpected_keyword_argument"))


def _field_error(fault: Mapping[str, Any], value: Any) -> FieldError:
    kind, location = fault["type"], fault["loc"]
    name = str(location[-1]) if location else ""
    if kind in _MISSING:
        return FieldError(f"Missing key: {name}", _pointer(location, value), ERROR_CODE_MISSING)
    if kind in _UNKNOWN:
        return FieldError(f"Extra keys present: {name}", _pointer(location, value), ERROR_CODE_UNKNOWN)
    code = ERROR_CODE_UNKNOWN if kind in ("enum", "literal_error") else ERROR_CODE_INVALID
    if kind == "literal_error":
        message = f"Value is not one of: {fault['ctx']['expected']}"
    else:
        text = _TEXTS.get(kind)
        message = text.format(**fault.get("ctx", {})) if text is not None else fault["msg"]
    return FieldError(message, _pointer(location[:-1], value, location[-1:]), code)


def _pointer(location: tuple[Any, ...], value: Any, last: tuple[Any, ...] = ()) -> str | None:
    """The path that the caller knows; pydantic puts the names of a union's types between."""
    steps = []
    *inner, end = (*location, *last) or (None,)
    for step in inner:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list | tuple) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]
            steps.append(str(step))
    is_there = isinstance(value, dict) and end in value
    is_there = is_there or (isinstance(value, list | tuple) and isinstance(end, int) and end < len(value))
    if end is not None and (is_there or not last):
        steps.append(str(end))
    return ".".join(steps) or None


_JSON_NAMES: Final = {"string": "unicode", "number": "float", "null": "null"}


def _introspection(node: Mapping[str, Any], definitions: Mapping[str, Any], above: tuple[str, ...]) -> Introspection:
    """JSON schema, said as the introspections of fields say it."""
    reference = str(node.get("$ref", "")).rpartition("/")[2]
    if reference:
        if reference in above:
            return {"type": "dictionary", "description": f"{reference}, as above"}
        return _introspection(definitions[reference], definitions, (*above, reference))

    def below(part: Any) -> Introspection:
        return _introspection(part if isinstance(part, Mapping) else {}, definitions, above)

    description = node.get("description")
    if "anyOf" in node or "oneOf" in node:
        options = [option for option in node.get("anyOf") or node["oneOf"] if option.get("type") != "null"]
        shown = below(options[0]) if len(options) == 1 else {"type": "any", "options": [below(o) for o in options]}
        is_nullable = len(options) < len(node.get("anyOf") or node["oneOf"])
        return {"type": "nullable", "nullable": shown} if is_nullable else shown
    if "enum" in node or "const" in node:
        return without_none(
            {"type": "constant", "values": node.get("enum", [node.get("const")]), "description": description}
        )
    kind = node.get("type", "anything")
    if "properties" in node:
        return without_none(
            {
                "type": "dictionary",
                "contents": {name: below(part) for name, part in node["properties"].items()},
                "optional_keys": sorted(set(node["properties"]) - set(node.get("required", ()))),
                "allow_extra_keys": node.get("additionalProperties", False) is not False,
                "description": description,
            }
        )
    shown = {"type": _JSON_NAMES.get(kind, kind), "description": description}
    if kind == "object":
        shown |= {"type": "schemaless_dictionary", "value_type": below(node.get("additionalProperties"))}
    elif kind == "array":
        shown |= {"type": "list", "contents": below(node.get("items"))}
    return without_none(
        shown
        | {
            "format": node.get("format"),
            "gt": node.get("exclusiveMinimum"),
            "gte": node.get("minimum"),
            "lt": node.get("exclusiveMaximum"),
            "lte": node.get("maximum"),
            "min_length": node.get("minLength", node.get("minItems")),
            "max_length": node.get("maxLength", node.get("maxItems")),
        }
    )
