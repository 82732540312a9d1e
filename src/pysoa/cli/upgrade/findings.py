"""One thing that was found in a file, and how much it matters."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ("Finding", "Severity")


class Severity(enum.Enum):
    """How much a finding matters; the text is the one that people see."""

    MUST_CHANGE = "must change"
    WARNING = "works with a warning"
    NOTE = "worth knowing"


class Finding(NamedTuple):
    """Something in a file that PySOA 2 takes otherwise.

    Attributes:
        path: the file, as it was given.
        line: where in it.
        severity: how much it matters.
        what: what it is.
        todo: what to do.
    """

    path: str
    line: int
    severity: Severity
    what: str
    todo: str

    def text(self) -> str:
        """The finding in one line."""
        return f"{self.path}:{self.line}: {self.severity.value}: {self.what}. {self.todo}."
