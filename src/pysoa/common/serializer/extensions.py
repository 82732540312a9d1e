"""MessagePack's extension values: dates, times, decimals and amounts of money, byte for byte."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from struct import Struct
from struct import error as StructError
from typing import Any, Final

from pysoa.common.serializer.amount import Amount

__all__ = ("read_extension", "write_extension")

EXT_DATETIME: Final = 1  # without a zone
EXT_CURRINT: Final = 2
EXT_DATE: Final = 3
EXT_TIME: Final = 4
EXT_DECIMAL: Final = 5
EXT_DATETIME_UTC: Final = 10

STRUCT_DATETIME: Final = Struct("!q")  # microseconds since 1970
STRUCT_CURRINT: Final = Struct("!3sq")  # currency code, minor units
STRUCT_DATE: Final = Struct("!HBB")
STRUCT_TIME: Final = Struct("!BBBL")
STRUCT_DECIMAL_LENGTH: Final = Struct("!H")  # of the text that follows

MAXIMUM_DECIMAL_LENGTH: Final = 0xFFFF
MINIMUM_MINOR_UNITS: Final = -(2**63)
MAXIMUM_MINOR_UNITS: Final = 2**63 - 1
MAXIMUM_SHOWN_LENGTH: Final = 500

_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_NO_OFFSET = timedelta(0)

Extension = tuple[int, bytes]


def write_extension(value: Any) -> Extension:
    """The extension code and the bytes of a date, time, decimal or amount.

    Raises:
        TypeError: it is none of these, or has another zone than UTC.
        ValueError: it is out of range.
    """
    write = _WRITERS.get(type(value))
    return _write_rare(value) if write is None else write(value)


def read_extension(code: int, data: bytes) -> Any:
    """The value that an extension stands for.

    Raises:
        TypeError: the code is unknown.
        ValueError, OverflowError: the bytes do not express a value of this kind.
    """
    read = _READERS.get(code)
    if read is None:
        raise TypeError(f"Cannot decode unknown extension type {code} from MessagePack")
    try:
        return read(data)
    except StructError as error:
        raise ValueError(f"extension type {code} cannot have {len(data)} bytes") from error


def _write_datetime(value: datetime) -> Extension:
    zone = value.tzinfo
    if zone is None:
        code, since = EXT_DATETIME, value - _EPOCH
    # A zone that has an offset without a date has the same one at all dates: London in winter is not UTC.
    elif zone is UTC or zone.utcoffset(None) == _NO_OFFSET:
        code, since = EXT_DATETIME_UTC, value - _EPOCH_UTC
    else:
        raise TypeError("Cannot encode time zone-aware date-times to MessagePack")
    return code, STRUCT_DATETIME.pack((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _read_datetime(data: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=STRUCT_DATETIME.unpack(data)[0])


def _read_datetime_utc(data: bytes) -> datetime:
    return _EPOCH_UTC + timedelta(microseconds=STRUCT_DATETIME.unpack(data)[0])


def _write_date(value: date) -> Extension:
    return EXT_DATE, STRUCT_DATE.pack(value.year, value.month, value.day)


def _read_date(data: bytes) -> date:
    return date(*STRUCT_DATE.unpack(data))


def _write_time(value: time) -> Extension:
    return EXT_TIME, STRUCT_TIME.pack(value.hour, value.minute, value.second, value.microsecond)


def _read_time(data: bytes) -> time:
    return time(*STRUCT_TIME.unpack(data))


def _write_decimal(value: Decimal) -> Extension:
    text = str(value).encode()  # exponents stay exponents
    if len(text) > MAXIMUM_DECIMAL_LENGTH:
        raise ValueError(f"a decimal of {len(text)} characters is longer than {MAXIMUM_DECIMAL_LENGTH}")
    return EXT_DECIMAL, STRUCT_DECIMAL_LENGTH.pack(len(text)) + text


def _read_decimal(data: bytes) -> Decimal:
    (length,) = STRUCT_DECIMAL_LENGTH.unpack_from(data)
    text = data[STRUCT_DECIMAL_LENGTH.size :].decode("utf-8")
    if len(data) != length + STRUCT_DECIMAL_LENGTH.size:
        raise ValueError(f"a decimal of {length} bytes has {len(data) - STRUCT_DECIMAL_LENGTH.size}")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text[:MAXIMUM_SHOWN_LENGTH]!r} is not a decimal") from error


def _write_amount(value: Amount) -> Extension:
    return _written_amount(value.currency, value.value)


def _written_amount(currency: str, value: int) -> Extension:
    if not MINIMUM_MINOR_UNITS <= value <= MAXIMUM_MINOR_UNITS:
        raise ValueError(f"an amount of {value} minor units does not fit into 64 bits")
    return EXT_CURRINT, STRUCT_CURRINT.pack(currency.upper().encode("ascii"), value)


def _read_amount(data: bytes) -> Any:
    code, value = STRUCT_CURRINT.unpack(data)
    return _amount_maker()(code.decode("ascii").upper(), value)


@functools.cache
def _amount_maker() -> Callable[[str, int], Any]:
    try:
        import currint
    except ImportError:
        return Amount
    maker: Callable[[str, int], Any] = currint.Amount.from_code_and_minor
    return maker


_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    EXT_DATETIME: _read_datetime,
    EXT_CURRINT: _read_amount,
    EXT_DATE: _read_date,
    EXT_TIME: _read_time,
    EXT_DECIMAL: _read_decimal,
    EXT_DATETIME_UTC: _read_datetime_utc,
}

_WRITERS: Final[dict[type, Callable[[Any], Extension]]] = {
    datetime: _write_datetime,
    Amount: _write_amount,
    date: _write_date,
    time: _write_time,
    Decimal: _write_decimal,
}


def _write_rare(value: Any) -> Extension:
    for kind in type(value).__mro__:
        if kind in _WRITERS:
            return _WRITERS[kind](value)
        # Known by its name, since to import currint would cost those who do not use it.
        if kind.__name__ == "Amount" and kind.__module__.partition(".")[0] == "currint" and value.currency is not None:
            return _written_amount(value.currency.code, value.value)
    raise TypeError(f"Cannot encode value of type {type(value).__name__} to MessagePack: {_shown(value)}")


def _shown(value: Any) -> str:
    try:
        return str(value)[:MAXIMUM_SHOWN_LENGTH]
    except Exception:  # users' code: whatever it does, the fault to tell is that the value cannot be written
        return "(no text)"
