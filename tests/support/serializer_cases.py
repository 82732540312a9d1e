"""The serializer vectors by format and name, and where PySOA 2 answers otherwise on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from tests.support.vectors import load

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


def cases(of: dict[tuple[str, str], Any], *left_out: dict[tuple[str, str], str]) -> pytest.MarkDecorator:
    """Run a test with each of these cases, by ``kind`` and ``name``, but for those left out."""
    keys = [key for key in of if not any(key in deviations for deviations in left_out)]
    return pytest.mark.parametrize(("kind", "name"), keys, ids=map("-".join, keys))
