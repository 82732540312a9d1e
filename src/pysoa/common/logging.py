"""Helpers for a service's logging: ids on every record, no secrets and no forged lines in the text.

They are named in logging configurations: ``PySOALogContextFilter`` as a filter, ``SyslogHandler`` as a handler.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from pysoa.common.syslog import SyslogHandler

__all__ = ("PySOALogContextFilter", "RecursivelyCensoredDictWrapper", "SyslogHandler", "printable")

MAXIMUM_ID_LENGTH: Final = 256
"""Longer ids, and other short texts from the wire, are cut to so many characters in log records."""

MAXIMUM_BODY_BYTES: Final = 16_000
"""Longer bodies are cut to so many bytes, so that a line with all that a formatter adds stays below 20 kB."""


def printable(text: str, maximum_length: int = MAXIMUM_ID_LENGTH) -> str:
    """Make a text from the wire fit for a log line: no control characters, no line breaks, bounded length."""
    is_long = len(text) > maximum_length
    text = text[:maximum_length]
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in text
        )
        is_long = is_long or len(text) > maximum_length
        text = text[:maximum_length]
    return f"{text}..." if is_long else text


# Stacks as linked tuples (top, below): immutable, so threads, tasks and coroutines cannot disturb each other's. The
# asyncio server, which counts its steps, sets and resets them itself; it puts the request id third, rather than copy a
# context for each job that few records ask for.
_contexts: ContextVar[tuple[Any, ...] | None] = ContextVar("pysoa_logging_contexts", default=None)
_action_names: ContextVar[tuple[str, Any] | None] = ContextVar("pysoa_logging_action_names", default=None)


class PySOALogContextFilter(logging.Filter):
    """Adds ``correlation_id``, ``request_id``, ``service_name`` and ``action_name`` to every record; drops none.

    What is set here belongs to the current context (thread, task) and nests: each ``set`` or ``push`` hides what was
    set before, until the matching ``clear``.
    """

    _service_name: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__("")

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes; what came over the wire is escaped and cut, so that it cannot forge a line.

        That holds for the text of an exception in a traceback too, which often quotes what was sent.
        """
        top = _contexts.get()
        if top is None:
            record.correlation_id = record.request_id = "--"
        else:
            context = _context_of(top)
            record.correlation_id = _shown_id(context.get("correlation_id"))
            record.request_id = _shown_id(context.get("request_id"))
        record.service_name = self._service_name or "unknown"
        action = _action_names.get()
        record.action_name = printable(str(action[0])) if action is not None else "(n/a)"
        if record.exc_info and not record.exc_text:
            record.exc_text = _shown_traceback(record.exc_info)  # formatters take it as it is
        return True

    @classmethod
    def set_logging_request_context(cls, /, **context: Any) -> None:
        """Push the context of a request; ``push_logging_request_context`` takes keys of any kind."""
        _contexts.set((context, _contexts.get()))

    @classmethod
    def push_logging_request_context(cls, context: Mapping[str, Any]) -> None:
        """Push the context of a request as it is, whatever its keys; it is not copied."""
        _contexts.set((context, _contexts.get()))

    @classmethod
    def clear_logging_request_context(cls) -> None:
        """Pop the context of a request. Does nothing when there is none."""
        top = _contexts.get()
        if top is not None:
            _contexts.set(top[1])

    @classmethod
    def get_logging_request_context(cls) -> Mapping[str, Any] | None:
        """The context that was pushed last, or None."""
        top = _contexts.get()
        return None if top is None else _context_of(top)

    @classmethod
    def set_logging_action_name(cls, action_name: str) -> None:
        """Push the name of the action that runs from here on."""
        _action_names.set((action_name, _action_names.get()))

    @classmethod
    def clear_logging_action_name(cls) -> None:
        """Pop the name of the action. Does nothing when there is none."""
        top = _action_names.get()
        if top is not None:
            _action_names.set(top[1])

    @classmethod
    def get_logging_action_name(cls) -> str | None:
        """The action name that was pushed last, or None."""
        top = _action_names.get()
        return None if top is None else top[0]

    @classmethod
    def set_service_name(cls, service_name: str) -> None:
        """Set the name of the service of this process."""
        PySOALogContextFilter._service_name = service_name


