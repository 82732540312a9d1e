"""Clients shared by threads."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse
from tests.support.client_transports import echo, make_client, transport_of

TRANSPORTS = ["ListeningTransport", "SharedTransport"]
KINDS = ["call", "call", "lost", "parallel", "future", "handed over", "send", "malformed"]


class Service:
    """Answers requests in an order of its own, some never, and tells lies in between."""

    def __init__(self, transport: Any, seed: int) -> None:
        self._transport = transport
        self._random = random.Random(seed)
        self._waiting: list[tuple[int, Any]] = []
        self._changed = threading.Condition()
        self._ends = False
        transport._send = self._take
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _take(self, request_id: int, meta: Any, body: Any, expiry: Any) -> None:
        with self._transport._changed:
            self._transport._ids[self._transport.channel()].add(request_id)
        with self._changed:
            self._waiting.append((request_id, body))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ends)
                if not self._waiting:
                    return
                request_id, body = self._waiting.pop(self._random.randrange(len(self._waiting)))
            name = body["actions"][0]["action"]
            if name == "malformed":
                self._transport.respond(request_id, {"actions": 5})
            elif name != "lost":
                self._transport.respond(request_id, echo(body))
                self._transport.respond(request_id, echo({**body, "actions": [{"action": "twice", "body": {}}]}))

    def end(self) -> None:
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join(10)


def play(client: Any, pool: ThreadPoolExecutor, kinds: list[str], thread: int) -> None:
    for step, kind in enumerate(kinds):
        body = {"thread": thread, "step": step}
        right = ActionResponse("a", [], body)
        if kind == "call":
            assert client.call_action("square", "a", body) == right
        elif kind == "lost":
            with pytest.raises(MessageReceiveTimeout):
                client.call_action("square", "lost", body, timeout=0.005)
        elif kind == "parallel":
            bodies = [{**body, "part": part} for part in range(3)]
            responses = client.call_actions_parallel("square", [{"action": "a", "body": one} for one in bodies])
            assert [response.body for response in responses] == bodies
        elif kind == "future":
            first, second = (client.call_action_future("square", "a", {**body, "part": part}) for part in range(2))
            assert second.result().body["part"] == 1
            assert first.result().body == {**body, "part": 0}
        elif kind == "handed over":
            future = client.call_action_future("square", "a", body)
            assert pool.submit(future.result).result(10) == right
        elif kind == "malformed":
            (error,) = client.call_actions_parallel("square", [{"action": "malformed"}], catch_transport_errors=True)
            assert type(error).__name__ == "InvalidMessageError"
        else:
            client.send_request("square", [{"action": "a", "body": body}])


@pytest.mark.parametrize("transport", TRANSPORTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    threads=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8), min_size=2, max_size=5),
    seed=st.integers(0, 2**20),
)
def test_every_caller_gets_its_own_responses_and_no_other(transport: str, threads: list[list[str]], seed: int) -> None:
    client = make_client(transport=transport)
    service = Service(transport_of(client), seed)

    with ThreadPoolExecutor(2) as helpers, ThreadPoolExecutor(len(threads)) as pool:
        plays = [pool.submit(play, client, helpers, kinds, number) for number, kinds in enumerate(threads)]
        for one in plays:
            one.result(30)
    service.end()

    awaited = client.handlers["square"]._awaited
    sent_only = sum(kinds.count("send") for kinds in threads)
    assert len(awaited._known) == sent_only
    assert awaited._leaders == {}
    assert awaited._followers == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_threads_that_ask_for_all_responses_get_each_once(transport: str) -> None:
    client = make_client(transport=transport)
    service = Service(transport_of(client), 1)
    got: list[int] = []

    def send_and_receive() -> list[int]:
        ids = [client.send_request("square", [{"action": "a"}]) for _ in range(20)]
        got.extend(request_id for request_id, _ in client.get_all_responses("square"))
        return ids

    with ThreadPoolExecutor(4) as pool:
        sent = [
            request_id for one in [pool.submit(send_and_receive) for _ in range(4)] for request_id in one.result(30)
        ]
    service.end()

    assert sorted(got) == sorted(sent)


def test_a_handler_is_made_once_though_several_threads_are_the_first() -> None:
    for _ in range(20):
        client = make_client()
        together = threading.Barrier(4)

        def first_use(client: Any = client, together: Any = together) -> Any:
            together.wait(10)
            return client._get_handler("square")

        with ThreadPoolExecutor(4) as pool:
            handlers = [one.result(10) for one in [pool.submit(first_use) for _ in range(4)]]
        assert len(set(map(id, handlers))) == 1


def test_one_thread_may_wait_for_what_another_sent_and_has_ended() -> None:
    client = make_client(transport="ListeningTransport")
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(client.call_action_future("square", "a", {"n": 1})))
    thread.start()
    thread.join(10)

    assert made[0].result().body == {"n": 1}
