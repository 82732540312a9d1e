"""The base class of actions: checks what comes in, runs, checks what goes out."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Coroutine, Iterable
from types import CoroutineType
from typing import Any, ClassVar, NamedTuple

from pysoa.common.constants import ERROR_CODE_INVALID
from pysoa.common.errors import Error
from pysoa.common.fields import Schema
from pysoa.common.typed import TypedSchema, as_schema
from pysoa.common.types import ActionResponse, action_response
from pysoa.server.errors import ActionError, ResponseValidationError
from pysoa.server.types import ActionInterface, EnrichedActionRequest

__all__ = ("Action", "prepare_schemas")


class _Prepared(NamedTuple):
    """A schema that is ready for use, and what it was made from."""

    source: Any
    schema: Schema
    typed: TypedSchema | None


class Action(ActionInterface):
    """One operation of a service; an instance is made for each request.

    A schema is a Conformity field, one of ``pysoa.common.fields``, any object with their ``errors`` and
    ``introspect``, or a type: a pydantic model, a msgspec struct, a dataclass, a typed dict. With a type as request
    schema ``request.data`` holds the typed value; with one as response schema ``run`` may return an instance of it.

    ``run`` and ``validate`` may be ``async def``. A blocking server waits for them, on its event-loop thread.

    Attributes:
        description: documentation for introspection; without it, the docstring is taken.
        request_schema: what the request's body must satisfy, or None.
        response_schema: what the response's body must satisfy, or None.
        blocking: whether a plain ``run`` is for a thread where the loop is asyncio's, since it waits or takes long.
        settings: the settings of the server.
    """

    description: str | None = None
    request_schema: Any = None
    response_schema: Any = None
    blocking: bool = False

    _prepared_request: ClassVar[_Prepared | None] = None
    _prepared_response: ClassVar[_Prepared | None] = None

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    @abc.abstractmethod
    def run(self, request: EnrichedActionRequest) -> Any:
        """Do the work.

        Returns:
            The body of the response, a dict, or an instance of the type that is the response schema. None stands for
            an empty body.

        Raises:
            ActionError: the action fails with these errors.
            JobError: the whole job fails with these errors.
        """

    def validate(self, request: EnrichedActionRequest) -> Awaitable[None] | None:
        """Check what a schema cannot; called between the request schema and ``run``.

        Raises:
            ActionError: the request is refused with these errors.
        """

    def __call__(self, action_request: EnrichedActionRequest) -> Any:
        """Check the request, run, check the response.

        Returns:
            The ``ActionResponse``. Where ``run`` or ``validate`` is ``async def``, a coroutine that gives it back:
            the steps up to that one are done by then, and the others when it is awaited.

        Raises:
            ActionError: the request does not satisfy the schema, or the action failed.
            ResponseValidationError: the response does not satisfy the schema.
        """
        if (source := self.request_schema) is not None:
            prepared = self._prepared_request
            if prepared is None or prepared.source is not source:
                prepared = type(self)._prepared_request = _prepare(type(self), "request_schema", source)
            if prepared.typed is not None:
                action_request.data = _typed_value(prepared.typed, action_request.body)
            elif errors := prepared.schema.errors(action_request.body):
                raise _refusal(errors)

        validation = self.validate(action_request)
        if validation is not None and isinstance(validation, CoroutineType):
            return self._answer_once_valid(action_request, validation)
        body = self.run(action_request)
        if isinstance(body, CoroutineType):
            return self._answer_later(action_request, body)
        return self._response(action_request, body)

    async def _answer_once_valid(
        self, action_request: EnrichedActionRequest, validation: Coroutine[Any, Any, None]
    ) -> ActionResponse:
        await validation
        body = self.run(action_request)
        return self._response(action_request, await body if isinstance(body, CoroutineType) else body)

    async def _answer_later(
        self, action_request: EnrichedActionRequest, body: Coroutine[Any, Any, Any]
    ) -> ActionResponse:
        return self._response(action_request, await body)

    def _response(self, action_request: EnrichedActionRequest, body: Any) -> ActionResponse:
        if (source := self.response_schema) is not None:
            prepared = self._prepared_response
            if prepared is None or prepared.source is not source:
                prepared = type(self)._prepared_response = _prepare(type(self), "response_schema", source)
            if prepared.typed is not None:
                body = prepared.typed.to_body(body)
            if errors := prepared.schema.errors(body):
                raise ResponseValidationError(action=action_request.action, errors=list(errors))
        return action_response(action_request.action, {} if body is None else body)


def prepare_schemas(actions: Iterable[Any]) -> None:
    """Make the schemas of all actions ready for use, so that mistakes in them show when the server starts.

    Args:
        actions: the values of an action class map; what is not an ``Action`` or a switched one is passed over.

    Raises:
        TypeError: something is not a schema; the text names the action class and the attribute.
    """
    for action in actions:
        if isinstance(action, type) and issubclass(action, Action):
            for attribute in ("request_schema", "response_schema"):
                source = getattr(action, attribute)
                # A property gives its schema to instances only.
                if source is not None and not isinstance(source, property):
                    setattr(
                        action, f"_prepared_{attribute.removesuffix('_schema')}", _prepare(action, attribute, source)
                    )
        else:
            prepare_schemas(entry[1] for entry in getattr(action, "switch_to_action_map", ()))


def _prepare(action: type[Action], attribute: str, source: Any) -> _Prepared:
    try:
        schema = as_schema(source)
    except TypeError as error:
        raise TypeError(f"{action.__module__}.{action.__qualname__}.{attribute}: {error}") from error
    assert schema is not None  # only None gives None
    return _Prepared(source, schema, schema if isinstance(schema, TypedSchema) else None)


def _typed_value(schema: TypedSchema, body: Any) -> Any:
    try:
        return schema.convert(body)
    except Exception:  # validators are users' code: what they raise is a refusal if the schema says so, too
        if errors := schema.errors(body):
            raise _refusal(errors) from None
        raise


def _refusal(errors: Iterable[Any]) -> ActionError:
    return ActionError(
        errors=[
            Error(
                code=error.code or ERROR_CODE_INVALID,
                message=error.message,
                field=error.pointer,
                is_caller_error=True,
            )
            for error in errors
        ]
    )
