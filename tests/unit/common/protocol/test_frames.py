from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysoa.common.protocol.frames import Frame, FrameAssembler, frame_header, read_frame, write_frames
from pysoa.common.protocol.versions import ProtocolVersion
from pysoa.common.transport.errors import InvalidMessageError, MessageTooLarge

V1, V2, V3 = ProtocolVersion.VERSION_1, ProtocolVersion.VERSION_2, ProtocolVersion.VERSION_3
MSGPACK = "application/msgpack"
JSON = "application/json"


def chunk(payload: bytes, chunk_id: int | None, *, of: int | None, content_type: str | None = MSGPACK) -> Frame:
    return Frame(V3, content_type, of, chunk_id, payload)


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        pytest.param(
            b"pysoa-redis/3//content-type:application/msgpack;\x80", Frame(V3, MSGPACK, None, None, b"\x80"), id="v3"
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/json;{}", Frame(V3, JSON, None, None, b"{}"), id="v3 JSON"
        ),
        pytest.param(b"content-type:application/msgpack;\x80", Frame(V2, MSGPACK, None, None, b"\x80"), id="v2"),
        pytest.param(b"content-type:application/json;{}", Frame(V2, JSON, None, None, b"{}"), id="v2 JSON"),
        pytest.param(b"\x80", Frame(V1, None, None, None, b"\x80"), id="v1"),
        pytest.param(b'{"a": 1}', Frame(V1, None, None, None, b'{"a": 1}'), id="v1 JSON"),
        pytest.param(b"", Frame(V1, None, None, None, b""), id="nothing"),
        pytest.param(b"pysoa-redis/3//\x80", Frame(V3, None, None, None, b"\x80"), id="no content type"),
        pytest.param(
            b"pysoa-redis/3//content-type:application/msgpack;", Frame(V3, MSGPACK, None, None, b""), id="no payload"
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/msgpack;chunk-count:12;chunk-id:3;\x80",
            Frame(V3, MSGPACK, 12, 3, b"\x80"),
            id="chunk",
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/json;chunk-id:3;chunk-count:12;{",
            Frame(V3, JSON, 12, 3, b"{"),
            id="chunk of JSON, headers swapped",
        ),
        pytest.param(
            b"pysoa-redis/3// \tcontent-type : application/msgpack\n ;\x80",
            Frame(V3, MSGPACK, None, None, b"\x80"),
            id="blanks in a header",
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/msgpack; \n\x80",
            Frame(V3, MSGPACK, None, None, b" \n\x80"),
            id="blanks after the last header",
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/json;content-type:application/msgpack;\x80",
            Frame(V3, MSGPACK, None, None, b"\x80"),
            id="the last of two",
        ),
        pytest.param(
            b"pysoa-redis/3//Content-Type:application/json;{}",
            Frame(V3, None, None, None, b"Content-Type:application/json;{}"),
            id="upper case",
        ),
        pytest.param(
            b"pysoa-redis/3//content-type:application/msgpack;x-extra:1;\x80",
            Frame(V3, MSGPACK, None, None, b"x-extra:1;\x80"),
            id="unknown header",
        ),
        pytest.param(
            b"pysoa-redis/3//chunk-id:one;\x80", Frame(V3, None, None, None, b"\x80"), id="chunk id without count"
        ),
        pytest.param(
            b"pysoa-redis/3//chunk-count:2;\x80", Frame(V3, None, 2, None, b"\x80"), id="chunk count without id"
        ),
    ],
)
def test_frames_are_taken_apart(data: bytes, frame: Frame) -> None:
    assert read_frame(data) == frame


@pytest.mark.parametrize("number", [b"0", b"4", b"9" * 5000])
def test_a_version_that_does_not_exist_is_refused(number: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="is not a valid ProtocolVersion"):
        read_frame(b"pysoa-redis/" + number + b"//\x80")


