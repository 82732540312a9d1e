"""Responses of an asyncio server on their way: those that are begun together leave by one command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import hiredis
import pytest

from pysoa.common.transport.redis_gateway.async_connection import Owed
from pysoa.common.transport.redis_gateway.async_server import AsyncRedisServerTransport, RequestLine
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.connection import BrokerLost, BrokerRefused

REPLY_QUEUE = "service.ours.0123456789abcdef0123456789abcdef!"


class Connection:
    """Keeps what is sent; a test answers in the broker's place."""

    client_id = b"1"

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.owes: list[Owed] = []

    def send(self, packet: Sequence[bytes], owed: Sequence[Owed]) -> None:
        reader = hiredis.Reader()
        reader.feed(b"".join(packet))
        while (command := reader.gets()) is not False:
            self.sent.append(command)
        self.owes.extend(owed)

    def answer(self, reply: Any) -> None:
        """Give the same reply to all that is owed."""
        self.sent.clear()
        owes, self.owes = self.owes, []
        for owed in owes:
            owed.take(reply)

    def lose(self, error: BrokerLost) -> None:
        owes, self.owes = self.owes, []
        for owed in owes:
            owed.lost(error)

    def is_silent(self, seconds: float) -> bool:
        return False

    def close(self) -> None:
        pass


class Stage:
    """A transport whose only line leads to a test."""

    def __init__(self, **settings: Any) -> None:
        self.transport = AsyncRedisServerTransport(
            "ours",
            backend_type="redis.standard",
            backend_layer_kwargs={"hosts": [("127.0.0.1", 1)]},
            **settings,
        )
        self.counted: list[str] = []
        self.transport.core.count = self.counted.append  # type: ignore[method-assign]
        self.line = RequestLine(Master({}), self.transport)
        self.connection = Connection()
        self.line.main = self.connection  # type: ignore[assignment]
        self.transport._lines = [self.line]

    async def respond(self, *numbers: int, size: int = 1) -> list[list[bytes]]:
        """Send responses in one turn of the loop; what leaves then."""
        for number in numbers:
            body = {"actions": [{"body": {"number": number, "blob": b"x" * size}}]}
            await self.transport.send_response_message(number, {"reply_to": REPLY_QUEUE}, body)
        await asyncio.sleep(0)
        return [command for command in self.connection.sent if command[0] != b"EXPIRE"]

    async def close(self) -> None:
        await self.line.close()


def on_stage(play: Callable[[Stage], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def run() -> None:
        stage = Stage(**settings)
        try:
            await play(stage)
        finally:
            await stage.close()

    asyncio.run(run())


def test_responses_that_are_begun_together_leave_by_one_push() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        together = await stage.respond(1, 2, 3)
        stage.connection.answer(4)
        later = await stage.respond(4)

        assert [(command[0], len(command)) for command in together] == [(b"RPUSH", 5)]
        assert [(command[0], len(command)) for command in later] == [(b"RPUSH", 3)]

    on_stage(play)


def test_each_goes_by_the_script_while_nobody_knows_whether_there_is_room() -> None:
    async def play(stage: Stage) -> None:
        commands = await stage.respond(1, 2, 3)

        assert [command[0] for command in commands] == [b"EVALSHA"] * 3

    on_stage(play)


def test_chunks_of_one_response_are_not_joined_with_others() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        chunked = await stage.respond(1, size=250_000)
        stage.connection.answer(5)
        refused = await stage.respond(2, size=250_000)
        stage.connection.answer(BrokerRefused("OOM"))

        assert [len(command) for command in (*chunked, *refused)] == [5, 5]
        assert stage.counted == ["send.error.response"]

    on_stage(play, chunk_messages_larger_than_bytes=102_400, maximum_message_size_in_bytes=1_024_000)


def test_a_refusal_of_several_is_counted_for_each() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        await stage.respond(1, 2, 3)
        stage.connection.answer(BrokerRefused("OOM command not allowed"))

        assert stage.counted == ["send.error.response"] * 3

    on_stage(play)


def test_so_is_a_connection_that_breaks() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        await stage.respond(1, 2, 3)
        stage.connection.lose(BrokerLost("gone"))

        assert stage.counted == ["send.error.unknown"] * 3

    on_stage(play)


def test_what_could_not_leave_takes_no_later_response_along() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        for number in (1, 2):
            await stage.transport.send_response_message(number, {"reply_to": REPLY_QUEUE}, {})
        stage.line._fail_waiting(BrokerLost("gone"))
        later = await stage.respond(3)

        assert stage.counted == ["send.error.unknown"] * 2
        assert [len(command) for command in later] == [3]

    on_stage(play)


def test_answers_that_were_sent_are_not_kept() -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(1, 2)
        stage.connection.answer(1)
        await stage.respond(3, 4)
        stage.connection.answer(3)

        (kept,) = stage.transport._reply_queues.values()

        assert kept.waiting is not None
        assert kept.waiting.frames == []

    on_stage(play)


@pytest.mark.parametrize("capacity", [10])
def test_a_small_queue_is_asked_about_each_response(capacity: int) -> None:
    async def play(stage: Stage) -> None:
        await stage.respond(0)
        stage.connection.answer(1)

        assert [command[0] for command in await stage.respond(1, 2)] == [b"EVALSHA"] * 2

    on_stage(play, queue_capacity=capacity)
