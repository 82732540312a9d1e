from __future__ import annotations

import math
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


@given(often(job_requests))
def test_the_only_action_is_that_of_a_sound_job(job_request: Any) -> None:
    action = jobs.only_action(job_request)

    if action is not None:
        assert JobRequestSchema.errors(job_request) == []
        assert [action] == job_request["actions"]
        assert not jobs.is_response_suppressed(job_request)


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


@pytest.mark.parametrize(
    ("job_request", "name"),
    [
        pytest.param(job("act"), "act", id="one"),
        pytest.param(job("act", context={"caller": "web", "switches": [1]}), "act", id="with more headers"),
        pytest.param(job({"action": "act"}), None, id="without a body"),
        pytest.param(job("act", "act"), None, id="two"),
        pytest.param(job(), None, id="none"),
        pytest.param(job("act", control={"suppress_response": True}), None, id="nobody waits for the answer"),
        pytest.param(job({"action": "act", "body": {1: 2}}), None, id="unsound"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_the_only_action_is_that_of_a_sound_job_that_is_answered(job_request: Any, name: str | None) -> None:
    action = jobs.only_action(job_request)

    assert (action and action["action"]) == name


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


# How long the caller waits


@pytest.mark.parametrize(
    ("control", "until_expiry", "left"),
    [
        pytest.param({"timeout": 2}, None, 2.0, id="timeout alone"),
        pytest.param({}, 61.0, 60.0, id="expiry alone: the last second of a request is not its caller's"),
        pytest.param({"timeout": 0.5}, 61.0, 0.5, id="the smaller is the timeout"),
        pytest.param({"timeout": 5}, 4.25, 3.25, id="the smaller is what the time in the queue has left"),
        pytest.param({"timeout": 5}, 0.25, -0.75, id="the caller has gone"),
        pytest.param({"timeout": 5}, math.inf, 5.0, id="clocks that may disagree"),
        pytest.param({}, None, None, id="nothing tells"),
        pytest.param({"timeout": 5, "suppress_response": True}, 6.0, None, id="nobody waits"),
        pytest.param({"timeout": 5, "suppress_response": False}, 6.0, 5.0, id="somebody waits"),
        pytest.param({"timeout": True}, 61.0, 60.0, id="a truth is no number"),
        pytest.param({"timeout": "2"}, 61.0, 60.0, id="nor is a text"),
        pytest.param({"timeout": 0}, 61.0, 60.0, id="zero is none"),
        pytest.param({"timeout": -1}, 61.0, 60.0, id="nor is less"),
        pytest.param({"timeout": math.nan}, 61.0, 60.0, id="not a number"),
        pytest.param({"timeout": math.inf}, None, None, id="for ever"),
        pytest.param({"timeout": 10**400}, math.nan, None, id="nearly for ever"),
        pytest.param({}, -1e300, None, id="an expiry of long ago"),
        pytest.param(["timeout"], None, None, id="no control"),
    ],
)
def test_the_time_left_is_the_smaller_of_timeout_and_expiry(control: Any, until_expiry: Any, left: Any) -> None:
    meta = {} if until_expiry is None else {"__expiry__": 1.0}

    assert jobs.deadline(meta, {"control": control}, 0.0, lambda _: until_expiry) == left


def test_the_deadline_is_on_the_clock_that_it_is_given() -> None:
    meta = {"__expiry__": 1_700_000_061.0}
    request = job("a", control={"timeout": 100})

    deadline = jobs.deadline(meta, request, 7.0, lambda expiry: expiry - 1_700_000_000)

    assert deadline == 7.0 + 60


def test_without_a_clock_for_expiries_the_timeout_alone_counts() -> None:
    assert jobs.deadline({"__expiry__": 5.0}, job("a", control={"timeout": 3}), 7.0, None) == 10.0


@pytest.mark.parametrize("expiry", [None, "soon", True, 0, -5, math.nan, math.inf, 10**400, [1.0]])
def test_an_expiry_that_means_nothing_is_not_asked_about(expiry: Any) -> None:
    asked: list[float] = []

    def seconds_until(expiry: float) -> float:
        asked.append(expiry)
        return 1.0

    assert jobs.deadline({"__expiry__": expiry}, job("a"), 7.0, seconds_until) is None
    assert asked == []


@given(anything, anything, st.floats(), st.floats() | st.integers())
def test_whatever_comes_there_is_a_deadline_that_can_be_waited_for_or_none(
    meta: Any, control: Any, until_expiry: float, timeout: float
) -> None:
    for header in (control, {"timeout": timeout}):
        for each in (meta, {"__expiry__": 1.0}):
            deadline = jobs.deadline(each, {"control": header}, 7.0, lambda _: until_expiry)
            assert deadline is None or math.isfinite(deadline)
    assert jobs.deadline(meta, control, 7.0, None) is None or isinstance(control, dict)


@pytest.mark.parametrize(
    ("actions_begun", "job_errors", "action_errors"),
    [
        pytest.param(0, ["JOB_TIMEOUT"], [], id="before the first action"),
        pytest.param(1, [], [("first", "ACTION_TIMEOUT")], id="in the first"),
        pytest.param(2, ["ACTION_TIMEOUT"], [], id="in the second, so that the response of the first is lost"),
        pytest.param(3, ["JOB_TIMEOUT"], [], id="in one that there is not"),
    ],
)
def test_a_job_whose_process_was_ended_has_run_for_too_long(
    actions_begun: int, job_errors: list[str], action_errors: list[tuple[str, str]]
) -> None:
    request = {
        "control": {"continue_on_error": False},
        "context": {"correlation_id": "c", "switches": [], "secret": 1},
        "actions": [{"action": "first"}, {"action": "second"}],
    }

    response = jobs.ended_job_response(request, actions_begun)

    assert [error.code for error in response.errors] == job_errors
    assert [(action.action, action.errors[0].code) for action in response.actions] == action_errors
    assert response.context == {"correlation_id": "c"}


@given(job_requests)
def test_whatever_a_job_was_that_ended_its_process_there_is_an_answer(job_request: Any) -> None:
    response = jobs.ended_job_response(job_request, 1)

    assert response.errors or response.actions
