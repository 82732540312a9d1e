from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pytest

from pysoa.common.fields import Dictionary, Integer
from pysoa.server.action import Action
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.server import Server
from pysoa.test.contracts import BadContractFile, Recorded, ServiceContract, read_contract, recorded, write_contract
from pysoa.test.stubs.captured import Captured
from tests.support.shop import ShopServer


class New(Action):
    request_schema = Dictionary({"new": Integer()})

    def run(self, request: Any) -> Any: ...


class Old(Action):
    request_schema = Dictionary({"old": Integer()})

    @property
    def response_schema(self) -> Any:  # type: ignore[override]
        return Dictionary({})

    def run(self, request: Any) -> Any: ...


class Either(SwitchedAction):
    switch_to_action_map = ((5, New), (SwitchedAction.DEFAULT_ACTION, Old))


class SwitchedServer(Server):
    service_name = "switched"
    action_class_map = {"either": Either, "old": Old}


shop = ServiceContract(ShopServer)


@pytest.mark.parametrize(
    ("action", "request_faults", "response_faults"),
    [
        (("square", {"number": 5}, {"square": 25}), [], []),
        (
            ("square", {"number": "5"}, {"squared": 25}),
            ["number: INVALID: Not an integer"],
            ["square: MISSING: Missing key: square", "squared: UNKNOWN: Extra keys present: squared"],
        ),
        (("echo", {"any": 1}, {"any": 1}), [], []),
        (("status", {}, {"any": 1}), [], ["conformity"]),
        (("introspect", {"action_name": "square"}, {"action_names": [], "actions": {}}), [], []),
    ],
)
def test_bodies_are_held_against_schemas(
    action: tuple[str, Any, Any], request_faults: list[str], response_faults: list[str]
) -> None:
    name, request, response = action

    assert shop.request_faults(name, request) == request_faults
    found = shop.response_faults(name, response)
    assert found == response_faults or (
        response_faults == ["conformity"] and any("conformity" in each for each in found)
    )


def test_an_action_that_is_not_there_is_told() -> None:
    assert shop.request_faults("squar", {}) == ["there is no action 'squar'; did you mean 'square'?"]
    assert shop.response_faults("multiply_all", {}) == ["there is no action 'multiply_all'"]


def test_one_variant_has_to_fit() -> None:
    switched = ServiceContract(SwitchedServer)

    assert switched.request_faults("either", {"new": 1}) == switched.request_faults("either", {"old": 1}) == []
    assert switched.request_faults("either", {"new": "x"})[0].startswith("new: INVALID")
    assert switched.response_faults("old", {"any": 1}) == []


def test_a_server_class_is_named_by_its_path() -> None:
    assert ServiceContract("tests.support.shop:ShopServer").service_name == "shop"
    with pytest.raises(TypeError, match=r"'tests\.support\.shop:Square' is not a server class"):
        ServiceContract("tests.support.shop:Square")


VALUES = {
    "when": datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC),
    "price": decimal.Decimal("1.50"),
    "blob": b"\x00\xff",
    "list": [1, 2.5, None, True, {"deep": datetime.date(2026, 5, 4)}],
    "by_number": {1: "one"},
    "$odd": {"$msgpack": "key"},
}


def test_a_file_keeps_each_body_once_with_its_tests(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    captured = [
        Captured("response", "shop", "square", {"square": 4}, (), "test_b"),
        Captured("request", "shop", "square", VALUES, (), "test_a"),
        Captured("response", "shop", "square", {"square": 4}, (), "test_a"),
        Captured("response", "shop", "square", {}, ("E", "F"), ""),
        Captured("request", "cart", "show", None, (), "test_a"),
        Captured("request", "cart", "show", {"items": ({1},)}, (), "test_a"),
    ]

    write_contract(file, [*recorded(captured[:3]), *recorded(captured[1:])])

    assert read_contract(file) == [
        Recorded("request", "cart", "show", None, (), ("test_a",)),
        Recorded("request", "cart", "show", {"items": [[1]]}, (), ("test_a",)),
        Recorded("request", "shop", "square", VALUES, (), ("test_a",)),
        Recorded("response", "shop", "square", {"square": 4}, (), ("test_a", "test_b")),
        Recorded("response", "shop", "square", {}, ("E", "F"), ()),
    ]
    text = file.read_text()
    write_contract(file, recorded(reversed(captured)))
    assert file.read_text() == text


def test_what_no_message_can_hold_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    write_contract(file, recorded([Captured("response", "shop", "echo", {"thing": object()}, (), "test_a")]))

    [entry] = read_contract(file)

    assert entry.body is None
    [fault] = entry.faults(shop)
    assert fault.startswith("body: ")


def test_of_a_response_with_errors_only_the_action_is_looked_at() -> None:
    assert Recorded("response", "shop", "square", {}, ("E",)).faults(shop) == []
    assert Recorded("response", "shop", "square", {}).faults(shop) == ["square: MISSING: Missing key: square"]
    assert Recorded("response", "shop", "squares", {}, ("E",)).faults(shop)
    assert Recorded("request", "shop", "square", None).faults(shop) == ["number: MISSING: Missing key: number"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: No such file"),
        ("{", "was not written by"),
        ("[]", "was not written by"),
        (json.dumps({"pysoa_contract": 1, "stubs": [{}]}), "was not written by"),
        (json.dumps({"pysoa_contract": 2, "stubs": []}), "is of version 2, and this reads 1"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str | None, text: str) -> None:
    file = tmp_path / "contract.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(BadContractFile, match=text):
        read_contract(file)
