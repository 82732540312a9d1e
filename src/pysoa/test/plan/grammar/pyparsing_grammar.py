"""Lines of built-in directives as pyparsing expressions, on which directives of users' own build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyparsing
from pyparsing import ParserElement

from pysoa.test.plan.grammar.parts import Either, Keyword, Maybe, Part, Pattern, Rest, Sign

__all__ = ("ParserElement", "grammar_of", "text_of")


def grammar_of(parts: Sequence[Part]) -> ParserElement:
    """The expression for parts of a line."""
    elements = [_element(part) for part in parts]
    return elements[0] if len(elements) == 1 else pyparsing.And(elements)


def _element(part: Part) -> ParserElement:
    match part:
        case Maybe(parts):
            return pyparsing.Optional(grammar_of(parts))
        case Either(choices):
            return pyparsing.MatchFirst([grammar_of(parts) for parts in choices])
        case Keyword(text, name, any_case):
            element: ParserElement = pyparsing.Keyword(text, caseless=any_case)
            return element(name) if name else element
        case Sign(text):
            return pyparsing.Literal(text)
        case Pattern(regex, name, description):
            return pyparsing.Regex(regex).set_name(description)(name)
        case Rest(name, description):
            return pyparsing.Regex(r"[^\n]*").set_name(description)(name)


def text_of(expression: Any) -> str:
    """A pyparsing expression as text: literals as they are, named results in braces, what is optional in brackets."""
    name = getattr(expression, "resultsName", None)
    if isinstance(expression, pyparsing.Optional):
        return f"[{text_of(expression.expr)}]"
    if isinstance(expression, pyparsing.And):
        return _spaced([text_of(each) for each in expression.exprs])
    if isinstance(expression, pyparsing.MatchFirst | pyparsing.Or | pyparsing.Each):
        return f"({' | '.join(text_of(each) for each in expression.exprs)})"
    if isinstance(expression, pyparsing.Literal | pyparsing.Keyword):
        return str(expression.match)
    if name:
        return f"{{{name}}}"
    inner = getattr(expression, "expr", None)
    return text_of(inner) if inner is not None else str(expression)


def _spaced(pieces: list[str]) -> str:
    """Pieces with blanks between words, and none before punctuation."""
    text = ""
    for piece in pieces:
        glued = not text or text[-1] in ".=" or piece[0] in ":,.=" or piece.startswith("[.")
        text += piece if glued else f" {piece}"
    return text
