"""The parts of which the lines of built-in directives are made.

They are matched by a regular expression; pyparsing, which takes a hundred times as long, is for directives of users'
own. Blanks may stand between two parts, but not before the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

__all__ = (
    "ACTION",
    "DATA_TYPE",
    "Either",
    "Keyword",
    "Line",
    "LineMatch",
    "Maybe",
    "Part",
    "Pattern",
    "Rest",
    "Sign",
    "expected_after",
)


class Keyword(NamedTuple):
    """A word, or several with one blank between; a result of this name where it has one."""

    text: str
    name: str | None = None
    any_case: bool = False


class Sign(NamedTuple):
    """Punctuation."""

    text: str


class Pattern(NamedTuple):
    """What a regular expression matches; the description is for people."""

    regex: str
    name: str
    description: str


class Rest(NamedTuple):
    """The rest of the line, without blanks at its ends."""

    name: str
    description: str = "a value"


class Maybe(NamedTuple):
    """Parts that may be there."""

    parts: tuple[Part, ...]


class Either(NamedTuple):
    """One of several sequences of parts, the first that fits."""

    choices: tuple[tuple[Part, ...], ...]


Part: TypeAlias = Keyword | Sign | Pattern | Rest | Maybe | Either

COLON: Final = Sign(":")
EQUALS: Final = Sign("=")
COMMA: Final = Sign(",")

# The word boundary keeps "inputint" from being two words.
DATA_TYPE_NAMES: Final = (
    "base64_bytes",
    "bool",
    "bytes",
    "datetime",
    "date",
    "decimal",
    "emptydict",
    "emptylist",
    "emptystr",
    "encoded_ascii",
    "encoded_unicode",
    "float",
    "int",
    "none",
    "None",
    "not regex",
    "regex",
    "str",
    "time",
)
DATA_TYPE: Final = Pattern(rf"(?:{'|'.join(DATA_TYPE_NAMES)})(?!\w)", "data_type", "a data type")
VARIABLE: Final = Pattern(r"[A-Za-z0-9_.{}-]+", "variable_name", "a path")
VALUE: Final = Rest("value")

ACTION: Final[tuple[Part, ...]] = (
    Pattern(r"[A-Za-z0-9_]+", "action", "an action"),
    Maybe((Sign("."), Pattern(r"[0-9]+", "action_index", "the index of a call"))),
    COLON,
    Maybe((Keyword("global", "is_global"),)),
)


class LineMatch(dict[str, str]):
    """What the named parts of a line are; what is not there is an empty text.

    It has what directives use of pyparsing's results.
    """

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name, "")


class Line:
    """A whole line made of parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        names: list[str] = []
        self._regex = re.compile(_sequence(self.parts, names))
        self._names = tuple(names)

    def match(self, line: str) -> LineMatch | None:
        """What the line has in its parts; None where it does not fit.

        Args:
            line: without line end and without blanks at its end.
        """
        match = self._regex.fullmatch(line)
        if match is None:
            return None
        return LineMatch(
            (name, text) for name, text in zip(self._names, match.groups(), strict=True) if text is not None
        )


def _sequence(parts: Iterable[Part], names: list[str], blanks: str = "") -> str:
    pieces = []
    for part in parts:
        pieces.append(_regex_of(part, names, blanks))
        blanks = " *"
    return "".join(pieces)


def _regex_of(part: Part, names: list[str], blanks: str) -> str:
    match part:
        case Maybe(parts):
            return f"(?:{_sequence(parts, names, blanks)})?"
        case Either(choices):
            return f"(?:{'|'.join(_sequence(parts, names, blanks) for parts in choices)})"
        case Keyword(text, name, any_case):
            regex = rf"{'(?i:' if any_case else '(?:'}{re.escape(text)})(?!\w)"
        case Sign(text):
            return blanks + re.escape(text)
        case Pattern(regex, name, _):
            pass
        case Rest(name, _):
            regex = ".*"
    if name is None:
        return blanks + regex
    names.append(name)
    return f"{blanks}({regex})"


# What is wrong with a line that fits nothing


def expected_after(line: str, lines: Iterable[Line]) -> tuple[int, list[str]]:
    """How far the best of several patterns leads into a line, and what might follow there.

    Returns:
        The position in the line, from 0, and descriptions of what is expected there.
    """
    progress = _Progress(line)
    for pattern in lines:
        for end in progress.ends(pattern.parts, 0):
            progress.note(end, "the end of the line")
    return progress.furthest, list(progress.expected)


class _Progress:
    """Goes through a line as far as any of several patterns leads.

    Attributes:
        furthest: how far that is.
        expected: descriptions of what might follow there, as keys.
    """

    def __init__(self, line: str) -> None:
        self._line = line
        self.furthest = 0
        self.expected: dict[str, None] = {}

    def ends(self, parts: Sequence[Part], position: int) -> Iterator[int]:
        """Where parts that begin at a position may end."""
        if not parts:
            yield position
            return
        for end in self._ends_of(parts[0], position):
            yield from self.ends(parts[1:], end)

    def _ends_of(self, part: Part, position: int) -> Iterator[int]:
        match part:
            case Maybe(parts):
                yield from self.ends(parts, position)
                yield position
            case Either(choices):
                for parts in choices:
                    yield from self.ends(parts, position)
            case _:
                start = self._after_blanks(position)
                found = re.compile(_regex_of(part, [], "")).match(self._line, start)
                if found is None:
                    self.note(start, _description(part))
                else:
                    yield found.end()

    def _after_blanks(self, position: int) -> int:
        while 0 < position < len(self._line) and self._line[position] == " ":
            position += 1
        return position

    def note(self, position: int, expected: str) -> None:
        """Keep what was expected at a position, if none was reached that is further."""
        position = self._after_blanks(position)
        if position > self.furthest:
            self.furthest, self.expected = position, {}
        if position == self.furthest:
            self.expected[expected] = None


def _description(part: Keyword | Sign | Pattern | Rest) -> str:
    return f"'{part.text}'" if isinstance(part, Keyword | Sign) else part.description
