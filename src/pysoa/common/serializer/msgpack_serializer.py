"""MessagePack with extension values, the format in which messages travel by default.

Three libraries share the work. ormsgpack writes, several times faster than the others; what it refuses (keys that are
not text, lone surrogates, deep nesting, rare types) msgpack writes, or names the fault. msgspec reads. Together they
keep to the bytes that msgpack alone writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgpack
import msgspec
import ormsgpack

from pysoa.common.serializer import extensions
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.serializer.extensions import read_extension, write_extension
from pysoa.common.serializer.limits import check_depth, levels
from pysoa.common.serializer.msgpack_counts import FEWER_VALUES_FIT_INTO, check_counts
from pysoa.common.serializer.values import opened

__all__ = ("MsgpackSerializer",)

# What ormsgpack would write its own way comes to the hook instead.
_OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_PASSTHROUGH_ENUM
)

_KEY_TYPES = frozenset((str, int, float, bool, type(None), bytes))

# MsgspecError is no ValueError before msgspec 0.20.
_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
_UNWRITABLE = (ValueError, TypeError, OverflowError, RecursionError)

_packb = ormsgpack.packb
_decode = msgspec.msgpack.Decoder(ext_hook=read_extension).decode


class MsgpackSerializer(Serializer):
    """MessagePack, with extension values for dates, times, decimals and amounts of money.

    Text and binary stay apart; tuples come back as lists. Keys of maps are text, numbers, binary, booleans or null.
    """

    mime_type = "application/msgpack"

    EXT_CURRINT: ClassVar = extensions.EXT_CURRINT
    EXT_DATE: ClassVar = extensions.EXT_DATE
    EXT_DATETIME: ClassVar = extensions.EXT_DATETIME
    EXT_DATETIME_UTC: ClassVar = extensions.EXT_DATETIME_UTC
    EXT_DECIMAL: ClassVar = extensions.EXT_DECIMAL
    EXT_TIME: ClassVar = extensions.EXT_TIME

    STRUCT_CURRINT: ClassVar = extensions.STRUCT_CURRINT
    STRUCT_DATE: ClassVar = extensions.STRUCT_DATE
    STRUCT_DATETIME: ClassVar = extensions.STRUCT_DATETIME
    STRUCT_DECIMAL_LENGTH: ClassVar = extensions.STRUCT_DECIMAL_LENGTH
    STRUCT_TIME: ClassVar = extensions.STRUCT_TIME

    def dict_to_blob(self, message: dict[str, Any]) -> bytes:
        if not isinstance(message, dict):
            raise ValueError("Input must be a dict")
        try:
            return _packb(message, _to_ext, _OPTIONS)
        except ormsgpack.MsgpackEncodeError:
            return _write_slowly(message, _to_ext_type)

    def message_to_blob(self, message: dict[str, Any]) -> bytes:
        if not isinstance(message, dict):
            raise ValueError("Input must be a dict")
        try:
            return _packb(message, _to_ext_or_plain, _OPTIONS)
        except ormsgpack.MsgpackEncodeError:
            return _write_slowly(message, _to_ext_type_or_plain)

    def blob_to_dict(self, blob: bytes | memoryview) -> dict[str, Any]:
        try:
            if len(blob) > FEWER_VALUES_FIT_INTO:
                check_counts(blob)
            message: dict[str, Any] = _decode(blob)
        except _UNREADABLE as error:
            raise InvalidMessage.from_cause(error) from error
        # A second pass, in C: what ormsgpack would write has text keys only and is not nested deep, and needs no look.
        try:
            _packb(message, _to_nothing)
        except ormsgpack.MsgpackEncodeError:
            _check_keys_and_depth(message)
        return message


def _to_ext(value: Any) -> ormsgpack.Ext:
    return ormsgpack.Ext(*write_extension(value))


def _to_ext_or_plain(value: Any) -> Any:
    inside = opened(value)
    return ormsgpack.Ext(*write_extension(value)) if inside is None else inside


def _to_ext_type(value: Any) -> msgpack.ExtType:
    return msgpack.ExtType(*write_extension(value))


def _to_ext_type_or_plain(value: Any) -> Any:
    inside = opened(value)
    return msgpack.ExtType(*write_extension(value)) if inside is None else inside


def _to_nothing(_: Any) -> None:
    return None


def _write_slowly(message: dict[str, Any], default: Callable[[Any], Any]) -> bytes:
    try:
        check_depth(message)
        packer = msgpack.Packer(default=default, use_bin_type=True, unicode_errors="surrogatepass")
        blob: bytes = packer.pack(message)
    except _UNWRITABLE as error:
        raise InvalidField.from_cause(error) from error
    return blob


def _check_keys_and_depth(message: Any) -> None:
    try:
        check_depth(message)
        for level in levels(message):
            for container in level:
                if isinstance(container, dict) and not _KEY_TYPES.issuperset(map(type, container)):
                    raise TypeError("a list or an extension value is the key of a map")
    except (ValueError, TypeError) as error:
        raise InvalidMessage.from_cause(error) from error
