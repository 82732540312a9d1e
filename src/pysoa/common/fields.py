"""Schema fields: they name what is wrong with a value, and describe themselves.

They have Conformity's two methods, ``errors`` and ``introspect``, and its texts, codes and pointers, so that the two
kinds mix: wherever a field holds other fields, any object with these two methods will do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Final, Protocol, TypeAlias

import attr

from pysoa.common.constants import ERROR_CODE_INVALID, ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN

__all__ = (
    "Any_",
    "Anything",
    "Boolean",
    "Constant",
    "Dictionary",
    "Field",
    "FieldError",
    "Float",
    "Integer",
    "Introspection",
    "Issue",
    "List",
    "NO_KWARGS",
    "Nullable",
    "Schema",
    "SchemalessDictionary",
    "Set",
    "Tuple",
    "UnicodeString",
    "under",
)

Introspection: TypeAlias = dict[str, Any]


class Issue(Protocol):
    """What a schema says of one fault; Conformity's errors have this shape, and so has ``FieldError``."""

    @property
    def message(self) -> str: ...

    @property
    def pointer(self) -> str | None: ...

    @property
    def code(self) -> str: ...


class Schema(Protocol):
    """What PySOA asks of a schema."""

    def errors(self, value: Any) -> Iterable[Issue] | None:
        """Everything that is wrong with the value; empty or ``None`` when nothing is."""

    def introspect(self) -> Mapping[str, Any]:
        """A description of what is accepted, made of plain values."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FieldError:
    """One fault of a value.

    Attributes:
        message: what is wrong, for people.
        pointer: dotted path to the part that is wrong, list indexes as numbers; None for the value itself.
        code: what is wrong, for programs.
        hint: what would be right, where that can be said; for people who write settings.
    """

    message: str
    pointer: str | None = None
    code: str = ERROR_CODE_INVALID
    hint: str | None = None


def under(key: object, issues: Iterable[Issue] | None) -> list[FieldError]:
    """The faults of a part, seen from the whole: their pointers begin with the key of the part."""
    return [
        FieldError(
            issue.message,
            f"{key}.{issue.pointer}" if issue.pointer else f"{key}",
            issue.code,
            getattr(issue, "hint", None),
        )
        for issue in issues or ()
    ]


def without_none(introspection: Introspection) -> Introspection:
    return {key: value for key, value in introspection.items() if value is not None}


MOST_ERRORS: Final = 100
"""A list or dict in which so many faults have been found is looked at no further: there may be millions."""


class Field:
    """Base of the fields here.

    Attributes:
        description: for people, part of the introspection.
    """

    introspect_type: ClassVar[str] = ""

    def __init__(self, *, description: str | None = None) -> None:
        self.description = description

    def errors(self, value: Any) -> list[FieldError]:
        """Everything that is wrong with the value; empty when nothing is."""
        raise NotImplementedError

    def introspect(self) -> Introspection:
        """A description of what is accepted, made of plain values."""
        return without_none({"type": self.introspect_type, "description": self.description, **self._parameters()})

    def _parameters(self) -> Introspection:
        return {}


class Anything(Field):
    """Accepts every value."""

    introspect_type = "anything"

    def errors(self, value: Any) -> list[FieldError]:
        return []


class Boolean(Field):
    """Accepts ``True`` and ``False``, and no numbers."""

    introspect_type = "boolean"

    def errors(self, value: Any) -> list[FieldError]:
        return [] if isinstance(value, bool) else [FieldError("Not a boolean")]


class Integer(Field):
    """Accepts integers within bounds, and no booleans."""

    introspect_type = "integer"
    valid_types: ClassVar[tuple[type, ...]] = (int,)
    wrong_type: ClassVar[str] = "Not an integer"

    def __init__(
        self,
        gt: float | None = None,
        gte: float | None = None,
        lt: float | None = None,
        lte: float | None = None,
        *,
        description: str | None = None,
    ) -> None:
        super().__init__(description=description)
        self.gt, self.gte, self.lt, self.lte = gt, gte, lt, lte

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, self.valid_types) or isinstance(value, bool):
            return [FieldError(self.wrong_type)]
        return self._bounds_errors(value)

    def _bounds_errors(self, value: Any) -> list[FieldError]:
        errors: list[FieldError] = []
        if self.gt is not None and value <= self.gt:
            errors.append(FieldError(f"Value not > {self.gt}"))
        if self.lt is not None and value >= self.lt:
            errors.append(FieldError(f"Value not < {self.lt}"))
        if self.gte is not None and value < self.gte:
            errors.append(FieldError(f"Value not >= {self.gte}"))
        if self.lte is not None and value > self.lte:
            errors.append(FieldError(f"Value not <= {self.lte}"))
        return errors

    def _parameters(self) -> Introspection:
        return {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}


class Float(Integer):
    """Accepts finite floats and integers within bounds, and no booleans."""

    introspect_type = "float"
    valid_types = (int, float)
    wrong_type = "Not a float"

    def errors(self, value: Any) -> list[FieldError]:
        if isinstance(value, float) and not math.isfinite(value):
            return [FieldError("Not a finite number")]
        return super().errors(value)


class UnicodeString(Field):
    """Accepts text within lengths."""

    introspect_type = "unicode"

    def __init__(
        self,
        min_length: int | None = None,
        max_length: int | None = None,
        allow_blank: bool = True,
        *,
        description: str | None = None,
    ) -> None:
        super().__init__(description=description)
        self.min_length, self.max_length, self.allow_blank = min_length, max_length, allow_blank

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, str):
            return [FieldError("Not a unicode string")]
        if self.min_length is not None and len(value) < self.min_length:
            return [FieldError(f"String must have a length of at least {self.min_length}")]
        if self.max_length is not None and len(value) > self.max_length:
            return [FieldError(f"String must have a length no more than {self.max_length}")]
        if not self.allow_blank and not value.strip():
            return [FieldError("String cannot be blank")]
        return []

    def _parameters(self) -> Introspection:
        return {
            "min_length": self.min_length,
            "max_length": self.max_length,
            "allow_blank": None if self.allow_blank else False,
        }


class Constant(Field):
    """Accepts one of some hashable values."""

    introspect_type = "constant"

    def __init__(self, *values: Any, description: str | None = None) -> None:
        super().__init__(description=description)
        if not values:
            raise ValueError("You must provide at least one constant value")
        self.values = frozenset(values)
        shown = sorted(f'"{value}"' if isinstance(value, str) else str(value) for value in self.values)
        self._message = f"Value is not one of: {', '.join(shown)}" if len(shown) > 1 else f"Value is not {shown[0]}"

    def errors(self, value: Any) -> list[FieldError]:
        try:
            if value in self.values:
                return []
        except TypeError:  # it cannot be hashed, so it is none of them
            pass
        return [FieldError(self._message, code=ERROR_CODE_UNKNOWN)]

    def _parameters(self) -> Introspection:
        plain = (str, bool, int, float, type(None))
        return {"values": [v if isinstance(v, plain) else str(v) for v in sorted(self.values, key=str)]}


class Nullable(Field):
    """Accepts ``None``, and what another field accepts."""

    introspect_type = "nullable"

    def __init__(self, field: Schema) -> None:
        super().__init__()
        self.field = field

    def errors(self, value: Any) -> list[FieldError]:
        return [] if value is None else own_errors(self.field.errors(value))

    def _parameters(self) -> Introspection:
        return {"nullable": self.field.introspect()}


class Any_(Field):
    """Accepts what at least one of some fields accepts; otherwise says what each of them finds wrong."""

    introspect_type = "any"

    def __init__(self, *options: Schema, description: str | None = None) -> None:
        super().__init__(description=description)
        self.options = options

    def errors(self, value: Any) -> list[FieldError]:
        found: list[FieldError] = []
        for option in self.options:
            errors = own_errors(option.errors(value))
            if not errors:
                return []
            found += errors
        return found

    def _parameters(self) -> Introspection:
        return {"options": [option.introspect() for option in self.options]}


class List(Field):
    """Accepts lists whose items all pass one field."""

    introspect_type = "list"
    valid_types: ClassVar[Any] = list
    wrong_type: ClassVar[str] = "Not a list"

    def __init__(
        self,
        contents: Schema,
        max_length: int | None = None,
        min_length: int | None = None,
        *,
        description: str | None = None,
    ) -> None:
        super().__init__(description=description)
        self.contents, self.max_length, self.min_length = contents, max_length, min_length

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, self.valid_types):
            return [FieldError(self.wrong_type)]
        errors = []
        if self.max_length is not None and len(value) > self.max_length:
            errors.append(FieldError(f"List is longer than {self.max_length}"))
        elif self.min_length is not None and len(value) < self.min_length:
            errors.append(FieldError(f"List is shorter than {self.min_length}"))
        for index, item in enumerate(value):
            found = self.contents.errors(item)
            if found:
                errors += under(self._pointer(index, item), found)
                if len(errors) >= MOST_ERRORS:
                    break
        return errors

    def _pointer(self, index: int, item: Any) -> object:
        return index

    def _parameters(self) -> Introspection:
        contents = self.contents.introspect()
        return {"contents": contents, "max_length": self.max_length, "min_length": self.min_length}


class Set(List):
    """Accepts sets and frozensets whose items all pass one field."""

    introspect_type = "set"
    valid_types = AbstractSet
    wrong_type = "Not a set or frozenset"

    def _pointer(self, index: int, item: Any) -> object:
        return f"[{item}]"


class Tuple(Field):
    """Accepts tuples of a fixed number of items, each with a field of its own."""

    introspect_type = "tuple"

    def __init__(self, *contents: Schema, description: str | None = None) -> None:
        super().__init__(description=description)
        self.contents = contents

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, tuple):
            return [FieldError("Not a tuple")]
        errors = []
        if len(value) != len(self.contents):
            errors.append(FieldError(f"Number of elements {len(value)} does not match expected {len(self.contents)}"))
        for index, (field, item) in enumerate(zip(self.contents, value, strict=False)):
            errors += under(index, field.errors(item))
        return errors

    def _parameters(self) -> Introspection:
        return {"contents": [field.introspect() for field in self.contents]}


class Dictionary(Field):
    """Accepts dicts with certain keys, each with a field of its own.

    Subclasses may give ``contents``, ``optional_keys``, ``allow_extra_keys`` and ``description`` as class attributes;
    arguments win over these.
    """

    introspect_type = "dictionary"

    contents: Mapping[Any, Schema]
    optional_keys: Iterable[Any] = ()
    allow_extra_keys: bool = False
    description: str | None = None

    def __init__(
        self,
        contents: Mapping[Any, Schema] | None = None,
        optional_keys: Iterable[Any] | None = None,
        allow_extra_keys: bool | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(description=self.description if description is None else description)
        if contents is not None:
            self.contents = contents
        elif not hasattr(self, "contents"):
            raise ValueError("'contents' is a required argument")
        self.optional_keys = frozenset(self.optional_keys if optional_keys is None else optional_keys)
        if allow_extra_keys is not None:
            self.allow_extra_keys = allow_extra_keys

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, dict):
            return [FieldError("Not a dict")]
        errors: list[FieldError] = []
        for key, field in self.contents.items():
            if key in value:
                found = field.errors(value[key])
                if found:
                    errors += under(key, found)
            elif key not in self.optional_keys:
                errors.append(FieldError(f"Missing key: {key}", str(key), ERROR_CODE_MISSING))
        if not self.allow_extra_keys and not (value.keys() <= self.contents.keys()):
            extra = sorted(map(str, itertools.islice((key for key in value if key not in self.contents), MOST_ERRORS)))
            allowed = [str(key) for key in self.contents]
            errors.append(
                FieldError(
                    f"Extra keys present: {', '.join(extra)}",
                    code=ERROR_CODE_UNKNOWN,
                    hint=hint_for_unknown(extra, allowed),
                )
            )
        return errors

    def extend(
        self,
        contents: Mapping[Any, Schema] | None = None,
        optional_keys: Iterable[Any] = (),
        allow_extra_keys: bool | None = None,
        description: str | None = None,
    ) -> Dictionary:
        """A new field with more keys; what is given here wins."""
        return Dictionary(
            {**self.contents, **(contents or {})},
            frozenset(self.optional_keys) | frozenset(optional_keys),
            self.allow_extra_keys if allow_extra_keys is None else allow_extra_keys,
            self.description if description is None else description,
        )

    def _parameters(self) -> Introspection:
        return {
            "contents": {key: field.introspect() for key, field in self.contents.items()},
            "optional_keys": sorted(self.optional_keys),
            "allow_extra_keys": self.allow_extra_keys,
        }


class SchemalessDictionary(Field):
    """Accepts dicts of any keys; all keys may have one field, and all values another."""

    introspect_type = "schemaless_dictionary"

    def __init__(
        self,
        key_type: Schema | None = None,
        value_type: Schema | None = None,
        *,
        description: str | None = None,
    ) -> None:
        super().__init__(description=description)
        self.key_type, self.value_type = key_type, value_type

    def errors(self, value: Any) -> list[FieldError]:
        if not isinstance(value, dict):
            return [FieldError("Not a dict")]
        errors: list[FieldError] = []
        for key, item in value.items():
            if self.key_type is not None:
                errors += under(key, self.key_type.errors(key))
            if self.value_type is not None:
                errors += under(key, self.value_type.errors(item))
            if len(errors) >= MOST_ERRORS:
                break
        return errors

    def _parameters(self) -> Introspection:
        return {
            "key_type": self.key_type.introspect() if self.key_type is not None else None,
            "value_type": self.value_type.introspect() if self.value_type is not None else None,
        }


NO_KWARGS = Dictionary({})
"""The schema of a plug-in class that takes no keyword arguments."""


def hint_for_unknown(unknown: Iterable[str], allowed: Iterable[str]) -> str | None:
    """What may have been meant by names that nobody knows; the allowed ones where nothing comes near."""
    import difflib

    names = sorted(allowed)
    close = [match for name in unknown for match in difflib.get_close_matches(name, names, n=1, cutoff=0.7)]
    if close:
        return "did you mean " + ", ".join(f'"{name}"' for name in close) + "?"
    return "allowed: " + ", ".join(names) if names else "none is allowed"


def own_errors(issues: Iterable[Issue] | None) -> list[FieldError]:
    return [
        issue
        if isinstance(issue, FieldError)
        else FieldError(issue.message, issue.pointer, issue.code, getattr(issue, "hint", None))
        for issue in issues or ()
    ]
