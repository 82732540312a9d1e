"""The base class of actions."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from pysoa.common import fields
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.action import Action
from pysoa.server.action.base import prepare_schemas
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError, ResponseValidationError
from pysoa.server.types import EnrichedActionRequest


def request(body: Any = None, action: str = "square") -> EnrichedActionRequest:
    return EnrichedActionRequest(action=action, body={} if body is None else body)


class Square(Action):
    request_schema = fields.Dictionary({"number": fields.Integer()})
    response_schema = fields.Dictionary({"square": fields.Integer()})

    def run(self, request: EnrichedActionRequest) -> Any:
        return {"square": request.body["number"] ** 2}


class Model(pydantic.BaseModel):
    number: int


class Struct(msgspec.Struct):
    number: int


class Typed(TypedDict):
    number: int


def test_an_action_answers_with_what_run_returns() -> None:
    assert Square()(request({"number": 7})) == ActionResponse("square", body={"square": 49})


def test_an_asynchronous_action_answers_with_a_coroutine_once_its_request_is_checked() -> None:
    class Later(Square):
        async def run(self, request: EnrichedActionRequest) -> Any:
            return super().run(request)

    assert asyncio.run(Later()(request({"number": 7}))) == ActionResponse("square", body={"square": 49})
    with pytest.raises(ActionError):
        Later()(request({"number": "seven"}))


def test_an_action_has_the_settings_it_was_made_with() -> None:
    settings = object()

    assert Square(settings).settings is settings
    assert Square().settings is None


def test_an_action_without_run_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Action()  # type: ignore[abstract]


def test_a_request_that_does_not_fit_is_the_callers_error_fault_by_fault() -> None:
    with pytest.raises(ActionError) as caught:
        Square()(request({"number": "7", "extra": 1}))

    assert sorted(caught.value.errors, key=lambda error: error.code) == [
        Error("INVALID", "Not an integer", "number", is_caller_error=True),
        Error("UNKNOWN", "Extra keys present: extra", None, is_caller_error=True),
    ]


def test_a_schema_may_be_anything_with_errors_and_introspect() -> None:
    class Issue:
        code, message, pointer = None, "never", "x"

    class Never:
        def errors(self, value: Any) -> list[Issue]:
            return [Issue()]

        def introspect(self) -> dict[str, Any]:
            return {}

    class Refusing(Square):
        request_schema = Never()

    with pytest.raises(ActionError) as caught:
        Refusing()(request())

    assert caught.value.errors == [Error("INVALID", "never", "x", is_caller_error=True)]


def test_validation_comes_between_the_schema_and_run() -> None:
    steps = []

    class Validating(Square):
        def validate(self, request: EnrichedActionRequest) -> None:
            steps.append("validate")

        def run(self, request: EnrichedActionRequest) -> Any:
            steps.append("run")
            return super().run(request)

    with pytest.raises(ActionError):
        Validating()(request({}))
    Validating()(request({"number": 1}))

    assert steps == ["validate", "run"]


def test_a_response_that_does_not_fit_is_the_services_own_error() -> None:
    class Wrong(Square):
        def run(self, request: EnrichedActionRequest) -> Any:
            return {"square": "49"}

    with pytest.raises(ResponseValidationError) as caught:
        Wrong()(request({"number": 7}))

    assert caught.value.action == "square"
    assert str(caught.value) == "square had an invalid response:\n\tsquare INVALID: Not an integer"


def test_nothing_becomes_an_empty_body_unless_a_schema_wants_more() -> None:
    class Nothing(Action):
        def run(self, request: EnrichedActionRequest) -> Any:
            return None

    class NothingWithSchema(Nothing):
        response_schema = fields.Dictionary({})

    assert Nothing()(request()).body == {}
    with pytest.raises(ResponseValidationError, match="Not a dict"):
        NothingWithSchema()(request())


def test_other_empty_values_are_bodies_as_they_are() -> None:
    class Empty(Action):
        def run(self, request: EnrichedActionRequest) -> Any:
            return []

    assert Empty()(request()).body == []


def test_a_schema_may_be_set_on_the_instance() -> None:
    action = Square()
    action.request_schema = fields.Dictionary({"number": fields.UnicodeString()})

    with pytest.raises(ActionError):
        action(request({"number": 7}))

    assert Square()(request({"number": 7})).body == {"square": 49}


def test_a_subclass_has_its_own_schema() -> None:
    class Halves(Square):
        request_schema = fields.Dictionary({"number": fields.Float()})
        response_schema = fields.Dictionary({"square": fields.Float()})

    Square()(request({"number": 7}))

    assert Halves()(request({"number": 0.5})).body == {"square": 0.25}


class TestTypedSchemas:
    @pytest.mark.parametrize("schema", [Model, Struct])
    def test_data_holds_the_typed_value_and_body_stays_a_dict(self, schema: Any) -> None:
        seen = []

        class TypedSquare(Action):
            request_schema = schema

            def run(self, request: EnrichedActionRequest) -> Any:
                seen.append(request.data)
                return {"square": request.data.number**2, "body": request.body}

        response = TypedSquare()(request({"number": 7}))

        assert response.body == {"square": 49, "body": {"number": 7}}
        assert type(seen[0]) is schema

    @pytest.mark.parametrize("schema", [Model, Struct, Typed])
    def test_a_request_that_does_not_fit_is_the_callers_error(self, schema: Any) -> None:
        class TypedSquare(Square):
            request_schema = schema

        with pytest.raises(ActionError) as caught:
            TypedSquare()(request({"number": "7"}))
        with pytest.raises(ActionError) as missing:
            TypedSquare()(request({}))

        assert [(error.code, error.field, error.is_caller_error) for error in caught.value.errors] == [
            ("INVALID", "number", True)
        ]
        assert [(error.code, error.field) for error in missing.value.errors] == [("MISSING", "number")]

    @pytest.mark.parametrize("returned", [Model(number=3), {"number": 3}])
    def test_run_may_return_the_type_of_the_response_or_a_dict(self, returned: Any) -> None:
        class Returning(Action):
            response_schema = Model

            def run(self, request: EnrichedActionRequest) -> Any:
                return returned

        assert Returning()(request()).body == {"number": 3}

    @pytest.mark.parametrize("returned", [Struct(number="3"), {"number": "3"}, {}, None])  # type: ignore[arg-type]
    def test_a_response_that_does_not_fit_is_found(self, returned: Any) -> None:
        class Returning(Action):
            response_schema = Struct

            def run(self, request: EnrichedActionRequest) -> Any:
                return returned

        with pytest.raises(ResponseValidationError):
            Returning()(request())


class TestPrepareSchemas:
    def test_what_cannot_be_a_schema_is_named_with_its_class(self) -> None:
        class Mistaken(Square):
            response_schema = (("square", int),)

        with pytest.raises(TypeError, match=r"Mistaken\.response_schema: .*is not a schema"):
            prepare_schemas([Square, Mistaken])

    def test_variants_of_switched_actions_are_looked_at_too(self) -> None:
        class Mistaken(Square):
            request_schema = "a text"

        class Switched(SwitchedAction):
            switch_to_action_map = ((1, Square), (2, Mistaken))

        with pytest.raises(TypeError, match=r"Mistaken\.request_schema"):
            prepare_schemas([Switched])

    def test_functions_and_properties_are_passed_over(self) -> None:
        class WithProperty(Square):
            @property
            def request_schema(self) -> Any:  # type: ignore[override]
                return fields.Dictionary({"number": fields.Integer(gt=10)})

        prepare_schemas([WithProperty, lambda settings: None, object()])

        with pytest.raises(ActionError, match="Value not > 10"):
            WithProperty()(request({"number": 7}))

    def test_types_are_compiled_once(self) -> None:
        class TypedSquare(Square):
            request_schema = Model

        prepare_schemas([TypedSquare])
        prepared = TypedSquare._prepared_request
        TypedSquare()(request({"number": 7}))

        assert prepared is not None
        assert TypedSquare._prepared_request is prepared
