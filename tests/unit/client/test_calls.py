from __future__ import annotations

import enum
from typing import Any

import pytest

from pysoa.client.calls import action_result, check_response, make_context, make_control, request_headers
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.common.transport.errors import InvalidMessageError
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
