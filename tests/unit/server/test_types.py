from __future__ import annotations

import copy
import functools
from typing import Any

import attr
import pytest

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest, is_async_action


class _Server:
    settings = {"a": 1}

    def __init__(self, **actions: Any) -> None:
        self.action_class_map = actions
        self.clients: list[dict[str, Any]] = []

    def make_client(self, context: dict[str, Any]) -> Any:
        self.clients.append(context)
        return object()


def job_on(server: Any) -> Any:
    message = {"control": {}, "context": {"correlation_id": "c"}, "actions": [{"action": "act"}]}
    return EnrichedJobRequest.with_client_on_demand(message, server, print)


def action_of(job: Any) -> Any:
    request = EnrichedActionRequest("act")
    request.share_client_of(job)
    return request


def test_fields_stand_in_the_order_of_the_first_release() -> None:
    assert [field.name for field in attr.fields(EnrichedActionRequest)] == [
        "action",
        "body",
        "switches",
        "context",
        "control",
        "client",
        "run_coroutine",
    ]
    assert [field.name for field in attr.fields(EnrichedJobRequest)] == [
        "control",
        "context",
        "actions",
        "client",
        "run_coroutine",
    ]


def test_switches_of_a_request_are_a_set_of_switches() -> None:
    request = EnrichedActionRequest("act", switches=[5, 5])  # type: ignore[arg-type]

    assert request.switches == RequestSwitchSet([5])
    assert request.switches.is_active(5)
    assert EnrichedActionRequest("act").switches == frozenset()


def test_a_request_that_was_given_no_client_has_none() -> None:
    assert EnrichedActionRequest("act").client is None
    assert EnrichedJobRequest().client is None
    assert action_of(EnrichedJobRequest()).client is None


def test_the_client_is_made_when_first_asked_for_and_is_one_for_all_of_the_job() -> None:
    server = _Server()
    job = job_on(server)
    one, two = action_of(job), action_of(job)
    assert server.clients == []

    client = one.client

    assert two.client is client
    assert job.client is client
    assert one.client is client
    assert server.clients == [{"correlation_id": "c"}]


def test_a_client_that_middleware_puts_in_is_what_actions_see() -> None:
    job = job_on(_Server())

    job.client = "another"

    assert action_of(job).client == "another"


@pytest.mark.parametrize("copied", [copy.copy, attr.evolve, lambda request: attr.evolve(request, body={"a": 1})])
def test_copies_of_requests_have_the_client(copied: Any) -> None:
    job = job_on(_Server())
    request = action_of(job)

    assert copied(request).client is job.client


def test_requests_compare_and_print_with_their_client() -> None:
    job = job_on(_Server())

    assert action_of(job) == action_of(job)
    assert "client=<object" in repr(action_of(job))


def test_data_is_the_body_until_a_typed_schema_sets_it() -> None:
    request = EnrichedActionRequest("act", {"a": 1})
    assert request.data == {"a": 1}

    request.data = 5

    assert request.data == 5
    assert request.body == {"a": 1}


# Local actions


@attr.s(auto_attribs=True)
class _Request(EnrichedActionRequest):
    user: Any = None


def answering(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action, body={"request": request, "settings": settings})


def returning_errors(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action, [Error("SOFT", "soft", is_caller_error=True)])


def raising_errors(settings: Any) -> Any:
    def act(request: Any) -> ActionResponse:
        raise ActionError([Error("HARD", "hard")])

    return act


def exploding(settings: Any) -> Any:
    def act(request: Any) -> ActionResponse:
        raise ValueError("kaboom")

    return act


def local_request(**actions: Any) -> Any:
    request: Any = _Request("outer", {"o": 1}, RequestSwitchSet([5]), {"correlation_id": "c"}, {"x": 1}, user=object())
    request._server = _Server(**actions)
    return request


