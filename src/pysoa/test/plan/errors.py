"""What can be wrong with test plans and their fixture files."""

from __future__ import annotations

from pathlib import Path

__all__ = (
    "DataTypeConversionError",
    "DirectiveError",
    "FixtureLoadError",
    "FixtureSyntaxError",
    "StatusError",
)


class FixtureSyntaxError(SyntaxError):
    """Something is wrong in a line of a fixture file.

    Args:
        message: what is wrong, and where.
        file_name: the fixture file.
        line_number: the line, from 1; 0 if it is not one line.
        offset: the column, from 1; with neither offset nor text, the line is read from the file.
        line_text: the line.
    """

    def __init__(
        self, message: str, file_name: str, line_number: int = 0, offset: int = 0, line_text: str = ""
    ) -> None:
        if line_number and not offset and not line_text:
            line_text, offset = _line_of_file(file_name, line_number)
        super().__init__(message, (file_name, line_number, offset, line_text))


def _line_of_file(file_name: str, line_number: int) -> tuple[str, int]:
    """A line of a file and its length, which is 0 where there is no such line."""
    try:
        lines = Path(file_name).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "[io error]", 0
    if line_number > len(lines):
        return "[unknown]", 0
    text = lines[line_number - 1].strip()
    return text, len(text)


class FixtureLoadError(Exception):
    """A fixture file or the folder of fixture files is not there, or has no test cases."""


class DataTypeConversionError(Exception):
    """A text is no value of the data type that stands before it."""


class DirectiveError(Exception):
    """There are no directives, or one lacks a hook."""


class StatusError(Exception):
    """A test case cannot be run: a variable is unknown, its fixture is not set up, or its name is not unique."""
