from __future__ import annotations

import logging
from typing import Any

import pytest

from pysoa.server.internal.log_limit import LogLimit, log_limit
from pysoa.server.settings import ServerSettings
from tests.support.scripted import answer, job, make_server
from tests.support.services import OrdinaryServer


def allowed(limit: LogLimit, *moments: float) -> int:
    return sum(limit.allows(moment) for moment in moments)


def test_after_a_quiet_time_fifty_requests_are_logged_at_once() -> None:
    limit = LogLimit(10)

    at_first = allowed(limit, *[100.0] * 80)
    later = allowed(limit, *[200.0] * 80)

    assert (at_first, later) == (50, 50)


def test_under_load_as_many_are_logged_in_a_second_as_the_limit_says() -> None:
    limit = LogLimit(10)
    allowed(limit, *[100.0] * 50)

    in_a_second = allowed(limit, *[100.0 + number / 1000 for number in range(1000)])
    in_a_minute = allowed(limit, *[101.0 + number / 1000 for number in range(60_000)])

    assert (in_a_second, in_a_minute) == (9, 600)


def test_without_a_limit_all_are_logged() -> None:
    assert allowed(LogLimit(0), *[100.0] * 10_000) == 10_000


def test_those_that_were_left_out_are_told_once_and_at_most_each_second() -> None:
    limit = LogLimit(1)
    allowed(limit, *[100.0] * 57)

    told = [limit.left_out(100.0), limit.left_out(100.5)]
    allowed(limit, *[100.5] * 3)
    told += [limit.left_out(100.9), limit.left_out(101.0), limit.left_out(102.0)]

    assert told == [7, 0, 0, 3, 0]


def test_all_requests_without_a_limit_that_matters_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = make_server(OrdinaryServer, request_log_limit=0)

    for _ in range(200):
        answer(server, job("echo"))

    assert len(caplog.records) == 400


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 100),
        ({"logging": {"root": {"handlers": ["console"], "level": "WARNING"}}}, 0),
        ({"request_log_limit": 7}, 7),
        ({"request_log_limit": 0}, 0),
    ],
    ids=["usual", "own logging", "set", "none"],
)
def test_a_service_that_says_how_it_logs_has_no_limit_unless_it_sets_one(settings: Any, limit: int) -> None:
    transport = {"path": "pysoa.common.transport.local:LocalServerTransport"}

    assert log_limit(ServerSettings({"transport": transport, **settings})) == limit


def lines_of_excess(caplog: pytest.LogCaptureFixture, server: Any, *last: str) -> list[str]:
    """What is logged after as many requests as are logged at once, and some that are not."""
    caplog.set_level(logging.INFO)
    for _ in range(53):
        answer(server, job("echo"))
    caplog.clear()
    for action in last:
        answer(server, job(action))
    return [message[:12] for message in caplog.messages]


def test_a_request_that_fails_is_in_the_log_with_its_response_whatever_the_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_server(OrdinaryServer, request_log_limit=1)

    assert lines_of_excess(caplog, server, "echo", "fail", "echo") == ["Job request:", "Job response"]


def test_an_idle_worker_tells_of_what_it_has_left_out(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(OrdinaryServer, request_log_limit=1)
    lines_of_excess(caplog, server)

    server.handle_next_request()
    server.handle_next_request()

    assert caplog.messages == ["Left 3 requests without errors out of the log (setting request_log_limit)"]
