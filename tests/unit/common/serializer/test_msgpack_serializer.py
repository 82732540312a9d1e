from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
import textwrap
import uuid
import zoneinfo
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import attr
import currint
import msgpack
import pytest

from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.amount import Amount
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

serializer = MsgpackSerializer()

Pair = namedtuple("Pair", "a b")


class Red(str, enum.Enum):  # noqa: UP042 - as older code has them
    RED = "red"


class Three(enum.IntEnum):
    THREE = 3


class Plain(enum.Enum):
    ONE = 1


class Half(float):
    pass


class Blob(bytes):
    pass


class Birthday(date):
    pass


class Moment(datetime):
    pass


@dataclasses.dataclass
class Record:
    number: int


@attr.s(auto_attribs=True)
class Line:
    sku: str
    tags: Any


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> dict[str, Any]:
    """A dict of so many levels."""
    inside: dict[str, Any] = {}
    for _ in range(depth - 1):
        inside = {"n": inside}
    return inside


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(Red.RED, "a3726564", id="text enum"),
        pytest.param(Three.THREE, "03", id="integer enum"),
        pytest.param(Half(0.5), "cb3fe0000000000000", id="float subclass"),
        pytest.param(Blob(b"x"), "c40178", id="bytes subclass"),
        pytest.param(bytearray(b"x"), "c40178", id="bytearray"),
        pytest.param(memoryview(b"x"), "c40178", id="memoryview"),
        pytest.param(Pair(1, 2), "920102", id="named tuple"),
        pytest.param(OrderedDict(z=1, a=2), "82a17a01a16102", id="ordered dict"),
        pytest.param(Birthday(2018, 6, 25), "d60307e20619", id="date subclass"),
        pytest.param(Moment(1970, 1, 1), "d7010000000000000000", id="date-time subclass"),
        pytest.param(msgpack.ExtType(77, b"x"), "d44d78", id="raw extension"),
        pytest.param("\ud800", "a3eda080", id="lone surrogate"),
    ],
)
def test_rare_types_are_written_as_msgpack_writes_them(value: Any, written: str) -> None:
    assert serializer.dict_to_blob({"v": value}).hex() == "81a176" + written


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({1}, id="set"),
        pytest.param(frozenset({1}), id="frozenset"),
        pytest.param(uuid.UUID(int=5), id="uuid"),
        pytest.param(Plain.ONE, id="enum"),
        pytest.param(Record(1), id="dataclass"),
        pytest.param(Line("a", []), id="attrs"),
        pytest.param(timedelta(1), id="timedelta"),
        pytest.param(2**64, id="large integer"),
        pytest.param(-(2**63) - 1, id="small integer"),
    ],
)
def test_what_the_format_does_not_know_is_refused_by_type_and_value(value: Any) -> None:
    with pytest.raises(InvalidField) as refusal:
        serializer.dict_to_blob({"a": [{"b": value}]})

    assert refusal.value.args[0] == (
        "Can't serialize message due to TypeError: "
        f"Cannot encode value of type {type(value).__name__} to MessagePack: {value}"
    )
    assert refusal.value.outcome == "not_sent"


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    with pytest.raises(InvalidField) as refusal:
        serializer.dict_to_blob({"a": set(range(100_000))})

    assert len(str(refusal.value)) < 2_000


def test_a_value_without_text_is_refused_all_the_same() -> None:
    with pytest.raises(InvalidField, match="of type Unspeakable"):
        serializer.dict_to_blob({"a": Unspeakable()})


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param(UTC, id="datetime.UTC"),
        pytest.param(timezone(timedelta(0), "Z"), id="a timezone of zero offset"),
        pytest.param(zoneinfo.ZoneInfo("UTC"), id="zoneinfo UTC"),
    ],
)
def test_zones_that_are_always_utc_are_written_as_utc(zone: Any) -> None:
    blob = serializer.dict_to_blob({"d": datetime(2018, 9, 17, 20, 44, 5, 123456, tzinfo=zone)})

    assert blob.hex() == "81a164d70a000576173bead180"
    assert serializer.blob_to_dict(blob)["d"].tzinfo is UTC


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=2)), zoneinfo.ZoneInfo("Europe/London")])
def test_other_zones_are_refused_even_while_they_agree_with_utc(zone: Any) -> None:
    with pytest.raises(InvalidField, match="Cannot encode time zone-aware date-times to MessagePack"):
        serializer.dict_to_blob({"d": datetime(2020, 1, 1, tzinfo=zone)})


