"""The example services, started as services of 1.x are, and the client script."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.cli.caller import client_settings
from pysoa.client import Client
from pysoa.client.errors import CallActionError
from tests.support.commands import EXAMPLES, LIMIT_IN_SECONDS, start_example
from tests.support.processes import Process
from tests.support.raw import RawConnection

BOOKING: dict[str, Any] = {
    "flight": "PY101",
    "departure_date": datetime.date(2018, 7, 15),
    "passengers": [{"name": "Ada", "baggage_in_kg": decimal.Decimal("23.5")}, {"name": "Grace"}],
}


@pytest.fixture
def client(broker: Broker, start_process: Callable[..., Process]) -> Iterator[Client]:
    start_example(start_process, broker, "example_service", "example")
    start_example(start_process, broker, "flight_booking")
    with Client({name: client_settings(broker.url) for name in ("example", "flight_booking")}) as client:
        yield client


@pytest.mark.usefixtures("client")
def test_the_client_script_makes_every_kind_of_call(broker: Broker) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "client.py")],
        env={"REDIS_URL": broker.url},
        capture_output=True,
        text=True,
        timeout=LIMIT_IN_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 10
    assert lines["one action"] == "{'square': 1764}"
    assert lines["jobs in parallel"].startswith("flight_booking: {'out': [{'flight': 'PY101'")
    assert lines["a response for later"] == "{'square': 144}"
    assert lines["an error"] == "INVALID in number: Not an integer"
    assert "'booked_by': 'ada', 'booked_through': 'example'" in lines["a call through another service"]


def test_a_booking_has_dates_decimals_and_an_amount_of_money(client: Client) -> None:
    body = client.call_action("flight_booking", "book_flight", BOOKING).body

    assert body["departure_date"] == datetime.date(2018, 7, 15)
    assert body["baggage_in_kg"] == decimal.Decimal("23.5")
    assert type(body["price"]).__name__ == "Amount"
    assert body["price"].value == 2 * 129_00 + 58_75
    assert (body["booked_by"], body["booked_through"]) == (None, None)


def test_an_amount_of_money_travels_as_one(broker: Broker, start_process: Callable[..., Process]) -> None:
    start_example(start_process, broker, "flight_booking")
    with Client({"flight_booking": client_settings(broker.url)}) as client:
        client.call_action("flight_booking", "book_flight", BOOKING)  # the connections are there
        with RawConnection(broker.url) as watching:
            assert watching.command("MONITOR") == b"OK"

            client.call_action("flight_booking", "book_flight", BOOKING)

            seen = watching.read()
            while b"RPUSH" not in seen or b"service.flight_booking." not in seen.split(b'"')[3]:
                seen = watching.read()
    assert rb"price\xc7\x0b\x02USD" in seen


def test_waiting_takes_the_time_that_was_asked_for(client: Client) -> None:
    assert client.call_action("example", "wait", {"seconds": 0.01}).body == {"waited": 0.01}


@pytest.mark.parametrize(
    ("action", "body", "errors"),
    [
        (
            "get_available_flights",
            {"departure_airport": "Nashville", "arrival_airport": "SFO", "departure_date": "2018-07-15"},
            [("INVALID", "departure_airport")],
        ),
        (
            "get_available_flights",
            {
                "departure_airport": "BNA",
                "arrival_airport": "SFO",
                "departure_date": "2018-07-15",
                "return_date": "2018-07-14",
            },
            [("INVALID", "return_date")],
        ),
        ("book_flight", {**BOOKING, "flight": "PY000"}, [("NOT_FOUND", "flight")]),
        ("book_flight", {**BOOKING, "passengers": [{"name": ""}]}, [("INVALID", "passengers.0.name")]),
        (
            "book_flight",
            {**BOOKING, "passengers": [{"name": "Ada"}, {"name": "Bo", "baggage_in_kg": decimal.Decimal(-1)}]},
            [("INVALID", "passengers.1.baggage_in_kg")],
        ),
    ],
)
def test_what_cannot_be_booked_is_refused_by_field(
    client: Client, action: str, body: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    with pytest.raises(CallActionError) as raised:
        client.call_action("flight_booking", action, body)

    found = raised.value.actions[0].errors
    assert [(error.code, error.field) for error in found] == errors
    assert all(error.is_caller_error for error in found)


def test_the_errors_of_a_nested_call_come_back_as_they_are(client: Client) -> None:
    nested = {"service": "flight_booking", "action": "book_flight", "body": {**BOOKING, "flight": "PY000"}}

    with pytest.raises(CallActionError) as raised:
        client.call_action("example", "call_service", nested)

    assert [(error.code, error.field) for error in raised.value.actions[0].errors] == [("NOT_FOUND", "flight")]


def test_the_examples_say_how_they_are(client: Client) -> None:
    for name in ("example", "flight_booking"):
        assert client.call_action(name, "status", {"verbose": True}).body["version"] == "1.0.0"


def test_sigterm_ends_an_example_with_code_0(broker: Broker, start_process: Callable[..., Process]) -> None:
    process = start_example(start_process, broker, "flight_booking")

    process.terminate()

    assert process.wait() == 0
