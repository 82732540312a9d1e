"""Every reading vector: what a client and a server make of frames on their queues, good ones and bad ones.

The clock stands still at the moment of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.transport.redis_gateway.async_replies import AwaitedReply, ReplyBox, ReplyLine
from pysoa.common.transport.redis_gateway.async_server import AsyncRedisServerTransport
from pysoa.common.transport.redis_gateway.core import (
    RedisTransportClientCore,
    RedisTransportCore,
    RedisTransportServerCore,
)
from tests.support.loops import LoopThread
from tests.support.vector_runs import Lists, StandingClock
from tests.support.vectors import from_notation, load, same

VECTORS = load("transport_reading")
VECTORS_0_42 = load("transport_reading_0.42.0")
CASES = {case["name"]: case for case in VECTORS["cases"]}
CASES_0_42 = {case["name"]: case for case in VECTORS_0_42["cases"]}
CORES: dict[str, type[RedisTransportCore]] = {"client": RedisTransportClientCore, "server": RedisTransportServerCore}
EVERY_CASE = [(side, name) for name in CASES for side in CORES]

# These have headers, which 0.42.0 did not know and so refused. CASES has the same frames, and what 1.4.9 read in them.
LEFT_OUT_OF_0_42 = ("v2", "v3", "v3_json")
EVERY_CASE_0_42 = [(side, name) for name in CASES_0_42 for side in CORES if name not in LEFT_OUT_OF_0_42]

QUEUE = "service.vec.0123456789abcdef0123456789abcdef!7f00deadbeef"
LONG_ENOUGH = 5.0
SHORT = 0.2  # where nothing more is to come


class Refusal(NamedTuple):
    """An error, and how many frames it leaves on the queue."""

    error: type[PySOAError]
    text: str
    frames_left: int


ERRORS = {error.__name__: error for error in (InvalidMessage, InvalidMessageError, MessageReceiveTimeout)}
NO_MAP = "Message is not a map for service vec"

# Where we refuse otherwise. Foreign exceptions of 1.4.9 are InvalidMessageError; the other rows have rows in
# docs/reference/deviations.md.
REFUSALS: dict[tuple[str, str], Refusal] = {
    ("client", "v0"): Refusal(InvalidMessageError, "0 is not a valid ProtocolVersion", 0),
    ("server", "v0"): Refusal(InvalidMessageError, "0 is not a valid ProtocolVersion", 0),
    ("client", "v4"): Refusal(InvalidMessageError, "4 is not a valid ProtocolVersion", 0),
    ("server", "v4"): Refusal(InvalidMessageError, "4 is not a valid ProtocolVersion", 0),
    ("client", "expiry_string"): Refusal(InvalidMessageError, "Expiry is not a number for service vec", 0),
    ("server", "expiry_string"): Refusal(InvalidMessageError, "Expiry is not a number for service vec", 0),
    ("client", "meta_none"): Refusal(InvalidMessageError, "Meta is not a map for service vec", 0),
    ("server", "meta_none"): Refusal(InvalidMessageError, "Meta is not a map for service vec", 0),
    ("client", "meta_list"): Refusal(InvalidMessageError, "Meta is not a map for service vec", 0),
    ("server", "meta_list"): Refusal(InvalidMessageError, "Meta is not a map for service vec", 0),
    ("client", "top_level_list"): Refusal(InvalidMessageError, NO_MAP, 0),
    ("server", "top_level_list"): Refusal(InvalidMessageError, NO_MAP, 0),
    ("client", "top_level_int"): Refusal(InvalidMessageError, NO_MAP, 0),
    ("server", "top_level_int"): Refusal(InvalidMessageError, NO_MAP, 0),
    ("client", "chunk_id_not_a_number"): Refusal(InvalidMessageError, "Invalid number of a chunk: one", 0),
    ("server", "chunk_id_not_a_number"): Refusal(InvalidMessageError, "Invalid number of a chunk: one", 0),
    # Chunks are counted from 1. 1.4.9 began with any number, and then waited for one that could not come.
    ("client", "chunks_start_at_2"): Refusal(
        InvalidMessageError, "Invalid chunked response has incorrect chunk ID 2 expected 1 of 2 for service vec.", 1
    ),
    ("client", "chunk_id_zero"): Refusal(
        InvalidMessageError, "Invalid chunked response has incorrect chunk ID 0 expected 1 of 2 for service vec.", 1
    ),
}


@pytest.fixture
def lists(broker: Broker) -> Iterator[Lists]:
    lists = Lists(broker)
    yield lists
    lists.close()


@pytest.fixture
def core(side: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisTransportCore]:
    """One end of the gateway, in the time of the recording."""
    core = CORES[side](
        service_name="vec",
        backend_type="redis.standard",
        backend_layer_kwargs={"hosts": [("127.0.0.1", broker.port)]},
    )
    (master,) = core.backend_layer.masters(float("inf"))
    monkeypatch.setattr(master, "clock", StandingClock(VECTORS["fixed"]["time"]))
    yield core
    core.backend_layer.close()


def push_case(lists: Lists, case: dict[str, Any], side: str) -> None:
    frames = [bytes.fromhex(frame) for frame in case["frames_hex"]]
    lists.push(QUEUE, *(frames if side == "client" else frames[:1]))


def expected_refusal(side: str, case: dict[str, Any]) -> Refusal | None:
    """How the case is to be refused, its text empty where it is not PySOA's; None for a good message."""
    recorded = case[side]
    if (side, case["name"]) in REFUSALS:
        return REFUSALS[side, case["name"]]
    if "error" not in recorded:
        return None
    error = ERRORS[recorded["error"]["class"]]
    text = "" if error is InvalidMessage else recorded["error"]["message"]
    return Refusal(error, text, recorded["frames_left_unread"])


