from __future__ import annotations

import enum
from typing import Any

import pytest

from pysoa.client.calls import (
    action_result,
    check_response,
    late_error,
    make_context,
    make_control,
    request_headers,
    sole_answer,
    time_for_call,
    timeout_within,
    wait_within,
)
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.common.transport.errors import (
    DeadlinePassed,
    InvalidMessageError,
    MessageReceiveTimeout,
    ServiceUnavailable,
)
from pysoa.common.types import ActionResponse, JobResponse


class Feature(enum.Enum):
    SEARCH = 7


class Flag:
    def __int__(self) -> int:
        return 8


def context(
    base: Any = None, extra: Any = None, switches: Any = None, correlation_id: str | None = None
) -> dict[str, Any]:
    return make_context(base, extra, switches, correlation_id, lambda: "new")


def test_control_says_whether_to_go_on_and_whether_to_answer() -> None:
    control = make_control(True, False, None, None)

    assert list(control.items()) == [("continue_on_error", True), ("suppress_response", False)]


def test_control_extra_wins_and_stands_before_the_timeout() -> None:
    extra = {"zed": 1, "suppress_response": True}

    control = make_control(False, False, 30, extra)

    assert list(control.items()) == [
        ("continue_on_error", False),
        ("suppress_response", True),
        ("zed", 1),
        ("timeout", 30),
    ]
    assert extra == {"zed": 1, "suppress_response": True}


def test_a_timeout_in_control_extra_stays() -> None:
    assert make_control(False, False, 30, {"timeout": 2})["timeout"] == 2


@pytest.mark.parametrize("timeout", [0, None])
def test_no_timeout_says_nothing(timeout: Any) -> None:
    headers = request_headers(timeout, None, None, False, None, None)

    assert headers["control_extra"] is None
    assert headers["message_expiry_in_seconds"] is None


def test_a_timeout_is_told_to_the_server_and_the_request_lives_a_second_longer() -> None:
    control_extra = {"zed": 1}

    headers = request_headers(4, None, None, False, None, control_extra)

    assert headers["control_extra"] == {"zed": 1, "timeout": 4}
    assert headers["message_expiry_in_seconds"] == 5
    assert control_extra == {"zed": 1}


def test_a_context_that_nobody_gives_has_a_new_correlation_id_and_no_switches() -> None:
    assert list(context().items()) == [("correlation_id", "new"), ("switches", [])]


@pytest.mark.parametrize(
    ("base", "extra", "argument", "expected"),
    [
        pytest.param({"correlation_id": "base"}, None, None, "base", id="base over new"),
        pytest.param({"correlation_id": "base"}, None, "argument", "argument", id="argument over base"),
        pytest.param(
            {"correlation_id": "base"}, {"correlation_id": "extra"}, "argument", "extra", id="context over argument"
        ),
        pytest.param({"correlation_id": None}, None, None, "new", id="none is none"),
    ],
)
def test_the_closest_correlation_id_wins(base: Any, extra: Any, argument: Any, expected: str) -> None:
    assert context(base, extra, None, argument)["correlation_id"] == expected


def test_switches_of_all_contexts_and_the_argument_are_joined() -> None:
    base = {"switches": [1, 2]}
    extra = {"switches": [2, 3], "locale": "de"}

    made = context(base, extra, {4, 1})

    assert sorted(made["switches"]) == [1, 2, 3, 4]
    assert made["locale"] == "de"


def test_switches_stand_in_the_order_that_the_first_pysoa_sends() -> None:
    assert context(None, {"switches": [9]}, [5])["switches"] == [9, 5]


@pytest.mark.parametrize(
    ("switch", "number"), [(Feature.SEARCH, 7), (Flag(), 8), (2.7, 2), (True, 1)], ids=["enum", "int", "float", "bool"]
)
def test_switches_become_plain_integers(switch: Any, number: int) -> None:
    (made,) = context(None, {"switches": [switch]})["switches"]

    assert made == number
    assert type(made) is int


def test_what_is_no_switch_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        context(None, None, ["1"])


