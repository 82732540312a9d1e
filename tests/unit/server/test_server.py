from __future__ import annotations

import logging
from typing import Any

import attr
import pytest

from pysoa.client.client import Client
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.types import ActionResponse, Body, JobResponse
from pysoa.server.action.introspection import IntrospectionAction
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest
from tests.support.scripted import answer, job, make_server
from tests.support.services import FULL, EchoAction, OrdinaryServer


def test_actions_run_in_order_and_each_has_its_response() -> None:
    server = make_server(OrdinaryServer)

    response = answer(
        server,
        job(
            {"action": "square", "body": {"number": 3}},
            {"action": "echo", "body": {"a": 1}},
            {"action": "echo"},
        ),
    )

    assert response == {
        "errors": [],
        "context": {"correlation_id": "corr-9"},
        "actions": [
            {"action": "square", "errors": [], "body": {"square": 9}},
            {"action": "echo", "errors": [], "body": {"a": 1}},
            {"action": "echo", "errors": [], "body": {}},
        ],
    }


@pytest.mark.parametrize("failing", ["fail", "explode", "soft_error", "no_such_action"])
@pytest.mark.parametrize(("goes_on", "names"), [(False, 2), (True, 3)])
def test_a_job_ends_after_an_error_unless_it_is_told_to_go_on(failing: str, goes_on: bool, names: int) -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("echo", failing, "echo", control={"continue_on_error": goes_on}))

    assert [action["action"] for action in response["actions"]] == ["echo", failing, "echo"][:names]
    assert response["actions"][0]["errors"] == []
    assert response["actions"][1]["errors"]


def test_all_actions_of_a_job_share_context_control_switches_and_client() -> None:
    seen: list[EnrichedActionRequest] = []

    class CollectingServer(Server):
        service_name = "x"
        action_class_map = {"see": lambda settings: lambda request: seen.append(request) or ActionResponse("see")}

    server = make_server(CollectingServer)

    answer(server, job("see", "see", context={"switches": [5, 7]}))

    one, two = seen
    assert one.context is two.context
    assert one.control is two.control
    assert one.switches is two.switches
    assert one.client is two.client
    assert one.switches == {5, 7}


# Actions


def test_introspect_and_status_are_built_in() -> None:
    server = make_server(OrdinaryServer)

    response = answer(server, job("introspect", "status"))

    introspection, status = (action["body"] for action in response["actions"])
    assert "square" in introspection["action_names"]
    assert {"pysoa", "python", "version"} <= status.keys()


def test_an_action_of_the_service_stands_before_a_built_in_one() -> None:
    class OwnStatusServer(Server):
        service_name = "x"
        action_class_map = {"status": EchoAction, "introspect": EchoAction}

    server = make_server(OwnStatusServer)

    response = answer(server, job({"action": "status", "body": {"a": 1}}, {"action": "introspect", "body": {"b": 2}}))

    assert [action["body"] for action in response["actions"]] == [{"a": 1}, {"b": 2}]


def test_a_server_may_have_an_introspection_action_of_its_own() -> None:
    class Introspecting(Server):
        service_name = "x"

        def introspection_action(self) -> Any:  # type: ignore[override]
            return lambda request: ActionResponse("introspect", body={"service": self.service_name})

    server = make_server(Introspecting)

    response = answer(server, job("introspect"))

    assert response["actions"][0]["body"] == {"service": "x"}


def test_the_introspection_action_of_a_server_may_be_a_class_that_extends_the_built_in_one() -> None:
    class Shouting(IntrospectionAction):
        def run(self, request: EnrichedActionRequest) -> Body:
            body = super().run(request)
            return {**body, "documentation": str(body["documentation"]).upper()}

    class Introspecting(Server):
        """A quiet service."""

        service_name = "x"
        introspection_action = Shouting
        action_class_map = {"echo": EchoAction}

    response = answer(make_server(Introspecting), job("introspect"))

    body = response["actions"][0]["body"]
    assert (body["documentation"], body["action_names"]) == ("A QUIET SERVICE.", ["echo", "introspect", "status"])


def test_a_bound_method_can_be_an_action() -> None:
    class Shop:
        def open(self, settings: Any) -> Any:
            return self.sell

        def sell(self, request: EnrichedActionRequest) -> ActionResponse:
            return ActionResponse(request.action, body={"sold": request.body["what"]})

    class ShopServer(Server):
        service_name = "x"
        action_class_map = {"sell": Shop().open}

    server = make_server(ShopServer)

    response = answer(server, job({"action": "sell", "body": {"what": "tea"}}))

    assert response["actions"][0]["body"] == {"sold": "tea"}


def test_a_request_class_of_the_service_is_what_its_actions_get() -> None:
    @attr.s(auto_attribs=True)
    class Request(EnrichedActionRequest):
        user: str | None = "nobody"
        client: Any = None  # moves to the end of the fields

    class UserServer(Server):
        service_name = "x"
        request_class = Request
        action_class_map = {
            "who": lambda settings: (
                lambda request: ActionResponse(
                    "who", body={"user": request.user, "called_by": request.client.context["correlation_id"]}
                )
            )
        }

    server = make_server(UserServer)

    response = answer(server, job("who"))

    assert response["actions"][0]["body"] == {"user": "nobody", "called_by": "corr-9"}


def test_a_schema_that_is_none_is_refused_when_the_server_is_made() -> None:
    class WrongAction(EchoAction):
        request_schema = 5

    class WrongServer(Server):
        service_name = "x"
        action_class_map = {"wrong": WrongAction}

    with pytest.raises(TypeError, match=r"WrongAction\.request_schema"):
        make_server(WrongServer)


