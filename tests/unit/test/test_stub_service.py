from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pysoa.client.async_client import AsyncClient
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from pysoa.common.errors import Error
from pysoa.common.settings import Settings
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, MessageSendError
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server
from pysoa.test.compatibility import mock
from pysoa.test.coroutines import run_coroutine
from pysoa.test.stub_service import (
    StubClient,
    StubClientSettings,
    StubClientTransport,
    StubDoesNotConform,
    StubExhausted,
    StubServer,
    stub_action,
)

E = Error("E", "m E", field="f")
client = Client({})


def call(body: Any = None, **kwargs: Any) -> ActionResponse:
    return client.call_action("cart", "show", body, **kwargs)


@pytest.mark.parametrize(
    ("service", "action", "text"),
    [
        (b"cart", "show", "Stubbed service name \"b'cart'\" must be unicode"),
        ("cart", 5, 'Stubbed action name "5" must be unicode'),
    ],
)
def test_names_are_texts(service: Any, action: Any, text: str) -> None:
    with pytest.raises(AssertionError) as failure:
        stub_action(service, action)

    assert str(failure.value).partition("\n")[0] == text


def test_a_stub_has_attributes_that_mock_and_pytest_look_at() -> None:
    stub = stub_action("cart", "show")

    assert (stub.service, stub.action, stub.body, stub.errors, stub.side_effect) == ("cart", "show", {}, [], None)
    assert (stub.register_response_schema_contract, stub.register_request_schema_contract) == (True, True)
    assert (stub.attribute_name, stub.new, stub.is_local, stub.enabled) == (None, mock.DEFAULT, False, False)
    with stub:
        assert stub.is_local
    assert not stub.is_local


def test_a_stub_is_a_mock_that_is_called_with_the_bodies_of_requests() -> None:
    body = {"id": 5}
    with stub_action("cart", "show", body={"items": 2}) as stub:
        assert (stub.call_body, stub.call_bodies) == (None, ())
        assert call(body) == ActionResponse("show", body={"items": 2})
        call()
        client.call_actions("cart", [{"action": "show"}, {"action": "show", "body": None}])

    assert stub.call_body == {}
    assert stub.call_bodies == ({"id": 5}, {}, {}, {})
    assert stub.call_bodies[0] is body
    stub.assert_has_calls([mock.call({"id": 5}), mock.call({})])
    assert isinstance(stub, mock.MagicMock)
    assert "cart.show" in repr(stub)


def test_errors_are_given_as_errors_or_dicts_and_stay_as_they_are() -> None:
    errors = [E, {"code": "D", "message": "m D", "denied_permissions": ["p"]}]
    with stub_action("cart", "show", errors=errors, body={"partial": 1}):
        with pytest.raises(CallActionError) as failure:
            call()
        response = call(raise_action_errors=False)

    assert failure.value.actions == [response]
    assert response == ActionResponse("show", [E, Error("D", "m D", denied_permissions=["p"])], {"partial": 1})
    assert [error.is_caller_error for error in response.errors] == [False, False]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"a": 1}, ActionResponse("show", body={"a": 1})),
        (ActionResponse("other", body={"a": 1}), ActionResponse("other", body={"a": 1})),
        (None, ActionResponse("show")),
        ("text", ActionResponse("show")),
        (
            JobResponse(actions=[ActionResponse("x", body={"a": 1}), ActionResponse("y")]),
            ActionResponse("x", [], {"a": 1}),
        ),
    ],
)
def test_what_the_mock_gives_back_becomes_the_response(result: Any, expected: ActionResponse) -> None:
    with stub_action("cart", "show") as stub:
        stub.return_value = result
        assert call() == expected
        stub.side_effect = lambda body: result
        assert call() == expected


def test_an_idle_stub_answers_nothing() -> None:
    with stub_action("cart", "show"):
        assert call() == ActionResponse("show")


def test_exceptions_of_the_mock_become_what_a_service_would_answer() -> None:
    with stub_action("cart", "show") as stub:
        stub.side_effect = ActionError([E])
        response = call(raise_action_errors=False)
        assert [(error.code, error.is_caller_error) for error in response.errors] == [("E", True)]
        stub.side_effect = JobError([E])
        with pytest.raises(CallJobError) as failure:
            call()
        assert failure.value.errors == [E]
        assert call(raise_job_errors=False) == [E]
        for kind in (MessageReceiveError, MessageReceiveTimeout):
            stub.side_effect = kind("gone")
            request_id = client.send_request("cart", [{"action": "show"}])
            assert isinstance(request_id, int)
            with pytest.raises(kind, match="gone"):
                list(client.get_all_responses("cart"))
            with pytest.raises(kind, match="gone"):
                call()
        for other in (MessageSendError, ZeroDivisionError):
            stub.side_effect = other("lost")
            with pytest.raises(other, match="lost"):
                client.send_request("cart", [{"action": "show"}])
            assert list(client.get_all_responses("cart")) == []


