"""Code that was written for 1.4.9 finds every public name of it, and may call it as it did."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import attr
import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.instruments import NO_METRICS
from pysoa.common.logging import SyslogHandler
from pysoa.common.transport.errors import MessageTooLarge
from pysoa.common.transport.local import LocalClientTransport
from pysoa.common.transport.redis_gateway.core import RedisTransportServerCore
from pysoa.server.action.status import StatusActionFactory
from pysoa.server.errors import ActionError, JobError, ResponseValidationError
from pysoa.server.server import Server
from tests.support.public_names import faults_of, public_names, signature_faults

NAMES = public_names()


@pytest.mark.parametrize(("module", "name", "what"), NAMES, ids=[f"{module}.{name}" for module, name, _ in NAMES])
def test_a_name_of_149_is_there_and_can_be_used_as_then(module: str, name: str, what: Mapping[str, Any]) -> None:
    thing = getattr(importlib.import_module(module), name)

    assert list(faults_of(thing, what)) == []


class Shop(Server):
    service_name = "shop"


def client() -> Client:
    return Client({"shop": {"transport": {"kwargs": {"backend_type": "redis.standard"}}}})


def server() -> Server:
    return Shop(Shop.settings_class({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}}))


CORE = (
    "service_name message_expiry_in_seconds queue_capacity queue_full_retries receive_timeout_in_seconds "
    "maximum_message_size_in_bytes default_serializer backend_layer _backend_layer"
)


@pytest.mark.parametrize(
    ("make", "attributes"),
    [
        (client, "config settings context handlers"),
        (lambda: client()._get_handler("shop"), "service_name metrics transport request_counter _middleware"),
        (
            lambda: client()._get_handler("shop").transport,
            "service_name metrics core client_id requests_outstanding _requests_outstanding",
        ),
        (lambda: client()._get_handler("shop").transport.core, f"{CORE} protocol_version"),
        (
            lambda: RedisTransportServerCore(service_name="shop", backend_type="redis.standard"),
            f"{CORE} chunk_messages_larger_than_bytes",
        ),
        (
            lambda: LocalClientTransport("shop", NO_METRICS, Shop, {}),
            "service_name metrics instance_index server server_settings response_messages",
        ),
        (
            server,
            "settings metrics transport shutting_down logger job_logger request_log_success_level "
            "request_log_error_level logging_dict_wrapper_class _middleware _forked_process_id "
            "_async_event_loop_thread _skip_django_database_cleanup",
        ),
        (StatusActionFactory("1"), "settings diagnostics"),
        (lambda: MessageTooLarge(5, "text"), "message_size_in_bytes args"),
        (CallJobError, "errors"),
        (CallActionError, "actions"),
        (lambda: JobError([]), "errors"),
        (lambda: ActionError([]), "errors"),
        (lambda: ResponseValidationError("a", []), "action errors"),
        (SyslogHandler, "maximum_length overflow"),
    ],
)
def test_an_object_has_the_attributes_that_it_had_in_149(make: Callable[[], Any], attributes: str) -> None:
    made = make()

    assert [name for name in attributes.split() if not hasattr(made, name)] == []
    if isinstance(made, SyslogHandler):
        made.close()


def ours(service_name: Any, metrics: Any = None, *args: Any, index: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("expected", "faults"),
    [
        ("service_name, metrics=None, *args", []),
        ("service_name, metrics", []),
        ("service_name, /", []),
        ("name, /, metrics=...", []),
        ("*, service_name, index=1", []),
        ("name", ["has service_name in the place of name"]),
        (
            "metrics, service_name",
            ["has service_name in the place of metrics", "has metrics in the place of service_name"],
        ),
        ("service_name, metrics=5", ["has None for metrics and not 5"]),
        ("service_name='x'", ["demands service_name"]),
        ("", ["demands service_name"]),
        ("service_name, metrics, more", ["takes no more as argument 3"]),
        ("service_name, *, fork", ["takes no fork"]),
        ("service_name, **kwargs", ["takes no **arguments"]),
    ],
)
def test_a_signature_that_refuses_calls_of_149_is_found(expected: str, faults: list[str]) -> None:
    assert list(signature_faults(inspect.signature(ours), expected)) == faults


@attr.s(auto_attribs=True)
class Ours(dict[str, Any]):
    action: str = ""
    retries = 3
    schema = {"transport": None}

    def run(self, request: Any) -> None: ...

    @classmethod
    def main(cls) -> None: ...


@pytest.mark.parametrize(
    ("what", "faults"),
    [
        ({"base": "builtins:dict", "fields": ["action"], "methods": {"run": "request", "main": ""}}, []),
        ({"attributes": {"retries": {"value": 3}, "schema": {}}, "keys": ["transport"]}, []),
        ({"is": "builtins:dict"}, ["is not builtins:dict"]),
        ({"base": "builtins:list"}, ["does not extend builtins:list"]),
        ({"fields": ["action", "body"]}, ["has the fields ['action']"]),
        ({"keys": ["metrics", "transport"]}, ["lacks the keys ['metrics']"]),
        ({"attributes": {"pause": {}}}, ["has no pause"]),
        ({"attributes": {"retries": {"value": 5}}}, ["retries is 3 and not 5"]),
        ({"methods": {"stop": ""}}, ["has no stop"]),
        ({"methods": {"run": "", "main": "number"}}, ["run demands request", "main takes no number as argument 1"]),
        ({"call": "action, body"}, ["takes no body as argument 2"]),
    ],
)
def test_a_thing_that_is_not_as_it_is_described_is_found(what: Mapping[str, Any], faults: list[str]) -> None:
    assert list(faults_of(Ours, what)) == faults
