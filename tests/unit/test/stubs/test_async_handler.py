from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.client.errors import CallActionError, CallJobError, NoResponse
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest
from pysoa.server.errors import ActionError, JobError
from pysoa.test.coroutines import run_coroutine
from pysoa.test.stub_service import StubExhausted, stub_action
from tests.unit.test.stubs.test_active import BAD_SQUARE, ECHO, EXPANSIONS, SHOP, SQUARE, STUBBED, bodies

E = Error("E", "m E")

Run = Callable[[Callable[[AsyncClient], Awaitable[None]]], None]


@pytest.fixture(params=[1, 5], ids=["thread", "loop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine function with a client of a shop that blocks, or does not."""
    kwargs = {**SHOP["transport"]["kwargs"], "server_settings": {"concurrency": request.param}}
    config = {"shop": {"transport": {**SHOP["transport"], "kwargs": kwargs}}}

    async def with_client(function: Callable[[AsyncClient], Awaitable[None]]) -> None:
        async with AsyncClient(config, EXPANSIONS) as client:
            await function(client)
        assert "_get_handler" not in vars(AsyncClient)

    return lambda function: run_coroutine(with_client, function)


def test_all_ways_to_call_are_answered(run: Run) -> None:
    async def calls(client: AsyncClient) -> None:
        jobs = [
            {"service_name": "shop", "actions": [SQUARE]},
            {"service_name": "cart", "actions": [{"action": "show"}]},
        ]
        with stub_action("shop", "echo", body=STUBBED) as stub, stub_action("cart", "show", body={"n": 1}):
            assert (await client.call_action("cart", "show", {"id": 1})).body == {"n": 1}
            assert (await client.call_action("cart", "show", control_extra={"x": 1}, timeout=5)).body == {"n": 1}
            assert (await client.call_action("shop", "square", {"number": 3})).body == {"square": 9}
            assert bodies(await client.call_actions("shop", [ECHO, SQUARE, ActionRequest("echo")])) == [
                STUBBED,
                {"square": 4},
                STUBBED,
            ]
            answers = await client.call_actions_parallel("shop", [ECHO, SQUARE, ECHO])
            assert [answer.body for answer in answers] == [STUBBED, {"square": 4}, STUBBED]
            assert [bodies(each) for each in await client.call_jobs_parallel(jobs)] == [[{"square": 4}], [{"n": 1}]]
            before = stub.call_count
            future = await client.call_action_future("shop", "echo")
            assert stub.call_count == before + 1
            assert (await future).body == STUBBED
            assert bodies(await (await client.call_actions_future("shop", [SQUARE, ECHO]))) == [{"square": 4}, STUBBED]
            assert [bodies(each) for each in await (await client.call_jobs_parallel_future(jobs))][1] == [{"n": 1}]
            with pytest.raises(AsyncClient.ImproperlyConfigured, match='Unrecognized service name "other"'):
                await client.call_action("other", "show")

    run(calls)


def test_responses_are_received_by_hand_too(run: Run) -> None:
    async def calls(client: AsyncClient) -> None:
        with stub_action("shop", "echo", body=STUBBED):
            pure = await client.send_request("shop", [ECHO])
            mixed = await client.send_request("shop", [ECHO, SQUARE])
            real = await client.send_request("shop", [SQUARE])
            await client.send_request("shop", [ECHO], suppress_response=True)
            received = [pair async for pair in client.with_context({}).get_all_responses("shop")]
            assert [number for number, _ in received] == [real, pure, mixed]
            assert [bodies(each) for _, each in received] == [[{"square": 4}], [STUBBED], [STUBBED, {"square": 4}]]
            assert [pair async for pair in client.get_all_responses("shop")] == []

    run(calls)


@pytest.mark.parametrize(
    ("actions", "continues", "expected"),
    [
        ([BAD_SQUARE, ECHO, SQUARE], False, [["INVALID"]]),
        ([SQUARE, ECHO, SQUARE], False, [{"square": 4}, ["E"]]),
        ([BAD_SQUARE, ECHO, SQUARE], True, [["INVALID"], ["E"], {"square": 4}]),
    ],
)
def test_errors_end_a_job_unless_it_goes_on(run: Run, actions: list[Any], continues: bool, expected: list[Any]) -> None:
    async def calls(client: AsyncClient) -> None:
        with stub_action("shop", "echo", errors=[E]):
            response = await client.call_actions(
                "shop", actions, raise_action_errors=False, continue_on_error=continues
            )
            assert bodies(response) == expected

    run(calls)


def test_exceptions_of_the_mock_are_those_of_calls(run: Run) -> None:
    async def calls(client: AsyncClient) -> None:
        effects = [ActionError([E]), JobError([E]), MessageReceiveTimeout("late"), ZeroDivisionError("odd")]
        with stub_action("shop", "echo", side_effect=effects):
            for kind in (CallActionError, CallJobError, MessageReceiveTimeout, ZeroDivisionError):
                with pytest.raises(kind):
                    await client.call_actions("shop", [SQUARE, ECHO])
            with pytest.raises(RuntimeError, match=r"the stub of shop\.echo are used up") as failure:
                await client.call_action("shop", "echo")
            assert isinstance(failure.value.__cause__, StubExhausted)
        with stub_action("shop", "echo", side_effect=[{"n": 1}, MessageReceiveTimeout("late"), {"n": 3}]):
            first, late, third = await client.call_actions_parallel("shop", [ECHO] * 3, catch_transport_errors=True)
            assert (first.body, third.body) == ({"n": 1}, {"n": 3})
            assert isinstance(late, MessageReceiveTimeout)
        with stub_action("shop", "echo"), pytest.raises(NoResponse):
            await client.call_action("shop", "echo", control_extra={"suppress_response": True})
        assert [pair async for pair in client.get_all_responses("shop")] == []

    run(calls)


def test_a_call_that_takes_too_long_or_is_cancelled_is_forgotten(run: Run) -> None:
    async def calls(client: AsyncClient) -> None:
        with stub_action("shop", "echo", body=STUBBED):
            call = asyncio.ensure_future(client.call_actions("shop", [SQUARE, ECHO]))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert bodies(await client.call_actions("shop", [SQUARE, ECHO])) == [{"square": 4}, STUBBED]

    run(calls)


def test_many_calls_at_once_keep_their_responses_apart(run: Run) -> None:
    async def call(client: AsyncClient, number: int) -> list[Any]:
        body = {"number": number}
        return bodies(
            await client.call_actions("shop", [{"action": "square", "body": body}, {"action": "echo", "body": body}])
        )

    async def calls(client: AsyncClient) -> None:
        with stub_action("shop", "echo", side_effect=lambda body: {"number": -body["number"]}):
            results = await asyncio.gather(*[call(client, number) for number in range(100)])
        assert results == [[{"square": number**2}, {"number": -number}] for number in range(100)]

    run(calls)


def test_what_actions_call_is_stubbed_and_expansions_are(run: Run) -> None:
    async def calls(client: AsyncClient) -> None:
        body = {"service": "cart", "action": "show", "body": {"id": 1}}
        authors = {"authors": {1: {"_type": "author", "name": "Ada"}}}
        with (
            stub_action("cart", "show", body={"_type": "book", "author_id": 1}) as stub,
            stub_action("authors", "by_id", body=authors),
        ):
            for relay in ("relay", "async_relay"):
                response = await client.call_action("shop", relay, body, expansions={"book": ["author"]})
                assert response.body["author"] == {"_type": "author", "name": "Ada"}
            assert stub.call_bodies == ({"id": 1}, {"id": 1})

    run(calls)


def test_subclasses_are_answered_too() -> None:
    class Other(AsyncClient):
        pass

    async def call() -> Any:
        async with Other({}) as client:
            return (await client.call_action("cart", "show")).body

    with stub_action("cart", "show", body={"n": 1}):
        assert run_coroutine(call) == {"n": 1}