def test_errors_of_a_job_without_actions_leave_no_action() -> None:
    with stub_action("cart", "show", side_effect=lambda body: JobResponse(errors=[E])):
        [(_, response)] = [client.send_request("cart", ["show"] and [{"action": "show"}])] and list(
            client.get_all_responses("cart")
        )
        assert response == JobResponse(errors=[E])
        assert call(raise_job_errors=False) == [E]


def test_side_effects_come_one_by_one() -> None:
    effects = [
        MessageReceiveTimeout("late"),
        {"good": "yes"},
        ActionResponse("show", body={"n": 3}),
        ActionError([E]),
        lambda body: {"asked": body},
        ValueError,
    ]
    with stub_action("cart", "show", side_effect=effects) as stub:
        with pytest.raises(MessageReceiveTimeout):
            call()
        assert call().body == {"good": "yes"}
        assert call().body == {"n": 3}
        with pytest.raises(CallActionError):
            call()
        assert call({"id": 1}).body == {"asked": {"id": 1}}
        with pytest.raises(ValueError):
            call()
        text = "^the side effects of the stub of cart.show are used up: this is call 7 of it$"
        with pytest.raises(StubExhausted, match=text.replace(".", r"\.")) as failure:
            call()

    assert isinstance(failure.value, StopIteration)
    assert stub.call_count == 7


def test_a_side_effect_that_is_a_dict_is_the_body() -> None:
    with stub_action("cart", "show", side_effect={"items": 1}) as stub:
        assert call().body == {"items": 1}
        stub.side_effect = {"items": 2}
        assert call().body == {"items": 2}
        stub.side_effect = None
        stub.return_value = {"items": 3}
        assert call().body == {"items": 3}


def test_a_side_effect_may_leave_it_to_the_return_value_and_change_the_request() -> None:
    body = {"id": 1}

    def change(given: Any) -> Any:
        given["changed"] = True
        return mock.DEFAULT

    with stub_action("cart", "show", body={"items": 4}, side_effect=change):
        assert call(body).body == {"items": 4}

    assert body == {"id": 1, "changed": True}


def test_what_a_caller_does_to_a_response_is_not_seen_by_the_next_one() -> None:
    with stub_action("cart", "show", body={"items": [{"id": 1}]}, errors=[E]):
        first = call(raise_action_errors=False)
        first.body["items"][0]["id"] = 2
        first.errors.clear()
        assert call(raise_action_errors=False) == ActionResponse("show", [E], {"items": [{"id": 1}]})


def test_start_and_stop_do_what_entering_and_leaving_do() -> None:
    stub = stub_action("cart", "show", body={"items": 1})

    started = stub.start()
    assert stub.start() is started
    with stub as entered:
        assert entered is started
        assert call().body == {"items": 1}
    assert not stub.enabled
    stub.stop()
    assert stub.__exit__() is False
    with pytest.raises(Client.ImproperlyConfigured, match='Unrecognized service name "cart"'):
        call()

    assert started.call_count == 1
    with stub as again:
        assert again.call_count == 0


