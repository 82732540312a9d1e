"""MessagePack with extension values, the format in which messages travel by default.

Three libraries share the work. ormsgpack writes and reads, several times faster than msgpack. What it refuses (keys
that are not text, lone surrogates, deep nesting, rare types) msgpack writes and reads, or names the fault. msgspec
looks over what is to be read: it finds bytes that are missing or too many without building anything.

No list and no extension value that a stranger sends is ever hashed as the key of a map: many with the same hash could
be made up, and would hold the reader for minutes. That is why msgspec, which hashes both, does not read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import msgpack
import ormsgpack

from pysoa.common.fields import NO_KWARGS
from pysoa.common.old_names import warn_of_old_attribute
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.serializer import extensions
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage
from pysoa.common.serializer.extensions import read_extension, write_extension
from pysoa.common.serializer.limits import MAXIMUM_DEPTH, MAXIMUM_NUMBER_KEYS, check_depth, levels
from pysoa.common.serializer.msgpack_counts import CONTAINERS, FEWER_VALUES_FIT_INTO, check_counts
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

_NOT_CONTAINERS = bytes(set(range(256)) - CONTAINERS)

_FEW_VALUES = 64  # more are counted faster in C

_FAULTS = (ValueError, TypeError, OverflowError, RecursionError)
_packb = ormsgpack.packb
_unpackb = ormsgpack.unpackb


@accepts_kwargs(NO_KWARGS)
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
            size = len(blob)
            if size > FEWER_VALUES_FIT_INTO:
                check_counts(blob)
            _looker()(blob)
            try:
                message: dict[str, Any] = _unpackb(blob, ext_hook=read_extension)
            except ormsgpack.MsgpackDecodeError:
                return _read_slowly(bytes(blob))
            # Each step says for most messages that the next, dearer one is not needed.
            if (
                size > MAXIMUM_DEPTH
                and not _has_few_containers(message)
                and len(bytes(blob).translate(None, _NOT_CONTAINERS)) > MAXIMUM_DEPTH
            ):
                _check_depth_quickly(message)
        except _FAULTS as error:
            raise InvalidMessage.from_cause(error) from error
        return message

    def default(self, obj: Any) -> msgpack.ExtType:
        """Deprecated: the extension value of an object that MessagePack itself does not know."""
        warn_of_old_attribute(f"{__name__}:MsgpackSerializer.default")
        return _to_ext_type(obj)

    def ext_hook(self, code: int, data: bytes) -> Any:
        """Deprecated: the object of an extension value."""
        warn_of_old_attribute(f"{__name__}:MsgpackSerializer.ext_hook")
        return read_extension(code, data)


@functools.cache
def _looker() -> Callable[[Any], object]:
    """What looks bytes over; made at the first message, for importing msgspec takes a third of a client's start."""
    import msgspec

    look_over = msgspec.msgpack.Decoder(msgspec.Raw).decode
    if issubclass(msgspec.DecodeError, ValueError):
        return look_over

    def look_over_before_0_20(blob: bytes) -> object:
        try:
            return look_over(blob)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    return look_over_before_0_20


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


def _write_slowly(message: dict[str, Any], default: Callable[[Any], Any]) -> bytes:
    try:
        check_depth(message)
        packer = msgpack.Packer(default=default, use_bin_type=True, unicode_errors="surrogatepass")
        blob: bytes = packer.pack(message)
    except _FAULTS as error:
        raise InvalidField.from_cause(error) from error
    return blob


def _read_slowly(blob: bytes) -> dict[str, Any]:
    message: dict[str, Any] = msgpack.unpackb(
        blob, raw=False, strict_map_key=False, object_pairs_hook=_MapBuilder().build, ext_hook=read_extension
    )
    check_depth(message)
    # msgpack reads its own timestamps by itself; as every other reader of ours, this one does not know them.
    for level in levels([message]):
        for container in level:
            values = container.values() if isinstance(container, dict) else container
            if msgpack.Timestamp in map(type, values):
                raise TypeError("Cannot decode unknown extension type -1 from MessagePack")
    return message


class _MapBuilder:
    """Builds the maps of one message, once it has looked at their keys."""

    def __init__(self) -> None:
        self._number_keys = 0

    def build(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        kinds = [type(key) for key, _ in pairs]
        if not _KEY_TYPES.issuperset(kinds):
            raise TypeError("a list, a map or an extension value is the key of a map")
        self._number_keys += len(kinds) - kinds.count(str) - kinds.count(bytes)
        if self._number_keys > MAXIMUM_NUMBER_KEYS:
            raise ValueError(f"more than {MAXIMUM_NUMBER_KEYS} keys that are numbers")
        return dict(pairs)


def _has_few_containers(message: Any) -> bool:
    """Whether there are surely too few lists and maps for an excessive depth; found out by looking at few values."""
    waiting = [message]
    seen = 1
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            inside: Any = value.values()
        elif kind is list:
            inside = value
        else:
            continue
        seen += len(inside)
        if seen > _FEW_VALUES:
            return False
        waiting.extend(inside)
    return True


def _check_depth_quickly(message: Any) -> None:
    try:
        _packb(message, _to_nothing)  # in C, and not far into the depth
    except ormsgpack.MsgpackEncodeError:
        check_depth(message)


def _to_nothing(_: Any) -> None:
    return None
