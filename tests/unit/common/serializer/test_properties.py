"""What must hold for any message and any bytes, tried with very many."""

from __future__ import annotations

import contextlib
import datetime
import struct
from decimal import Decimal
from typing import Any

import msgpack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from tests.support.vectors import amount, same

msgpack_serializer = MsgpackSerializer()
json_serializer = JSONSerializer()

EPOCH = datetime.datetime(1970, 1, 1)
UTC_EPOCH = EPOCH.replace(tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)

texts = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-(2**63), 2**64 - 1)
keys = texts | integers | st.floats() | st.binary() | st.booleans() | st.none()
plain_values = st.none() | st.booleans() | integers | st.floats() | texts | st.binary()
extension_values = (
    st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.decimals()
    | st.decimals(places=2, allow_nan=False, allow_infinity=False)
    | st.builds(amount, st.sampled_from(["USD", "EUR", "JPY"]), st.integers(-(2**63), 2**63 - 1))
)
values = st.recursive(
    plain_values | extension_values,
    lambda inside: st.lists(inside) | st.lists(inside).map(tuple) | st.dictionaries(texts | keys, inside),
    max_leaves=20,
)
messages = st.dictionaries(texts, values)
messages_of_any_keys = st.dictionaries(texts | keys, values)
json_messages = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inside: st.lists(inside) | st.dictionaries(texts, inside),
        max_leaves=20,
    ),
)
thorough = settings(max_examples=100, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reference(value: Any) -> msgpack.ExtType:
    """The extension values as the protocol tells them, for msgpack's own packer."""
    if isinstance(value, datetime.datetime):
        code, epoch = (1, EPOCH) if value.tzinfo is None else (10, UTC_EPOCH)
        return msgpack.ExtType(code, struct.pack(">q", (value - epoch) // MICROSECOND))
    if isinstance(value, datetime.date):
        return msgpack.ExtType(3, struct.pack(">HBB", value.year, value.month, value.day))
    if isinstance(value, datetime.time):
        return msgpack.ExtType(4, struct.pack(">3BI", value.hour, value.minute, value.second, value.microsecond))
    if isinstance(value, Decimal):
        return msgpack.ExtType(5, struct.pack(">H", len(str(value))) + str(value).encode("ascii"))
    return msgpack.ExtType(2, struct.pack(">3sq", value.currency.code.encode("ascii"), value.value))


def as_read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_read(item) for item in value]
    return value


@thorough
@given(messages_of_any_keys)
def test_what_is_written_is_read_back(message: dict[Any, Any]) -> None:
    assert same(msgpack_serializer.blob_to_dict(msgpack_serializer.dict_to_blob(message)), as_read(message))


@thorough
@given(messages_of_any_keys)
def test_the_bytes_are_those_of_msgpack(message: dict[Any, Any]) -> None:
    expected = msgpack.Packer(default=reference, use_bin_type=True).pack(message)

    assert msgpack_serializer.dict_to_blob(message) == expected
    assert msgpack_serializer.message_to_blob(message) == expected


@thorough
@given(json_messages)
def test_what_is_written_as_json_is_read_back(message: dict[str, Any]) -> None:
    assert same(json_serializer.blob_to_dict(json_serializer.dict_to_blob(message)), message)


def only_refuses(read: Any, blob: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        read(blob)


@thorough
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(blob: bytes) -> None:
    only_refuses(msgpack_serializer.blob_to_dict, blob)
    only_refuses(json_serializer.blob_to_dict, blob)


@thorough
@given(messages, st.data())
def test_any_damage_is_read_or_refused(message: dict[str, Any], data: st.DataObject) -> None:
    blob = bytearray(msgpack_serializer.dict_to_blob(message))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(blob) - 1))
        blob[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(blob)))

    only_refuses(msgpack_serializer.blob_to_dict, bytes(blob))
    only_refuses(msgpack_serializer.blob_to_dict, bytes(blob[:cut]))
    only_refuses(msgpack_serializer.blob_to_dict, bytes(blob) + b"\x00")


@thorough
@given(st.binary(max_size=30), st.sampled_from([1, 2, 3, 4, 5, 10, -1, 0, 6, 127, -128]), st.booleans())
def test_any_extension_value_is_read_or_refused(data: bytes, code: int, is_key: bool) -> None:
    extension = b"\xc7" + struct.pack(">Bb", len(data), code) + data
    blob = b"\x81" + (extension + b"\x00" if is_key else b"\xa1v" + extension)

    only_refuses(msgpack_serializer.blob_to_dict, blob)


@thorough
@given(st.recursive(st.sets(st.integers()) | st.complex_numbers() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_written_or_refused(value: Any) -> None:
    for write in (msgpack_serializer.dict_to_blob, json_serializer.dict_to_blob):
        with contextlib.suppress(InvalidField):
            write({"v": value})
