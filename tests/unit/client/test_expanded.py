"""Calls of both clients whose responses are expanded."""

from __future__ import annotations

import functools
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.client import async_client, client
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError, ImproperlyConfigured, InvalidExpansionKey
from pysoa.client.expander import ExpansionConverter, ExpansionSettings
from pysoa.common import clock
from pysoa.common.deadline import reset_deadline, set_deadline
from pysoa.common.transport.errors import (
    DeadlinePassed,
    MessageReceiveTimeout,
    MessageTooLarge,
)
from tests.support.client_transports import failing
from tests.support.doors import AsyncDoor, Door
from tests.support.expansions import ANSWERS, CONFIG, SERVICES, answering, foo, settings


@pytest.fixture(params=[Door, AsyncDoor], ids=["Client", "AsyncClient"])
def door(request: pytest.FixtureRequest) -> Iterator[Any]:
    door = request.param(settings(), expansion_config=CONFIG)
    answering(door.client)
    yield door
    door.close()


def transport(door: Any, name: str) -> Any:
    return door.client._get_handler(name).transport


def requests(door: Any, name: str) -> list[Any]:
    return [request.body for request in transport(door, name).sent]


def asked(door: Any, name: str) -> list[Any]:
    """What a service was asked for."""
    return [body["actions"][0]["body"] for body in requests(door, name)]


BAR = {"foo": ["bar"]}


def call(door: Any, expansions: Any = BAR, **options: Any) -> Any:
    return door.call_action("foo_s", "get_foos", {"foo": foo(1)}, expansions, **options).body


def bar(bar_id: int, **fields: Any) -> dict[str, Any]:
    return {"_type": "bar", "id": bar_id, "baz_id": 10, **fields}


# What is made of the configuration


def test_a_client_has_a_converter_where_expansions_are_configured(door: Any) -> None:
    assert isinstance(door.client.expansion_converter, ExpansionConverter)
    assert door.client.expansion_converter.type_routes == CONFIG["type_routes"]
    assert not hasattr(type(door.client)({}), "expansion_converter")
    assert not hasattr(type(door.client)({}, {}), "expansion_converter")


def test_the_configuration_is_checked_when_the_client_is_made() -> None:
    with pytest.raises(ExpansionSettings.ImproperlyConfigured, match="type_expansions"):
        Client({}, {"type_routes": {}})


def test_a_client_with_another_context_expands_as_the_first(door: Any) -> None:
    other = door.client.with_context({"correlation_id": "c"})

    assert other.expansion_converter is door.client.expansion_converter


# Every way to call


def actions(*foos: Any) -> list[Any]:
    return [{"action": "get_foos", "body": {"foo": each}} for each in foos]


def jobs(*foos: Any) -> list[Any]:
    return [{"service_name": "foo_s", "actions": actions(each)} for each in foos]


WAYS: dict[str, tuple[Callable[..., Any], Callable[[Any], list[Any]]]] = {
    "call_action": (
        lambda *foos: ("foo_s", "get_foos", {"one": {"foo": foos[0]}, "two": {"foo": foos[1]}}),
        lambda result: list(result.body.values()),
    ),
    "call_actions": (
        lambda *foos: ("foo_s", actions(*foos)),
        lambda result: [action.body for action in result.actions],
    ),
    "call_actions_parallel": (
        lambda *foos: ("foo_s", actions(*foos)),
        lambda result: [action.body for action in result],
    ),
    "call_jobs_parallel": (
        lambda *foos: (jobs(*foos),),
        lambda result: [job.actions[0].body for job in result],
    ),
}


@pytest.mark.parametrize("is_future", [False, True], ids=["waits", "future"])
@pytest.mark.parametrize("name", list(WAYS))
def test_the_responses_of_every_call_are_expanded_in_common_rounds(door: Any, name: str, is_future: bool) -> None:
    arguments, bodies = WAYS[name]
    if is_future:
        future = getattr(door, f"{name}_future")(*arguments(foo(1), foo(2)), expansions={"foo": ["bar.baz"]})
        assert asked(door, "bar_s") == []
        result = future.result()
        assert future.result() is result
    else:
        result = getattr(door, name)(*arguments(foo(1), foo(2)), expansions={"foo": ["bar.baz"]})

    one, two = (body["foo"] for body in bodies(result))
    assert one == foo(1, bar=bar(1, baz={"_type": "baz", "id": 10}))
    assert two == foo(2, bar=bar(2, baz={"_type": "baz", "id": 10}))
    assert asked(door, "bar_s") == [{"ids": [1, 2]}]
    assert asked(door, "baz_s") == [{"ids": [10]}]


