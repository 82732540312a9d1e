from __future__ import annotations

import json
from typing import Any

import attr
import pytest

from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from pysoa.common.serializer.errors import InvalidField


class ReversedSerializer(Serializer):
    """JSON, backwards."""

    mime_type = "test/reversed"

    def dict_to_blob(self, message: dict[str, Any]) -> bytes:
        return json.dumps(message).encode()[::-1]

    def blob_to_dict(self, blob: bytes) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(blob[::-1])
        return message


@attr.s(auto_attribs=True)
class Point:
    x: int
    tags: Any


def test_a_subclass_is_found_by_its_mime_type() -> None:
    assert {"test/reversed", "application/json", "application/msgpack"} <= Serializer.all_supported_mime_types
    assert isinstance(Serializer.resolve_serializer("test/reversed"), ReversedSerializer)
    assert isinstance(Serializer.resolve_serializer("application/json"), JSONSerializer)
    assert isinstance(MsgpackSerializer.resolve_serializer("application/msgpack"), MsgpackSerializer)


def test_each_serializer_found_is_a_new_one() -> None:
    assert Serializer.resolve_serializer("test/reversed") is not Serializer.resolve_serializer("test/reversed")


def test_an_unknown_mime_type_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^Mime type application/xml is not supported$"):
        Serializer.resolve_serializer("application/xml")


def test_the_supported_mime_types_cannot_be_changed() -> None:
    assert isinstance(Serializer.all_supported_mime_types, frozenset)
    with pytest.raises(AttributeError):
        Serializer.all_supported_mime_types = frozenset()  # type: ignore[misc]


@pytest.mark.parametrize("mime_type", ["", "  ", None])
def test_a_serializer_needs_a_mime_type(mime_type: Any) -> None:
    with pytest.raises(ValueError, match=r"^All serializers must have a non-null, non-blank MIME type$"):
        type(Serializer)("Nameless", (Serializer,), {"mime_type": mime_type})


@pytest.mark.parametrize("base", [Serializer, MsgpackSerializer])
def test_a_mime_type_belongs_to_one_serializer(base: type[Serializer]) -> None:
    with pytest.raises(
        ValueError, match=r"^Another serializer .*MsgpackSerializer.* already supports mime type application/msgpack$"
    ):
        type(Serializer)("Second", (base,), {"mime_type": "application/msgpack"})


def test_a_subclass_of_a_registered_serializer_must_change_the_mime_type() -> None:
    with pytest.raises(ValueError, match="already supports mime type test/reversed"):
        type(Serializer)("Third", (ReversedSerializer,), {})


def test_a_serializer_has_one_base() -> None:
    with pytest.raises(ValueError, match=r"^You cannot use multiple inheritance with Serializers$"):
        type(Serializer)("Mixed", (Serializer, dict), {"mime_type": "test/mixed"})


def test_a_serializer_that_lacks_a_method_cannot_be_made() -> None:
    half = type(Serializer)("Half", (Serializer,), {"mime_type": "test/half"})

    with pytest.raises(TypeError, match="abstract"):
        half()


def test_users_serializers_are_given_plain_messages() -> None:
    serializer = ReversedSerializer()

    blob = serializer.message_to_blob({"points": [Point(1, tags=(Point(2, tags={3}),))]})

    assert serializer.blob_to_dict(blob) == {"points": [{"x": 1, "tags": [{"x": 2, "tags": [3]}]}]}


def test_a_message_that_holds_itself_is_an_invalid_field_for_users_serializers() -> None:
    itself: dict[str, Any] = {}
    itself["itself"] = itself

    with pytest.raises(InvalidField):
        ReversedSerializer().message_to_blob(itself)
