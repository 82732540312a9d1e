"""Bodies on the command line: from arguments to a request, from a response to JSON. No I/O."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
from collections.abc import Iterable
from typing import Any, NoReturn

from pysoa.common.types import Body

__all__ = ("BadArgument", "body_of", "json_of")


class BadArgument(ValueError):
    """An argument that is no part of a body; the text says why."""


def body_of(pairs: Iterable[str], json_text: str | None = None) -> Body:
    """Make a body.

    Args:
        pairs: ``key=value`` each. A value that is JSON is taken as that, any other as text; the dots of a key nest.
        json_text: a JSON object that the pairs are added to.

    Raises:
        BadArgument: one of them is not as it should be.
    """
    body = {} if json_text is None else _object_in(json_text)
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not all(key.split(".")):
            raise BadArgument(f"{pair!r} is not KEY=VALUE (a whole body is given by --json '{{...}}')")
        *outer, last = key.split(".")
        place = body
        for step in outer:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise BadArgument(f"{pair!r}: {step!r} has a value already, and so cannot have parts")
        if last in place:
            raise BadArgument(f"{pair!r}: {key!r} has a value already")
        place[last] = _value(value)
    return body


def _object_in(json_text: str) -> Body:
    try:
        body = json.loads(json_text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadArgument(f"--json is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadArgument("--json is not a JSON object: it begins with { and ends with }")
    return body


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def json_of(value: Any, indent: int | None = None) -> str:
    """The JSON of a body, for people and for other programs.

    Dates and times are ISO text, decimals text that keeps all digits, amounts objects with ``currency`` and ``value``,
    bytes base64 text. Characters that a terminal could take for commands are escaped.
    """
    text = json.dumps(_jsonable(value), indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def _jsonable(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(_jsonable(key)): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, datetime.date | datetime.time):  # datetimes are dates
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "currency") and hasattr(value, "value"):
        return {"currency": str(getattr(value.currency, "code", value.currency)), "value": value.value}
    return str(value)