def assert_as_recorded(message: ReceivedMessage, recorded: dict[str, Any]) -> None:
    assert message.meta is not None
    version = message.meta.pop("protocol_version")
    serializer = message.meta.pop("serializer")
    assert message.request_id == recorded["request_id"]
    assert same(message.meta, from_notation(recorded["meta"]))
    assert same(message.body, from_notation(recorded["body"]))
    assert version == recorded.get("seen_protocol_version", 1)
    assert serializer.mime_type == recorded.get("seen_content_type", "application/msgpack")


def refused_as_expected(core: RedisTransportCore, refusal: Refusal) -> None:
    with pytest.raises(PySOAError) as raised:
        core.receive_message(QUEUE, SHORT if refusal.error is MessageReceiveTimeout else LONG_ENOUGH)

    assert type(raised.value) is refusal.error
    assert refusal.text in str(raised.value)


def test_the_tables_are_about_cases() -> None:
    foreign = {
        (side, name) for side, name in EVERY_CASE if CASES[name][side].get("error", {}).get("module") == "builtins"
    }

    assert (len(CASES), len(CASES_0_42)) == (67, 29)
    assert foreign <= REFUSALS.keys() <= set(EVERY_CASE)
    assert all(CASES[name]["frames_hex"] == CASES_0_42[name]["frames_hex"] for name in LEFT_OUT_OF_0_42)


def assert_read_or_refused(core: RedisTransportCore, lists: Lists, side: str, case: dict[str, Any]) -> None:
    push_case(lists, case, side)
    refusal = expected_refusal(side, case)

    if refusal is None:
        assert_as_recorded(core.receive_message(QUEUE, LONG_ENOUGH), case[side])
    else:
        refused_as_expected(core, refusal)

    left = case[side]["frames_left_unread"] if refusal is None else refusal.frames_left
    assert len(lists.all_of(QUEUE)) == left


@pytest.mark.parametrize(("side", "name"), EVERY_CASE)
def test_frames_are_read_or_refused_as_by_1_4_9(core: RedisTransportCore, lists: Lists, side: str, name: str) -> None:
    assert_read_or_refused(core, lists, side, CASES[name])