def test_a_stub_server_has_a_map_of_its_own() -> None:
    class CartServer(StubServer):
        service_name = "cart"

    settings = CartServer.settings_class({"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}})
    server = CartServer(settings)
    server.stub_action("update_cart-now", body={"a": 1}, errors=[{"code": "C", "message": "m"}])

    action: Any = server.action_class_map["update_cart-now"]
    assert action.__name__ == "UpdateCartNow"
    assert (action.body, action.errors) == ({"a": 1}, [Error("C", "m")])
    assert Server.action_class_map == {}
    assert CartServer(settings).action_class_map == {}


def test_a_stub_transport_runs_a_server_of_its_own() -> None:
    transport = StubClientTransport("my-svc_x", action_map={"show": {"body": {"a": 1}}})
    other = StubClientTransport("my-svc_x")
    transport.stub_action("add", body={"b": 2})

    assert type(transport.server).__name__ == "MySvcXServer"
    assert isinstance(transport.server, StubServer)
    assert transport.server.service_name == "my-svc_x"
    assert set(transport.server.action_class_map) == {"show", "add"}
    assert other.server.action_class_map == {}
    assert StubClientTransport().service_name == "test"
    assert StubClientSettings({})["transport"]["object"] is StubClientTransport


ACTIONS = {"show": {"body": {"items": [1]}}, "add": {"body": {"x": 1}, "errors": [E, {"code": "D", "message": "m D"}]}}


@pytest.fixture
def stub_client() -> Iterator[StubClient]:
    with StubClient({"cart": ACTIONS}, any_other="argument") as made:
        yield made


def test_a_stub_client_answers_by_a_server(stub_client: StubClient) -> None:
    assert stub_client.call_action("cart", "show").body == {"items": [1]}
    stub_client.call_action("cart", "show").body["items"].append(2)
    assert stub_client.call_action("cart", "show").body == {"items": [1]}
    with pytest.raises(CallActionError) as failure:
        stub_client.call_action("cart", "add")
    assert [(error.code, error.is_caller_error) for error in failure.value.actions[0].errors] == [
        ("E", True),
        ("D", True),
    ]
    with pytest.raises(CallActionError) as failure:
        stub_client.call_action("cart", "nothing")
    assert failure.value.actions[0].errors[0].code == "UNKNOWN"
    with pytest.raises(Client.ImproperlyConfigured):
        stub_client.call_action("other", "show")
    ids = [stub_client.send_request("cart", [{"action": "show"}]) for _ in range(2)]
    assert [request_id for request_id, _ in stub_client.get_all_responses("cart")] == ids


def test_a_stub_client_gets_more_actions_and_keeps_those_that_it_has(stub_client: StubClient) -> None:
    stub_client.stub_action("cart", "drop", body={"gone": True})
    stub_client.stub_action("cart", "add", body={"count": 2})
    stub_client.stub_action("stock", "count", errors=[E])

    assert [stub_client.call_action("cart", name).body for name in ("show", "drop", "add")] == [
        {"items": [1]},
        {"gone": True},
        {"count": 2},
    ]
    assert stub_client.call_action("stock", "count", raise_action_errors=False).errors[0].code == "E"
    with stub_action("cart", "show", body={"stubbed": True}):
        assert stub_client.call_action("cart", "show").body == {"stubbed": True}


@pytest.mark.parametrize(
    "kwargs",
    [
        {"action_map": {"show": {"body": 1}}},
        {"action_map": {"show": {"errors": [{"code": "C"}]}}},
        {"action_map": {"show": {"errors": [{"code": "C", "message": "m", "is_caller_error": True}]}}},
        {"action_map": {"show": {"result": {}}}},
        {"action_map": []},
        {"actions": {}},
    ],
)
def test_settings_of_a_stub_transport_are_checked(kwargs: Any) -> None:
    path = "pysoa.test.stub_service:StubClientTransport"
    with pytest.raises(Settings.ImproperlyConfigured):
        Client({"cart": {"transport": {"path": path, "kwargs": kwargs}}})


def test_a_stub_transport_stands_in_settings_of_both_clients() -> None:
    path = "pysoa.test.stub_service:StubClientTransport"
    config = {"cart": {"transport": {"path": path, "kwargs": {"action_map": ACTIONS}}}}

    async def call_by_async_client() -> Any:
        async with AsyncClient(config) as async_client:
            return (await async_client.call_action("cart", "show")).body

    with Client(config) as blocking:
        assert blocking.call_action("cart", "show").body == {"items": [1]}
    assert run_coroutine(call_by_async_client) == {"items": [1]}


SHOP = "tests.support.shop:ShopServer"


def test_a_stub_may_be_held_to_what_its_service_takes_and_gives() -> None:
    with stub_action("shop", "square", body={"square": 9}, conforms_to=SHOP) as stub:
        assert client.call_action("shop", "square", {"number": 3}).body == {"square": 9}
        with pytest.raises(StubDoesNotConform) as failure:
            client.call_action("shop", "square", {"number": "3", "root": 2})
        assert str(failure.value) == (
            "the request of the stub of shop.square is not as the service has it:\n"
            "  number: INVALID: Not an integer\n"
            "  root: UNKNOWN: Extra keys present: root"
        )
        assert stub.call_count == 1
        stub.return_value = {"squared": 9}
        with pytest.raises(AssertionError, match=r"the response of the stub of shop\.square is not") as other:
            client.call_action("shop", "square", {"number": 3})
        assert other.value.faults == [  # type: ignore[attr-defined]
            "square: MISSING: Missing key: square",
            "squared: UNKNOWN: Extra keys present: squared",
        ]
        stub.side_effect = ActionError([E])
        assert client.call_action("shop", "square", {"number": 3}, raise_action_errors=False).errors


@pytest.mark.parametrize(
    ("service", "action", "fault"),
    [
        ("shop", "squar", "there is no action 'squar'; did you mean 'square'?"),
        ("cart", "square", "'tests.support.shop:ShopServer' is the service shop"),
    ],
)
def test_a_stub_of_what_its_service_does_not_have_is_refused(service: str, action: str, fault: str) -> None:
    stub = stub_action(service, action, conforms_to=SHOP)

    with pytest.raises(StubDoesNotConform) as failure:
        stub.start()

    assert failure.value.faults == [fault]
    assert not stub.enabled
    assert stub.copy().conforms_to == SHOP


def test_a_stub_for_an_asyncio_client_is_held_to_it_too() -> None:
    async def call_by_async_client() -> Any:
        async with AsyncClient({}) as async_client:
            await async_client.call_action("shop", "square", {"number": "3"})

    with stub_action("shop", "square", conforms_to=SHOP), pytest.raises(StubDoesNotConform):
        run_coroutine(call_by_async_client)
