"""What can be expanded, calls whose rounds are told of responses without any client, and services for clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysoa.client.calls import request_headers
from pysoa.client.client import Client
from pysoa.client.expander import ExpansionConverter
from pysoa.client.expansion import CallExpansion
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from tests.support.client_transports import failing

WRONG = Error("WRONG", "it is")


def route(name: str, service: str = "", **changes: str) -> dict[str, str]:
    fields = {"service": service or f"{name}_s", "action": f"get_{name}s"}
    return {**fields, "request_field": "ids", "response_field": f"{name}s", **changes}


def configured(name: str, node_type: str | None = None, **changes: Any) -> dict[str, Any]:
    fields = {"type": node_type or name, "route": name, "source_field": f"{name}_id", "destination_field": name}
    return {**fields, **changes}


ROUTES = {
    "bar": route("bar"),
    "baz": route("baz"),
    "qux": route("qux"),
    "photo": route("photo"),
    "user": route("user"),
    "bar_by_name": route("bar", request_field="names"),
    "bar_titles": route("bar", response_field="titles"),
}
TYPES = {
    "foo": {
        "bar": configured("bar"),
        "strict": configured("bar", destination_field="strict", raise_action_errors=True),
        "qux": configured("qux"),
        "strict_qux": configured("qux", destination_field="strict_qux", raise_action_errors=True),
        "named": configured("bar", route="bar_by_name", source_field="bar_name", destination_field="named"),
        "title": configured("bar", route="bar_titles", destination_field="title", type=None),
        "self": configured("bar", destination_field="bar_id", source_field="bar_id"),
    },
    "bar": {"baz": configured("baz"), "strict_baz": configured("baz", raise_action_errors=True)},
    "baz": {"bar": configured("bar")},
    "user": {
        "manager": configured("user", source_field="manager_id", destination_field="manager"),
        "photo": configured("photo"),
    },
}
CONFIG = {"type_routes": ROUTES, "type_expansions": TYPES}


def job(*bodies: Any, errors: Any = ()) -> JobResponse:
    return JobResponse(list(errors), {}, [ActionResponse("a", body=body) for body in bodies])


def failed_job() -> JobResponse:
    return JobResponse([WRONG])


def failed_action(body: Any = None) -> JobResponse:
    return JobResponse(actions=[ActionResponse("a", [WRONG], body or {})])


def foo(bar_id: Any = ..., **fields: Any) -> dict[str, Any]:
    return {"_type": "foo", **({} if bar_id is ... else {"bar_id": bar_id}), **fields}


def make(expansions: Any, timeout: float | None = None, waits: bool = True, **options: Any) -> CallExpansion:
    headers = {"switches": None, "correlation_id": None, "continue_on_error": False, "context": None}
    headers |= {"control_extra": None, **options}
    return CallExpansion(
        ExpansionConverter(ROUTES, TYPES),
        expansions,
        headers=request_headers(timeout, **headers),
        timeout=timeout,
        waits=waits,
        errors=Client,
    )


def sent(call: CallExpansion) -> list[tuple[str, dict[str, Any]]]:
    """The requests of the present round."""
    return [(f"{service}.{action.action}", action.body) for service, (action,) in call.jobs()]


def expand(expansions: Any, *bodies: Any, **tables: dict[Any, Any]) -> list[list[tuple[str, dict[str, Any]]]]:
    """Run all rounds; services answer with what they have of the kind. The requests, round by round."""
    call = make(expansions)
    call.begin([job(*bodies)])
    rounds = []
    while requests := sent(call):
        rounds.append(requests)
        call.record([_answer(name.rpartition("_")[2], tables, *body.values()) for name, body in requests])
    return rounds


def _answer(kind: str, tables: dict[str, dict[Any, Any]], values: list[Any]) -> JobResponse:
    return job({kind: {value: tables[kind][value] for value in values if value in tables[kind]}})


# For clients

SERVICES = ("foo_s", "bar_s", "baz_s", "qux_s")


def settings(transport: str = "TwinTransport") -> dict[str, Any]:
    return {name: {"transport": {"path": f"tests.support.client_transports:{transport}"}} for name in SERVICES}


def of_kind(kind: str, **fields: Any) -> Callable[[Any], Any]:
    """What a service answers that has every object of a kind."""

    def answer(body: Any) -> Any:
        (action,) = body["actions"]
        found = {value: {"_type": kind, "id": value, **fields} for value in action["body"]["ids"]}
        action_response = {"action": action["action"], "errors": [], "body": {f"{kind}s": found}}
        return {"errors": [], "context": {}, "actions": [action_response]}

    return answer


ANSWERS = {"foo_s": failing, "bar_s": of_kind("bar", baz_id=10), "baz_s": of_kind("baz"), "qux_s": of_kind("qux")}


def answering(client: Any) -> Any:
    """A client of these services, all of which answer."""
    for name, answer in ANSWERS.items():
        client._get_handler(name).transport.answer = answer
    return client
