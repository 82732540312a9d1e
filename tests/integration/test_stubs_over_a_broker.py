"""Stubs beside calls that go over a real broker: what is not stubbed goes its usual way, in threads and loops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.types import JobResponse
from pysoa.test.coroutines import run_coroutine
from pysoa.test.services import RunningService, run_service
from pysoa.test.stub_service import stub_action
from tests.support.shop import ShopServer


@pytest.fixture
def service(broker: Broker) -> Iterator[RunningService]:
    with (
        run_service(ShopServer, broker.url) as running,
        stub_action("shop", "echo", side_effect=lambda body: {"number": -body["number"]}),
    ):
        yield running


def mixed(number: int) -> list[dict[str, Any]]:
    return [{"action": "square", "body": {"number": number}}, {"action": "echo", "body": {"number": number}}]


def bodies(response: JobResponse) -> list[Any]:
    return [action.body for action in response.actions]


def expected(number: int) -> list[Any]:
    return [{"square": number**2}, {"number": -number}]


def test_threads_that_share_a_client_get_their_own_responses(service: RunningService) -> None:
    client = service.client

    def call(number: int) -> None:
        assert bodies(client.call_actions("shop", mixed(number))) == expected(number)
        assert client.call_action("shop", "square", {"number": number}).body == {"square": number**2}
        parallel = client.call_actions_parallel("shop", mixed(number) + mixed(number + 1))
        assert [each.body for each in parallel] == expected(number) + expected(number + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(60)))
        futures = [client.call_actions_future("shop", mixed(number)) for number in range(20)]
        futures_of_service = [client.call_action_future("shop", "square", {"number": 3}) for _ in range(3)]
        results = list(threads.map(lambda future: bodies(future.result()), futures))
        results_of_service = list(threads.map(lambda future: future.result().body, futures_of_service))

    assert results == [expected(number) for number in range(20)]
    assert results_of_service == [{"square": 9}] * 3


def test_tasks_that_share_a_client_get_their_own_responses(service: RunningService) -> None:
    async def calls() -> tuple[list[Any], list[Any]]:
        async with service.async_client() as client:
            at_once = await asyncio.gather(*[client.call_actions("shop", mixed(number)) for number in range(60)])
            futures = [await client.call_actions_future("shop", mixed(number)) for number in range(20)]
            return [bodies(each) for each in at_once], [bodies(await each) for each in futures]

    at_once, later = run_coroutine(calls)

    assert at_once == [expected(number) for number in range(60)]
    assert later == [expected(number) for number in range(20)]
