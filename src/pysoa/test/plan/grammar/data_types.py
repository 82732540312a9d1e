"""Data types: what the text of a value becomes."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pysoa.test.plan.errors import DataTypeConversionError
from pysoa.test.plan.grammar.parts import DATA_TYPE
from pysoa.test.plan.grammar.tools import has_variables, with_action_indexes

if TYPE_CHECKING:
    from pysoa.test.plan.grammar.pyparsing_grammar import ParserElement

    DataTypeGrammar: ParserElement

__all__ = (
    "AnyValue",
    "DataTypeGrammar",
    "RegexValue",
    "data_type_descriptions",
    "get_all_data_type_names",
    "get_parsed_data_type_value",
    "get_typed_value",
)

data_type_descriptions: Final[dict[str, str]] = {
    "base64_bytes": "Binary, written in Base64",
    "bool": "`true` in any case is True, all else is False",
    "bytes": "Binary: the text in UTF-8",
    "date": "A date: `year,month,day`, `today` or `utc_today`",
    "datetime": (
        "A date and time: `year,month,day[,hour[,minute[,second[,microsecond]]]]`, or `now`, `midnight`, `utc_now` or "
        "`utc_midnight`, which may be followed by a blank and `days[,hours[,minutes[,seconds[,microseconds]]]]` to "
        "add; those with `utc_` have a time zone, the others are local"
    ),
    "decimal": "A decimal number",
    "emptydict": "An empty dict, whatever the value",
    "emptylist": "An empty list, whatever the value",
    "emptystr": "An empty text, whatever the value",
    "encoded_ascii": "ASCII text with the escapes of Python, as `\\n` and `\\u2603`",
    "encoded_unicode": "Text with the escapes of Python, as `\\n` and `\\u2603`",
    "float": "A floating-point number",
    "int": "An integer",
    "none": "None, whatever the value",
    "None": "None, whatever the value",
    "not regex": "Only for what is expected: a text that the regular expression does not match at its beginning",
    "regex": "Only for what is expected: a text that the regular expression matches at its beginning",
    "str": "Text, the default",
    "time": (
        "A time: `hour[,minute[,second[,microsecond]]]`, or `now`, `utc_now` or `midnight`, which may be followed by a "
        "blank and a number to add, as with `datetime`"
    ),
}


def get_all_data_type_names() -> list[str]:
    """The names of all data types, sorted without regard to case."""
    return sorted(data_type_descriptions, key=str.lower)


# Values that are expected


class AnyValue:
    """Equals every value of a data type.

    Args:
        data_type: the name of the data type, or of a Python type.
        permit_none: whether it equals None, too.
    """

    __hash__ = None  # type: ignore[assignment] # it equals what has other hashes

    def __init__(self, data_type: str, permit_none: bool = False) -> None:
        self.data_type = data_type
        self.permit_none = permit_none

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AnyValue):
            return self.data_type == other.data_type
        if other is None:
            return self.permit_none
        is_one = _IS_ONE.get(self.data_type)
        return type(other).__name__ == self.data_type if is_one is None else is_one(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __copy__(self) -> AnyValue:
        return self

    def __deepcopy__(self, memo: object) -> AnyValue:
        return self

    def __repr__(self) -> str:
        return f"any {self.data_type} type value{' or None' if self.permit_none else ''}"


class RegexValue:
    """Equals every text that a regular expression matches at its beginning.

    Args:
        pattern: the regular expression.
        negate: whether it equals every text that is not matched instead.

    Attributes:
        re: the compiled expression.
    """

    __hash__ = None  # type: ignore[assignment] # it equals what has other hashes

    def __init__(self, pattern: str, negate: bool = False) -> None:
        self.pattern = pattern
        self.negate = negate
        self.re = re.compile(pattern)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RegexValue):
            return (self.pattern, self.negate) == (other.pattern, other.negate)
        return isinstance(other, str) and (self.re.match(other) is None) is self.negate

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __copy__(self) -> RegexValue:
        return self

    def __deepcopy__(self, memo: object) -> RegexValue:
        return self

    def __repr__(self) -> str:
        return f"regex {'not ' if self.negate else ''}{self.pattern}"


_DATE_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _is_date(value: object) -> bool:
    if isinstance(value, str):
        return _DATE_TEXT.match(value) is not None
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _is_datetime(value: object) -> bool:
    if isinstance(value, str):
        return _DATETIME_TEXT.match(value) is not None
    return isinstance(value, datetime.datetime)


def _instance_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


_IS_ONE: Final[dict[str, Callable[[object], bool]]] = {
    "base64_bytes": _instance_of(bytes),
    "bytes": _instance_of(bytes),
    "date": _is_date,
    "datetime": _is_datetime,
    "decimal": _instance_of(Decimal),
    "dict": _instance_of(dict),
    "encoded_ascii": _instance_of(str),
    "encoded_unicode": _instance_of(str),
    "int": _instance_of(int),
    "list": _instance_of(list),
    "str": _instance_of(str),
}

DATA_TYPES_WITH_ONE_VALUE: Final = frozenset(("emptydict", "emptylist", "emptystr", "none", "None"))
REGEX_DATA_TYPES: Final = frozenset(("regex", "not regex"))


# From text to values


def get_parsed_data_type_value(parse_result: Any, value: str) -> Any:
    """The value of a line, given what was parsed of it (see ``get_typed_value``)."""
    return get_typed_value(parse_result.data_type or "str", value)


def get_typed_value(type_name: str, value: Any) -> Any:
    """What a text is as a value of a data type.

    A text with variables in it stays a text, whatever the data type; regular expressions have none.

    Args:
        type_name: the name of the data type; ``null`` is another name for ``none``.
        value: the text; bytes are decoded, and values that match others are given back as they are.

    Raises:
        DataTypeConversionError: it is none.
    """
    if isinstance(value, AnyValue | RegexValue):
        return value
    if isinstance(value, str) and type_name not in REGEX_DATA_TYPES and has_variables(value):
        return with_action_indexes(value)
    convert = _CONVERT.get(type_name)
    if convert is None:
        raise DataTypeConversionError(f"Unknown type: {type_name}")
    if isinstance(value, bytes) and type_name != "bytes":
        value = value.decode("utf-8")
    try:
        return convert(value)
    except DataTypeConversionError:
        raise
    except (ArithmeticError, TypeError, ValueError, re.error) as error:
        detail = error.args[0] if error.args and not isinstance(error, UnicodeError) else error
        raise DataTypeConversionError(str(detail)) from error


def _number(kind: Callable[[Any], Any], if_empty: Any) -> Callable[[Any], Any]:
    return lambda value: kind(value) if value else if_empty


def _str(value: Any) -> str:
    return str(value) if value else ""


def _bool(value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return str(value).encode() if value else b""


_ESCAPE: Final = re.compile(
    r"\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|N\{[^}]+\}|[0-7]{1,3}|[abfnrtv\\'\"\n])", re.ASCII
)


def _encoded_unicode(value: Any) -> str:
    return _ESCAPE.sub(lambda escape: escape[0].encode().decode("unicode_escape"), _str(value))


def _encoded_ascii(value: Any) -> str:
    _str(value).encode("ascii")
    return _encoded_unicode(value)


def _regex(value: Any, negate: bool = False) -> RegexValue:
    return RegexValue(value or "", negate)


# Dates and times

_WITH_DELTA: Final = re.compile(r"([a-z_]+)(?: +(\S.*))?")


def _date(value: Any) -> datetime.date:
    text = _text("date", value)
    if text == "today":
        return datetime.date.today()
    if text == "utc_today":
        return datetime.datetime.now(datetime.UTC).date()
    return datetime.date(*_integers("date", text))


def _datetime(value: Any) -> datetime.datetime:
    text = _text("datetime", value)
    moment, delta = _moment("datetime", text, ("now", "midnight", "utc_now", "utc_midnight"))
    return datetime.datetime(*_integers("datetime", text)) if moment is None else moment + delta


def _time(value: Any) -> datetime.time:
    text = _text("time", value)
    moment, delta = _moment("time", text, ("now", "midnight", "utc_now"))
    return datetime.time(*_integers("time", text)) if moment is None else (moment + delta).time()


def _text(type_name: str, value: Any) -> str:
    if not value:
        raise DataTypeConversionError(f"Attempt to convert false-y value to {type_name} value")
    if not isinstance(value, str):
        raise DataTypeConversionError(f"Attempt to convert unknown type {type(value).__name__} to {type_name} value")
    return value


def _moment(type_name: str, text: str, words: tuple[str, ...]) -> tuple[datetime.datetime | None, datetime.timedelta]:
    """The moment that a word means, and what is to be added to it; None where there is no word."""
    match = _WITH_DELTA.fullmatch(text)
    if match is None:
        return None, datetime.timedelta()
    word = match[1]
    if word not in words:
        raise DataTypeConversionError(f"{word} is no {type_name}: use numbers, or one of {', '.join(words)}")
    moment = datetime.datetime.now(datetime.UTC if word.startswith("utc_") else None).replace(microsecond=0)
    if word.endswith("midnight"):
        moment = moment.replace(hour=0, minute=0, second=0)
    return moment, _delta(match[2]) if match[2] else datetime.timedelta()


def _delta(text: str) -> datetime.timedelta:
    units = ("days", "hours", "minutes", "seconds", "microseconds")
    numbers = _integers("delta", text)
    if len(numbers) > len(units):
        raise DataTypeConversionError(f"{text} has more than {', '.join(units)}")
    return datetime.timedelta(**dict(zip(units, numbers, strict=False)))


def _integers(type_name: str, text: str) -> list[Any]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise DataTypeConversionError(f"{text} is no {type_name}: {error}") from error


_CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "base64_bytes": lambda value: base64.b64decode(value) if value else b"",
    "bool": _bool,
    "bytes": _bytes,
    "date": _date,
    "datetime": _datetime,
    "decimal": _number(Decimal, Decimal("0.0")),
    "emptydict": lambda _: {},
    "emptylist": lambda _: [],
    "emptystr": lambda _: "",
    "encoded_ascii": _encoded_ascii,
    "encoded_unicode": _encoded_unicode,
    "float": _number(float, 0.0),
    "int": _number(int, 0),
    "none": lambda _: None,
    "None": lambda _: None,
    "not regex": lambda value: _regex(value, negate=True),
    "null": lambda _: None,
    "regex": _regex,
    "str": _str,
    "time": _time,
}


def __getattr__(name: str) -> Any:
    # pyparsing is loaded only for grammars that are not built in.
    if name == "DataTypeGrammar":
        from pysoa.test.plan.grammar.pyparsing_grammar import grammar_of

        return grammar_of((DATA_TYPE,))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