@pytest.mark.parametrize(("side", "name"), EVERY_CASE_0_42)
def test_bare_payloads_are_read_or_refused_as_by_0_42(
    core: RedisTransportCore, lists: Lists, side: str, name: str
) -> None:
    assert_read_or_refused(core, lists, side, CASES_0_42[name])


# The same frames in an event loop


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    loop = LoopThread()
    yield loop
    loop.stop()


GOOD = bytes.fromhex(CASES["v3"]["frames_hex"][0])
"""A frame that is read, as all are that come after one that is refused."""

# A frame here does not continue the message that the one before it began. A client that goes on waiting has it begin
# another, which is refused for another reason, if at all.
NOT_CONTINUED = {"chunks_second_unchunked", "chunks_out_of_order", "chunks_repeat_first", "chunks_different_count"}


@pytest.mark.parametrize(("side", "name"), [(side, name) for side, name in EVERY_CASE if side == "client"])
def test_asyncio_client_reads_what_the_other_reads_and_drops_what_that_refuses(
    core: RedisTransportCore, loop: LoopThread, monkeypatch: pytest.MonkeyPatch, side: str, name: str
) -> None:
    case = CASES[name]
    refusal = expected_refusal(side, case)
    request_id = case[side].get("request_id", 77)
    dropped: list[Exception] = []
    monkeypatch.setattr(core, "warn", lambda kind, text, *arguments: dropped.extend(arguments))

    async def take(frames: list[bytes]) -> tuple[ReceivedMessage | None, ReceivedMessage | None]:
        """What is read in the frames, and in a good one behind them."""
        (master,) = core.backend_layer.masters(float("inf"))
        box = ReplyBox(core, ReplyLine(master), QUEUE, b"pysoa:" + QUEUE.encode())
        found: list[ReceivedMessage | None] = []
        for part, wanted in ((frames, request_id), ([GOOD], 77)):
            future = loop.loop.create_future()
            box.pending = {wanted: AwaitedReply(core, wanted, future, float("inf"))}
            box.take(part)
            found.append(future.result() if future.done() else None)
        return found[0], found[1]

    message, next_message = loop.run(take([bytes.fromhex(frame) for frame in case["frames_hex"]]))

    assert next_message is not None
    if refusal is None:
        assert message is not None
        assert_as_recorded(message, case[side])
        assert dropped == []
    elif name not in NOT_CONTINUED:
        assert message is None
        nothing_came = refusal.text.startswith("No message received")
        assert nothing_came or (type(dropped[0]) is refusal.error and refusal.text in str(dropped[0]))


@pytest.mark.parametrize(("side", "name"), [(side, name) for side, name in EVERY_CASE if side == "server"])
def test_asyncio_server_reads_what_the_other_reads_and_refuses_what_that_refuses(
    core: RedisTransportCore,
    broker: Broker,
    lists: Lists,
    loop: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    name: str,
) -> None:
    case = CASES[name]
    refusal = expected_refusal(side, case)
    lists.push("service.vec", bytes.fromhex(case["frames_hex"][0]), GOOD)
    transport = AsyncRedisServerTransport(
        "vec", backend_type="redis.standard", backend_layer_kwargs={"hosts": [("127.0.0.1", broker.port)]}
    )
    monkeypatch.setattr(transport, "core", core)
    monkeypatch.setattr(transport, "_check_reply_to", lambda reply_to: None)  # those of the vectors have none

    if refusal is None:
        assert_as_recorded(loop.run(transport.receive_request_message()), case[side])
    elif refusal.error is not MessageReceiveTimeout:  # the expired are dropped without a word
        with pytest.raises(PySOAError) as raised:
            loop.run(transport.receive_request_message())
        assert type(raised.value) is refusal.error
        assert refusal.text in str(raised.value)
    assert_as_recorded(loop.run(transport.receive_request_message()), CASES["v3"][side])
    loop.run(transport.aclose())
