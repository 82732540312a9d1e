"""Every way to call."""

from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.errors import ImproperlyConfigured
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse

ECHOES = [{"action": "echo", "body": {"number": 1}}, ActionRequest("async_echo", {"number": 2})]


def bodies(response: JobResponse) -> list[Any]:
    return [action.body for action in response.actions]


@pytest.mark.parametrize("action", ["echo", "async_echo"])
def test_an_action_is_called(door: Any, action: str) -> None:
    response = door.call_action("outer", action, {"number": 3, "list": [1, {"a": None}], "text": "é"})

    assert response == ActionResponse(action, [], {"number": 3, "list": [1, {"a": None}], "text": "é"})


def test_an_action_is_called_without_a_body(door: Any) -> None:
    assert door.call_action("outer", "async_echo").body == {}


@pytest.mark.parametrize(
    ("action", "which"),
    [("function", "function"), ("async_function", "coroutine function"), ("switched", "second")],
)
def test_actions_may_be_functions_and_switched(door: Any, action: str, which: str) -> None:
    assert door.call_action("outer", action).body == {"which": which}


def test_switches_choose_an_asynchronous_variant(door: Any) -> None:
    assert door.call_action("outer", "switched", switches=[1]).body == {"which": "first"}


def test_several_actions_are_called_as_one_job(door: Any) -> None:
    response = door.call_actions("outer", ECHOES, correlation_id="c-1")

    assert bodies(response) == [{"number": 1}, {"number": 2}]
    assert [action.action for action in response.actions] == ["echo", "async_echo"]
    assert response.context == {"correlation_id": "c-1"}


def test_actions_are_called_in_parallel_and_answered_in_order(door: Any) -> None:
    actions = [{"action": name, "body": {"number": n}} for n in range(10) for name in ("echo", "async_echo")]

    responses = list(door.call_actions_parallel("outer", actions, timeout=10))

    assert [response.body["number"] for response in responses] == [n for n in range(10) for _ in range(2)]


def test_jobs_are_called_in_parallel_on_several_services(door: Any) -> None:
    jobs = [{"service_name": name, "actions": ECHOES} for name in ("outer", "inner", "outer")]

    responses = door.call_jobs_parallel(jobs)

    assert [bodies(response) for response in responses] == [[{"number": 1}, {"number": 2}]] * 3


def test_no_actions_in_parallel_are_no_calls(door: Any) -> None:
    assert list(door.call_actions_parallel("outer", [])) == []
    assert door.call_jobs_parallel([]) == []


# Futures


def test_a_future_gives_the_same_result_each_time(door: Any) -> None:
    future = door.call_action_future("outer", "async_echo", {"number": 3})

    assert future.running()
    assert not future.done()
    first = future.result()
    assert first.body == {"number": 3}
    assert future.result() is first
    assert future.exception() is None
    assert future.done()
    assert not future.running()


def test_a_future_raises_the_same_error_each_time(door: Any) -> None:
    future = door.call_action_future("outer", "async_fail", {"how": "action"})

    for _ in range(2):
        with pytest.raises(door.CallActionError) as raised:
            future.result()
        assert future.exception() is raised.value
        assert future.done()


def test_futures_of_all_kinds_wait_for_what_was_sent(door: Any) -> None:
    of_actions = door.call_actions_future("outer", ECHOES)
    parallel = door.call_actions_parallel_future("outer", ECHOES)
    of_jobs = door.call_jobs_parallel_future([{"service_name": "inner", "actions": ECHOES}] * 2)

    assert [bodies(response) for response in of_jobs.result()] == [[{"number": 1}, {"number": 2}]] * 2
    assert [response.body for response in parallel.result()] == [{"number": 1}, {"number": 2}]
    assert bodies(of_actions.result(5)) == [{"number": 1}, {"number": 2}]


def test_a_future_can_be_asked_again_after_a_timeout(door: Any, in_event_loop: None) -> None:
    future = door.call_action_future("outer", "async_sleep", {"seconds": 0.6})

    with pytest.raises(MessageReceiveTimeout):
        future.result(timeout=0.05)
    with pytest.raises(MessageReceiveTimeout):
        future.exception(timeout=0.05)
    assert future.running()
    assert future.result(timeout=10).errors == []