def _context_of(entry: tuple[Any, ...]) -> Mapping[str, Any]:
    context: Mapping[str, Any] = entry[0]
    return context if len(entry) == 2 else {**context, "request_id": entry[2]}


def _shown_id(value: Any) -> Any:
    if not value:
        return "--"
    return value if type(value) is int else printable(str(value))


# What Python writes between the frames and the texts of exceptions.
_HEADINGS: Final = frozenset(
    (
        "Traceback (most recent call last):",
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    )
)


def _shown_traceback(exc_info: tuple[Any, ...]) -> str:
    """A traceback as Python shows it, but the text of an exception is one printable line, and notes are indented."""
    shown: list[str] = []
    is_note = False
    for entry in traceback.format_exception(*exc_info):
        text = entry.strip("\n")
        if entry.startswith('  File "') or text in _HEADINGS:
            shown.append(entry)
            is_note = False
        else:
            line = printable(text, MAXIMUM_BODY_BYTES // 4)  # one character may be four bytes
            shown.append(f"  {line}\n" if is_note else f"{line}\n")
            is_note = True
    return "".join(shown).rstrip("\n")


def _spellings(snake_case: str) -> Iterator[str]:
    first, *others = snake_case.split("_")
    yield snake_case
    yield snake_case.replace("_", "-")
    yield first + "".join(word.capitalize() for word in others)


def _sensitive_fields() -> Iterator[str]:
    singular = """
        pass auth token auth_token authorization authorization_token authentication authentication_token
    """
    singular_and_plural = """
        password passwd passphrase pass_phrase private private_key secret secret_key security_code credit_card
        credit_card_number card_number cc_number ccn cid csc csn cvc cvc2 cvd cve cvn2 cvv cvv2 icvv card_id
        card_identification card_identification_code card_identification_number card_identification_value card_security
        card_security_code card_security_number card_security_value card_validation card_validation_code
        card_validation_number card_validation_value card_verification card_verification_code card_verification_number
        card_verification_value account_number bank_account bank_account_number pin pin_code pin_number
        personal_id_number personal_identification_number
    """
    for name in singular.split():
        yield from _spellings(name)
    for name in singular_and_plural.split():
        yield from _spellings(name)
        yield from _spellings(name.removesuffix("y") + "ies" if name.endswith("security") else name + "s")


class RecursivelyCensoredDictWrapper(dict[str, Any]):
    """Wraps a dict for logging: its text has asterisks for secrets, and is made only when a handler asks for it.

    Texts and numbers under a sensitive key are censored, also those in lists, tuples and sets under one. Dicts there
    are judged by their own keys. The text is one printable line of at most ``MAXIMUM_BODY_BYTES``.

    Attributes:
        SENSITIVE_FIELDS: the sensitive keys; matched whole and with their case. Subclasses may have more.
        CENSOR_TYPES: types of the values that are censored.
        CENSORED_STRING: what stands in their place.
    """

    SENSITIVE_FIELDS: ClassVar[frozenset[str]] = frozenset(_sensitive_fields())
    CENSOR_TYPES: ClassVar[tuple[type, ...]] = (str, int)
    CENSORED_STRING: ClassVar[str] = "**********"

    _fields_are_plain: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._fields_are_plain = all(repr(field) == f"'{field}'" for field in cls.SENSITIVE_FIELDS)

    def __init__(self, wrapped_dict: dict[str, Any]) -> None:
        if not isinstance(wrapped_dict, dict):
            raise ValueError("wrapped_dict must be a dict")
        super().__init__(wrapped_dict)
        self._text: str | None = None

    def __repr__(self) -> str:
        """The censored text."""
        if self._text is None:
            self._text = self._plain_text() or _CensoredText(self).text
        return self._text

    def _plain_text(self) -> str | None:
        """The text of an ordinary body without secrets, made at the speed of ``repr``; None for any other.

        A sensitive key stands in quotes in that text; where none does, there is nothing to censor. Brackets and angles
        are signs of objects, which may hold keys without quotes.
        """
        try:
            text = dict.__repr__(self)
        except Exception:  # too deep, or an object that cannot be shown: the careful way deals with both
            return None
        if (
            _size(text) > MAXIMUM_BODY_BYTES
            or "(" in text
            or "<" in text
            or not text.isprintable()
            or not self._fields_are_plain
            or not self.SENSITIVE_FIELDS.isdisjoint(text.split("'"))
        ):
            return None
        return text

    __str__ = __repr__

    def __bytes__(self) -> bytes:
        """The censored text in UTF-8."""
        return repr(self).encode("utf-8")


_CUT: Final = " ... (cut)"
_DEEPEST: Final = 100


class _Full(Exception):
    """Raised and caught within ``_CensoredText``: there is no room for more text."""


class _CensoredText:
    """Writes a value as ``repr`` would, censored, and stops once it is too long."""

    def __init__(self, wrapper: RecursivelyCensoredDictWrapper) -> None:
        self._sensitive_fields = wrapper.SENSITIVE_FIELDS
        self._censor_types = wrapper.CENSOR_TYPES
        self._censored = repr(wrapper.CENSORED_STRING)
        self._parts: list[str] = []
        self._room = MAXIMUM_BODY_BYTES - len(_CUT)
        self._depth = 0
        try:
            self._put_dict(wrapper)
        except _Full:
            self._parts.append(_CUT)
        self.text = "".join(self._parts)

    def _put(self, text: str) -> None:
        size = _size(text)
        if size > self._room:
            self._parts.append(text.encode("utf-8", "backslashreplace")[: self._room].decode("utf-8", "ignore"))
            raise _Full
        self._room -= size
        self._parts.append(text)

    def _put_value(self, value: Any, sensitive: bool = False) -> None:
        if sensitive and value and isinstance(value, self._censor_types) and not isinstance(value, bool):
            self._put(self._censored)
        elif isinstance(value, str | bytes):
            self._put(repr(value if len(value) <= self._room else value[: self._room]))
        elif isinstance(value, dict):
            self._put_dict(value)
        elif isinstance(value, list | tuple | set | frozenset):
            self._put_items(value, sensitive)
        elif hasattr(type(value), "__attrs_attrs__"):  # travels as a dict
            self._put_dict({field.name: getattr(value, field.name, None) for field in type(value).__attrs_attrs__})
        else:
            self._put(_text_of(value, self._room))

    def _put_dict(self, value: dict[Any, Any]) -> None:
        self._enter()
        sensitive_fields = self._sensitive_fields
        separator = "{"
        for key, item in value.items():
            self._put(separator)
            self._put_value(key)
            self._put(": ")
            self._put_value(item, key in sensitive_fields)
            separator = ", "
        self._put("}" if value else "{}")
        self._depth -= 1

    def _put_items(self, value: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any], sensitive: bool) -> None:
        self._enter()
        kind = next(kind for kind in _BRACKETS if isinstance(value, kind))
        opening, closing, empty = _BRACKETS[kind]
        separator = opening
        for item in value:
            self._put(separator)
            self._put_value(item, sensitive)
            separator = ", "
        if not value:
            self._put(empty)
        else:
            self._put(f",{closing}" if kind is tuple and len(value) == 1 else closing)
        self._depth -= 1

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Full


_BRACKETS: Final = {
    list: ("[", "]", "[]"),
    tuple: ("(", ")", "()"),
    set: ("{", "}", "set()"),
    frozenset: ("frozenset({", "})", "frozenset()"),
}


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))


def _text_of(value: Any, maximum_length: int) -> str:
    try:
        text = repr(value)
    except Exception:  # a user's repr; a log line must not fail for it
        text = f"<{type(value).__name__} without a text>"
    return printable(text, maximum_length)
