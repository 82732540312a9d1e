"""Every serializer vector: what 1.4.9 wrote is written, what it read is read, what it refused is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from tests.support.vectors import from_notation, load, same

SERIALIZERS: dict[str, Serializer] = {"msgpack": MsgpackSerializer(), "json": JSONSerializer()}
VECTORS = load("serializer")

DEPTH = "more than 512 levels are refused"
DIGITS = "a decimal that is too long is refused, not cut"
EXACT = "date-times are counted exactly"
FOREIGN = "a foreign exception of 1.4.9 is InvalidField or InvalidMessage"
KEYS = "lists and extension values are not read as keys of maps"
ZONES = "every zone that is always UTC is written as pytz.UTC is"

# (format, name of the case) -> why PySOA 2 answers otherwise. Each reason has a row in docs/reference/deviations.md.
DEVIATIONS_IN_WRITING = {
    ("json", "depth_600"): DEPTH,
    ("msgpack", "amount_too_big"): FOREIGN,
    ("msgpack", "datetime_max"): EXACT,
    ("msgpack", "datetime_stdlib_utc"): ZONES,
    ("msgpack", "datetime_y2262"): EXACT,
    ("msgpack", "decimal_65536_digits"): DIGITS,
    ("msgpack", "depth_600"): FOREIGN,
    **{("msgpack", f"datetime_float_loss_{number}"): EXACT for number in range(1, 11)},
}
DEVIATIONS_IN_READING_BACK = {
    ("msgpack", "key_date"): KEYS,
    ("msgpack", "key_decimal"): KEYS,
}
DEVIATIONS_IN_READING = {
    ("msgpack", "ext_amount_short"): FOREIGN,
    ("msgpack", "ext_date_long"): FOREIGN,
    ("msgpack", "ext_date_short"): FOREIGN,
    ("msgpack", "ext_datetime_short"): FOREIGN,
    ("msgpack", "ext_datetime_us_-62135596799999999"): EXACT,
    ("msgpack", "ext_datetime_us_16725225600000003"): EXACT,
    ("msgpack", "ext_datetime_us_253402300799999999"): EXACT,
    ("msgpack", "ext_datetime_us_32503680000000001"): EXACT,
    ("msgpack", "ext_datetime_year_0"): EXACT,
    ("msgpack", "ext_decimal_bad_text"): FOREIGN,
    ("msgpack", "ext_decimal_empty"): FOREIGN,
    ("msgpack", "ext_decimal_length_too_big"): FOREIGN,
    ("msgpack", "ext_decimal_length_too_small"): FOREIGN,
    ("msgpack", "ext_decimal_no_length"): FOREIGN,
    ("msgpack", "ext_time_short"): FOREIGN,
}

WRITES = {(kind, case["name"]): case for case in VECTORS["write"] for kind in SERIALIZERS}
READS = {(case["serializer"], case["name"]): case for case in VECTORS["read"]}
WRITTEN = {key: case for key, case in WRITES.items() if "error" not in case[key[0]]}
REFUSED = {key: case for key, case in WRITES.items() if "error" in case[key[0]]}
TEXTS_OF_OTHERS = frozenset({"object", "nested_bad", "frozenset", "bytearray", "depth_600"})


def cases(of: dict[tuple[str, str], Any], *left_out: dict[tuple[str, str], str]) -> pytest.MarkDecorator:
    keys = [key for key in of if not any(key in deviations for deviations in left_out)]
    return pytest.mark.parametrize(("kind", "name"), keys, ids=map("-".join, keys))


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
