"""What becomes of the responses that the rounds of one call bring."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pysoa.client.errors import CallActionError, CallJobError, InvalidExpansionResponse
from pysoa.common.transport.errors import InvalidMessageError, MessageSendError
from tests.support.expansions import WRONG, expand, failed_action, failed_job, foo, job, make, sent

# 6. Responses


def test_objects_get_what_their_values_lead_to_and_may_share_it() -> None:
    first, second, third = foo(2), foo(2), foo(99)

    expand({"foo": ["bar"]}, [first, second, third], bars={2: {"a": 1}})

    assert first["bar"] == {"a": 1}
    assert second["bar"] is first["bar"]
    assert "bar" not in third


ERRORS = pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(failed_job, CallJobError, id="job"),
        pytest.param(failed_action, CallActionError, id="action"),
    ],
)


@ERRORS
def test_errors_are_left_out_where_the_expansion_does_not_ask_for_them(response: Any, kind: Any) -> None:
    obj = foo(1)
    call = make({"foo": ["bar"]})
    call.begin([job({"foo": obj})])

    call.record([response()])

    assert obj == foo(1)
    assert call.jobs() == []


@ERRORS
def test_errors_are_raised_where_the_expansion_asks_for_them(response: Any, kind: Any) -> None:
    call = make({"foo": ["strict"]})
    call.begin([job({"foos": [foo(1), foo(2)]})])

    with pytest.raises(kind) as raised:
        call.record([response()])

    assert len(getattr(raised.value, "errors", None) or raised.value.actions) == 2  # one for each object
    with pytest.raises(kind) as again:
        call.jobs()
    assert again.value is raised.value


def test_a_failed_action_that_has_a_body_gives_what_it_has() -> None:
    obj = foo(1)
    call = make({"foo": ["bar", "strict"]})
    call.begin([job({"foo": obj})])

    with pytest.raises(CallActionError):
        call.record([failed_action({"bars": {1: "one"}})])

    assert (obj["bar"], obj["strict"]) == ("one", "one")


def test_an_empty_body_brings_nothing() -> None:
    obj = foo(1)
    call = make({"foo": ["strict"]})
    call.begin([job({"foo": obj})])

    call.record([job({})])

    assert obj == foo(1)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"others": {}}, "does not have it"),
        (["bars"], "holds a NoneType there"),
        ({"bars": [1]}, "holds a list there"),
        ({"bars": None}, "holds a NoneType there"),
    ],
)
def test_a_response_without_the_mapping_of_its_route_is_an_error(body: Any, what: str) -> None:
    call = make({"foo": ["bar"]})
    call.begin([job({"foo": foo(1)})])

    with pytest.raises(InvalidExpansionResponse) as raised:
        call.record([job(body)])

    assert str(raised.value) == (
        "expansion 'bar' takes what it finds in the field 'bars' of the response of bar_s.get_bars, which "
        f"{what} instead of a mapping"
    )
    assert isinstance(raised.value, KeyError)
    assert raised.value.outcome == "answered"


def test_a_response_with_neither_action_nor_errors_is_an_error() -> None:
    call = make({"foo": ["bar"]})
    call.begin([job({"foo": foo(1)})])

    with pytest.raises(InvalidMessageError, match="Response without actions from service bar_s"):
        call.record([job()])


# 7. The next round


BARS = {1: {"_type": "bar", "baz_id": 10}}
BAZS = {10: {"_type": "baz"}}


@pytest.mark.parametrize("asked", [{"foo": ["bar.baz"]}, {"foo": ["bar"], "bar": ["baz"]}])
def test_what_an_expansion_brings_is_expanded_in_the_next_round(asked: Any) -> None:
    obj = foo(1)

    rounds = expand(asked, {"foo": obj}, bars={1: dict(BARS[1])}, bazs=BAZS)

    assert rounds == [[("bar_s.get_bars", {"ids": [1]})], [("baz_s.get_bazs", {"ids": [10]})]]
    assert obj["bar"]["baz"] == {"_type": "baz"}


def test_nested_expansions_are_of_what_the_expansion_brings_and_of_nothing_else() -> None:
    bar = dict(BARS[1])

    rounds = expand({"foo": ["bar.baz"]}, {"foo": foo(7), "bar": bar}, bars={}, bazs=BAZS)

    assert rounds == [[("bar_s.get_bars", {"ids": [7]})]]
    assert bar == BARS[1]


def test_all_of_the_body_is_looked_through_for_the_next_round() -> None:
    call = make({"foo": ["bar.baz"]})
    call.begin([job({"foo": foo(1)})])

    call.record([job({"bars": {}, "more": [{"_type": "bar", "baz_id": 5}]})])

    assert sent(call) == [("baz_s.get_bazs", {"ids": [5]})]


def test_an_object_that_is_found_in_two_ways_is_asked_for_once() -> None:
    obj = foo(1)

    rounds = expand({"foo": ["bar.baz"], "bar": ["baz"]}, {"foo": obj}, bars={1: dict(BARS[1])}, bazs=BAZS)

    assert rounds[1:] == [[("baz_s.get_bazs", {"ids": [10]})]]


# 8. After each round


def test_errors_of_actions_are_raised_before_those_of_jobs_when_all_is_filled_in() -> None:
    obj = foo(1, qux_id=2, bar_name="one")
    call = make({"foo": ["strict_qux", "strict", "named"]})
    call.begin([job({"foo": obj})])

    with pytest.raises(CallActionError) as raised:
        call.record([failed_job(), failed_action(), job({"bars": {"one": "named"}})])

    assert [action.errors for action in raised.value.actions] == [[WRONG]]
    assert obj["named"] == "named"


def test_errors_of_one_round_keep_the_next_from_beginning() -> None:
    call = make({"foo": ["bar.baz", "strict_qux"]})
    call.begin([job({"foo": foo(1, qux_id=2)})])

    with pytest.raises(CallJobError):
        call.record([job({"bars": dict(BARS)}), failed_job()])

    assert call._requests == []


def test_errors_of_a_later_round_are_raised_as_those_of_the_first() -> None:
    call = make({"foo": ["bar.strict_baz"]})
    call.begin([job({"foo": foo(1)})])
    call.record([job({"bars": dict(BARS)})])

    with pytest.raises(CallJobError):
        call.record([failed_job()])


def test_what_a_response_brings_waits_once_however_many_objects_waited_for_it() -> None:
    call = make({"foo": ["bar.strict_baz"]})
    call.begin([job({"foos": [foo(1), foo(2), foo(3)]})])
    call.record([job({"bars": {1: dict(BARS[1])}})])

    with pytest.raises(CallActionError) as raised:
        call.record([failed_action()])

    assert len(raised.value.actions) == 1


def test_a_call_begins_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    call = make({"foo": ["bar"]})
    for _ in range(2):
        call.begin([job({"foo": foo(1)})])

    assert sent(call) == [("bar_s.get_bars", {"ids": [1]})]
    assert caplog.messages == []


def test_no_error_of_a_round_says_that_nothing_was_sent() -> None:
    call = make({})

    with pytest.raises(MessageSendError) as raised, call.speaking_for_the_call():
        raise MessageSendError("no", outcome="not_sent")

    assert raised.value.outcome == "unknown"
