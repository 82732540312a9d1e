from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from typing import Any

import msgspec
import pydantic

from pysoa.common.typed import TypedSchema

KEY = uuid.UUID(int=5)


class Cabin(enum.Enum):
    ECONOMY = "economy"
    BUSINESS = "business"


class Rank(enum.IntEnum):
    FIRST = 1


class StructLine(msgspec.Struct):
    sku: str
    qty: int
    note: str | None = None


@dataclasses.dataclass
class DataLine:
    sku: str
    qty: int
    note: str | None = None


class ModelLine(pydantic.BaseModel):
    sku: str
    qty: int
    note: str | None = None


class Answer(pydantic.BaseModel):
    total: decimal.Decimal
    when: datetime.datetime
    cabin: Cabin
    key: uuid.UUID
    lines: list[ModelLine]

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.lines)


def test_a_model_becomes_a_body_that_serializers_write_and_that_it_accepts_again() -> None:
    moment = datetime.datetime(2018, 7, 15, tzinfo=datetime.UTC)
    answer = Answer(
        total=decimal.Decimal("1.50"),
        when=moment,
        cabin=Cabin.ECONOMY,
        key=KEY,
        lines=[ModelLine(sku="a", qty=1)],
    )
    schema = TypedSchema(Answer)

    body = schema.to_body(answer)

    assert body == {
        "total": decimal.Decimal("1.50"),
        "when": moment,
        "cabin": "economy",
        "key": str(KEY),
        "lines": [{"sku": "a", "qty": 1, "note": None}],
    }
    assert type(body["cabin"]) is str
    assert schema.errors(body) == []


def test_instances_inside_dicts_become_plain_too() -> None:
    class Sparse(msgspec.Struct):
        a: int | msgspec.UnsetType = msgspec.UNSET

    amount = object()

    body = TypedSchema(dict[str, Any]).to_body(
        {
            "line": StructLine("a", 1),
            "lines": (DataLine("b", 2), ModelLine(sku="c", qty=3)),
            "names": frozenset({"x"}),
            "rank": Rank.FIRST,
            "span": datetime.timedelta(seconds=5),
            "sparse": Sparse(),
            "amount": amount,
            5: None,
        }
    )

    assert body == {
        "line": {"sku": "a", "qty": 1, "note": None},
        "lines": [{"sku": "b", "qty": 2, "note": None}, {"sku": "c", "qty": 3, "note": None}],
        "names": ["x"],
        "rank": 1,
        "span": "PT5S",
        "sparse": {},
        "amount": amount,
        5: None,
    }


def test_a_struct_made_with_wrong_values_is_caught_as_a_body() -> None:
    schema = TypedSchema(StructLine)

    body = schema.to_body(StructLine("a", "many"))  # type: ignore[arg-type]

    assert [(error.pointer, error.message) for error in schema.errors(body)] == [("qty", "Not an integer")]
