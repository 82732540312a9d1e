"""The recorded frames: what 1.4.9 made of each, and which bytes it sent."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pysoa.common.errors import PySOAError
from pysoa.common.protocol.envelope import read_envelope
from pysoa.common.protocol.frames import Frame, FrameAssembler, read_frame, write_frames
from pysoa.common.protocol.versions import ProtocolVersion
from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from tests.support.vectors import from_notation, load, same

READING = load("transport_reading")
NOW = READING["fixed"]["time"]
CASES = {case["name"]: case for case in READING["cases"]}

FIRST_CHUNK = "chunks begin with the first: the tail of a message is never taken for one"
FOREIGN = "a foreign exception of 1.4.9 is InvalidMessageError"

# Name of the case -> the class raised instead, and why. Each reason has a row in docs/reference/deviations.md.
DEVIATIONS = {
    "chunk_id_not_a_number": ("InvalidMessageError", FOREIGN),
    "chunk_id_zero": ("InvalidMessageError", FIRST_CHUNK),
    "chunks_start_at_2": ("InvalidMessageError", FIRST_CHUNK),
    "expiry_string": ("InvalidMessageError", FOREIGN),
    "meta_list": ("InvalidMessageError", FOREIGN),
    "meta_none": ("InvalidMessageError", FOREIGN),
    "top_level_int": ("InvalidMessageError", FOREIGN),
    "top_level_list": ("InvalidMessageError", FOREIGN),
    "v0": ("InvalidMessageError", FOREIGN),
    "v4": ("InvalidMessageError", FOREIGN),
}

UNSUPPORTED = "Unsupported chunked request on server Redis backend"  # said by the transport, which knows its side
NOTHING_LEFT = "No message received for service vec"  # said by the transport, which waits


def received(frames: list[str]) -> tuple[Frame, tuple[Any, ...], str, int]:
    """Do what a transport does with frames, as far as the protocol goes."""
    assembler = FrameAssembler("vec")
    left = [bytes.fromhex(frame) for frame in frames]
    whole = None
    while whole is None:
        if not left:
            raise TimeoutError
        whole = assembler.feed(read_frame(left.pop(0)))
    known = whole.content_type in Serializer.all_supported_mime_types
    serializer = Serializer.resolve_serializer(whole.content_type or "") if known else MsgpackSerializer()
    return whole, read_envelope(serializer.blob_to_dict(whole.payload), "vec", NOW), serializer.mime_type, len(left)


def is_of_the_protocol(case: dict[str, Any], side: str) -> bool:
    return case[side].get("error", {}).get("message") not in (UNSUPPORTED, NOTHING_LEFT)


SIDES = [
    (name, side) for name, case in CASES.items() for side in ("client", "server") if is_of_the_protocol(case, side)
]


def test_every_deviation_is_that_of_a_case() -> None:
    assert DEVIATIONS.keys() <= CASES.keys()


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_each_recorded_frame_is_read_or_refused_as_it_was(name: str, side: str) -> None:
    case = CASES[name]
    expected = case[side]
    frames = case["frames_hex"] if side == "client" else case["frames_hex"][:1]

    if "error" in expected:
        with pytest.raises(PySOAError) as refusal:
            received(frames)

        kind = DEVIATIONS[name][0] if name in DEVIATIONS else expected["error"]["class"]
        assert type(refusal.value).__name__ == kind
        if name not in DEVIATIONS and kind != "InvalidMessage":
            assert refusal.value.args[0] == expected["error"]["message"]
    else:
        frame, (request_id, meta, body), mime_type, left = received(frames)
        assert same(request_id, expected["request_id"])
        assert same(meta, from_notation(expected["meta"]))
        assert same(body, from_notation(expected["body"]))
        assert (frame.version, mime_type) == (expected["seen_protocol_version"], expected["seen_content_type"])
        assert left == expected["frames_left_unread"]


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case["client"].get("error", {}).get("message") == NOTHING_LEFT]
)
def test_missing_chunks_are_waited_for(name: str) -> None:
    if name in DEVIATIONS:
        with pytest.raises(PySOAError):
            received(CASES[name]["frames_hex"])
    else:
        with pytest.raises(TimeoutError):
            received(CASES[name]["frames_hex"])


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case["server"].get("error", {}).get("message") == UNSUPPORTED]
)
def test_chunked_requests_are_seen_to_be_chunked(name: str) -> None:
    data = bytes.fromhex(CASES[name]["frames_hex"][0])

    if name == "chunk_id_not_a_number":
        with pytest.raises(PySOAError):
            read_frame(data)
    else:
        assert read_frame(data).chunk_count is not None


SENT = {
    f"{trip['name']}-{side}": (trip["content_type"], trip[side])
    for trip in load("transport_round_trips")["round_trips"]
    for side in ("request", "response")
    if trip.get(side)
}


@pytest.mark.parametrize("name", SENT)
def test_each_recorded_message_is_framed_as_it_was(name: str) -> None:
    content_type, recorded = SENT[name]
    first = recorded["frames"][0]
    header = read_frame(first["header_text"].encode())
    mime_type = header.content_type or content_type
    message = from_notation(recorded.get("joined_message") or first["message"])

    payload = Serializer.resolve_serializer(mime_type).message_to_blob(message)
    frames = write_frames(header.version, mime_type, payload, 102_400)

    assert [len(frame) for frame in frames] == [frame["frame_length"] for frame in recorded["frames"]]
    for frame, expected in zip(frames, recorded["frames"], strict=True):
        if "frame_hex" in expected:
            assert frame.hex() == expected["frame_hex"]
        else:
            assert hashlib.sha256(frame).hexdigest() == expected["frame_sha256"]


def test_recorded_messages_are_of_every_version_and_format() -> None:
    firsts = [recorded["frames"][0]["header_text"].encode() for _, recorded in SENT.values()]

    kinds = {(read_frame(first).version, read_frame(first).content_type) for first in firsts}

    assert {version for version, _ in kinds} == set(ProtocolVersion)
    assert {content_type for _, content_type in kinds} == {None, "application/json", "application/msgpack"}
