"""Expansions, over every pairing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.client.errors import CallActionError, CallJobError, InvalidExpansionKey, InvalidExpansionResponse
from pysoa.common.transport.errors import MessageReceiveTimeout
from tests.contract.conftest import Pairing
from tests.support.expandable import CONFIG, OBJECTS


@pytest.fixture
def door(pairing: Pairing) -> Iterator[Any]:
    """A client of all services, with plain methods, that expands."""
    door = pairing.door(expansion_config=CONFIG)
    requests(door)
    yield door
    door.close()


def requests(door: Any) -> list[str]:
    """What has been looked up since the last time."""
    # Two services, which may be in one process or in several threads of it: they share what they tell.
    return [event for event in door.call_action("inner", "events").body["events"] if "look_up" in event]


def foo(bar_id: Any, **fields: Any) -> dict[str, Any]:
    return {"_type": "foo", "bar_id": bar_id, **fields}


def expanded(door: Any, foos: Any, *names: str, **options: Any) -> Any:
    expansions = options.pop("expansions", {"foo": names})
    return door.call_action("outer", "echo", {"foos": foos}, expansions, **options).body["foos"]


BAR, BAZ = OBJECTS["bar"], OBJECTS["baz"]


def test_objects_get_what_they_refer_to_by_one_request(door: Any) -> None:
    foos = [foo(2, id=1), foo(6, id=2), foo(6, id=3), foo(None, id=4), foo(99, id=5), foo([2], id=6)]
    foos.append(foo(2, id=7, bar="already"))

    result = expanded(door, foos, "bar")

    assert result[:3] == [foo(2, id=1, bar=BAR[2]), foo(6, id=2, bar=BAR[6]), foo(6, id=3, bar=BAR[6])]
    assert result[1]["bar"] is result[2]["bar"]
    assert result[3:] == foos[3:]
    assert requests(door) == ["async_look_up {'bar_ids': [2, 6, 99]}"]


@pytest.mark.parametrize("expansions", [{"foo": ["bar.baz"]}, {"foo": ["bar"], "bar": ["baz"]}])
def test_what_is_fetched_is_expanded_in_the_next_round(door: Any, expansions: Any) -> None:
    (result,) = expanded(door, [foo(2)], expansions=expansions)

    assert result == foo(2, bar={**BAR[2], "baz": BAZ[20]})
    assert requests(door) == ["async_look_up {'bar_ids': [2]}", "look_up {'baz_ids': [20]}"]


def test_nothing_is_fetched_twice(door: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.client.client")

    one, two = expanded(door, [foo(2), foo(6)], "bar.baz.bar")

    assert one["bar"] == {**BAR[2], "baz": BAZ[20]}
    assert two["bar"] == {**BAR[6], "baz": BAZ[60]}
    assert requests(door) == ["async_look_up {'bar_ids': [2, 6]}", "look_up {'baz_ids': [20, 60]}"]
    assert [record.getMessage() for record in caplog.records if record.name == "pysoa.client.client"] == [
        "Avoiding infinite recursion by skipping duplicate expansion: inner.async_look_up.bar_ids = [6]"
    ]


@pytest.mark.parametrize("value", ["wrong job", "wrong action"])
def test_an_expansion_that_fails_leaves_objects_as_they_are(door: Any, value: str) -> None:
    assert expanded(door, [foo(value)], "bar") == [foo(value)]


@pytest.mark.parametrize(("value", "kind"), [("wrong job", CallJobError), ("wrong action", CallActionError)])
def test_an_expansion_may_ask_for_its_errors(door: Any, value: str, kind: Any) -> None:
    with pytest.raises(kind, match="WRONG") as raised:
        expanded(door, [foo(value)], "strict")

    assert raised.value.outcome == "answered"


def test_what_is_not_configured_cannot_be_expanded(door: Any) -> None:
    with pytest.raises(InvalidExpansionKey, match="Invalid key in expansion request: no"):
        expanded(door, [foo(2)], "no")


def test_a_route_that_does_not_fit_its_action_is_an_error(door: Any) -> None:
    door.client.expansion_converter.type_routes["bar"]["response_field"] = "no_bars"

    with pytest.raises(InvalidExpansionResponse, match="field 'no_bars' of the response"):
        expanded(door, [foo(2)], "bar")


def test_headers_travel_with_expansions(door: Any) -> None:
    foos = [{"_type": "foo", "name": name} for name in ("correlation_id", "switches", "locale")]

    result = expanded(door, foos, "header", switches=[5], correlation_id="c", context={"locale": "de"})

    assert [each["header"] for each in result] == ["c", [5], "de"]


def test_the_responses_of_jobs_are_expanded_in_common_rounds(door: Any) -> None:
    jobs = [
        {"service_name": name, "actions": [{"action": "echo", "body": foo(bar_id)}]}
        for name, bar_id in (("outer", 2), ("inner", 6))
    ]

    responses = door.call_jobs_parallel(jobs, {"foo": ["bar"]})
    parallel = door.call_actions_parallel("outer", jobs[0]["actions"] * 2, {"foo": ["bar"]})

    assert [response.actions[0].body["bar"] for response in responses] == [BAR[2], BAR[6]]
    assert [response.body["bar"] for response in parallel] == [BAR[2]] * 2
    assert requests(door) == ["async_look_up {'bar_ids': [2, 6]}", "async_look_up {'bar_ids': [2]}"]


def test_the_timeout_of_a_call_covers_its_expansions(door: Any, in_event_loop: None) -> None:
    with pytest.raises(MessageReceiveTimeout) as raised:
        expanded(door, [foo("slow")], "slow", timeout=0.4)

    assert raised.value.outcome == "unknown"
    assert expanded(door, [foo(2)], "bar", timeout=20) == [foo(2, bar=BAR[2])]


def test_a_future_waits_for_its_expansions_and_may_be_asked_again(door: Any, in_event_loop: None) -> None:
    future = door.call_action_future("outer", "echo", {"foos": [foo("slow"), foo(2)]}, {"foo": ["slow"]})

    with pytest.raises(MessageReceiveTimeout):
        future.result(0.4)
    result = future.result(20)

    assert result.body["foos"][1]["bar"] == BAR[2]
    assert requests(door) == ["look_up {'bar_ids': ['slow', 2]}"]