def test_calls_go_on_beside_futures(door: Any) -> None:
    future = door.call_action_future("outer", "echo", {"number": 1})

    assert door.call_action("outer", "echo", {"number": 2}).body == {"number": 2}
    assert future.result().body == {"number": 1}


# Requests without a call


def test_responses_to_requests_are_received_later(door: Any) -> None:
    ids = [door.send_request("outer", [{"action": "async_echo", "body": {"number": n}}]) for n in range(4)]

    responses = dict(door.get_all_responses("outer", 10))

    assert [bodies(responses[request_id]) for request_id in ids] == [[{"number": n}] for n in range(4)]
    assert list(door.get_all_responses("outer", 10)) == []


def test_a_response_to_a_request_is_not_taken_by_a_call(door: Any) -> None:
    request_id = door.send_request("outer", [{"action": "echo", "body": {"number": 1}}])

    assert door.call_action("outer", "echo", {"number": 2}).body == {"number": 2}
    ((received_id, response),) = door.get_all_responses("outer")
    assert (received_id, bodies(response)) == (request_id, [{"number": 1}])


def test_a_request_whose_response_is_suppressed_is_served_and_not_waited_for(door: Any) -> None:
    door.call_action("overriding", "events")

    door.send_request("overriding", [{"action": "async_echo"}], suppress_response=True)

    assert list(door.get_all_responses("overriding", 0.1)) == []
    events = []
    while "execute_job" not in events:
        events += door.call_action("overriding", "events").body["events"]


# Headers


@pytest.mark.parametrize("action", ["describe", "async_describe", "blocking_describe"])
def test_headers_reach_the_action(door: Any, action: str) -> None:
    seen = door.call_action(
        "outer", action, switches=[7], correlation_id="c-2", context={"who": "me"}, control_extra={"more": [1]}
    ).body

    assert seen["context"] == {"who": "me", "switches": [7], "correlation_id": "c-2"}
    assert seen["switches"] == [7]
    assert seen["control"] == {"continue_on_error": False, "suppress_response": False, "more": [1]}


def test_the_timeout_of_a_call_is_told(door: Any) -> None:
    assert door.call_action("outer", "async_describe", timeout=7.5).body["control"]["timeout"] == 7.5


def test_a_client_has_a_context_and_may_have_another_one(pairing: Any) -> None:
    door = pairing.door(context={"who": "me", "switches": [3]})
    try:
        other = door.with_context({"who": "you"})

        seen = [each.call_action("outer", "async_describe", switches=[7]).body for each in (door, other)]
    finally:
        door.close()

    assert [(each["context"]["who"], each["switches"]) for each in seen] == [("me", [3, 7]), ("you", [7])]
    assert seen[0]["context"]["correlation_id"] != seen[1]["context"]["correlation_id"]


def test_continue_on_error_goes_on_after_an_error(door: Any) -> None:
    actions = [{"action": "async_fail", "body": {"how": "action"}}, {"action": "echo", "body": {"number": 1}}]

    stopped = door.call_actions("outer", actions, raise_action_errors=False)
    went_on = door.call_actions("outer", actions, raise_action_errors=False, continue_on_error=True)

    assert len(stopped.actions) == 1
    assert bodies(went_on) == [{}, {"number": 1}]


def test_a_client_that_is_closed_may_be_used_again(door: Any) -> None:
    for _ in range(3):
        assert door.call_action("outer", "async_echo", {"number": 1}).body == {"number": 1}
        door.run(door.client.close()) if door.is_async else door.client.close()


def test_an_unknown_service_is_refused(door: Any) -> None:
    for call in (door.call_action, door.call_action_future, door.send_request):
        with pytest.raises(ImproperlyConfigured, match='Unrecognized service name "nobody"'):
            call("nobody", "echo")
    with pytest.raises(ImproperlyConfigured):
        door.call_jobs_parallel([{"service_name": "outer", "actions": ECHOES}, {"service_name": "x", "actions": []}])
