"""What services can do: middleware, hooks, nested calls, coroutines, actions of every kind side by side."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from pysoa.client.errors import ImproperlyConfigured
from pysoa.client.middleware import AsyncClientMiddleware, ClientMiddleware
from pysoa.common.transport.errors import MessageReceiveTimeout
from tests.support.raw import wait_until

MODULE = __name__
TRACE: list[str] = []


def events(door: Any, service: str) -> list[str]:
    told: list[str] = door.call_action(service, "events").body["events"]
    return told


# Actions


@pytest.mark.parametrize("action", ["square", "async_square"])
def test_schemas_give_typed_data(door: Any, action: str) -> None:
    assert door.call_action("outer", action, {"number": 7}).body == {"square": 49}


@pytest.mark.parametrize("action", ["nested", "blocking_nested", "async_nested"])
def test_actions_call_other_services_with_a_client_of_their_kind(door: Any, action: str) -> None:
    answer = door.call_action("outer", action, correlation_id="c-3", switches=[2], context={"who": "me"}).body

    assert answer["client"] == ("AsyncClient" if action == "async_nested" else "Client")
    assert answer["inner"]["context"] == {
        "correlation_id": "c-3",
        "switches": [2, 5],
        "who": "me",
        "from": "outer",
        "calling_service": "outer",
    }


def test_many_nested_calls_side_by_side(door: Any) -> None:
    actions = [{"action": name} for name in ("async_nested", "blocking_nested", "nested") for _ in range(8)]

    answers = list(door.call_actions_parallel("outer", actions, timeout=20, correlation_id="c-4"))

    assert {answer.body["inner"]["context"]["correlation_id"] for answer in answers} == {"c-4"}


@pytest.mark.parametrize("action", ["coroutine", "async_coroutine"])
def test_actions_run_coroutines_beside_their_job(door: Any, action: str) -> None:
    assert door.call_action("outer", action, {"number": 21}).body == {"doubled": 42}


def test_actions_call_others_of_their_service(door: Any) -> None:
    assert door.call_action("outer", "local", {"number": 5}).body == {"square": 25}
    assert door.call_action("outer", "async_local", {"number": 5}).body == {"square": 25, "codes": []}
    refused = door.call_action("outer", "async_local", {"number": "five"}).body
    assert refused == {"codes": ["INVALID"]}


def test_local_actions_have_a_client_of_their_own_kind(door: Any) -> None:
    kinds = door.call_action("outer", "async_local_clients").body["kinds"]

    assert kinds == ["AsyncClient", "Client", "AsyncClient"]


def test_plain_actions_that_say_so_run_beside_the_loop(pairing: Any, door: Any) -> None:
    actions = ["describe", "async_describe", "blocking_describe"]

    seen = [door.call_action("outer", action).body for action in actions]

    assert [each["is_in_loop"] for each in seen] == [pairing.runs_in_loop, True, False]
    assert [each["client"] for each in seen] == ["Client", "AsyncClient", "Client"]


def test_all_plain_actions_run_beside_the_loop_where_the_settings_say_so(door: Any) -> None:
    seen = [door.call_action("wrapped", action).body["is_in_loop"] for action in ("describe", "async_describe")]

    assert seen == [False, True]


def test_jobs_run_side_by_side(in_event_loop: None, door: Any) -> None:
    """The first waits for the second."""
    actions = [{"action": name, "body": {"name": "here"}} for name in ("wait", "arrive")]

    answers = list(door.call_actions_parallel("outer", actions, timeout=10))

    assert answers[0].body == {"met": True}


def test_no_blocking_action_holds_the_others_up(in_event_loop: None, door: Any) -> None:
    future = door.call_action_future("outer", "blocking_sleep", {"seconds": 0.3})

    for number in range(10):
        assert door.call_action("outer", "async_echo", {"number": number}).body == {"number": number}
    assert not future.done()
    assert future.result(timeout=10).errors == []


@pytest.mark.parametrize("action", ["see_variable", "async_see_variable"])
def test_no_job_sees_context_variables_of_another(in_event_loop: None, door: Any, action: str) -> None:
    seen = [door.call_action("outer", action, {"value": f"{n}"}).body["seen"] for n in range(20)]

    assert seen == ["unset"] * 20


def test_every_service_has_status_and_introspection(door: Any) -> None:
    status = door.call_action("outer", "status").body
    introspected = door.call_action("outer", "introspect").body

    assert {"build", "conformity", "healthcheck", "pysoa", "python", "version"} >= status.keys() >= {"pysoa", "python"}
    assert {"async_square", "square"} <= introspected["actions"].keys()


# Deadlines


@pytest.mark.parametrize("action", ["late", "async_late"])
def test_calls_of_a_job_end_when_its_caller_stops_waiting(door: Any, action: str) -> None:
    events(door, "outer")

    with contextlib.suppress(MessageReceiveTimeout):  # it may just have come in time
        door.call_action("outer", action, timeout=0.15)

    def told() -> list[str]:
        return [event for event in events(door, "outer") if event.startswith("late")]

    (event,) = wait_until(told, "the job is told that it is late")
    assert event in ("late: True unknown", "late: True not_sent", "late: called off")


# Middleware


def test_middleware_of_both_kinds_wraps_jobs(door: Any) -> None:
    response = door.call_actions("wrapped", [{"action": name} for name in ("echo", "async_echo")])

    assert response.context["path"] == ["Innermost job", "Awaiting job", "Outermost job"]


@pytest.mark.parametrize("action", ["echo", "async_echo"])
def test_middleware_of_both_kinds_wraps_actions_of_both_kinds(door: Any, action: str) -> None:
    answer = door.call_action("wrapped", action, {"traced": True})

    assert answer.body == {"traced": True, "path": ["Innermost", "Awaiting", "Outermost"]}


@pytest.mark.parametrize("action", ["nested", "blocking_nested", "async_nested"])
def test_actions_within_middleware_call_other_services(door: Any, action: str) -> None:
    assert door.call_action("wrapped", action, correlation_id="c-5").body["inner"]["context"]["from"] == "outer"


@pytest.mark.parametrize("name", ["Outermost", "Innermost"])
def test_middleware_stops_jobs(door: Any, name: str) -> None:
    errors = door.call_action("wrapped", "echo", context={"stop_at": name}, raise_job_errors=False)

    assert [error.code for error in errors] == ["STOPPED"]


@pytest.mark.parametrize("action", ["fail", "async_fail"])
def test_errors_pass_middleware(door: Any, action: str) -> None:
    with pytest.raises(door.CallActionError):
        door.call_action("wrapped", action, {"how": "action"})
    with pytest.raises(door.CallJobError):
        door.call_action("wrapped", action, {"how": "job"})


class Tracing(ClientMiddleware):
    def request(self, send_request: Any) -> Any:
        def send(request_id: Any, meta: Any, job_request: Any, expiry: Any) -> None:
            TRACE.append("send")
            job_request.context["traced_by"] = "plain"
            send_request(request_id, meta, job_request, expiry)
            TRACE.append("sent")

        return send

    def response(self, get_response: Any) -> Any:
        def receive(timeout: Any) -> Any:
            TRACE.append("receive")
            request_id, response = get_response(timeout)
            if response is not None:
                response.context["received_by"] = "plain"
            TRACE.append("received")
            return request_id, response

        return receive


class AsyncTracing(AsyncClientMiddleware):
    def request(self, send_request: Any) -> Any:
        async def send(request_id: Any, meta: Any, job_request: Any, expiry: Any) -> None:
            await asyncio.sleep(0)
            job_request.context["also_traced_by"] = "awaiting"
            await send_request(request_id, meta, job_request, expiry)

        return send

    def response(self, get_response: Any) -> Any:
        async def receive(timeout: Any) -> Any:
            await asyncio.sleep(0)
            request_id, response = await get_response(timeout)
            response.context["also_received_by"] = "awaiting"
            return request_id, response

        return receive


def with_middleware(pairing: Any, *classes: type) -> Any:
    middleware = [{"path": f"{MODULE}:{each.__name__}", "object": each} for each in classes]
    return {"outer": {"transport": pairing.transport("outer"), "middleware": middleware}}


def test_middleware_of_the_first_pysoa_wraps_calls_of_both_clients(pairing: Any) -> None:
    TRACE.clear()
    door = pairing.door(with_middleware(pairing, Tracing))
    try:
        response = door.call_actions("outer", [{"action": "describe"}])
        assert TRACE == ["send", "sent", "receive", "received"]
        future = door.call_actions_future("outer", [{"action": "async_describe"}]).result()
        parallel = door.call_jobs_parallel([{"service_name": "outer", "actions": [{"action": "describe"}]}] * 3)
        request_id = door.send_request("outer", [{"action": "describe"}])
        ((received_id, received),) = door.get_all_responses("outer")
    finally:
        door.close()

    assert received_id == request_id
    for each in (response, future, *parallel, received):
        assert each.context["received_by"] == "plain"
        assert each.actions[0].body["context"]["traced_by"] == "plain"


def test_asynchronous_middleware_wraps_calls_of_asynchronous_clients_only(pairing: Any) -> None:
    door = pairing.door(with_middleware(pairing, AsyncTracing, Tracing, AsyncTracing))
    try:
        if not pairing.is_async:
            with pytest.raises(ImproperlyConfigured, match="is asynchronous, and this client is not"):
                door.call_action("outer", "echo")
            return
        response = door.call_actions("outer", [{"action": "describe"}])
        assert response.context.keys() == {"correlation_id", "received_by", "also_received_by"}
        assert response.actions[0].body["context"]["also_traced_by"] == "awaiting"
    finally:
        door.close()


# Hooks and overrides


def test_overridden_steps_of_a_job_call_those_of_the_server(door: Any) -> None:
    response = door.call_actions("overriding", [{"action": name} for name in ("echo", "async_echo")])

    assert response.context["processed"] is True
    assert response.context["executed"] == 2


def test_hooks_are_called_around_each_request(pairing: Any, door: Any) -> None:
    events(door, "overriding")

    door.call_action("overriding", "async_echo")

    told = [event for event in events(door, "overriding") if event != "idle"]
    assert told == ["process_job", "execute_job", "post", "pre", "process_job", "execute_job"] or told == [
        "post",
        "pre",
        "process_job",
        "execute_job",
        "post",
        "pre",
        "process_job",
        "execute_job",
    ]


def test_hooks_may_be_coroutine_functions_in_an_event_loop(in_event_loop: None, door: Any) -> None:
    events(door, "async_hooks")

    door.call_action("async_hooks", "echo")

    told = [event for event in events(door, "async_hooks") if event != "idle"]
    assert told == ["post", "pre", "post", "pre"]


@pytest.mark.parametrize("service", ["overriding", "async_hooks"])
def test_the_idle_hook_is_called_when_no_request_comes(pairing: Any, door: Any, service: str) -> None:
    if pairing.broker is None or (service == "async_hooks" and not pairing.runs_in_loop):
        pytest.skip("a local server never waits for requests, and a blocking one awaits no hooks")

    wait_until(lambda: "idle" in events(door, service), "the hook is called", pause=1.2)
