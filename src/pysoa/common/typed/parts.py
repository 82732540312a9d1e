"""The fields that a type is compiled into: they find every fault of a value that msgspec refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard, is_typeddict

import msgspec
from msgspec import inspect as types

from pysoa.common.constants import ERROR_CODE_INVALID, ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN
from pysoa.common.fields import (
    Field,
    FieldError,
    Integer,
    Introspection,
    UnicodeString,
    hint_for_unknown,
    under,
    without_none,
)

__all__ = (
    "Converted",
    "Deep",
    "FixedItems",
    "Items",
    "Map",
    "Number",
    "Object",
    "Text",
    "Union",
    "from_msgspec",
    "holds_objects",
)


class Deep(Field):
    """A field of values with parts.

    Attributes:
        holds_objects: whether objects are below, so that there can be fields that nobody knows.
        shapes: what the values are on the wire.
    """

    holds_objects = False
    shapes: tuple[type, ...] = ()

    def has_unknown(self, value: Any) -> bool:
        """Whether a value that is sound otherwise has fields that nobody knows."""
        raise NotImplementedError


def holds_objects(field: Field) -> TypeGuard[Deep]:
    return isinstance(field, Deep) and field.holds_objects


class Converted(Field):
    """A value without parts that msgspec judges; the texts are ours."""

    def __init__(self, type_: Any, introspect_type: str, message: str, **parameters: Any) -> None:
        super().__init__()
        self._type, self._introspect_type, self._message = type_, introspect_type, message
        self._code = ERROR_CODE_UNKNOWN if message.startswith("Value is not") else ERROR_CODE_INVALID
        self._own_parameters = parameters

    def errors(self, value: Any) -> list[FieldError]:
        try:
            msgspec.convert(value, self._type)
        except Exception as error:  # validators are users' code
            if self._message:
                return [FieldError(self._message, code=self._code)]
            return [from_msgspec(error)]
        return []

    def introspect(self) -> Introspection:
        return {"type": self._introspect_type, **self._own_parameters}


class Number(Integer):
    """Integers, or numbers of any kind, within bounds."""

    def __init__(self, introspect_type: str, message: str, types: tuple[type, ...], info: Any) -> None:
        super().__init__(gt=info.gt, gte=info.ge, lt=info.lt, lte=info.le)
        self._introspect_type, self._message, self._types = introspect_type, message, types
        self._multiple_of = info.multiple_of

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, self._types) or isinstance(value, bool):
            return [FieldError(self._message)]
        errors = self._bounds_errors(value)
        if self._multiple_of and value % self._multiple_of:
            errors.append(FieldError(f"Value not a multiple of {self._multiple_of}"))
        return errors

    def introspect(self) -> Introspection:
        return without_none({**super().introspect(), "type": self._introspect_type, "multiple_of": self._multiple_of})


class Text(UnicodeString):
    """Text within lengths, or of a pattern."""

    def __init__(self, info: Any) -> None:
        super().__init__(min_length=info.min_length, max_length=info.max_length)
        self._pattern: str | None = info.pattern

    def errors(self, value: Any) -> list[FieldError]:
        errors = super().errors(value)
        if not errors and self._pattern is not None:
            import re

            if not re.search(self._pattern, value):
                errors = [FieldError(f"String does not match {self._pattern}")]
        return errors

    def introspect(self) -> Introspection:
        return without_none({**super().introspect(), "pattern": self._pattern})


class Items(Deep):
    """Lists, and what is written as lists: sets, tuples of any length."""

    shapes = (list, tuple, set, frozenset)

    def __init__(self, item: Field, info: Any) -> None:
        super().__init__()
        self._item, self._min, self._max = item, info.min_length, info.max_length
        self.holds_objects = holds_objects(item)

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, list | tuple | set | frozenset):
            return [FieldError("Not a list")]
        errors = []
        if self._max is not None and len(value) > self._max:
            errors.append(FieldError(f"List is longer than {self._max}"))
        elif self._min is not None and len(value) < self._min:
            errors.append(FieldError(f"List is shorter than {self._min}"))
        for index, item in enumerate(value):
            errors += under(index, self._item.errors(item))
        return errors

    def has_unknown(self, value: Any) -> bool:
        item_has_unknown = self._item.has_unknown  # type: ignore[attr-defined] # asked only where it holds objects
        return any(map(item_has_unknown, value))

    def introspect(self) -> Introspection:
        contents = self._item.introspect()
        return without_none({"type": "list", "contents": contents, "min_length": self._min, "max_length": self._max})


class FixedItems(Deep):
    """Tuples with a type for each item."""

    shapes = (list, tuple, set, frozenset)

    def __init__(self, items: list[Field]) -> None:
        super().__init__()
        self._items = items
        self.holds_objects = any(map(holds_objects, items))

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, list | tuple):
            return [FieldError("Not a list")]
        errors = []
        if len(value) != len(self._items):
            errors.append(FieldError(f"Number of elements {len(value)} does not match expected {len(self._items)}"))
        for index, (field, item) in enumerate(zip(self._items, value, strict=False)):
            errors += under(index, field.errors(item))
        return errors

    def has_unknown(self, value: Any) -> bool:
        return any(
            holds_objects(field) and field.has_unknown(item) for field, item in zip(self._items, value, strict=False)
        )

    def introspect(self) -> Introspection:
        return {"type": "tuple", "contents": [field.introspect() for field in self._items]}


class Map(Deep):
    """Dicts of any keys."""

    shapes = (dict,)

    def __init__(self, key: Field, value: Field, info: Any) -> None:
        super().__init__()
        self._key, self._value, self._min, self._max = key, value, info.min_length, info.max_length
        self.holds_objects = holds_objects(value)

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, dict):
            return [FieldError("Not a dict")]
        errors = []
        if self._max is not None and len(value) > self._max:
            errors.append(FieldError(f"Dict contains more than {self._max} value(s)"))
        elif self._min is not None and len(value) < self._min:
            errors.append(FieldError(f"Dict contains fewer than {self._min} value(s)"))
        for key, item in value.items():
            errors += under(key, self._key.errors(key))
            errors += under(key, self._value.errors(item))
        return errors

    def has_unknown(self, value: Any) -> bool:
        item_has_unknown = self._value.has_unknown  # type: ignore[attr-defined] # asked only where it holds objects
        return any(map(item_has_unknown, value.values()))

    def introspect(self) -> Introspection:
        return {
            "type": "schemaless_dictionary",
            "key_type": self._key.introspect(),
            "value_type": self._value.introspect(),
        }


class Object(Deep):
    """Structs, dataclasses and typed dicts."""

    holds_objects = True
    shapes = (dict,)

    def __init__(self, info: Any, field: Callable[[types.Type], Field]) -> None:
        super().__init__()
        self._class = info.cls
        self.tag_field: str | None = getattr(info, "tag_field", None)
        self.tag = getattr(info, "tag", None)
        self._info, self._compile = info, field
        self._contents: dict[str, Field] = {}
        self._required: frozenset[str] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._deep: tuple[tuple[str, Deep], ...] = ()
        self._is_being_introspected = False

    def fill(self) -> None:
        """Compile the fields; apart from the constructor, for they may mention this very type."""
        fields = self._info.fields
        if is_typeddict(self._class):  # msgspec sorts those by name
            declared = list(self._class.__annotations__)
            fields = sorted(fields, key=lambda field: declared.index(field.name))
        self._contents = {field.encode_name: self._compile(field.type) for field in fields}
        self._required = frozenset(field.encode_name for field in self._info.fields if field.required)
        self._names = frozenset(self._contents) | ({self.tag_field} if self.tag_field else set())
        self._deep = tuple((name, field) for name, field in self._contents.items() if holds_objects(field))

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, dict):
            return [] if is_instance(value, self._class) else [FieldError("Not a dict")]
        errors = []
        if self.tag_field is not None and value.get(self.tag_field, self.tag) != self.tag:
            errors.append(FieldError(f'Value is not "{self.tag}"', self.tag_field, ERROR_CODE_UNKNOWN))
        for name, field in self._contents.items():
            if name in value:
                errors += under(name, field.errors(value[name]))
            elif name in self._required:
                errors.append(FieldError(f"Missing key: {name}", name, ERROR_CODE_MISSING))
        for unknown in sorted(str(key) for key in value.keys() - self._names):
            hint = hint_for_unknown([unknown], self._contents)
            errors.append(FieldError(f"Extra keys present: {unknown}", unknown, ERROR_CODE_UNKNOWN, hint))
        if not errors and hasattr(self._class, "__post_init__"):
            try:
                msgspec.convert(value, self._class)
            except Exception as error:  # validators are users' code
                errors.append(from_msgspec(error))
        return errors

    def has_unknown(self, value: Any) -> bool:
        if type(value) is not dict:
            return False  # an instance already
        if not value.keys() <= self._names:
            return True
        return any(name in value and field.has_unknown(value[name]) for name, field in self._deep)

    def introspect(self) -> Introspection:
        if self._is_being_introspected:
            return {"type": "dictionary", "description": f"{self._class.__name__}, as above"}
        self._is_being_introspected = True
        try:
            contents = {name: field.introspect() for name, field in self._contents.items()}
        finally:
            self._is_being_introspected = False
        return {
            "type": "dictionary",
            "contents": contents,
            "optional_keys": sorted(self._contents.keys() - self._required),
            "allow_extra_keys": False,
        }


class Union(Deep):
    """One of several types."""

    def __init__(self, options: list[Field], is_nullable: bool) -> None:
        super().__init__()
        self._options, self._is_nullable = options, is_nullable
        self.holds_objects = any(map(holds_objects, options))
        self.shapes = tuple(shape for option in options if isinstance(option, Deep) for shape in option.shapes)

    def errors(self, value: Any) -> list[FieldError]:
        if value is None and self._is_nullable:
            return []
        found = [option.errors(value) for option in self._likely(value)]
        if not all(found):
            return []
        # Faults inside a value tell more than that it is of another type.
        for errors in found:
            if len(found) == 1 or all(error.pointer for error in errors):
                return errors
        return [FieldError("; or ".join(dict.fromkeys(error.message for errors in found for error in errors)))]

    def has_unknown(self, value: Any) -> bool:
        for option in self._likely(value):
            if holds_objects(option) and isinstance(value, option.shapes):
                return option.has_unknown(value)
        return False

    def _likely(self, value: Any) -> list[Field]:
        """The options that a tag leaves; all where there is no tag."""
        if isinstance(value, dict):
            tagged: list[Field] = [
                option
                for option in self._options
                if isinstance(option, Object) and option.tag_field and value.get(option.tag_field) == option.tag
            ]
            return tagged or self._options
        return self._options

    def introspect(self) -> Introspection:
        shown = (
            self._options[0].introspect()
            if len(self._options) == 1
            else {"type": "any", "options": [option.introspect() for option in self._options]}
        )
        return {"type": "nullable", "nullable": shown} if self._is_nullable else shown


def is_instance(value: Any, class_: Any) -> bool:
    """Whether a value is one already, and of a class that instances can be told by: typed dicts have none."""
    class_ = getattr(class_, "__origin__", class_)
    return not is_typeddict(class_) and isinstance(value, class_)


def from_msgspec(error: Exception) -> FieldError:
    """What msgspec says of the first fault; its paths look like ``$.lines[0].qty``."""
    message, _, path = str(error).partition(" - at `")
    steps = path.rstrip("`").removeprefix("$").replace("[", ".").replace("]", "").strip(".")
    return FieldError(message, steps if steps and "..." not in steps and "`" not in steps else None)
