"""What the rounds of one call send."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import InvalidExpansionKey
from pysoa.client.expansion import CallExpansion
from pysoa.common.transport.errors import DeadlinePassed, MessageReceiveTimeout, MessageSendError
from tests.support.expansions import WRONG, expand, foo, job, make, sent

# 1. What is asked for


@pytest.mark.parametrize(("asked", "key"), [({"no": ["bar"]}, "no"), ({"foo": ["no"]}, "no")])
def test_what_is_not_configured_is_an_error_of_the_client(asked: Any, key: str) -> None:
    class Own(InvalidExpansionKey):
        pass

    class OwnClient(Client):
        InvalidExpansionKey = Own

    call = make(asked)
    call._errors = OwnClient

    with pytest.raises(Own, match=f"^Invalid key in expansion request: {key}\n") as raised:
        call.begin([])

    assert "expansion_config" in raised.value.__notes__[0]
    assert call.jobs() == []


def test_source_and_destination_have_to_differ() -> None:
    with pytest.raises(ValueError, match="can not have the same name as the source_field: bar_id"):
        make({"foo": ["self"]}).begin([])


def test_without_configuration_nothing_is_expanded() -> None:
    call = CallExpansion(None, {"no": ["no"]}, headers={}, timeout=None, waits=True, errors=Client)

    call.begin([job({"foo": foo(1)})])

    assert call.jobs() == []


# 2. Candidates


def test_objects_are_looked_for_in_the_bodies_of_all_responses() -> None:
    call = make({"foo": ["bar"]})

    call.begin([job({"one": foo(1)}, [{"list": [foo(2)]}]), MessageSendError("no"), [WRONG], job({"three": foo(3)})])

    assert sent(call) == [("bar_s.get_bars", {"ids": [1, 2, 3]})]


def test_what_lies_within_an_object_is_left_out_at_first() -> None:
    assert expand({"foo": ["bar"]}, foo(1, inside=foo(2)), bars={}) == [[("bar_s.get_bars", {"ids": [1]})]]


# 3. What is taken


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(foo(1, bar=None), id="destination there"),
        pytest.param(foo(), id="no source"),
        pytest.param(foo(None), id="none"),
        pytest.param(foo(0), id="zero"),
        pytest.param(foo(""), id="empty text"),
        pytest.param(foo([1]), id="unhashable list"),
        pytest.param(foo({"a": 1}), id="unhashable dict"),
        pytest.param(foo(([1],)), id="unhashable inside"),
    ],
)
def test_objects_that_have_it_or_have_no_key_to_it_stay_as_they_are(obj: Any) -> None:
    before = dict(obj)

    rounds = expand({"foo": ["bar"]}, {"foos": [obj, foo(7)]}, bars={0: "x", "": "x", None: "x", 7: "seven"})

    assert rounds == [[("bar_s.get_bars", {"ids": [7]})]]
    assert obj == before


# 4. Requests


def test_there_is_one_request_for_all_objects_with_each_value_once() -> None:
    foos = [foo(2), foo(6), foo(6), foo(2)]

    rounds = expand({"foo": ["bar", "strict"]}, {"foos": foos}, bars={})

    assert rounds == [[("bar_s.get_bars", {"ids": [2, 6]})]]


def test_different_fields_of_one_action_are_different_requests() -> None:
    obj = foo(1, bar_name="one")
    call = make({"foo": ["bar", "named"]})
    call.begin([job({"foo": obj})])

    assert sent(call) == [("bar_s.get_bars", {"ids": [1]}), ("bar_s.get_bars", {"names": ["one"]})]
    call.record([job({"bars": {1: "by id"}}), job({"bars": {"one": "by name"}})])

    assert (obj["bar"], obj["named"]) == ("by id", "by name")


def test_one_response_may_serve_several_expansions_by_several_fields() -> None:
    obj = foo(1)
    call = make({"foo": ["bar", "title"]})
    call.begin([job({"foo": obj})])

    assert sent(call) == [("bar_s.get_bars", {"ids": [1]})]
    call.record([job({"bars": {1: "bar"}, "titles": {1: "title"}})])

    assert (obj["bar"], obj["title"]) == ("bar", "title")


HEADERS = {"switches": [5], "correlation_id": "c", "context": {"a": 1}, "continue_on_error": True}


def test_requests_carry_the_headers_of_the_call_but_for_continue_on_error() -> None:
    time = make({}, control_extra={"b": 2}, **HEADERS).time_for_round(10.0, None)

    assert time == (
        None,
        None,
        {
            "switches": [5],
            "correlation_id": "c",
            "context": {"a": 1},
            "control_extra": {"b": 2},
            "message_expiry_in_seconds": None,
        },
    )


def test_a_round_of_a_call_that_waits_tells_the_time_that_is_left() -> None:
    extra = {"b": 2}
    call = make({}, timeout=5, control_extra=extra, **HEADERS)

    timeout, left, headers = call.time_for_round(12.0, 14.0)

    assert (timeout, left) == (2, 2)
    assert headers["control_extra"] == {"b": 2, "timeout": 2}
    assert headers["message_expiry_in_seconds"] == 3
    assert extra == {"b": 2}


def test_a_timeout_in_control_extra_stays() -> None:
    call = make({}, timeout=5, control_extra={"timeout": 60})

    assert call.time_for_round(12.0, 14.0).headers["control_extra"] == {"timeout": 60}


def test_a_round_of_a_call_without_timeout_tells_nothing_and_has_the_time_that_is_left() -> None:
    timeout, left, headers = make({}).time_for_round(12.0, 14.0)

    assert (timeout, left) == (2, 2)
    assert (headers["control_extra"], headers["message_expiry_in_seconds"]) == (None, None)


def test_a_round_of_a_future_lives_as_long_as_the_call_says() -> None:
    timeout, left, headers = make({}, timeout=5, waits=False).time_for_round(12.0, 14.0)

    assert (timeout, left) == (5, 2)
    assert headers["control_extra"] == {"timeout": 5}
    assert headers["message_expiry_in_seconds"] == 6


def test_no_round_begins_after_the_deadline() -> None:
    call = make({"foo": ["bar"]}, timeout=5)
    call.begin([job({"foo": foo(1)})])

    with pytest.raises(DeadlinePassed, match=r"call to bar_s is 1\.000 s past its deadline") as raised:
        call.time_for_round(15.0, 14.0)

    assert isinstance(raised.value, MessageReceiveTimeout)
    assert raised.value.outcome == "unknown"


# 5. Values that were asked for before


def test_a_value_is_asked_for_in_one_round_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    obj = foo(1)

    rounds = expand(
        {"foo": ["bar"], "bar": ["baz"], "baz": ["bar"]},
        {"foo": obj},
        bars={1: {"_type": "bar", "baz_id": 10}},
        bazs={10: {"_type": "baz", "bar_id": 1}},
    )

    assert rounds == [[("bar_s.get_bars", {"ids": [1]})], [("baz_s.get_bazs", {"ids": [10]})]]
    assert obj["bar"]["baz"] == {"_type": "baz", "bar_id": 1}
    assert caplog.record_tuples == [
        (
            "pysoa.client.client",
            logging.INFO,
            "Avoiding infinite recursion by skipping duplicate expansion: bar_s.get_bars.ids = [1]",
        )
    ]


def test_values_that_are_new_are_asked_for_without_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    old, new = {"_type": "baz", "bar_id": 1}, {"_type": "baz", "bar_id": 2}
    call = make({"foo": ["bar.baz.bar"]})
    call.begin([job({"foo": foo(1)})])
    call.record([job({"bars": {1: {"_type": "bar", "baz_id": 10}}})])
    call.record([job({"bazs": {10: old}, "more": new})])

    assert sent(call) == [("bar_s.get_bars", {"ids": [2]})]
    call.record([job({"bars": {1: "one", 2: "two"}})])

    assert "bar" not in old  # although its value is in that response, too
    assert new["bar"] == "two"
    assert caplog.records == []


def test_an_object_found_later_does_not_get_what_was_fetched_earlier() -> None:
    user = {"_type": "user", "manager_id": 9, "photo_id": 1}
    users = {9: {"_type": "user", "manager_id": 8, "photo_id": 1}, 8: {"_type": "user", "photo_id": 2}}

    rounds = expand({"user": ["manager", "photo"]}, {"user": user}, users=users, photos={1: "one", 2: "two"})

    assert [len(requests) for requests in rounds] == [2, 1, 1]
    assert user["photo"] == "one"
    assert "photo" not in user["manager"]
    assert user["manager"]["manager"]["photo"] == "two"


def test_a_chain_that_closes_ends() -> None:
    users = {n: {"_type": "user", "id": n, "manager_id": n % 5 + 1} for n in range(1, 6)}

    rounds = expand({"user": ["manager"]}, {"user": {"_type": "user", "manager_id": 1}}, users=users)

    assert [body["ids"] for ((_, body),) in rounds] == [[1], [2], [3], [4], [5]]


def test_what_the_log_says_of_values_is_short_and_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    value = "line\nbreak" * 1000

    expand(
        {"foo": ["bar"], "bar": ["baz"], "baz": ["bar"]},
        {"foo": foo(value)},
        bars={value: {"_type": "bar", "baz_id": 1}},
        bazs={1: {"_type": "baz", "bar_id": value}},
    )

    (message,) = caplog.messages
    assert len(message) < 1200
    assert "\n" not in message