def test_a_server_needs_a_name() -> None:
    with pytest.raises(AttributeError, match="Server subclass must set service_name"):
        make_server(Server)


# Clients


def test_the_client_of_a_job_has_its_context_and_the_name_of_the_service() -> None:
    seen: list[Any] = []

    class CallingServer(Server):
        service_name = "x"
        action_class_map = {
            "call": lambda settings: lambda request: seen.append(request.client) or ActionResponse("call")
        }

    server = make_server(CallingServer)

    answer(server, job("call", context={"locale": "fr_CA"}))

    (client,) = seen
    assert type(client) is Client
    assert client.context == {
        "correlation_id": "corr-9",
        "switches": [],
        "locale": "fr_CA",
        "calling_service": "x",
    }


def test_clients_of_jobs_share_their_handlers_and_not_their_context() -> None:
    server = make_server(OrdinaryServer)

    one = server.make_client({"correlation_id": "1"})
    two = server.make_client({"correlation_id": "2"}, {"extra": 3})

    assert one.handlers is two.handlers
    assert one.context == {"correlation_id": "1", "calling_service": "x"}
    assert two.context == {"correlation_id": "2", "extra": 3, "calling_service": "x"}


def test_no_client_is_made_for_a_job_that_does_not_use_it() -> None:
    class NoClient:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise AssertionError("a client was made")

    class ThriftyServer(OrdinaryServer):
        client_class = NoClient  # type: ignore[assignment]

    server = make_server(ThriftyServer)

    assert answer(server, job("echo"))["errors"] == []


def test_what_middleware_adds_to_the_context_stays_out_of_the_client() -> None:
    server = make_server(OrdinaryServer)
    seen: list[Any] = []

    def process(request: EnrichedJobRequest) -> JobResponse:
        request.context["user"] = object()
        seen.append(request.client)
        return JobResponse()

    server._process_job = process

    answer(server, job("echo"))

    assert "user" not in seen[0].context


def test_an_overridden_make_client_is_called_once_for_each_job_with_the_context_only() -> None:
    calls: list[Any] = []

    class OwnClientServer(OrdinaryServer):
        def make_client(self, context: Any, extra_context: Any = None, **kwargs: Any) -> Client:
            calls.append((context, extra_context, kwargs))
            return super().make_client(context, {"own": True})

    server = make_server(OwnClientServer)

    answer(server, job("echo", "echo"))
    answer(server, job("echo"))

    assert calls == [({"correlation_id": "corr-9", "switches": []}, None, {})] * 2


# Hooks, logs


class _Hooked(OrdinaryServer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trace: list[str] = []

    def perform_pre_request_actions(self) -> None:
        super().perform_pre_request_actions()
        self.trace.append("before")

    def process_job(self, job_request: Any) -> JobResponse:
        self.trace.append("process")
        return super().process_job(job_request)

    def perform_post_request_actions(self) -> None:
        super().perform_post_request_actions()
        self.trace.append(f"after, {len(self.transport.sent)} sent")  # type: ignore[attr-defined]

    def perform_idle_actions(self) -> None:
        super().perform_idle_actions()
        self.trace.append("idle")


def test_hooks_run_around_each_request_and_the_last_after_the_response_has_left() -> None:
    server = make_server(_Hooked)

    answer(server, job("echo"))
    server.handle_next_request()

    assert server.trace == ["before", "process", "after, 1 sent", "idle"]


def test_a_message_without_parts_counts_as_none(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(_Hooked)
    server.transport.script.append(ReceivedMessage(None, None, None))

    server.handle_next_request()

    assert server.trace == ["idle"]
    text = "Thought to be impossible, but the transport returned None"
    assert caplog.record_tuples == [("pysoa.server", logging.WARNING, text)]


def test_a_hook_that_fails_before_the_job_is_answered() -> None:
    class FailingServer(OrdinaryServer):
        def perform_pre_request_actions(self) -> None:
            raise ValueError("no database")

    server = make_server(FailingServer, **FULL)

    (found,) = answer(server, job("echo"))["errors"]

    assert found["message"] == "Internal server error: no database"


def test_hooks_that_fail_after_the_job_or_when_idle_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    class FailingServer(OrdinaryServer):
        def perform_post_request_actions(self) -> None:
            raise ValueError("no database")

        def perform_idle_actions(self) -> None:
            raise ValueError("no database either")

    server = make_server(FailingServer)

    response = answer(server, job("echo"))
    server.handle_next_request()

    assert response["errors"] == []
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "perform_post_request_actions failed",
        "perform_idle_actions failed",
    ]


def test_requests_and_responses_are_logged_censored_and_with_their_ids(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = make_server(OrdinaryServer, extra_fields_to_redact={"pet"})
    body = {"password": "hunter2", "pet": "Rex", "a": 1}

    answer(server, job({"action": "echo", "body": body}))

    request, response = (record for record in caplog.records if record.name == "pysoa.server.job")
    assert request.getMessage().startswith("Job request: {'control': ")
    assert response.getMessage().startswith("Job response: {'errors': []")
    for record in (request, response):
        assert "{'password': '**********', 'pet': '**********', 'a': 1}" in record.getMessage()


def test_the_request_is_logged_at_the_error_level_only_when_its_own_is_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    server = make_server(OrdinaryServer, request_log_success_level="INFO", request_log_error_level="ERROR")

    answer(server, job("echo"))
    answer(server, job("fail"))

    assert [(record.levelname, record.getMessage()[:12]) for record in caplog.records] == [
        ("ERROR", "Job request:"),
        ("ERROR", "Job response"),
    ]
