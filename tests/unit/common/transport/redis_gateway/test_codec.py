from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.errors import PySOAError
from pysoa.common.protocol.frames import LARGE, USUAL_HEADER, FrameAssembler
from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.transport.redis_gateway.backend.base import BrokerClock
from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPE_STANDARD, ProtocolVersion
from pysoa.common.transport.redis_gateway.core import RedisTransportClientCore

LATER, EARLIER = 4e9, 1e9
META = {"__expiry__": LATER}
BODY: dict[str, Any] = {"errors": [], "context": {}, "actions": []}


def core(**settings: Any) -> RedisTransportClientCore:
    return RedisTransportClientCore("svc", REDIS_BACKEND_TYPE_STANDARD, **settings)


def frame(message: Any) -> bytes:
    return USUAL_HEADER + MsgpackSerializer().dict_to_blob(message)


def reading(read: Any) -> Any:
    try:
        return read()
    except PySOAError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "data",
    [
        frame({"request_id": 7, "meta": META, "body": BODY}),
        frame({"request_id": 7, "meta": {**META, "client_version": [2, 0, 0]}, "body": BODY}),
        frame({"request_id": 7, "meta": META, "body": {"blob": b"x" * LARGE}}),
        frame({"request_id": 7, "meta": META}),
        frame({"request_id": "seven", "meta": {"__expiry__": int(LATER)}, "body": BODY}),
        frame({"request_id": 7, "meta": {"__expiry__": EARLIER}, "body": BODY}),
        frame({"meta": META, "body": BODY}),
        frame({"request_id": 7, "meta": [], "body": BODY}),
        USUAL_HEADER + b"\x93\x01\x02\x03",
        USUAL_HEADER + b"\x81",
        USUAL_HEADER,
        USUAL_HEADER + b"chunk-count:1;chunk-id:1;" + frame({"request_id": 7, "body": BODY})[len(USUAL_HEADER) :],
        b"pysoa-redis/3//content-type:application/json;" + b'{"request_id": 7, "meta": {}, "body": {}}',
        b"nonsense",
    ],
)
def test_a_reply_is_read_or_refused_as_any_message_is(data: bytes) -> None:
    ours, clock = core(), BrokerClock()

    def long_way() -> Any:
        whole = ours.whole_frame(data, FrameAssembler("svc"))
        return whole and ours.decode(whole, clock)

    assert reading(lambda: ours.read_reply(data, FrameAssembler("svc"), clock)) == reading(long_way)


def test_a_whole_message_after_a_chunk_is_refused_once_and_then_read() -> None:
    ours, clock, assembler = core(), BrokerClock(), FrameAssembler("svc")
    whole = frame({"request_id": 7, "meta": META, "body": BODY})

    assert ours.read_reply(USUAL_HEADER + b"chunk-count:2;chunk-id:1;abc", assembler, clock) is None
    message = ours.read_reply(whole, assembler, clock)

    assert message is not None
    assert message.request_id == 7
    assert not assembler.pieces


@pytest.mark.parametrize("settings", [{}, {"protocol_version": 2}, {"log_messages_larger_than_bytes": 10}])
@pytest.mark.parametrize(
    "asked", [{}, {"serializer": JSONSerializer()}, {"protocol_version": ProtocolVersion.VERSION_1}]
)
def test_a_request_is_framed_as_any_message_is(settings: dict[str, Any], asked: dict[str, Any]) -> None:
    ours = core(**settings)
    body: dict[str, Any] = {"control": {}, "context": {}, "actions": [{"action": "a", "body": {"when": {1, 2}}}]}

    frames = ours.request_frames(7, {"reply_to": "r", **asked}, body, LATER)

    assert frames == ours.sealed(7, {"reply_to": "r", **asked}, body, LATER)