@pytest.mark.parametrize(
    "headers",
    [
        b"chunk-count:two;chunk-id:1;",
        b"chunk-count:2;chunk-id:one;",
        b"chunk-count:-2;chunk-id:1;",
        b"chunk-count:2;chunk-id:1.0;",
        b"chunk-count:1_0;chunk-id:1;",
        b"chunk-count:" + b"9" * 5000 + b";chunk-id:1;",
    ],
)
def test_numbers_of_chunks_that_are_none_are_refused(headers: bytes) -> None:
    with pytest.raises(InvalidMessageError, match=r"^Invalid number of a chunk: ") as refusal:
        read_frame(b"pysoa-redis/3//content-type:application/msgpack;" + headers + b"\x80")

    assert len(str(refusal.value)) < 60


@pytest.mark.parametrize(
    ("version", "mime_type", "header"),
    [
        (V1, MSGPACK, b""),
        (V2, MSGPACK, b"content-type:application/msgpack;"),
        (V2, "test/own", b"content-type:test/own;"),
        (V3, MSGPACK, b"pysoa-redis/3//content-type:application/msgpack;"),
        (V3, JSON, b"pysoa-redis/3//content-type:application/json;"),
    ],
)
def test_a_whole_message_is_one_frame(version: ProtocolVersion, mime_type: str, header: bytes) -> None:
    assert frame_header(version, mime_type) == header
    assert write_frames(version, mime_type, b"\x81\x01\x02") == [header + b"\x81\x01\x02"]
    assert write_frames(version, mime_type, b"\x81\x01\x02", 3) == [header + b"\x81\x01\x02"]
    assert write_frames(version, mime_type, b"\x81\x01\x02", 0) == [header + b"\x81\x01\x02"]


def test_a_large_payload_is_cut_into_chunks() -> None:
    assert write_frames(V3, MSGPACK, b"abcdefgh", 3) == [
        b"pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:1;abc",
        b"pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:2;def",
        b"pysoa-redis/3//content-type:application/msgpack;chunk-count:3;chunk-id:3;gh",
    ]
    assert write_frames(V3, JSON, b"abcd", 2) == [
        b"pysoa-redis/3//content-type:application/json;chunk-count:2;chunk-id:1;ab",
        b"pysoa-redis/3//content-type:application/json;chunk-count:2;chunk-id:2;cd",
    ]


@pytest.mark.parametrize("version", [V1, V2])
def test_older_protocols_know_no_chunks(version: ProtocolVersion) -> None:
    with pytest.raises(MessageTooLarge) as refusal:
        write_frames(version, MSGPACK, b"abcd", 3)

    assert refusal.value.message_size_in_bytes == 4
    assert refusal.value.args == ("Message exceeds chunking threshold but client does not support chunking",)


def test_whole_frames_pass_through() -> None:
    assembler = FrameAssembler("vec")
    frame = Frame(V2, JSON, None, None, b"{}")

    assert assembler.feed(frame) is frame
    assert assembler.feed(frame) is frame


def test_chunks_are_put_together() -> None:
    assembler = FrameAssembler("vec")

    assert assembler.feed(chunk(b"ab", 1, of=3)) is None
    assert assembler.feed(chunk(b"cd", 2, of=3, content_type=JSON)) is None
    assert assembler.feed(chunk(b"e", 3, of=3, content_type=None)) == Frame(V3, MSGPACK, None, None, b"abcde")
    assert assembler.feed(chunk(b"x", 1, of=1)) == Frame(V3, MSGPACK, None, None, b"x")


