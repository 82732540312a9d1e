"""Calls that are made in a job end when the caller of the job stops waiting."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.common.clock import monotonic
from pysoa.common.deadline import reset_deadline, set_deadline
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import (
    DeadlinePassed,
    MessageReceiveError,
    MessageReceiveTimeout,
    ServiceUnavailable,
)
from tests.support.client_transports import lost, make_client, transport_of

ACTION = [{"action": "a"}]
JOBS = [{"service_name": "square", "actions": ACTION}, {"service_name": "cube", "actions": ACTION}]

Way = Callable[..., Any]


@contextlib.contextmanager
def in_job(left: float) -> Iterator[None]:
    """As in a job whose caller waits for so many seconds more."""
    before = set_deadline(monotonic() + left)
    try:
        yield
    finally:
        reset_deadline(before)


def call_action(client: Client, **options: Any) -> Any:
    return client.call_action("square", "a", **options)


def call_actions(client: Client, **options: Any) -> Any:
    return client.call_actions("square", ACTION * 2, **options)


def call_actions_parallel(client: Client, **options: Any) -> Any:
    return list(client.call_actions_parallel("square", ACTION * 2, **options))


def call_jobs_parallel(client: Client, **options: Any) -> Any:
    return client.call_jobs_parallel(JOBS, **options)


def one_job(client: Client, **options: Any) -> Any:
    return client.call_jobs_parallel(JOBS[:1], **options)


def future(client: Client, **options: Any) -> Any:
    return client.call_action_future("square", "a", **options).result()


def future_of_several(client: Client, **options: Any) -> Any:
    return client.call_jobs_parallel_future(JOBS, **options).result()


def by_stand_in(client: Client, **options: Any) -> Any:
    """As where a test has put something in the place of receiving."""
    receive = client.get_all_responses
    client.get_all_responses = functools.partial(receive)  # type: ignore[method-assign]
    return client.call_action("square", "a", **options)


waiting = pytest.mark.parametrize(
    "way", [call_action, call_actions, call_actions_parallel, call_jobs_parallel, one_job, by_stand_in]
)
every = pytest.mark.parametrize(
    "way", [call_action, call_actions_parallel, call_jobs_parallel, future, future_of_several]
)


def ended(way: Way, client: Client, **options: Any) -> PySOAError:
    with pytest.raises(PySOAError) as raised:
        way(client, **options)
    return raised.value


def listening_client(default_timeout: float | None = 5) -> Any:
    client = make_client("square", "cube", transport="ListeningTransport")
    for name in ("square", "cube"):
        transport_of(client, name).answer = lambda body: None
        client.handlers[name].default_timeout = default_timeout
    return client


@waiting
@pytest.mark.parametrize("timeout", [None, 4])
def test_a_call_in_a_job_asks_for_no_more_time_than_is_left(way: Way, timeout: float | None) -> None:
    client = make_client("square", "cube")

    with in_job(2):
        way(client, timeout=timeout)

    transport = transport_of(client)
    for sent in transport.sent:
        told = sent.body["control"]["timeout"]
        assert 1 < told <= 2
        assert sent.message_expiry_in_seconds == told + 1
    assert all(1 < seconds <= 2 for seconds in transport.timeouts)


@every
@pytest.mark.parametrize("timeout", [None, 4])
def test_a_call_that_ends_before_its_job_is_sent_as_ever(way: Way, timeout: float | None) -> None:
    sent = []
    for job in (contextlib.nullcontext(), in_job(60)):
        client = make_client("square", "cube", context={"correlation_id": "c"})
        for name in ("square", "cube"):
            client._get_handler(name).default_timeout = 5
        with job:
            way(client, timeout=timeout)
        sent.append([(each.body, each.message_expiry_in_seconds) for each in transport_of(client).sent])

    assert sent[0] == sent[1]


def test_a_transport_is_told_how_long_the_job_lets_its_caller_wait() -> None:
    client = make_client(transport="ListeningTransport")

    with in_job(2):
        call_action(client)
        call_actions_parallel(client)

    told = [seconds for what, seconds in transport_of(client).told if what == "expect_reply"]
    assert len(told) == 2
    assert all(1 < seconds <= 2 for seconds in told)


@every
def test_a_call_that_the_job_ends_says_so(way: Way) -> None:
    client = listening_client()
    began = monotonic()

    with in_job(0.05):
        error = ended(way, client)

    assert 0.05 <= monotonic() - began < 1
    assert isinstance(error, DeadlinePassed)
    assert "past the deadline of its job" in str(error)
    assert (error.outcome, error.is_of_job) == ("unknown", True)


@pytest.mark.parametrize("way", [call_action, call_actions_parallel, call_jobs_parallel, one_job, by_stand_in])
def test_nothing_is_sent_after_the_deadline_of_the_job(way: Way) -> None:
    client = listening_client()

    with in_job(-0.25):
        error = ended(way, client)

    assert isinstance(error, DeadlinePassed)
    assert error.outcome == "not_sent"
    assert error.overdue_in_seconds >= 0.25
    assert transport_of(client).sent == []


def test_a_deadline_that_has_passed_takes_every_slot_where_errors_are_caught() -> None:
    client = listening_client()

    with in_job(-0.25):
        slots: list[Any] = client.call_jobs_parallel(JOBS, catch_transport_errors=True)

    assert [type(slot) for slot in slots] == [DeadlinePassed] * 2
    assert [str(slot).split()[2] for slot in slots] == ["square", "cube"]
    assert transport_of(client).sent == []


def test_what_came_before_the_deadline_stays_where_errors_are_caught() -> None:
    client = listening_client()
    transport_of(client).answer = lost

    with in_job(0.05):
        square, cube = client.call_jobs_parallel(JOBS, catch_transport_errors=True)

    assert square.actions[0].action == "a"
    assert isinstance(cube, DeadlinePassed)
    assert cube.outcome == "unknown"


def test_each_service_keeps_its_own_timeout_where_that_is_shorter() -> None:
    client = make_client("square", "cube")
    client._get_handler("square").default_timeout = 1
    client._get_handler("cube").default_timeout = 5

    with in_job(2):
        call_jobs_parallel(client)

    square, cube = (transport_of(client, name).sent[0].body["control"] for name in ("square", "cube"))
    assert "timeout" not in square
    assert 1 < cube["timeout"] <= 2


@waiting
def test_other_errors_stay_what_they_are(way: Way) -> None:
    for error in (MessageReceiveError("broken"), ServiceUnavailable("nobody"), MessageReceiveTimeout("its own")):
        client = make_client("square", "cube")
        transport_of(client).receive_errors.append(error)

        with in_job(30):
            assert ended(way, client) is error


# Futures


@pytest.mark.parametrize(("timeout", "limit"), [(4, 2), (None, None)])
def test_a_future_tells_the_time_that_is_left_only_where_it_tells_a_time(timeout: Any, limit: Any) -> None:
    client = make_client()

    with in_job(2):
        client.call_action_future("square", "a", timeout=timeout)

    (sent,) = transport_of(client).sent
    told = sent.body["control"].get("timeout")
    assert told is None if limit is None else 1 < told <= limit
    assert sent.message_expiry_in_seconds == (None if limit is None else told + 1)


def test_a_future_that_tells_a_time_is_not_sent_after_the_deadline() -> None:
    client = make_client()

    with in_job(-0.25), pytest.raises(DeadlinePassed) as raised:
        client.call_action_future("square", "a", timeout=4)

    assert raised.value.outcome == "not_sent"
    assert transport_of(client).sent == []


@pytest.mark.parametrize("ask", ["result", "exception"])
def test_a_future_is_waited_for_until_the_deadline_of_whoever_asks(ask: str) -> None:
    client = listening_client()
    future = client.call_action_future("square", "a")
    began = monotonic()

    with in_job(0.05), pytest.raises(DeadlinePassed) as raised:
        getattr(future, ask)(timeout=5)

    assert 0.05 <= monotonic() - began < 1
    assert raised.value.outcome == "unknown"
    transport = transport_of(client)
    transport.respond(transport.sent[0].request_id, lost(transport.sent[0].body))
    assert future.result().action == "a"


# What nobody waits for


def test_requests_that_nobody_waits_for_are_sent_after_the_deadline_too() -> None:
    client = make_client()

    with in_job(-0.25):
        client.send_request("square", ACTION, message_expiry_in_seconds=30)
        client.send_request("square", ACTION, suppress_response=True)

    bare, suppressed = transport_of(client).sent
    assert (bare.body["control"]["timeout"], bare.message_expiry_in_seconds) == (30, 30)
    assert "timeout" not in suppressed.body["control"]


def test_calls_without_an_answer_are_sent_after_the_deadline_too() -> None:
    client = make_client(transport="ListeningTransport")

    with in_job(-0.25):
        for way in (call_action, one_job):
            error = ended(way, client, timeout=4, control_extra={"suppress_response": True})
            assert not isinstance(error, DeadlinePassed)

    assert [sent.body["control"]["timeout"] for sent in transport_of(client).sent] == [4, 4]


def test_all_responses_are_waited_for_until_the_deadline() -> None:
    client = listening_client()
    client.send_request("square", ACTION)
    began = monotonic()

    with in_job(0.05), pytest.raises(DeadlinePassed) as raised:
        list(client.get_all_responses("square"))

    assert 0.05 <= monotonic() - began < 1
    assert raised.value.outcome == "unknown"


def test_after_the_deadline_the_responses_that_have_come_are_given_out() -> None:
    client = make_client(transport="ListeningTransport")
    request_id = client.send_request("square", ACTION)

    with in_job(-0.25):
        responses = list(client.get_all_responses("square"))

    assert [each for each, _ in responses] == [request_id]
