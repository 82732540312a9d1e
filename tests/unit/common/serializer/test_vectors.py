"""Every serializer vector: what 1.4.9 wrote is written, what it read is read, what it refused is refused."""

from __future__ import annotations

import hashlib

import pytest

from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from tests.support.serializer_cases import (
    DEPTH,
    DEVIATIONS_IN_READING,
    DEVIATIONS_IN_READING_BACK,
    DEVIATIONS_IN_WRITING,
    DIGITS,
    EXACT,
    FOREIGN,
    READS,
    REFUSED,
    SERIALIZERS,
    WRITES,
    WRITTEN,
    cases,
)
from tests.support.vectors import from_notation, same

TEXTS_OF_OTHERS = frozenset({"object", "nested_bad", "frozenset", "bytearray", "depth_600"})


def test_every_deviation_is_that_of_a_case() -> None:
    assert DEVIATIONS_IN_WRITING.keys() <= WRITES.keys()
    assert DEVIATIONS_IN_READING_BACK.keys() <= WRITTEN.keys()
    assert DEVIATIONS_IN_READING.keys() <= READS.keys()


@cases(WRITTEN, DEVIATIONS_IN_WRITING)
def test_the_same_bytes_are_written(kind: str, name: str) -> None:
    case = WRITTEN[kind, name]
    expected = case[kind]

    blob = SERIALIZERS[kind].dict_to_blob(from_notation(case["value"]))

    if "hex" in expected:
        assert blob.hex() == expected["hex"]
    else:
        assert (len(blob), hashlib.sha256(blob).hexdigest()) == (expected["length"], expected["sha256"])
        assert blob.hex().startswith(expected["head_hex"])


@cases(REFUSED, DEVIATIONS_IN_WRITING)
def test_the_same_values_are_refused(kind: str, name: str) -> None:
    case = REFUSED[kind, name]
    expected = case[kind]["error"]

    with pytest.raises((InvalidField, ValueError)) as refusal:
        SERIALIZERS[kind].dict_to_blob(from_notation(case["value"]))

    assert type(refusal.value).__name__ == expected["class"]
    assert [base.__name__ for base in type(refusal.value).__mro__[1:4]][: len(expected["bases"])] == expected["bases"]
    if name not in TEXTS_OF_OTHERS:
        assert refusal.value.args[0] == expected["message"]


@cases(WRITTEN, DEVIATIONS_IN_WRITING, DEVIATIONS_IN_READING_BACK)
def test_what_was_written_is_read_back_as_it_was(kind: str, name: str) -> None:
    case = WRITTEN[kind, name]
    value = from_notation(case["value"])
    blob = SERIALIZERS[kind].dict_to_blob(value)
    back = case[kind]["reads_back"]

    if back != "same" and "error" in back:
        with pytest.raises(InvalidMessage):
            SERIALIZERS[kind].blob_to_dict(blob)
        assert back["error"]["class"] == "InvalidMessage"
    elif name == "bytearray":  # noted as bytes, which it comes back as
        assert SERIALIZERS[kind].blob_to_dict(blob) == value
    else:
        expected = value if back == "same" else from_notation(back["value"])
        assert same(SERIALIZERS[kind].blob_to_dict(blob), expected)


@cases(READS, DEVIATIONS_IN_READING)
def test_the_same_bytes_are_read_or_refused(kind: str, name: str) -> None:
    case = READS[kind, name]
    blob = bytes.fromhex(case["hex"])

    if case["ok"]:
        assert same(SERIALIZERS[kind].blob_to_dict(blob), from_notation(case["value"]))
    else:
        with pytest.raises(InvalidMessage, match=r"Can't deserialize message due to "):
            SERIALIZERS[kind].blob_to_dict(blob)
        assert case["error"]["class"] == "InvalidMessage"


@pytest.mark.parametrize("name", [name for (kind, name), reason in DEVIATIONS_IN_READING.items() if reason == FOREIGN])
def test_bytes_that_raised_foreign_exceptions_are_invalid_messages(name: str) -> None:
    with pytest.raises(InvalidMessage):
        SERIALIZERS["msgpack"].blob_to_dict(bytes.fromhex(READS["msgpack", name]["hex"]))


@pytest.mark.parametrize(
    ("kind", "name"), [key for key, reason in DEVIATIONS_IN_WRITING.items() if reason in (FOREIGN, DEPTH, DIGITS)]
)
def test_values_out_of_bounds_are_invalid_fields(kind: str, name: str) -> None:
    with pytest.raises(InvalidField, match=r"512 levels|64 bits|65536 characters"):
        SERIALIZERS[kind].dict_to_blob(from_notation(WRITES[kind, name]["value"]))


@pytest.mark.parametrize("name", [name for (_, name), reason in DEVIATIONS_IN_WRITING.items() if reason == EXACT])
def test_date_times_are_written_exactly(name: str) -> None:
    case = WRITES["msgpack", name]
    value = from_notation(case["value"])

    blob = SERIALIZERS["msgpack"].dict_to_blob(value)

    assert blob.hex() == case.get("exact_hex", blob.hex())
    assert same(SERIALIZERS["msgpack"].blob_to_dict(blob), value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ext_datetime_us_-62135596799999999", "0001-01-01T00:00:00.000001"),
        ("ext_datetime_us_16725225600000003", "2500-01-01T00:00:00.000003"),
        ("ext_datetime_us_253402300799999999", "9999-12-31T23:59:59.999999"),
        ("ext_datetime_us_32503680000000001", "3000-01-01T00:00:00.000001"),
    ],
)
def test_date_times_are_read_exactly(name: str, text: str) -> None:
    message = SERIALIZERS["msgpack"].blob_to_dict(bytes.fromhex(READS["msgpack", name]["hex"]))

    assert same(message, {"v": from_notation({"$datetime": text})})


def test_a_microsecond_before_the_first_date_time_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        SERIALIZERS["msgpack"].blob_to_dict(bytes.fromhex(READS["msgpack", "ext_datetime_year_0"]["hex"]))


@pytest.mark.parametrize("name", [name for _, name in DEVIATIONS_IN_READING_BACK])
def test_extension_values_are_written_as_keys_but_not_read(name: str) -> None:
    blob = SERIALIZERS["msgpack"].dict_to_blob(from_notation(WRITES["msgpack", name]["value"]))

    with pytest.raises(InvalidMessage, match="key of a map"):
        SERIALIZERS["msgpack"].blob_to_dict(blob)