class Falsy:
    """Empty expansions that count how often they are looked at."""

    tests = 0

    def __bool__(self) -> bool:
        self.tests += 1
        return False


@pytest.mark.parametrize("name", [*WAYS, *(f"{name}_future" for name in WAYS)])
def test_a_call_without_expansions_pays_one_look_at_them(door: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(client, "ExpandedJobs")
    monkeypatch.delattr(async_client, "AsyncExpandedJobs")
    expansions = Falsy()

    getattr(door, name)(*WAYS[name.removesuffix("_future")][0](foo(1), foo(2)), expansions=expansions)

    assert expansions.tests == 1


@pytest.mark.parametrize("name", list(WAYS))
def test_expansions_mean_nothing_where_they_are_not_configured(door: Any, name: str) -> None:
    arguments, bodies = WAYS[name]
    with_none = type(door)(settings())
    answering(with_none.client)

    result = getattr(with_none, name)(*arguments(foo(1), foo(2)), expansions={"no": ["no"]})

    assert [body["foo"] for body in bodies(result)] == [foo(1), foo(2)]
    with_none.close()


# Headers


def test_the_requests_of_a_round_carry_the_headers_of_the_call(door: Any) -> None:
    door.call_actions(
        "foo_s",
        actions(foo(1)),
        BAR,
        switches=[5],
        correlation_id="c",
        continue_on_error=True,
        context={"locale": "de", "switches": [6]},
        control_extra={"mine": 1},
    )

    (main,), (other,) = requests(door, "foo_s"), requests(door, "bar_s")
    assert main["control"] == {"continue_on_error": True, "suppress_response": False, "mine": 1}
    assert other["control"] == {"continue_on_error": False, "suppress_response": False, "mine": 1}
    assert other["context"] == main["context"] == {"correlation_id": "c", "switches": [5, 6], "locale": "de"}


def test_without_a_correlation_id_each_request_gets_its_own(door: Any) -> None:
    call(door, expansions={"foo": ["bar.baz"]})

    ids = {requests(door, name)[0]["context"]["correlation_id"] for name in ("foo_s", "bar_s", "baz_s")}
    assert len(ids) == 3


def test_switches_may_be_an_iterator(door: Any) -> None:
    call(door, switches=iter([5]))

    assert requests(door, "bar_s")[0]["context"]["switches"] == [5]


# Time


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the clock of clients jump ahead."""
    now = 0.0

    def jump(seconds: float) -> None:
        nonlocal now
        now += seconds

    for module in ("base", "client", "jobs", "awaited", "expanded", "async_jobs", "async_expanded"):
        monkeypatch.setattr(f"pysoa.client.{module}.monotonic", lambda: clock.monotonic() + now)
    monkeypatch.setattr("pysoa.common.deadline.monotonic", lambda: clock.monotonic() + now)
    return jump


def slowly(pass_time: Callable[[float], None], seconds: float, answer: Any) -> Any:
    def answer_late(body: Any) -> Any:
        pass_time(seconds)
        return answer(body)

    return answer_late


def test_each_round_has_the_time_that_is_left_of_the_call(door: Any, pass_time: Any) -> None:
    transport(door, "foo_s").answer = slowly(pass_time, 20, failing)
    transport(door, "bar_s").answer = slowly(pass_time, 10, ANSWERS["bar_s"])

    call(door, expansions={"foo": ["bar.baz"]}, timeout=60)

    told = [requests(door, name)[0]["control"]["timeout"] for name in ("foo_s", "bar_s", "baz_s")]
    assert told[0] == 60
    assert 35 < told[1] <= 40
    assert 25 < told[2] <= 30
    assert transport(door, "baz_s").sent[0].message_expiry_in_seconds == told[2] + 1


def test_without_timeout_the_default_of_the_service_that_is_called_covers_all_rounds(door: Any, pass_time: Any) -> None:
    for name, seconds in (("foo_s", 60), ("bar_s", 5)):
        door.client._get_handler(name).default_timeout = seconds
    transport(door, "foo_s").answer = slowly(pass_time, 20, failing)

    call(door)

    assert "timeout" not in requests(door, "bar_s")[0]["control"]
    assert transport(door, "bar_s").sent[0].message_expiry_in_seconds is None
    (seconds,) = transport(door, "bar_s").timeouts
    assert 35 < seconds <= 40


def test_no_round_begins_after_the_deadline_of_the_call(door: Any, pass_time: Any) -> None:
    transport(door, "bar_s").answer = slowly(pass_time, 20, ANSWERS["bar_s"])

    with pytest.raises(MessageReceiveTimeout) as raised:
        call(door, expansions={"foo": ["bar.baz"]}, timeout=10)

    assert raised.value.outcome == "unknown"
    assert requests(door, "baz_s") == []


def test_rounds_end_with_the_job_that_makes_the_call(door: Any, pass_time: Any) -> None:
    before = set_deadline(clock.monotonic() + 30)
    try:
        transport(door, "foo_s").answer = slowly(pass_time, 20, failing)
        transport(door, "bar_s").answer = slowly(pass_time, 20, ANSWERS["bar_s"])
        with pytest.raises(MessageReceiveTimeout) as raised:
            call(door, expansions={"foo": ["bar.baz"]}, timeout=60)
    finally:
        reset_deadline(before)

    assert 5 < requests(door, "bar_s")[0]["control"]["timeout"] <= 10
    assert requests(door, "baz_s") == []
    assert isinstance(raised.value, DeadlinePassed)
    assert raised.value.is_of_job
    assert raised.value.outcome == "unknown"


# Errors


@pytest.mark.parametrize(("action", "kind"), [("fail", CallActionError), ("fail_job", CallJobError)])
def test_errors_of_the_call_come_before_its_expansions(door: Any, action: str, kind: Any) -> None:
    with pytest.raises(kind):
        door.call_action("foo_s", action, {"foo": foo(1)}, {"no": ["no"]})


def test_what_is_not_configured_is_noticed_when_the_call_has_been_answered(door: Any) -> None:
    with pytest.raises(InvalidExpansionKey, match="Invalid key in expansion request: no"):
        call(door, expansions={"no": ["no"]})

    assert len(requests(door, "foo_s")) == 1


def test_errors_that_are_not_raised_stay_in_the_result(door: Any) -> None:
    errors = door.call_action("foo_s", "fail_job", {"foo": foo(1)}, BAR, raise_job_errors=False)
    response = door.call_actions("foo_s", [{"action": "fail"}, *actions(foo(1))], BAR, raise_action_errors=False)

    assert [error.code for error in errors] == ["WRONG"]
    assert [error.code for error in response.actions[0].errors] == ["WRONG"]
    assert response.actions[1].body == {"foo": foo(1, bar=bar(1))}


def test_errors_in_slots_are_left_alone(door: Any) -> None:
    error = MessageTooLarge(9, "too large")
    transport(door, "foo_s").send_errors.extend([error, None])

    first, second = door.call_actions_parallel("foo_s", actions(foo(1), foo(2)), BAR, catch_transport_errors=True)

    assert first is error
    assert second.body == {"foo": foo(2, bar=bar(2))}


def test_errors_of_expansions_are_errors_of_the_client(door: Any) -> None:
    transport(door, "bar_s").answer = lambda body: {
        "errors": [],
        "context": {},
        "actions": [{"action": "get_bars", "errors": [{"code": "WRONG", "message": "it is"}], "body": {}}],
    }

    assert call(door) == {"foo": foo(1)}
    with pytest.raises(door.client.CallActionError, match="get_bars"):
        call(door, expansions={"foo": ["strict"]})


def test_transport_errors_of_expansions_are_raised_and_say_what_is_true_of_the_call(door: Any) -> None:
    transport(door, "bar_s").send_errors.append(MessageTooLarge(9, "too large"))

    with pytest.raises(MessageTooLarge) as raised:
        list(door.call_actions_parallel("foo_s", actions(foo(1)), BAR, catch_transport_errors=True))

    assert raised.value.outcome == "unknown"


def test_a_service_of_an_expansion_has_to_be_known(door: Any) -> None:
    del door.client.settings["bar_s"], door.client.handlers["bar_s"]

    with pytest.raises(ImproperlyConfigured, match='Unrecognized service name "bar_s"') as raised:
        call(door)

    assert raised.value.outcome == "unknown"


# Futures


def lose_first(answer: Any) -> Any:
    """Loses the response to the first request."""
    answers = iter([lambda body: None])

    def answer_unless_first(body: Any) -> Any:
        return next(answers, answer)(body)

    return answer_unless_first


def wait_for_round(future: Any, there: Any) -> None:
    """Ask until the request of a round has been sent, whose response is lost."""
    while not there.sent:
        with pytest.raises(MessageReceiveTimeout):
            future.result(0.01)


def test_a_future_that_was_late_goes_on_with_the_round_that_it_was_at(door: Any) -> None:
    there = transport(door, "bar_s")
    there.answer = lose_first(ANSWERS["bar_s"])
    future = door.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, {"foo": ["bar.baz"]})
    wait_for_round(future, there)
    with pytest.raises(MessageReceiveTimeout):
        future.result(0.01)
    assert not future.done()

    there.respond(there.sent[0].request_id, ANSWERS["bar_s"](there.sent[0].body))

    assert future.result().body["foo"] == foo(1, bar=bar(1, baz={"_type": "baz", "id": 10}))
    assert [len(requests(door, name)) for name in SERVICES] == [1, 1, 1, 0]


def test_the_request_of_a_round_lives_as_long_as_the_future_says_however_short_its_result_waits(door: Any) -> None:
    door.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR, timeout=60).result(30)

    (request,) = transport(door, "bar_s").sent
    assert request.body["control"]["timeout"] == 60
    assert request.message_expiry_in_seconds == 61


def test_a_future_remembers_what_an_expansion_failed_with(door: Any) -> None:
    transport(door, "bar_s").answer = failing
    future = door.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR)

    for _ in range(2):
        with pytest.raises(KeyError) as raised:
            future.result()
        assert future.exception() is raised.value
    assert len(requests(door, "bar_s")) == 1


# One client


def test_threads_may_wait_for_one_future() -> None:
    client = answering(Client(settings("ListeningTransport"), CONFIG))
    there = client._get_handler("bar_s").transport
    asked_for = threading.Event()
    there.answer = lambda body: asked_for.set()
    future = client.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(future.result(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert asked_for.wait(20)

    with pytest.raises(MessageReceiveTimeout, match="another thread is still waiting"):
        future.result(0.01)
    there.respond(there.sent[0].request_id, ANSWERS["bar_s"](there.sent[0].body))
    for thread in threads:
        thread.join(20)

    assert [result.body["foo"]["bar"] for result in results] == [bar(1)] * 3
    assert len(there.sent) == 1


def test_a_round_that_ends_too_late_is_forgotten() -> None:
    client = answering(Client(settings("ListeningTransport"), CONFIG))
    client._get_handler("bar_s").transport.answer = lambda body: None

    with pytest.raises(MessageReceiveTimeout):
        client.call_action("foo_s", "get_foos", {"foo": foo(1)}, BAR, timeout=0.05)

    assert all(handler._awaited._known == {} for handler in client.handlers.values())


def test_a_future_that_nobody_wants_any_more_forgets_its_round() -> None:
    client = answering(Client(settings("ListeningTransport"), CONFIG))
    there = client._get_handler("bar_s").transport
    there.answer = lambda body: None
    future = client.call_action_future("foo_s", "get_foos", {"foo": foo(1)}, BAR)
    wait_for_round(future, there)

    del future
    gc.collect()

    handler = client.handlers["bar_s"]
    assert list(handler._awaited._known) == [there.sent[0].request_id]
    handler._forget_abandoned()
    assert handler._awaited._known == {}


def test_what_stands_in_for_sending_and_receiving_sees_the_rounds() -> None:
    client = answering(Client(settings(), CONFIG))
    seen: list[Any] = []
    send, receive = client.send_request, client.get_all_responses

    def send_request(service_name: str, actions: Any, **kwargs: Any) -> int:
        seen.append((service_name, actions[0].body, "continue_on_error" in kwargs))
        return send(service_name, actions, **kwargs)

    client.send_request = send_request
    client.get_all_responses = functools.partial(receive)

    assert client.call_action("foo_s", "get_foos", {"foo": foo(1)}, BAR).body["foo"]["bar"] == bar(1)
    assert [(name, passed) for name, _, passed in seen] == [("foo_s", True), ("bar_s", False)]
    assert seen[1][1] == {"ids": [1]}