@pytest.mark.parametrize(
    ("before", "arriving", "told"),
    [
        pytest.param(
            [], chunk(b"x", None, of=2), "Invalid chunked response missing chunk ID for service vec", id="no id"
        ),
        pytest.param(
            [(1, 2)],
            chunk(b"x", None, of=None),
            "Invalid chunked response missing chunk headers expecting chunk 2 of 2 for service vec.",
            id="no headers",
        ),
        pytest.param(
            [(1, 2)],
            chunk(b"x", None, of=2),
            "Invalid chunked response missing chunk headers expecting chunk 2 of 2 for service vec.",
            id="no id later on",
        ),
        pytest.param(
            [(1, 3), (2, 3)],
            chunk(b"x", 3, of=4),
            "Invalid chunked response has different chunk count 4 expecting chunk 3 of 3 for service vec.",
            id="other count",
        ),
        pytest.param(
            [(1, 3)],
            chunk(b"x", 3, of=3),
            "Invalid chunked response has incorrect chunk ID 3 expected 2 of 3 for service vec.",
            id="gap",
        ),
        pytest.param(
            [(1, 2)],
            chunk(b"x", 1, of=2),
            "Invalid chunked response has incorrect chunk ID 1 expected 2 of 2 for service vec.",
            id="repeated",
        ),
        pytest.param(
            [],
            chunk(b"x", 2, of=2),
            "Invalid chunked response has incorrect chunk ID 2 expected 1 of 2 for service vec.",
            id="late start",
        ),
        pytest.param(
            [],
            chunk(b"x", 0, of=2),
            "Invalid chunked response has incorrect chunk ID 0 expected 1 of 2 for service vec.",
            id="counted from 0",
        ),
        pytest.param(
            [],
            chunk(b"x", 1, of=0),
            "Invalid chunked response has incorrect chunk ID 1 expected 1 of 0 for service vec.",
            id="none at all",
        ),
    ],
)
def test_chunks_out_of_turn_are_refused(before: list[tuple[int, int]], arriving: Frame, told: str) -> None:
    assembler = FrameAssembler("vec")
    for chunk_id, count in before:
        assembler.feed(chunk(b"x", chunk_id, of=count))

    with pytest.raises(InvalidMessageError) as refusal:
        assembler.feed(arriving)

    assert refusal.value.args == (told,)


def test_after_a_refusal_the_next_message_is_put_together() -> None:
    assembler = FrameAssembler("vec")
    assembler.feed(chunk(b"x", 1, of=3))
    with pytest.raises(InvalidMessageError):
        assembler.feed(chunk(b"x", 3, of=3))

    assert assembler.feed(chunk(b"ab", 1, of=2)) is None
    assert assembler.feed(chunk(b"cd", 2, of=2)) == Frame(V3, MSGPACK, None, None, b"abcd")


def test_chunks_that_are_too_much_together_are_refused() -> None:
    assembler = FrameAssembler("vec", maximum_size_in_bytes=10)
    assembler.feed(chunk(b"123456", 1, of=9))

    with pytest.raises(InvalidMessageError, match="is larger than 10 bytes"):
        assembler.feed(chunk(b"789ab", 2, of=9))


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(min_size=1, max_size=500), st.integers(1, 200), st.sampled_from([MSGPACK, JSON, "test/own"]))
def test_what_is_framed_comes_out_again(payload: bytes, size: int, mime_type: str) -> None:
    # A payload that begins like a header would be taken for one; those of our formats do not.
    payload = b"\x80" + payload
    assembler = FrameAssembler("vec")

    *firsts, last = [assembler.feed(read_frame(data)) for data in write_frames(V3, mime_type, payload, size)]

    assert firsts == [None] * len(firsts)
    assert last == Frame(V3, mime_type, None, None, payload)


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from(
            [b"pysoa-redis/", b"3", b"//", b"content-type", b":", b";", b" ", b"chunk-count", b"chunk-id", b"1", b"2"]
        )
        | st.binary(max_size=5)
    )
)
def test_any_bytes_are_a_frame_or_refused(parts: list[bytes]) -> None:
    with contextlib.suppress(InvalidMessageError):
        FrameAssembler("vec").feed(read_frame(b"".join(parts)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"pysoa-redis/" + b"0" * 5_000_000 + b"3//", id="digits"),
        pytest.param(b"pysoa-redis/3//" + b" " * 5_000_000, id="blanks"),
        pytest.param(b"pysoa-redis/3//content-type" + b" " * 5_000_000, id="blanks in a header"),
        pytest.param(b"pysoa-redis/3//content-type:" + b"a" * 5_000_000, id="a value without end"),
        pytest.param(b"pysoa-redis/3//" + b"chunk-id:1;" * 200_000, id="headers"),
        pytest.param(b"pysoa-redis/3//chunk-count:" + b"1" * 5_000_000 + b";", id="a number without end"),
    ],
)
def test_no_frame_holds_the_reader(data: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(InvalidMessageError):
        read_frame(data)

    assert time.process_time() - start < 1
