"""Dicts to bytes and back: the formats in which messages travel."""

from pysoa.common.serializer.json_serializer import JSONSerializer
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer

__all__ = ("JSONSerializer", "MsgpackSerializer")
