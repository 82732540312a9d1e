"""Jobs that are sent together and awaited together, by an asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.client.middleware import AsyncClientMiddleware
from pysoa.common.clock import monotonic
from pysoa.common.deadline import set_deadline
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import (
    DeadlinePassed,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
    MessageTooLarge,
)
from tests.support.client_transports import echo, lost, make_client, transport_of

ACTIONS = [{"action": "one"}, {"action": "two"}, {"action": "three"}]
SECOND_LOST = [{"action": "one"}, {"action": "lost"}, {"action": "three"}]


class Slow(AsyncClientMiddleware):
    def request(self, send_request: Any) -> Any:
        async def send(*args: Any) -> None:
            await asyncio.sleep(0)
            await send_request(*args)

        return send


@pytest.fixture(params=[False, True], ids=["bare", "middleware"])
def with_client(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs a test in a loop, with a client and the transport of its service."""
    middleware = [{"path": f"{__name__}:Slow", "object": Slow}] if request.param else []

    def run(test: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            client = make_client(transport="TwinTransport", client_class=AsyncClient, middleware=middleware)
            await test(client, transport_of(client))

        asyncio.run(asyncio.wait_for(run(), 20))

    return run


def names(responses: Any) -> list[Any]:
    return [response if isinstance(response, PySOAError) else response.action for response in responses]


def test_responses_are_in_the_order_of_the_jobs(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lambda body: None
        call = asyncio.create_task(client.call_actions_parallel("square", ACTIONS, timeout=7))
        while len(transport.sent) < 3:
            await asyncio.sleep(0)
        for request in reversed(transport.sent):
            transport.respond(request.request_id, echo(request.body))

        assert names(await call) == ["one", "two", "three"]
        assert transport.timeouts == [7, 7, 7]
        assert transport.pending == {}

    with_client(test)


def test_a_request_that_is_not_sent_fails_all_and_the_others_are_forgotten(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.send_errors.extend([None, MessageTooLarge(9, "too large")])

        with pytest.raises(MessageTooLarge) as raised:
            await client.call_actions_parallel("square", SECOND_LOST)

        assert raised.value.outcome == "unknown"
        assert transport.pending == {}

    with_client(test)


def test_errors_of_sending_and_receiving_are_put_into_their_slots(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        too_large, gone = MessageTooLarge(9, "too large"), MessageReceiveError("gone")
        transport.send_errors.extend([None, too_large, None])
        transport.answer = lambda body: gone if body["actions"][0]["action"] == "three" else echo(body)

        responses = await client.call_actions_parallel("square", ACTIONS, catch_transport_errors=True)

        assert names(responses) == ["one", too_large, gone]

    with_client(test)


def test_an_error_of_receiving_fails_all_and_the_others_are_forgotten(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lambda body: MessageReceiveError("gone") if "one" in str(body) else None

        with pytest.raises(MessageReceiveError, match="gone"):
            await client.call_actions_parallel("square", ACTIONS)

        assert transport.pending == {}
        assert len(transport.forgotten) == 2

    with_client(test)


def test_a_cancelled_call_forgets_its_requests(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lost
        call = asyncio.create_task(client.call_actions_parallel("square", SECOND_LOST))
        while len(transport.sent) < 3:
            await asyncio.sleep(0)

        call.cancel()
        await asyncio.wait([call])

        assert call.cancelled()
        assert transport.pending == {}

    with_client(test)


def test_a_future_keeps_what_has_come_for_the_next_try(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lost
        future = await client.call_actions_parallel_future("square", SECOND_LOST)
        for _ in range(2):
            with pytest.raises(MessageReceiveTimeout, match="No message received for service square"):
                await future.result(0.01)
        ((request_id, _),) = transport.pending.items()

        transport.respond(request_id, echo(transport.sent[0].body))

        assert names(await future.result()) == ["one", "one", "three"]

    with_client(test)


def test_a_future_that_catches_errors_gives_up_when_its_time_is_over(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lost
        future = await client.call_actions_parallel_future("square", SECOND_LOST, catch_transport_errors=True)

        one, error, three = await future.result(0.01)

        assert names([one, three]) == ["one", "three"]
        assert isinstance(error, MessageReceiveTimeout)
        assert transport.pending == {}

    with_client(test)


def test_a_response_that_can_come_no_more_is_a_timeout(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lambda body: None
        future = await client.call_action_future("square", "square")
        (reply,) = transport.pending.values()

        reply.cancel()

        with pytest.raises(MessageReceiveTimeout):
            await future.result()

    with_client(test)


def test_a_future_that_nobody_holds_is_forgotten(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.answer = lambda body: None
        await client.call_action_future("square", "square")
        await asyncio.sleep(0)

        assert transport.pending == {}

    with_client(test)


def test_nothing_is_sent_once_the_caller_of_the_job_has_gone(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        set_deadline(monotonic() - 1)

        with pytest.raises(DeadlinePassed):
            await client.call_actions_parallel("square", ACTIONS)
        responses = list(await client.call_actions_parallel("square", ACTIONS, catch_transport_errors=True))

        assert [type(response) for response in responses] == [DeadlinePassed] * 3
        assert transport.sent == []

    with_client(test)


def test_a_single_request_that_is_not_sent_says_so(with_client: Any) -> None:
    async def test(client: Any, transport: Any) -> None:
        transport.send_errors.append(MessageSendError("no connection", outcome="not_sent"))

        with pytest.raises(MessageSendError) as raised:
            await client.call_jobs_parallel([{"service_name": "square", "actions": ACTIONS}])

        assert raised.value.outcome == "not_sent"

    with_client(test)