def test_what_is_no_switch_in_a_context_is_left_to_the_server() -> None:
    assert set(context({"switches": ["a", 1]}, {"switches": ["b"]}, [2])["switches"]) == {"a", 1, "b", 2}


def test_nothing_that_the_caller_gives_is_changed() -> None:
    base: dict[Any, Any] = {"switches": [1], 5: "five"}
    extra: dict[Any, Any] = {"switches": [2]}
    switches = [3]

    context(base, extra, switches)

    assert (base, extra, switches) == ({"switches": [1], 5: "five"}, {"switches": [2]}, [3])


def test_keys_become_text() -> None:
    assert set(context({1: "a"}, {2: "b"})) == {"1", "2", "correlation_id", "switches"}


WRONG = Error("WRONG", "it is")


def test_job_errors_come_before_action_errors() -> None:
    response = JobResponse([WRONG], {}, [ActionResponse("a", [WRONG])])

    with pytest.raises(CallJobError) as raised:
        check_response(response, True, True, Client)

    assert raised.value.errors == [WRONG]


def test_action_errors_hold_the_actions_that_failed_and_no_others() -> None:
    failed = ActionResponse("b", [WRONG])
    response = JobResponse([], {}, [ActionResponse("a"), failed, ActionResponse("c")])

    with pytest.raises(CallActionError) as raised:
        check_response(response, True, True, Client)

    assert raised.value.actions == [failed]


def test_errors_that_are_not_to_be_raised_stay_in_the_response() -> None:
    check_response(JobResponse([WRONG], {}, [ActionResponse("a", [WRONG])]), False, False, Client)


def test_the_result_of_an_action_is_its_response() -> None:
    action = ActionResponse("a", [WRONG])

    assert action_result(JobResponse([], {}, [action]), "s", True, False, Client) is action


def test_the_result_of_an_action_is_the_list_of_job_errors_where_they_are_not_raised() -> None:
    result: Any = action_result(JobResponse([WRONG]), "s", False, True, Client)

    assert result == [WRONG]


def test_a_response_without_actions_and_errors_is_no_answer() -> None:
    with pytest.raises(InvalidMessageError, match="Response without actions from service s") as raised:
        action_result(JobResponse(), "s", True, True, Client)

    assert raised.value.outcome == "answered"


# Calls within jobs


def headers_of(timeout: float | None = None, control_extra: Any = None) -> dict[str, Any]:
    return request_headers(timeout, None, None, False, None, control_extra)


@pytest.mark.parametrize(
    ("timeout", "default", "left", "within"),
    [
        pytest.param(None, 5, None, None, id="no job"),
        pytest.param(None, 5, 2.0, 2.0, id="less than the default"),
        pytest.param(0, 5, 2.0, 2.0, id="zero is the default"),
        pytest.param(3, 5, 2.0, 2.0, id="less than the timeout"),
        pytest.param(1, 5, 2.0, None, id="more than the timeout"),
        pytest.param(2.0, 5, 2.0, None, id="just the timeout"),
        pytest.param(None, 5, 6.0, None, id="more than the default"),
        pytest.param(None, None, 2.0, 2.0, id="the default is not known"),
        pytest.param(3, None, 6.0, None, id="nor needed"),
        pytest.param(3, 5, -1.0, -1.0, id="too late"),
    ],
)
def test_a_call_in_a_job_has_what_is_left_where_that_is_less(
    timeout: Any, default: Any, left: Any, within: Any
) -> None:
    assert timeout_within(timeout, default, left) == within


@pytest.mark.parametrize("left", [None, 5.0])
def test_requests_of_a_call_that_the_job_does_not_shorten_say_what_they_said(left: Any) -> None:
    headers = headers_of(4)

    time = time_for_call("square", 4, 5, headers, left)

    assert time == (4, headers, False)
    assert time.headers is headers


def test_a_shortened_call_tells_its_server_and_its_request_lives_a_second_longer() -> None:
    headers = headers_of(4, {"zed": 1})

    timeout, shorter, ends_with_job = time_for_call("square", 4, 5, headers, 2.5)

    assert (timeout, ends_with_job) == (2.5, True)
    assert shorter == {**headers, "control_extra": {"zed": 1, "timeout": 2.5}, "message_expiry_in_seconds": 3.5}
    assert headers == headers_of(4, {"zed": 1})


