from __future__ import annotations

import math
import uuid
from datetime import date
from typing import Any

import attr
import pytest

from pysoa.common.serializer import JSONSerializer
from pysoa.common.serializer.errors import InvalidField, InvalidMessage

serializer = JSONSerializer()
strict = JSONSerializer(strict_json=True)


@attr.s(auto_attribs=True)
class Line:
    sku: str
    tags: Any


def nested(depth: int) -> dict[str, Any]:
    """A dict of so many levels."""
    inside: dict[str, Any] = {}
    for _ in range(depth - 1):
        inside = {"n": inside}
    return inside


def test_bytes_views_and_text_are_read() -> None:
    assert serializer.blob_to_dict(b'{"a": 1}') == {"a": 1}
    assert serializer.blob_to_dict(memoryview(b'..{"a": 1}')[2:]) == {"a": 1}
    assert serializer.blob_to_dict('{"a": 1}') == {"a": 1}


def test_keys_are_written_as_text() -> None:
    assert serializer.dict_to_blob({1: "a", None: 2, False: 3.5}) == b'{"1": "a", "null": 2, "false": 3.5}'


@pytest.mark.parametrize("write", [serializer.dict_to_blob, serializer.message_to_blob])
@pytest.mark.parametrize("message", [None, [], "text", b"{}", 7])
def test_only_dicts_are_written(write: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=r"^Input must be a dict$"):
        write(message)


@pytest.mark.parametrize("value", [{1}, b"x", date(2020, 1, 2), uuid.UUID(int=5), Line("a", [])])
def test_what_json_does_not_know_is_refused_by_type(value: Any) -> None:
    with pytest.raises(InvalidField, match=f"Object of type {type(value).__name__} is not JSON serializable"):
        serializer.dict_to_blob({"a": [value]})


def test_messages_may_hold_sets_tuples_and_attrs_values_at_every_level() -> None:
    message = {"lines": (Line("b", tags=[Line("c", tags=frozenset({1}))]),)}

    assert serializer.blob_to_dict(serializer.message_to_blob(message)) == {
        "lines": [{"sku": "b", "tags": [{"sku": "c", "tags": [1]}]}]
    }


def test_messages_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(InvalidField, match="Object of type date is not JSON serializable"):
        serializer.message_to_blob({"a": {date(2020, 1, 2)}})


def test_what_holds_itself_is_refused() -> None:
    itself: list[Any] = []
    itself.append(itself)

    with pytest.raises(InvalidField):
        serializer.dict_to_blob({"a": itself})


def test_512_levels_are_written_and_read() -> None:
    message = nested(512)

    assert serializer.blob_to_dict(serializer.dict_to_blob(message)) == message


def test_513_levels_are_neither_written_nor_read() -> None:
    with pytest.raises(InvalidField, match="nested more than 512 levels deep"):
        serializer.dict_to_blob(nested(513))
    with pytest.raises(InvalidMessage, match="nested more than 512 levels deep"):
        serializer.blob_to_dict(b"[" * 513 + b"]" * 513)


def test_many_maps_side_by_side_are_not_deep() -> None:
    message = {"rows": [{"a": []} for _ in range(1000)]}

    assert serializer.blob_to_dict(serializer.dict_to_blob(message)) == message


def test_a_number_of_endless_digits_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        serializer.blob_to_dict(b'{"a": ' + b"9" * 100_000 + b"}")


def test_an_unreadable_message_is_told_without_its_bytes() -> None:
    with pytest.raises(InvalidMessage) as refusal:
        serializer.blob_to_dict(b'{"a": "' + b"x" * 100_000 + b"\xff")

    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("constant", [math.nan, math.inf, -math.inf])
def test_strict_json_neither_writes_nor_reads_what_is_no_number(constant: float) -> None:
    blob = serializer.dict_to_blob({"a": constant})

    assert repr(serializer.blob_to_dict(blob)) == repr({"a": constant})
    with pytest.raises(InvalidField):
        strict.dict_to_blob({"a": constant})
    with pytest.raises(InvalidField):
        strict.message_to_blob({"a": (constant,)})
    with pytest.raises(InvalidMessage, match="is not JSON"):
        strict.blob_to_dict(blob)


@pytest.mark.parametrize(
    ("kwargs", "is_accepted"),
    [({}, True), ({"strict_json": True}, True), ({"strict_json": 1}, False), ({"other": True}, False)],
)
def test_settings_may_ask_for_strict_json(kwargs: dict[str, Any], is_accepted: bool) -> None:
    schema = JSONSerializer._conformity_initialization_schema  # type: ignore[attr-defined]

    assert (not schema.errors(kwargs)) is is_accepted


def test_strict_json_refuses_double_keys() -> None:
    blob = b'{"a": {"k": 1, "k": 2}}'

    assert serializer.blob_to_dict(blob) == {"a": {"k": 2}}
    with pytest.raises(InvalidMessage, match="a key comes twice"):
        strict.blob_to_dict(blob)


def test_strict_json_reads_and_writes_everything_else() -> None:
    message = {"a": [1, 2.5, None, True, "é"], "b": {"c": {}}}

    assert strict.blob_to_dict(strict.dict_to_blob(message)) == message