def test_a_local_action_gets_a_request_like_ours() -> None:
    request = local_request(inner=answering)
    request.data = "typed"

    response = request.call_local_action("inner", {"i": 2}, context={"more": 3})

    inner = response.body["request"]
    assert type(inner) is _Request
    assert (inner.action, inner.body, inner.data) == ("inner", {"i": 2}, {"i": 2})
    assert inner.context == {"correlation_id": "c", "more": 3}
    assert request.context == {"correlation_id": "c"}
    assert inner.user is request.user
    assert inner.control is request.control
    assert inner.switches is request.switches
    assert inner._server is request._server
    assert response.body["settings"] == {"a": 1}


def test_a_local_action_shares_the_client_without_making_one() -> None:
    server = _Server(inner=answering)
    job = job_on(server)
    request = action_of(job)
    request._server = server

    inner = request.call_local_action("inner", {}).body["request"]

    assert server.clients == []
    assert inner.client is job.client


@pytest.mark.parametrize("is_caller_error", [False, True])
def test_errors_that_a_local_action_returns_are_raised(is_caller_error: bool) -> None:
    request = local_request(inner=returning_errors)

    with pytest.raises(ActionError) as raised:
        request.call_local_action("inner", {}, is_caller_error=is_caller_error)

    assert raised.value.errors == [Error("SOFT", "soft", is_caller_error=is_caller_error)]


def test_errors_that_a_local_action_raises_pass_unchanged() -> None:
    request = local_request(inner=raising_errors)

    with pytest.raises(ActionError) as raised:
        request.call_local_action("inner", {})

    assert raised.value.errors == [Error("HARD", "hard", is_caller_error=True)]


@pytest.mark.parametrize(
    ("action", "code"),
    [(returning_errors, "SOFT"), (raising_errors, "HARD"), (None, "UNKNOWN")],
)
def test_errors_of_local_actions_may_be_asked_for(action: Any, code: str) -> None:
    request = local_request(**({"inner": action} if action else {}))

    response = request.call_local_action("inner", {}, raise_action_errors=False)

    assert [error.code for error in response.errors] == [code]
    assert response.action == "inner"


def test_an_unknown_local_action_is_a_fault_of_the_service() -> None:
    with pytest.raises(ActionError) as raised:
        local_request().call_local_action("status", {})

    message = 'The action "status" was not found on this server.'
    assert raised.value.errors == [Error("UNKNOWN", message, field="action", is_caller_error=False)]


def test_a_request_without_a_server_cannot_call_local_actions() -> None:
    with pytest.raises(ActionError, match="No `_server` attribute set on action request object") as raised:
        EnrichedActionRequest("outer").call_local_action("inner", {})

    assert [error.code for error in raised.value.errors] == ["SERVER_ERROR"]

    response = EnrichedActionRequest("outer").call_local_action("inner", {}, raise_action_errors=False)
    assert response == ActionResponse("inner", errors=raised.value.errors)


def test_other_exceptions_of_local_actions_pass() -> None:
    with pytest.raises(ValueError, match="kaboom"):
        local_request(inner=exploding).call_local_action("inner", {}, raise_action_errors=False)


async def coroutine_function(request: Any) -> None: ...


class _Runs:
    async def run(self, request: Any) -> None: ...


class _IsCalled:
    async def __call__(self, request: Any) -> None: ...


class _SaysSo:
    is_async = True

    def run(self, request: Any) -> Any: ...


class _SaysNot(_Runs):
    is_async = False


class _Plain:
    def run(self, request: Any) -> None: ...

    async def help(self) -> None: ...


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (coroutine_function, True),
        (functools.partial(coroutine_function), True),
        (_Runs().run, True),
        (_Runs(), True),
        (_IsCalled(), True),
        (_SaysSo(), True),
        (_SaysNot(), False),
        (_Plain(), False),
        (_Plain().run, False),
        (functools.partial(print), False),
    ],
)
def test_an_action_says_whether_it_is_asynchronous(action: Any, expected: bool) -> None:
    for _ in range(2):
        assert is_async_action(action) is expected
