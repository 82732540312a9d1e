"""The introspection action."""

from __future__ import annotations

from typing import Any, ClassVar

import pydantic
import pytest

from pysoa.common import fields
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action import Action
from pysoa.server.action.introspection import IntrospectionAction
from pysoa.server.action.status import StatusActionFactory
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import SupportsIntValue
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest


class Order(pydantic.BaseModel):
    quantity: int


class VariantA(Action):
    def run(self, request: EnrichedActionRequest) -> Any: ...


class VariantB(VariantA):
    description = "The second variant"
    request_schema = fields.Dictionary({"need": fields.Integer()})


class VariantC(VariantA):
    """The third variant."""


class Echo(VariantA):
    """Echo docstring."""

    description = "Returns the body"


class TypedOrder(VariantA):
    request_schema = Order


class Eleven:
    value = 11


assert isinstance(Eleven(), SupportsIntValue)


class Switched(SwitchedAction):
    switch_to_action_map = (
        (SwitchedAction.DEFAULT_ACTION, VariantC),
        (7, VariantA),
        (Eleven(), VariantB),
        (0, Echo),
    )


class SwitchedWithoutDefault(SwitchedAction):
    switch_to_action_map = ((7, VariantA), (11, VariantB))


def function_action(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action)


class Service(Server):
    """A service of many actions."""

    service_name = "some"
    action_class_map: ClassVar[Any] = {
        "echo": Echo,
        "function": function_action,
        "typed": TypedOrder,
        "switched": Switched,
        "no_default": SwitchedWithoutDefault,
    }


def introspect(server_class: type[Server] = Service, **body: Any) -> Any:
    server = object.__new__(server_class)  # without the transport and the rest that its constructor makes
    server.settings = {}  # type: ignore[assignment]
    return IntrospectionAction(server)(EnrichedActionRequest("introspect", body)).body


NOTHING = {"documentation": None, "request_schema": None, "response_schema": None}
NEED = {
    "type": "dictionary",
    "contents": {"need": {"type": "integer"}},
    "optional_keys": [],
    "allow_extra_keys": False,
}


def test_all_actions_and_the_service_itself_are_described() -> None:
    body = introspect()

    assert body["documentation"] == "A service of many actions."
    assert body["action_names"] == sorted(body["actions"])
    assert list(body["actions"]) == [
        "introspect",
        "status",
        "echo",
        "function",
        "typed",
        "switched[DEFAULT]",
        "switched[switch:7]",
        "switched[switch:11]",
        "switched[switch:0]",
        "no_default[switch:7]",
        "no_default[DEFAULT]",
    ]


def test_a_description_goes_before_a_docstring() -> None:
    class Described(Service):
        """Its docstring."""

        description = "Its description"

    class Bare(Server):
        service_name = "bare"

    assert introspect(Described)["documentation"] == "Its description"
    assert introspect(Bare)["documentation"] is None
    assert introspect(action_name="echo")["actions"]["echo"]["documentation"] == "Returns the body"


def test_a_docstring_is_told_as_it_stands() -> None:
    class Long(VariantA):
        """First line.

        More.
        """

    class WithLong(Service):
        action_class_map: ClassVar[Any] = {"long": Long}

    assert introspect(WithLong, action_name="long")["actions"]["long"]["documentation"] == Long.__doc__


def test_one_action_is_described_alone() -> None:
    assert introspect(action_name="function") == {"action_names": ["function"], "actions": {"function": NOTHING}}


def test_built_in_actions_are_described_unless_the_service_has_its_own() -> None:
    class WithStatus(Service):
        action_class_map: ClassVar[Any] = {"status": StatusActionFactory("1"), "introspect": VariantC}

    built_in = introspect(action_name="status")["actions"]["status"]
    own = introspect(WithStatus, action_name="introspect")["actions"]["introspect"]

    assert built_in["request_schema"]["contents"]["verbose"]["type"] == "boolean"
    assert own == {**NOTHING, "documentation": "The third variant."}
    assert list(introspect(WithStatus)["actions"]) == ["status", "introspect"]


def test_a_type_is_described_as_other_schemas_are() -> None:
    schema = introspect(action_name="typed")["actions"]["typed"]["request_schema"]

    assert schema["contents"]["quantity"]["type"] == "integer"
    assert schema["optional_keys"] == []


def test_a_type_is_described_in_json_schema_too() -> None:
    described = introspect(action_name="typed")["actions"]["typed"]

    assert described["request_schema"]["json_schema"] == {
        "title": "Order",
        "type": "object",
        "properties": {"quantity": {"title": "Quantity", "type": "integer"}},
        "required": ["quantity"],
        "additionalProperties": False,
    }
    assert "json_schema" not in introspect(action_name="status")["actions"]["status"]["request_schema"]


def test_the_name_of_a_switched_action_stands_for_all_its_variants() -> None:
    body = introspect(action_name="switched")

    assert body == {
        "action_names": ["switched[DEFAULT]", "switched[switch:0]", "switched[switch:11]", "switched[switch:7]"],
        "actions": {
            "switched[DEFAULT]": {**NOTHING, "documentation": "The third variant."},
            "switched[switch:7]": NOTHING,
            "switched[switch:11]": {**NOTHING, "documentation": "The second variant", "request_schema": NEED},
            "switched[switch:0]": {**NOTHING, "documentation": "Returns the body"},
        },
    }


@pytest.mark.parametrize(
    ("name", "documentation"),
    [
        ("switched[DEFAULT]", "The third variant."),
        ("switched[switch:7]", None),
        ("switched[switch:11]", "The second variant"),
        ("switched[switch:0011]", "The second variant"),
        ("switched[switch:0]", "Returns the body"),
        ("no_default[DEFAULT]", "The second variant"),
        ("no_default[switch:11]", "The second variant"),
        ("echo[switch:5]", "Returns the body"),
        ("echo[DEFAULT]", "Returns the body"),
    ],
)
def test_one_variant_is_described_under_the_name_it_was_asked_for_by(name: str, documentation: str | None) -> None:
    body = introspect(action_name=name)

    assert body["action_names"] == [name]
    assert body["actions"][name]["documentation"] == documentation


@pytest.mark.parametrize(
    "name",
    [
        "nope", "nope[DEFAULT]", "switched[switch:99]", "switched[switch:-7]", "switched[switch:7] ", "switched[7]",
        "switched[]", "switched[switch:" + "9" * 10_000 + "]", "switched[switch:\u0667]",
    ],
)  # fmt: skip
def test_what_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(ActionError) as caught:
        introspect(action_name=name)

    assert caught.value.errors == [
        Error("INVALID", "Action not defined in service", "action_name", is_caller_error=True)
    ]


@pytest.mark.parametrize("body", [{"action_name": 5}, {"action_name": ""}, {"action_name": " "}, {"other": "x"}])
def test_other_requests_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ActionError):
        introspect(**body)


@pytest.mark.parametrize("no_server", [None, object(), Service, "server"])
def test_only_a_server_can_be_described(no_server: Any) -> None:
    with pytest.raises(TypeError, match=r"First argument \(server\) must be a Server instance"):
        IntrospectionAction(no_server)
