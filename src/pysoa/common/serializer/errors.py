"""What can go wrong between a dict and its bytes. These are not transport errors."""

from __future__ import annotations

from typing import Self

from pysoa.common.errors import Outcome, PySOAError

__all__ = ("InvalidField", "InvalidMessage", "SerializationError")


class SerializationError(PySOAError):
    """The root of all errors of serializers. ``args`` has the text first, then details of what caused it."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class InvalidField(SerializationError):
    """A message holds what its format cannot express; it has not been sent."""

    outcome: Outcome = "not_sent"

    @classmethod
    def from_cause(cls, error: BaseException) -> Self:
        """Tell a foreign exception, met while writing."""
        return cls(f"Can't serialize message due to {_told(error)}", *_details(error))


class InvalidMessage(SerializationError):
    """The bytes of a message cannot be read."""

    @classmethod
    def from_cause(cls, error: BaseException) -> Self:
        """Tell a foreign exception, met while reading."""
        return cls(f"Can't deserialize message due to {_told(error)}", *_details(error))


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _details(error: BaseException) -> list[str | int]:
    # Some exceptions carry the whole message as an argument; that must not end up in logs.
    return [detail for detail in error.args if isinstance(detail, (str, int))]
