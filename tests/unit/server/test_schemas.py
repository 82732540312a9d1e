from __future__ import annotations

from typing import Any

import pytest

from pysoa.server.schemas import JobRequestSchema
from tests.support.vectors import from_notation, load

GROUPS = ("job_shape", "control", "context", "body")


def job_errors(case: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(e["code"], e["message"], e["field"]) for e in from_notation(case["job_response"])["errors"]]


CASES = [
    pytest.param(case, id=f"{case['group']}-{case['name']}")
    for case in load("behaviour")["cases"]
    if case["group"] in GROUPS and case.get("job_response")
]


@pytest.mark.parametrize("case", CASES)
def test_faults_of_a_job_are_those_of_the_first_pysoa_in_their_order(case: dict[str, Any]) -> None:
    request = from_notation(case["job_request"])

    errors = JobRequestSchema.errors(request)

    assert [(error.code, error.message, error.pointer) for error in errors] == job_errors(case)


@pytest.mark.parametrize(
    ("part", "value", "expected"),
    [
        pytest.param("control", None, ("INVALID", "Not a dict", "control"), id="control-null"),
        pytest.param("control", [], ("INVALID", "Not a dict", "control"), id="control-list"),
        pytest.param("context", None, ("INVALID", "Not a dict", "context"), id="context-null"),
        pytest.param("context", [], ("INVALID", "Not a dict", "context"), id="context-list"),
    ],
)
def test_headers_that_stopped_the_first_pysoa_are_faults(part: str, value: Any, expected: tuple[str, str, str]) -> None:
    request = {
        "control": {"continue_on_error": False},
        "context": {"correlation_id": "c", "switches": []},
        "actions": [{"action": "echo"}],
        part: value,
    }

    errors = JobRequestSchema.errors(request)

    assert [(error.code, error.message, error.pointer) for error in errors] == [expected]


def test_a_job_that_is_no_dict_is_one_fault_without_a_pointer() -> None:
    errors = JobRequestSchema.errors(["actions"])

    assert [(error.code, error.message, error.pointer) for error in errors] == [("INVALID", "Not a dict", None)]


def test_unknown_keys_that_are_no_text_are_named_in_order() -> None:
    request = {"control": {}, "context": {}, "actions": [], b"k": 1, 7: 2, "a": 3}

    errors = JobRequestSchema.errors(request)

    assert errors[-1].message == "Extra keys present: 7, a, b'k'"
