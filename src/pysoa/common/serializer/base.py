"""What a serializer is, and the register of all of them by MIME type."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from pysoa.common.serializer.values import plain

__all__ = ("Serializer",)


class _Register(abc.ABCMeta):
    """Enters each serializer under its MIME type when its class is defined."""

    _classes: ClassVar[dict[str, type[Serializer]]] = {}

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if not any(isinstance(base, _Register) for base in bases):
            return  # Serializer itself
        if len(bases) > 1:
            raise ValueError("You cannot use multiple inheritance with Serializers")
        mime_type = getattr(cls, "mime_type", None)
        if not mime_type or not mime_type.strip():
            raise ValueError("All serializers must have a non-null, non-blank MIME type")
        other = _Register._classes.setdefault(mime_type, cls)  # type: ignore[arg-type]  # a Serializer, by its base
        if other is not cls:
            raise ValueError(f"Another serializer {other} already supports mime type {mime_type}")

    @property
    def all_supported_mime_types(cls) -> frozenset[str]:
        """The MIME types of all serializers defined so far."""
        return frozenset(_Register._classes)


class Serializer(metaclass=_Register):
    """Turns messages into bytes and back.

    To define a subclass is to register it: messages that say its MIME type are read by a new instance of it, made
    without arguments. A subclass has one base and a MIME type of its own.

    Attributes:
        mime_type: names the format on the wire, in letters, digits and ``_/.-``.
    """

    mime_type: ClassVar[str] = ""

    @abc.abstractmethod
    def dict_to_blob(self, message: dict[str, Any]) -> bytes:
        """Write a dict of plain values.

        Raises:
            InvalidField: it holds what the format cannot express.
            ValueError: it is not a dict.
        """

    @abc.abstractmethod
    def blob_to_dict(self, blob: bytes) -> dict[str, Any]:
        """Read what ``dict_to_blob`` wrote. Whether the outermost value is a dict is not checked.

        Raises:
            InvalidMessage: the bytes cannot be read.
        """

    def message_to_blob(self, message: dict[str, Any]) -> bytes:
        """As ``dict_to_blob``, for messages that hold attrs values, tuples, sets and frozensets too.

        The former are written as dicts, the others as lists.
        """
        return self.dict_to_blob(plain(message))

    @classmethod
    def resolve_serializer(cls, mime_type: str) -> Serializer:
        """A new serializer for this MIME type.

        Raises:
            ValueError: there is none.
        """
        try:
            return _Register._classes[mime_type]()
        except KeyError:
            raise ValueError(f"Mime type {mime_type} is not supported") from None
