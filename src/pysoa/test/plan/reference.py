"""The reference of all directives and data types that there are, as text."""

from __future__ import annotations

import inspect
from typing import Any

from pysoa.test.plan.grammar.data_types import data_type_descriptions, get_all_data_type_names
from pysoa.test.plan.grammar.directive import get_all_directives
from pysoa.test.plan.grammar.tools import recursive_parse_expr_repr

__all__ = ("reference",)


def reference() -> str:
    """All directives, built-in and users', and all data types."""
    grammars: dict[str, Any] = {}
    lines = ["Directives, in the order in which lines are compared with them:", ""]
    for directive in get_all_directives():
        lines.append(f"* {directive.name()}: {recursive_parse_expr_repr(directive.get_full_grammar())}")
        lines += [f"  {line}".rstrip() for line in (inspect.getdoc(directive) or "").splitlines()]
        grammars.update(directive.supplies_additional_grammar_types())
    lines += ["", "Data types:", ""]
    lines += [f"* {name}: {data_type_descriptions[name]}" for name in get_all_data_type_names()]
    if grammars:
        lines += ["", "Further expressions:", ""]
        lines += [f"* {name}: {_described(grammar)}" for name, grammar in grammars.items()]
    return "\n".join(lines) + "\n"


def _described(grammar: Any) -> str:
    return grammar if isinstance(grammar, str) else recursive_parse_expr_repr(grammar)