def test_a_zone_on_a_time_is_dropped() -> None:
    assert serializer.blob_to_dict(serializer.dict_to_blob({"t": time(1, 2, 3, 4, tzinfo=UTC)})) == {
        "t": time(1, 2, 3, 4)
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(datetime(2018, 9, 17, 20, 44, 5, 123456), "d701000576173bead180", id="date-time"),
        pytest.param(date(2018, 9, 17), "d60307e20911", id="date"),
        pytest.param(time(20, 44, 5, 123456), "c70704142c050001e240", id="time"),
        pytest.param(Decimal("-12.50"), "d70500062d31322e3530", id="decimal"),
        pytest.param(currint.Amount.from_code_and_minor("USD", 1099), "c70b02555344000000000000044b", id="amount"),
    ],
)
def test_extension_values_have_the_bytes_of_the_protocol(value: Any, written: str) -> None:
    blob = serializer.dict_to_blob({"d": value})

    assert blob.hex() == "81a164" + written
    assert serializer.blob_to_dict(blob) == {"d": value}


def test_our_own_amount_is_written_and_read_as_currints_where_that_is_installed() -> None:
    blob = serializer.dict_to_blob({"a": Amount("EUR", 1050)})

    assert serializer.blob_to_dict(blob) == {"a": currint.Amount.from_code_and_minor("EUR", 1050)}


def test_an_amount_without_currency_is_refused() -> None:
    with pytest.raises(InvalidField, match="_ZeroAmount"):
        serializer.dict_to_blob({"a": currint.amount._ZeroAmount()})


def test_without_currint_amounts_are_read_as_our_own() -> None:
    program = textwrap.dedent("""
        import sys
        sys.modules["currint"] = None
        from pysoa.common.serializer import MsgpackSerializer
        from pysoa.common.serializer.amount import Amount
        from pysoa.common.serializer.errors import InvalidMessage
        serializer = MsgpackSerializer()
        blob = serializer.dict_to_blob({"a": Amount("USD", 199)})
        assert blob.hex() == "81a161c70b0255534400000000000000c7", blob.hex()
        assert serializer.blob_to_dict(blob) == {"a": Amount("USD", 199)}
        assert serializer.blob_to_dict(blob.replace(b"USD", b"usd")) == {"a": Amount("USD", 199)}
        try:
            serializer.blob_to_dict(blob.replace(b"USD", b"U D"))
        except InvalidMessage:
            print("done")
    """)

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (run.stdout, run.stderr) == ("done\n", "")


