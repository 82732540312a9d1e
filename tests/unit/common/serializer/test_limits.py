"""The limits of what one message may hold; and that nothing on the wire holds a reader for long or eats its memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.errors import InvalidMessage

msgpack_serializer = MsgpackSerializer()
json_serializer = JSONSerializer()

LIMIT_IN_SECONDS = 2.0  # what is guarded against takes minutes
DATE = bytes.fromhex("d60307e20619")


def array(count: int) -> bytes:
    return b"\xdd" + struct.pack(">I", count)


def test_a_million_items_are_read() -> None:
    in_lists = array(2) + array(499_999) + b"\x01" * 499_999 + array(499_999) + b"\x01" * 499_999
    in_maps = b"\xdf" + struct.pack(">I", 500_000) + b"".join(b"\xa5%05x\x01" % number for number in range(500_000))

    assert len(msgpack_serializer.blob_to_dict(in_lists)) == 2
    assert len(msgpack_serializer.blob_to_dict(in_maps)) == 500_000
    assert len(json_serializer.blob_to_dict(b"[" + b"1," * 999_999 + b"1]")) == 1_000_000


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(array(1_000_001) + b"\x01" * 1_000_001, id="one list"),
        pytest.param(array(2) + (array(500_000) + b"\x01" * 500_000) * 2, id="two lists"),
        pytest.param(array(500_001) + b"\x91\x01" * 500_001, id="many lists"),
        pytest.param(array(500_001) + b"\x81\x01\x02" * 500_001, id="many maps"),
        pytest.param(b"\xdf" + struct.pack(">I", 1_000_001) + b"\x01\x01" * 1_000_001, id="one map"),
        pytest.param(
            array(100_001) + b"\xdc\x00\x0a\xc4\x01x\xd9\x01x\xc7\x01\x05xabcdefg" * 100_001, id="with long values"
        ),
    ],
)
def test_more_than_a_million_items_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidMessage, match="more than 1000000 items"):
        msgpack_serializer.blob_to_dict(blob)


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"[" + b"1," * 1_000_000 + b"1]", id="list"),
        pytest.param(b"[" + b"[1]," * 500_000 + b"[1]]", id="many lists"),
        pytest.param(b"{" + b",".join(b'"%06x":1' % number for number in range(1_000_001)) + b"}", id="map"),
    ],
)
def test_more_than_a_million_items_of_json_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidMessage, match="more than 1000000 items"):
        json_serializer.blob_to_dict(blob)


def test_commas_and_brackets_in_strings_are_no_items_of_json() -> None:
    text = ",[{" * 1_000_000

    assert json_serializer.blob_to_dict(json_serializer.dict_to_blob({"a": text, "b": [[], {}]}))["a"] == text


def test_a_hundred_thousand_extension_values_are_read() -> None:
    assert len(msgpack_serializer.blob_to_dict(array(100_000) + DATE * 100_000)) == 100_000


def test_more_extension_values_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="more than 100000 extension values"):
        msgpack_serializer.blob_to_dict(array(100_001) + DATE * 100_001)


def test_large_blobs_of_every_kind_of_value_are_read() -> None:
    one_of_each = [
        None, True, 0, 127, 128, 65_535, 2**32 - 1, 2**64 - 1, -1, -32, -33, -129, -40_000, -(2**40), 1.5,
        "", "a" * 31, "a" * 32, "a" * 300, "a" * 70_000, b"", b"a" * 300, b"a" * 70_000,
        [], [0] * 15, [0] * 16, {}, {"a": 1}, {str(number): number for number in range(16)},
    ]  # fmt: skip
    message = {"a": [one_of_each] * 10, "end": [1]}
    blob = msgpack_serializer.dict_to_blob(message)

    assert len(blob) > 1_000_000
    assert msgpack_serializer.blob_to_dict(blob) == message


def test_twenty_thousand_keys_that_are_numbers_are_read() -> None:
    message = {"a": dict.fromkeys(range(10_000)), "b": {number + 0.5: None for number in range(10_000)}}

    assert msgpack_serializer.blob_to_dict(msgpack_serializer.dict_to_blob(message)) == message


def test_more_keys_that_are_numbers_are_refused() -> None:
    blob = msgpack_serializer.dict_to_blob({"a": dict.fromkeys(range(20_001))})

    with pytest.raises(InvalidMessage, match="more than 20000 keys that are numbers"):
        msgpack_serializer.blob_to_dict(blob)


def test_keys_that_are_binary_are_not_limited() -> None:
    message = {"a": {b"%d" % number: None for number in range(30_000)}}

    assert msgpack_serializer.blob_to_dict(msgpack_serializer.dict_to_blob(message)) == message


def equal_hashes(count: int) -> bytes:
    """A map whose keys are decimals with the same hash."""
    texts = [str(number * (2**61 - 1) + 5).encode() for number in range(count)]
    keys = [b"\xc7" + struct.pack(">BbH", len(text) + 2, 5, len(text)) + text for text in texts]
    return b"\xdf" + struct.pack(">I", count) + b"".join(key + b"\x00" for key in keys)


NASTY_MSGPACK: dict[str, Callable[[], bytes]] = {
    "deep lists": lambda: b"\x91" * 5_000_000,
    "deep lists that end": lambda: b"\x91" * 5_000_000 + b"\x90",
    "deep maps": lambda: b"\x81\xa1n" * 3_000_000 + b"\x80",
    "deep maps in keys": lambda: b"\x81" * 3_000_000,
    "deep and wide": lambda: b"\x92\x90" * 2_000_000,
    "headers of large lists inside each other": lambda: array(98_304) * 20_000,
    "large list without elements": lambda: array(2**32 - 1),
    "large map without entries": lambda: b"\xdf\xff\xff\xff\xff",
    "long string without text": lambda: b"\xdb\xff\xff\xff\xff",
    "long extension without bytes": lambda: b"\xc9\xff\xff\xff\xff\x05",
    "empty maps": lambda: array(999_999) + b"\x80" * 999_999 + b"\xc1",
    "surplus": lambda: b"\x00" * 50_000_000,
    "maps as keys": lambda: array(300_000) + b"\x81\x80\x00" * 300_000,
    "lists as keys": lambda: b"\xdf" + struct.pack(">I", 100_000) + b"\x93\x01\x02\x03\x00" * 100_000,
    "decimals of the same hash as keys": lambda: equal_hashes(50_000),
    "bad text at the end": lambda: array(900_001) + b"\xa0" * 900_000 + b"\xa1\xff",
    "bad decimals": lambda: array(1) + b"\xc9" + struct.pack(">IbH", 65_537, 5, 65_535) + b"x" * 65_535,
    "numbers as keys": lambda: b"\xdf" + struct.pack(">I", 900_000) + b"\xca\x00\x00\x00\x01\x00" * 900_000,
    "bad at the end, with extension values": lambda: array(99_999) + DATE * 99_998 + b"\xd4\x63x",
}

NASTY_JSON: dict[str, Callable[[], bytes]] = {
    "deep lists": lambda: b"[" * 5_000_000,
    "deep lists that end": lambda: b"[" * 2_000_000 + b"]" * 2_000_000,
    "deep maps": lambda: b'{"n":' * 2_000_000,
    "endless integer": lambda: b"9" * 5_000_000,
    "endless string": lambda: b'"' + b"x" * 5_000_000,
    "endless blanks": lambda: b" " * 5_000_000,
    "escapes without end": lambda: b'["' + b'\\",' * 2_000_000,
    "quotes and commas": lambda: b'",' * 2_000_000,
    "empty lists": lambda: b"[" + b"[]," * 999_998 + b"[]",
    "strings without end": lambda: b"[" + b'"",' * 5_000_000,
    "strings of commas": lambda: b"[" + b'",",' * 3_000_000,
    "the same key": lambda: b"{" + b'"k":0,' * 990_000,
}


def seconds_of(read: Callable[[bytes], object], blob: bytes) -> float:
    best = float("inf")
    for _ in range(3):  # the machine may be busy: what was quick once is quick
        start = time.process_time()
        with pytest.raises(InvalidMessage):
            read(blob)
        best = min(best, time.process_time() - start)
        if best < LIMIT_IN_SECONDS:
            break
    return best


@pytest.mark.parametrize("name", NASTY_MSGPACK)
def test_no_blob_holds_the_reader_of_messagepack(name: str) -> None:
    assert seconds_of(msgpack_serializer.blob_to_dict, NASTY_MSGPACK[name]()) < LIMIT_IN_SECONDS


@pytest.mark.parametrize("name", NASTY_JSON)
def test_no_blob_holds_the_reader_of_json(name: str) -> None:
    assert seconds_of(json_serializer.blob_to_dict, NASTY_JSON[name]()) < LIMIT_IN_SECONDS


def test_a_float_of_endless_digits_is_read_at_once() -> None:
    start = time.process_time()

    assert json_serializer.blob_to_dict(b'{"a": 0.' + b"1" * 1_000_000 + b"e-5}") == {"a": 0.1111111111111111e-5}
    assert time.process_time() - start < LIMIT_IN_SECONDS


@pytest.mark.parametrize(
    "name",
    [
        "deep maps in keys",
        "headers of large lists inside each other",
        "large list without elements",
        "large map without entries",
        "long string without text",
        "long extension without bytes",
        "deep lists",
        "surplus",
    ],
)
def test_what_is_missing_takes_no_memory(name: str) -> None:
    blob = NASTY_MSGPACK[name]()[:500_000]
    msgpack_serializer.blob_to_dict(b"\x80")  # loads what is loaded when first needed

    tracemalloc.start()
    with pytest.raises(InvalidMessage):
        msgpack_serializer.blob_to_dict(blob)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000_000