@pytest.mark.parametrize(("told", "sent"), [(1, 1), (9, 2.5), ("soon", 2.5), (True, 2.5), (0, 2.5)])
def test_a_timeout_in_control_extra_stays_where_it_is_the_shorter_one(told: Any, sent: Any) -> None:
    headers = headers_of(None, {"timeout": told})

    shorter = time_for_call("square", None, 5, headers, 2.5).headers

    assert shorter["control_extra"] == {"timeout": sent}


def test_a_call_that_is_not_answered_is_not_shortened() -> None:
    headers = headers_of(4, {"suppress_response": True})

    assert time_for_call("square", 4, 5, headers, -1.0) == (4, headers, False)


@pytest.mark.parametrize("left", [0.0, -0.25])
def test_nothing_is_sent_once_the_caller_of_the_job_has_gone(left: float) -> None:
    with pytest.raises(DeadlinePassed) as raised:
        time_for_call("square", 4, 5, headers_of(4), left)

    assert str(raised.value) == (
        f"call to square is {-left:.3f} s past the deadline of its job: the caller of that has stopped waiting"
    )
    assert (raised.value.outcome, raised.value.overdue_in_seconds, raised.value.is_of_job) == ("not_sent", -left, True)


SOUND = {"action": "square", "errors": [], "body": {"square": 4}}


@pytest.mark.parametrize(
    "body", [{"errors": [], "context": {}, "actions": [SOUND]}, {"errors": None, "actions": [SOUND]}]
)
def test_the_sole_answer_of_a_response_is_what_the_long_way_makes_of_it(body: dict[str, Any]) -> None:
    answer = sole_answer(body)

    assert answer == action_result(JobResponse.from_message(body), "s", True, True, Client)
    assert answer == ActionResponse("square", [], {"square": 4})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"errors": [], "actions": []},
        {"errors": [], "actions": [SOUND, SOUND]},
        {"errors": [], "actions": {"square": 4}},
        {"errors": [], "actions": ["square"]},
        {"errors": [{"code": "X", "message": "x"}], "actions": [SOUND]},
        {"actions": [SOUND]},
        {"errors": [], "actions": [{**SOUND, "errors": [{"code": "X", "message": "x"}]}]},
        {"errors": [], "actions": [{"action": "square", "errors": []}]},
        {"errors": [], "actions": [{"errors": [], "body": {}}]},
    ],
)
def test_a_response_that_says_more_or_less_is_left_to_the_long_way(body: Any) -> None:
    assert sole_answer(body) is None


@pytest.mark.parametrize(
    ("timeout", "default", "deadline", "until"),
    [
        (4, 5, None, (14, False)),
        (None, 5, None, (15, False)),
        (None, None, None, (None, False)),
        (4, 5, 13.0, (13.0, True)),
        (4, 5, 10.0, (10.0, True)),
        (4, 5, 9.0, (9.0, True)),
        (4, 5, 14.5, (14, False)),
        (None, None, 13.0, (13.0, True)),
    ],
)
def test_a_wait_ends_by_the_deadline_of_the_job_at_the_latest(
    timeout: Any, default: Any, deadline: Any, until: Any
) -> None:
    assert wait_within(10, timeout, default, deadline) == until


def test_a_timeout_at_the_deadline_of_the_job_is_laid_to_that() -> None:
    late = late_error(MessageReceiveTimeout("nothing", outcome="not_sent"), "square", 0.002)

    assert isinstance(late, DeadlinePassed)
    assert (late.outcome, late.overdue_in_seconds, late.is_of_job) == ("not_sent", 0.002, True)


def test_a_timeout_with_another_reason_is_left_alone() -> None:
    assert late_error(MessageReceiveTimeout("of the transport's own"), "square", -0.5) is None
    assert late_error(ServiceUnavailable("nobody serves"), "square", 0.002) is None