def test_serializing_does_not_import_currint() -> None:
    program = (
        "import sys, decimal; from pysoa.common.serializer import MsgpackSerializer as S;"
        "S().blob_to_dict(S().dict_to_blob({'a': decimal.Decimal(1)})); print('currint' in sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout == "False\n"


def test_messages_may_hold_sets_tuples_and_attrs_values_at_every_level() -> None:
    message = {
        "line": Line("a", tags={1}),
        "lines": (Line("b", tags=[Line("c", tags=frozenset())]),),
        "pair": Pair(Decimal(1), {date(2020, 1, 2)}),
    }

    assert serializer.blob_to_dict(serializer.message_to_blob(message)) == {
        "line": {"sku": "a", "tags": [1]},
        "lines": [{"sku": "b", "tags": [{"sku": "c", "tags": []}]}],
        "pair": [Decimal(1), [date(2020, 1, 2)]],
    }


def test_messages_with_keys_other_than_text_may_hold_them_too() -> None:
    message = {1: Line("a", tags={1}), b"k": (1, {2}), None: Decimal(1)}

    assert serializer.blob_to_dict(serializer.message_to_blob(message)) == {
        1: {"sku": "a", "tags": [1]},
        b"k": [1, [2]],
        None: Decimal(1),
    }


def test_messages_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(InvalidField, match="Cannot encode value of type UUID"):
        serializer.message_to_blob({"a": {uuid.UUID(int=5)}})


@pytest.mark.parametrize("write", [serializer.dict_to_blob, serializer.message_to_blob])
@pytest.mark.parametrize("message", [None, [], "text", b"\x80", 7])
def test_only_dicts_are_written(write: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=r"^Input must be a dict$"):
        write(message)


def test_512_levels_are_written_and_read() -> None:
    message = nested(512)

    assert serializer.blob_to_dict(serializer.dict_to_blob(message)) == message


def test_513_levels_are_not_written() -> None:
    with pytest.raises(InvalidField, match="nested more than 512 levels deep"):
        serializer.dict_to_blob(nested(513))


@pytest.mark.parametrize("blob", [b"\x91" * 512 + b"\x90", b"\x81\xa1n" * 512 + b"\x80"])
def test_513_levels_are_not_read(blob: bytes) -> None:
    with pytest.raises(InvalidMessage, match="nested more than 512 levels deep"):
        serializer.blob_to_dict(blob)


def test_what_holds_itself_is_refused() -> None:
    itself: list[Any] = []
    itself.extend([itself, itself])

    with pytest.raises(InvalidField, match="nested more than 512 levels deep"):
        serializer.dict_to_blob({"a": itself})


def test_attrs_values_that_hold_themselves_are_refused() -> None:
    itself = Line("a", tags=[])
    itself.tags.append(itself)

    with pytest.raises(InvalidField):
        serializer.message_to_blob({"a": itself})


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("9101", id="list"),
        pytest.param("90", id="empty list"),
        pytest.param("d60307e20619", id="date"),
        pytest.param("d6ff00000001", id="timestamp"),
        pytest.param("c70b0255534400000000000000c7", id="amount"),
        pytest.param("91d60307e20619", id="list with a date"),
    ],
)
@pytest.mark.parametrize("around", ["81{}01", "81a17681{}01", "82a17601{}01", "9181{}01", "8201c0{}01"])
def test_lists_and_extension_values_are_not_read_as_keys(key: str, around: str) -> None:
    with pytest.raises(InvalidMessage, match="key of a map"):
        serializer.blob_to_dict(bytes.fromhex(around.format(key)))


def test_text_with_lone_surrogates_is_not_read() -> None:
    with pytest.raises(InvalidMessage):
        serializer.blob_to_dict(serializer.dict_to_blob({"a": "\udc80"}))


def test_a_view_of_bytes_is_read() -> None:
    assert serializer.blob_to_dict(memoryview(b"..\x81\xa1a\x01")[2:]) == {"a": 1}


def test_an_unreadable_message_is_told_without_its_bytes() -> None:
    blob = serializer.dict_to_blob({"a": "x" * 100_000}).replace(b"xx", b"\xff\xff", 1)

    with pytest.raises(InvalidMessage) as refusal:
        serializer.blob_to_dict(blob)

    assert len(str(refusal.value)) < 500
    assert isinstance(refusal.value.__cause__, UnicodeDecodeError)


def test_large_decimals_are_never_expanded() -> None:
    message = {"a": Decimal("1E+999999999"), "b": Decimal("-1.5E-999999999")}

    blob = serializer.dict_to_blob(message)

    assert len(blob) < 60
    assert serializer.blob_to_dict(blob) == message


def test_codes_and_structures_are_there_for_users() -> None:
    assert (MsgpackSerializer.EXT_DATETIME, MsgpackSerializer.EXT_CURRINT, MsgpackSerializer.EXT_DATE) == (1, 2, 3)
    assert (MsgpackSerializer.EXT_TIME, MsgpackSerializer.EXT_DECIMAL, MsgpackSerializer.EXT_DATETIME_UTC) == (4, 5, 10)
    assert MsgpackSerializer.STRUCT_DATE.size == 4
    assert MsgpackSerializer.mime_type == "application/msgpack"
