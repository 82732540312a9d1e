"""Types as schemas: pydantic models, msgspec structs, dataclasses, typed dicts, annotations like ``dict[str, int]``.

What a value may be follows the wire, whichever kind of type judges it:

* Nothing is turned from one JSON type into another: ``"7"`` is not 7, ``7.0`` and ``True`` are no integers. An integer
  is a number and so fits a float; any number fits a ``Decimal``.
* Where JSON has no such type, its usual text is accepted beside the Python value that msgpack brings: ISO text for
  dates, times and durations, digits for decimals, hex for UUIDs, base64 for bytes, values for enums. Lists fit tuples
  and sets.
* A field that the type does not have is ``UNKNOWN``, unless it is a pydantic model whose ``extra`` says otherwise.
* All faults are found: ``MISSING``, ``UNKNOWN`` (also for a value that an enum or a literal lacks) or ``INVALID``, each
  with the dotted path of the field.

pydantic is imported only when a type needs it: one of its models, its ``Field``, or a union that msgspec cannot tell
apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, Protocol

from pysoa.common.fields import FieldError, Schema

__all__ = ("TypedSchema", "as_schema")

_ALLOWED = (
    "a schema is an object with errors() and introspect(), a pydantic model, a msgspec struct, a dataclass, a typed"
    " dict, or an annotation such as dict[str, int]"
)


class _Engine(Protocol):
    def errors(self, value: Any) -> list[FieldError]: ...

    def convert(self, value: Any) -> Any: ...

    def introspect(self) -> dict[str, Any]: ...

    def json_schema(self) -> dict[str, Any] | None: ...


class TypedSchema:
    """A type made into a schema.

    Attributes:
        type: the type.
        convert: ``convert(value)`` is the value of that type for a plain value. It is made to be fast: when the value
            does not fit, it raises whatever exception comes, and ``errors`` says what is wrong.
    """

    def __init__(self, type_: Any) -> None:
        """Compile the type.

        Raises:
            TypeError: it is no type that can be checked; the text says why.
        """
        self.type = type_
        self._engine = _engine_for(type_)
        self.convert = self._engine.convert

    def errors(self, value: Any) -> list[FieldError]:
        """Everything that is wrong with a plain value."""
        return self._engine.errors(value)

    def introspect(self) -> dict[str, Any]:
        return self._engine.introspect()

    def json_schema(self) -> dict[str, Any] | None:
        """The type in JSON Schema, draft 2020-12; None where that cannot say it.

        Objects may have no further properties, unless the type is a pydantic model whose ``extra`` says otherwise.
        """
        schema = self._engine.json_schema()
        return None if schema is None else _without_further_properties(schema)

    def to_body(self, value: Any) -> Any:
        """The plain value for one that may be, or hold, instances of types; dates and the like stay what they are."""
        from pysoa.common.typed.plain import plain_value

        return plain_value(value)

    def __repr__(self) -> str:
        return f"TypedSchema({self.type!r})"


def as_schema(thing: Any) -> Schema | None:
    """Make a schema of what a service gives as one; schemas and ``None`` stay what they are.

    Raises:
        TypeError: it cannot be a schema; the text says what can.
    """
    if thing is None:
        return None
    if (
        not isinstance(thing, type)
        and callable(getattr(thing, "errors", None))
        and callable(getattr(thing, "introspect", None))
    ):
        schema: Schema = thing
        return schema
    return TypedSchema(thing)


def _without_further_properties(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_further_properties(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _without_further_properties(part) for key, part in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _engine_for(type_: Any) -> _Engine:
    if isinstance(type_, Mapping | list | tuple | set | str | int | float | bytes | FunctionType):
        raise TypeError(f"{type_!r} is not a schema: {_ALLOWED}")
    if isinstance(type_, type) and callable(getattr(type_, "errors", None)) and hasattr(type_, "introspect"):
        raise TypeError(f"{type_.__name__} is a class of schemas: give an instance, {type_.__name__}(...)")
    from pysoa.common.typed.structural import StructuralEngine, is_for_pydantic

    reason: Exception
    try:
        if not is_for_pydantic(type_):
            return StructuralEngine(type_)
    except (TypeError, NameError) as error:
        reason = error
    else:
        reason = TypeError("pydantic cannot check it")
    try:
        from pysoa.common.typed.models import ModelEngine

        return ModelEngine(type_)
    except Exception as error:  # pydantic raises classes of its own for types that it does not know
        raise TypeError(f"{type_!r} cannot be a schema: {error or reason}; {_ALLOWED}") from error
