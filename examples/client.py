"""Makes every kind of call to the two example services: ``python examples/client.py``.

Both have to be running, on the broker that ``REDIS_URL`` names.
"""

from __future__ import annotations

import os
from typing import Any

from pysoa.client import Client
from pysoa.client.errors import CallActionError

_SERVICE = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")]},
        },
    },
}


def main() -> None:
    with Client({"example": _SERVICE, "flight_booking": _SERVICE}) as client:
        one_action(client)
        one_job_of_several_actions(client)
        actions_in_parallel(client)
        jobs_in_parallel(client)
        a_response_for_later(client)
        an_error(client)
        a_call_through_another_service(client)


def one_action(client: Client) -> None:
    action_response = client.call_action("example", "square", {"number": 42})
    show("one action", action_response.body)


def one_job_of_several_actions(client: Client) -> None:
    job_response = client.call_actions(
        "example",
        [
            {"action": "square", "body": {"number": 42}},
            {"action": "status", "body": {"verbose": True}},
        ],
    )
    for action_response in job_response.actions:
        show(f"one job: {action_response.action}", action_response.body)


def actions_in_parallel(client: Client) -> None:
    action_responses = client.call_actions_parallel(
        "example",
        [
            {"action": "square", "body": {"number": 1035}},
            {"action": "status", "body": {"verbose": True}},
        ],
    )
    for action_response in action_responses:
        show(f"actions in parallel: {action_response.action}", action_response.body)


def jobs_in_parallel(client: Client) -> None:
    squares, flights = client.call_jobs_parallel(
        [
            {
                "service_name": "example",
                "actions": [{"action": "square", "body": {"number": number}} for number in (4, 8, 17)],
            },
            {
                "service_name": "flight_booking",
                "actions": [
                    {
                        "action": "get_available_flights",
                        "body": {
                            "departure_airport": "BNA",
                            "arrival_airport": "SFO",
                            "departure_date": "2018-07-15",
                            "return_date": "2018-07-20",
                        },
                    }
                ],
            },
        ]
    )
    show("jobs in parallel: example", [action_response.body for action_response in squares.actions])
    show("jobs in parallel: flight_booking", flights.actions[0].body)


def a_response_for_later(client: Client) -> None:
    future = client.call_action_future("example", "square", {"number": 12})
    # Time for other work.
    show("a response for later", future.result().body)


def an_error(client: Client) -> None:
    try:
        client.call_action("example", "square", {"number": "forty-two"})
    except CallActionError as error:
        for each in error.actions[0].errors:
            show("an error", f"{each.code} in {each.field}: {each.message}")


def a_call_through_another_service(client: Client) -> None:
    booking = {"flight": "PY101", "departure_date": "2018-07-15", "passengers": [{"name": "Ada Lovelace"}]}
    action_response = client.call_action(
        "example",
        "call_service",
        {"service": "flight_booking", "action": "book_flight", "body": booking},
        context={"user": "ada"},
    )
    show("a call through another service", action_response.body)


def show(what: str, value: Any) -> None:
    print(f"{what}: {value}")


if __name__ == "__main__":
    main()
