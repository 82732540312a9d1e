"""Objects that refer to others, for the contract tests of expansions, and the action that looks them up."""

from __future__ import annotations

import copy
import threading
from typing import Any

from pysoa.common.errors import Error
from pysoa.server.errors import ActionError, JobError

OBJECTS: dict[str, dict[int, dict[str, Any]]] = {
    "bar": {2: {"_type": "bar", "id": 2, "baz_id": 20}, 6: {"_type": "bar", "id": 6, "baz_id": 60}},
    "baz": {20: {"_type": "baz", "id": 20, "bar_id": 6}, 60: {"_type": "baz", "id": 60}},
}


def objects_of(body: dict[str, Any]) -> dict[str, Any]:
    """The objects that the body of a request asks for by their ids, under ``bar_ids`` or ``baz_ids``."""
    ((field, ids),) = body.items()
    kind = field.removesuffix("_ids")
    if "slow" in ids:
        threading.Event().wait(1)
    if "wrong job" in ids:
        raise JobError([Error("WRONG", "it is")])
    if "wrong action" in ids:
        raise ActionError([Error("WRONG", "it is")])
    return {f"{kind}s": {each: copy.deepcopy(OBJECTS[kind][each]) for each in ids if each in OBJECTS[kind]}}


def _route(service: str, action: str, kind: str) -> dict[str, str]:
    return {"service": service, "action": action, "request_field": f"{kind}_ids", "response_field": f"{kind}s"}


def _expansion(kind: str, route: str = "", **changes: Any) -> dict[str, Any]:
    fields = {"type": kind, "route": route or kind, "source_field": f"{kind}_id", "destination_field": kind}
    return {**fields, **changes}


CONFIG = {
    "type_routes": {
        "bar": _route("inner", "async_look_up", "bar"),
        "baz": _route("outer", "look_up", "baz"),
        "slow": _route("wrapped", "look_up", "bar"),
        "headers": {
            "service": "inner",
            "action": "describe",
            "request_field": "names",
            "response_field": "context",
        },
    },
    "type_expansions": {
        "foo": {
            "bar": _expansion("bar"),
            "strict": _expansion("bar", raise_action_errors=True),
            "slow": _expansion("bar", "slow"),
            "header": _expansion("header", "headers", type=None, source_field="name"),
        },
        "bar": {"baz": _expansion("baz")},
        "baz": {"bar": _expansion("bar")},
    },
}
