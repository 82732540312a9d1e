"""The directive for what is sent: body, context and control of a request."""

from __future__ import annotations

from typing import Any

from pysoa.test.plan.grammar.data_types import get_parsed_data_type_value
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, TestCase
from pysoa.test.plan.grammar.parts import ACTION, COLON, DATA_TYPE, VALUE, VARIABLE, Either, Keyword, Maybe
from pysoa.test.plan.grammar.tools import path_put

__all__ = ("ActionInputDirective",)

_KEYS = {"": "inputs", "job control": "job_control_inputs", "job context": "job_context_inputs"}


class ActionInputDirective(ActionLineDirective):
    """One value of the request's body, or of the context or control of its job."""

    parts = (
        *ACTION,
        Maybe((Either(((Keyword("job control", "job_slot"),), (Keyword("job context", "job_slot"),))),)),
        Keyword("input"),
        Maybe((DATA_TYPE,)),
        COLON,
        VARIABLE,
        COLON,
        VALUE,
    )

    @classmethod
    def name(cls) -> str:
        return "input"

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        path_put(
            action_case.setdefault(_KEYS[parse_results.job_slot], {}),
            parse_results.variable_name,
            get_parsed_data_type_value(parse_results, parse_results.value),
        )
