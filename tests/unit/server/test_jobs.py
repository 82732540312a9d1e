from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysoa.common.errors import Error
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from pysoa.server import jobs
from pysoa.server.schemas import JobRequestSchema
from tests.support.scripted import job

FAILED = ActionResponse("b", [Error("X", "x")])

anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.binary(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


def often(value: Any) -> Any:
    return st.one_of(value, value, value, anything)


headers: Any = st.fixed_dictionaries(
    {"continue_on_error": often(st.booleans())}, optional={"suppress_response": often(st.booleans()), "other": anything}
)
contexts: Any = st.fixed_dictionaries(
    {"correlation_id": often(st.text(max_size=3)), "switches": often(st.lists(often(st.integers()), max_size=3))},
    optional={"caller": often(st.text(max_size=3)), "calling_service": often(st.text(max_size=3)), "other": anything},
)
actions: Any = st.fixed_dictionaries(
    {"action": often(st.text(max_size=3))},
    optional={"body": often(st.dictionaries(st.text(max_size=3), anything, max_size=2)), "odd": anything},
)
job_requests: Any = st.fixed_dictionaries(
    {"control": often(headers), "context": often(contexts), "actions": often(st.lists(often(actions), max_size=3))},
    optional={"odd": anything},
)


@given(often(job_requests))
def test_the_fast_check_and_the_schema_are_of_one_mind(job_request: Any) -> None:
    named = JobRequestSchema.errors(job_request)

    found = jobs.job_request_errors(job_request)

    assert [(error.code, error.message, error.field) for error in found] == [
        (issue.code, issue.message, issue.pointer) for issue in named
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"context": {"caller": "web", "calling_service": "shop", "locale": "fr"}},
        {"context": {"switches": [1, -3, 2**70], 5: 6}},
        {"control": {"timeout": 4.5, 7: "x"}},
    ],
)
def test_an_ordinary_job_does_not_need_the_schema(headers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(jobs, "JobRequestSchema")

    errors = jobs.job_request_errors(job("act", {"action": "act"}, **headers))

    assert errors == []


def test_subclasses_of_the_ordinary_types_are_sound_too() -> None:
    class Text(str):
        __slots__ = ()

    assert jobs.job_request_errors(job({"action": Text("act"), "body": {Text("a"): 1}})) == []


def names_run(continue_on_error: bool, responses: dict[str, ActionResponse], last: str = "") -> list[str]:
    run = jobs.JobRun([ActionRequest(name) for name in "abc"], {"continue_on_error": continue_on_error})
    names = []
    while (request := run.next_action()) is not None:
        names.append(request.action)
        run.record(responses.get(request.action, ActionResponse(request.action)), is_last=request.action == last)
    assert [response.action for response in run.response().actions] == names
    return names


def test_all_actions_run_when_none_fails() -> None:
    assert names_run(False, {}) == ["a", "b", "c"]


def test_a_failed_action_ends_the_job() -> None:
    assert names_run(False, {"b": FAILED}) == ["a", "b"]


def test_a_job_that_goes_on_after_errors_runs_all() -> None:
    assert names_run(True, {"b": FAILED}) == ["a", "b", "c"]


def test_the_last_action_ends_even_a_job_that_goes_on_after_errors() -> None:
    assert names_run(True, {}, last="a") == ["a"]


def test_the_response_of_a_job_has_those_of_its_actions() -> None:
    run = jobs.JobRun([ActionRequest("b")], {})
    run.next_action()

    run.record(FAILED)

    assert run.response() == JobResponse(actions=[FAILED])


@pytest.mark.parametrize("job_request", [None, [], {}, {"context": None}, {"context": [1]}])
def test_a_malformed_job_has_an_empty_context_and_is_answered(job_request: Any) -> None:
    assert jobs.request_context(job_request) == {}
    assert not jobs.is_response_suppressed(job_request)
