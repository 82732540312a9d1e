"""Whether what tests take for granted about a service is what the service says of itself.

Stubs capture what they are asked and what they answer. A file keeps that, so that it can be held against the schemas
of the service later, where that is at hand.
"""

from __future__ import annotations

import base64
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pysoa.common.errors import PySOAError
from pysoa.common.fields import Schema
from pysoa.common.plugins import resolve_python_path
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.serializer.msgpack_serializer import MsgpackSerializer
from pysoa.common.serializer.values import plain
from pysoa.common.typed import as_schema
from pysoa.common.types import Body
from pysoa.server.action.introspection import IntrospectionAction
from pysoa.server.action.status import BaseStatusAction
from pysoa.server.server import Server
from pysoa.test.stubs.captured import Captured

__all__ = ("BadContractFile", "Recorded", "ServiceContract", "read_contract", "recorded", "write_contract")

_VERSION: Final = 1
_ENCODED: Final = "$msgpack"
_NOT_WRITABLE: Final = "$not_writable"


class BadContractFile(PySOAError):
    """A file is not one that ``write_contract`` has written; the text says why."""


class ServiceContract:
    """What a service says of its actions.

    Args:
        server: its server class, or the path of that, as ``module:name``.

    Raises:
        TypeError: it is no server class.

    Attributes:
        service_name: its name.
    """

    def __init__(self, server: type[Server] | str) -> None:
        server_class: Any = resolve_python_path(server) if isinstance(server, str) else server
        if not (isinstance(server_class, type) and issubclass(server_class, Server)):
            raise TypeError(f"{server!r} is not a server class")
        self.service_name = server_class.service_name
        self._actions: dict[str, Any] = {
            "status": BaseStatusAction,
            "introspect": IntrospectionAction,
            **server_class.action_class_map,
        }

    def action_faults(self, action: str) -> list[str]:
        """Why there is no such action; empty where there is one."""
        if action in self._actions:
            return []
        near = difflib.get_close_matches(action, self._actions, n=1, cutoff=0.6)
        return [f"there is no action {action!r}" + (f"; did you mean {near[0]!r}?" if near else "")]

    def request_faults(self, action: str, body: Body) -> list[str]:
        """What is wrong with the body of a request, one text for each field."""
        return self.action_faults(action) or self._faults(action, "request_schema", body)

    def response_faults(self, action: str, body: Body) -> list[str]:
        """What is wrong with the body of a response of an action that has not failed, one text for each field."""
        return self.action_faults(action) or self._faults(action, "response_schema", body)

    def _faults(self, action: str, attribute: str, body: Body) -> list[str]:
        """The faults by the schema of the action; of several variants one has to be satisfied."""
        found: list[str] = []
        for schema in self._schemas(self._actions[action], attribute):
            if schema is None:
                return []
            faults = [
                f"{error.pointer or 'body'}: {error.code or 'INVALID'}: {error.message}"
                for error in schema.errors(body) or ()
            ]
            if not faults:
                return []
            found = found or faults
        return found

    def _schemas(self, action: Any, attribute: str) -> Iterator[Schema | None]:
        variants = getattr(action, "switch_to_action_map", None)
        if variants is not None:
            for _, variant in variants:
                yield from self._schemas(variant, attribute)
            return
        source = getattr(action, attribute, None)
        # A property gives its schema to instances only, and none is made here.
        yield None if isinstance(source, property) else as_schema(source)


class Recorded(NamedTuple):
    """A body that stubs were given or gave, and the tests in which they did.

    Attributes:
        kind: ``request`` or ``response``.
        service: the service that the stub stands for.
        action: the action.
        body: the body; None for a request without one.
        errors: the codes of the errors of a response.
        tests: where it happened, as pytest names them.
        cannot_be_sent: why no message can have this body; empty where one can.
    """

    kind: str
    service: str
    action: str
    body: Body | None
    errors: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    cannot_be_sent: str = ""

    def faults(self, contract: ServiceContract) -> list[str]:
        """What the service would not take, or would not answer, one text for each field."""
        if self.cannot_be_sent:
            return [f"body: {self.cannot_be_sent}"]
        if self.kind == "request":
            return contract.request_faults(self.action, self.body or {})
        return (
            contract.action_faults(self.action)
            if self.errors
            else contract.response_faults(self.action, self.body or {})
        )


def recorded(captured: Iterable[Captured]) -> list[dict[str, Any]]:
    """What was captured, as JSON can hold it: each body once, in a fixed order, with all tests."""
    return _merged(
        {
            "kind": each.kind,
            "service": each.service,
            "action": each.action,
            "body": _jsonable(each.body),
            "errors": list(each.errors),
            "tests": [each.test] if each.test else [],
        }
        for each in captured
    )


def _merged(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_content: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in entries:
        content = json.dumps([entry["body"], entry["errors"]], sort_keys=True)
        known = by_content.setdefault(
            (entry["service"], entry["action"], entry["kind"], content), {**entry, "tests": []}
        )
        known["tests"] = sorted({*known["tests"], *entry["tests"]})
    return [entry for _, entry in sorted(by_content.items())]


def write_contract(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of what ``recorded`` gives, in one process or in several."""
    path.write_text(json.dumps({"pysoa_contract": _VERSION, "stubs": _merged(entries)}, indent=2) + "\n")


def read_contract(path: Path) -> list[Recorded]:
    """Read such a file.

    Raises:
        BadContractFile: it cannot be read.
    """
    try:
        document = json.loads(path.read_text())
        if document["pysoa_contract"] != _VERSION:
            raise BadContractFile(f"{path} is of version {document['pysoa_contract']}, and this reads {_VERSION}")
        return [_entry(item) for item in document["stubs"]]
    except OSError as error:
        raise BadContractFile(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, SerializationError) as error:
        raise BadContractFile(f"{path} was not written by `pysoa contract record`: {error!r}") from error


def _entry(item: Mapping[str, Any]) -> Recorded:
    body = item["body"]
    fault = "" if not isinstance(body, dict) else body.get(_NOT_WRITABLE, "")
    return Recorded(
        item["kind"],
        item["service"],
        item["action"],
        None if fault else _from_json(body),
        tuple(item["errors"]),
        tuple(item["tests"]),
        fault,
    )


def _jsonable(body: Body | None) -> Any:
    try:
        return _encoded(plain(body))
    except SerializationError as error:
        return {_NOT_WRITABLE: str(error)}


def _encoded(value: Any) -> Any:
    """JSON for a value; what JSON does not have is put into it as MessagePack, beside how it looks."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _encoded(item) for key, item in value.items()}
    blob = MsgpackSerializer().dict_to_blob({"value": value})
    return {_ENCODED: base64.b64encode(blob).decode(), "$shown": repr(value)}


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _ENCODED in value:
        return MsgpackSerializer().blob_to_dict(base64.b64decode(value[_ENCODED]))["value"]
    return {key: _from_json(item) for key, item in value.items()}
