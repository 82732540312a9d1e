from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from pysoa.client.client import Client, ServiceHandler
from pysoa.client.errors import ImproperlyConfigured
from pysoa.client.middleware import AsyncClientMiddleware, ClientMiddleware
from pysoa.common.fields import Anything, Dictionary
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.settings import Settings
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout
from pysoa.common.types import ActionResponse, JobResponse
from tests.support.client_transports import ScriptedTransport, echo, make_client, transport_of

LOG: list[Any] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


@accepts_kwargs(Dictionary({"name": Anything()}))
class Logging(ClientMiddleware):
    def __init__(self, name: str) -> None:
        self.name = name
        LOG.append(f"made {name}")

    def request(self, send_request: Any) -> Any:
        LOG.append(f"request {self.name}")

        def send(request_id: int, meta: Any, job_request: Any, message_expiry_in_seconds: Any) -> None:
            LOG.append(f"send {self.name}")
            meta[self.name] = True
            job_request.context[self.name] = 1
            job_request.actions[0].body[self.name] = 2
            send_request(request_id, meta, job_request, message_expiry_in_seconds)

        return send

    def response(self, get_response: Any) -> Any:
        LOG.append(f"response {self.name}")

        def receive(receive_timeout_in_seconds: Any) -> Any:
            request_id, response = get_response(receive_timeout_in_seconds)
            LOG.append((f"receive {self.name}", request_id is None, response is None))
            return request_id, response

        return receive


class Failing(ClientMiddleware):
    """Fails where the action is named for it; calls another where that is asked for."""

    client: Any = None

    def request(self, send_request: Any) -> Any:
        def send(request_id: int, meta: Any, job_request: Any, expiry: Any) -> None:
            send_request(request_id, meta, job_request, expiry)
            if job_request.actions[0].action == "fail after sending":
                raise RuntimeError("after sending")

        return send

    def response(self, get_response: Any) -> Any:
        def receive(timeout: Any) -> Any:
            request_id, response = get_response(timeout)
            if response is not None and response.actions[0].action == "fail":
                raise RuntimeError("in receiving")
            if response is not None and response.actions[0].action == "call":
                response.actions[0].body["nested"] = self.client.call_action("square", "nested").action
            return request_id, response

        return receive


class Asynchronous(AsyncClientMiddleware):
    pass


def logging(*names: str) -> list[Any]:
    return [{"path": f"{__name__}:Logging", "kwargs": {"name": name}} for name in names]


def failing_client(transport: str) -> Any:
    client = make_client(middleware=[{"path": f"{__name__}:Failing"}], transport=transport)
    client._get_handler("square")._middleware[0].client = client
    return client


def test_stacks_are_built_once_and_the_first_middleware_is_the_outermost_both_ways() -> None:
    client = make_client(middleware=logging("outer", "inner"))
    client._get_handler("square")
    assert LOG == ["made outer", "made inner", "request inner", "request outer", "response inner", "response outer"]
    LOG.clear()

    client.call_action("square", "a")

    assert LOG == ["send outer", "send inner", ("receive inner", False, False), ("receive outer", False, False)]


def test_middleware_changes_what_is_sent() -> None:
    client = make_client(middleware=logging("mark"))

    client.call_action("square", "a")

    (sent,) = transport_of(client).sent
    assert sent.meta["mark"] is True
    assert sent.body["context"]["mark"] == 1
    assert sent.body["actions"][0]["body"] == {"mark": 2}


def test_middleware_sees_that_no_response_is_left_when_all_are_asked_for() -> None:
    client = make_client(middleware=logging("mark"))
    client.send_request("square", [{"action": "a"}])
    LOG.clear()

    list(client.get_all_responses("square"))

    assert LOG == [("receive mark", False, False), ("receive mark", True, True)]


def test_middleware_that_fails_after_sending_leaves_nothing_behind() -> None:
    client = failing_client("ListeningTransport")

    with pytest.raises(RuntimeError, match="after sending"):
        client.call_action("square", "fail after sending")
    with pytest.raises(RuntimeError, match="after sending"):
        client.send_request("square", [{"action": "fail after sending"}])

    assert client.handlers["square"]._awaited._known == {}
    assert client.call_action("square", "a").action == "a"


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_middleware_that_fails_fails_the_call_whose_response_it_was(transport: str) -> None:
    client = failing_client(transport)
    future = client.call_action_future("square", "fail")

    response = client.call_action("square", "a")

    assert response.action == "a"
    with pytest.raises(RuntimeError, match="in receiving"):
        future.result()
    assert client.handlers["square"]._awaited._known == {}


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_middleware_may_call_while_it_receives(transport: str) -> None:
    client = failing_client(transport)
    future = client.call_action_future("square", "a")

    assert client.call_action("square", "call").body == {"nested": "nested"}
    assert future.result().action == "a"


def test_middleware_is_checked_with_its_arguments() -> None:
    with pytest.raises(Settings.ImproperlyConfigured, match="kwargs"):
        make_client(middleware=[{"path": f"{__name__}:Failing", "kwargs": {"nonsense": 1}}])
    with pytest.raises(Settings.ImproperlyConfigured, match="is not one of or a subclass of"):
        make_client(middleware=[{"path": f"{__name__}:ScriptedTransport"}])


def test_a_blocking_client_refuses_asynchronous_middleware_by_name() -> None:
    client = make_client(middleware=[{"path": f"{__name__}:Asynchronous"}])

    with pytest.raises(ImproperlyConfigured, match=r"test_handler:Asynchronous of service square .* AsyncClient"):
        client.call_action("square", "a")


@pytest.mark.parametrize("middleware_class", [ClientMiddleware, AsyncClientMiddleware])
def test_the_base_middleware_changes_nothing(middleware_class: Any) -> None:
    middleware = middleware_class()

    assert middleware.request(print) is print
    assert middleware.response(print) is print


def test_a_malformed_response_fails_the_call_whose_response_it_was() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: {"actions": 5} if body["actions"][0]["action"] == "bad" else echo(body)
    future = client.call_action_future("square", "bad")

    assert client.call_action("square", "a").action == "a"
    with pytest.raises(InvalidMessageError):
        future.result()


def test_the_request_counter_can_be_set() -> None:
    client = make_client()
    client._get_handler("square").request_counter = 1000

    assert client.send_request("square", [{"action": "a"}]) == 1001
    assert client.handlers["square"].request_counter == 1001


def test_transports_that_do_not_say_otherwise_get_plain_values() -> None:
    class Plain(ScriptedTransport):
        encodes_values = False

    client = make_client()
    client._get_handler("square").transport = Plain("square")

    client.call_action("square", "a", {"set": {1}, "tuple": (1, 2), "value": ActionResponse("x")})

    (sent,) = transport_of(client).sent
    assert sent.body["actions"][0]["body"] == {
        "set": [1],
        "tuple": [1, 2],
        "value": {"action": "x", "errors": [], "body": {}},
    }


# Metrics


class Recorder:
    """Notes which timers ran, and when what was recorded went out."""

    def counter(self, name: str, **tags: Any) -> Any:
        LOG.append(name)
        return mock.Mock()

    def timer(self, name: str, *args: Any, **tags: Any) -> Any:
        LOG.append((name, int(tags["resolution"])))
        return mock.MagicMock()

    def histogram(self, name: str, *args: Any, **tags: Any) -> Any:
        return mock.Mock()

    gauge = histogram

    def publish_all(self) -> None:
        LOG.append("publish")


accepts_kwargs(Dictionary({}))(Recorder)


def test_metrics_are_those_of_the_first_pysoa() -> None:
    settings = {
        "transport": {"path": "tests.support.client_transports:ScriptedTransport"},
        "metrics": {"path": f"{__name__}:Recorder"},
    }
    client = Client({"square": settings})

    client.send_request("square", [{"action": "a"}])
    list(client.get_all_responses("square"))

    receiving = [("client.receive.including_middleware", 10**6), ("client.receive.excluding_middleware", 10**6)]
    assert [
        ("client.transport.initialize", 10**6),
        ("client.middleware.initialize", 10**6),
        ("client.send.including_middleware", 10**6),
        ("client.send.excluding_middleware", 10**6),
        "publish",
        *receiving,
        *receiving,
        "publish",
    ] == LOG
    assert isinstance(client.handlers["square"].metrics, Recorder)


def test_unexpected_responses_are_counted() -> None:
    settings = {
        "transport": {"path": "tests.support.client_transports:ScriptedTransport"},
        "metrics": {"path": f"{__name__}:Recorder"},
    }
    client = Client({"square": settings})
    transport_of(client).arrived.append((17, {}, None))
    transport_of(client).outstanding = 1

    client.call_action("square", "a")

    assert "client.receive.error.unknown_request_id" in LOG


# Others in the place of sending, receiving, transports and handlers


def canned(name: str) -> JobResponse:
    return JobResponse(actions=[ActionResponse(name)])


def test_a_stub_of_sending_and_receiving_gets_all_calls_and_needs_no_service() -> None:
    client = Client({})
    sent: list[Any] = []

    def send(self: Any, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
        sent.append((service_name, actions[0], kwargs))
        return len(sent) - 1

    def receive(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        while responses:
            yield responses.pop(0)

    responses = [(0, canned("zero")), (2, canned("two")), (1, canned("one")), (3, canned("three"))]

    with mock.patch.object(Client, "send_request", send), mock.patch.object(Client, "get_all_responses", receive):
        zero = client.call_action("any", "zero", timeout=3)
        one = client.call_action_future("any", "one")
        two = client.call_action_future("any", "two")
        assert one.result().action == "one"
        assert two.result().action == "two"
        assert [response.action for response in client.call_actions_parallel("any", [{"action": "three"}])] == ["three"]

    assert zero.action == "zero"
    assert sent[0][2]["message_expiry_in_seconds"] == 4
    assert sent[0][2]["control_extra"] == {"timeout": 3}
    assert "continue_on_error" in sent[0][2]


def test_an_error_of_a_stub_reaches_the_caller_and_later_responses_stay() -> None:
    client = Client({})
    outcomes: list[Any] = [MessageReceiveTimeout("stubbed"), (1, canned("one"))]

    def receive(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        while outcomes:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    with (
        mock.patch.object(Client, "send_request", side_effect=range(5)),
        mock.patch.object(Client, "get_all_responses", receive),
    ):
        with pytest.raises(MessageReceiveTimeout, match="stubbed"):
            client.call_action("any", "zero")
        assert client.call_action("any", "one").action == "one"


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_wrappers_around_sending_and_receiving_see_all_and_change_nothing(transport: str) -> None:
    seen: list[str] = []

    class Wrapped(Client):
        def send_request(self, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            seen.append("send")
            return super().send_request(service_name, actions, *args, **kwargs)

        def get_all_responses(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
            seen.append("receive")
            yield from super().get_all_responses(service_name, *args, **kwargs)

    client = make_client(client_class=Wrapped, transport=transport)
    futures = [client.call_action_future("square", "a", {"n": n}) for n in range(2)]
    response = client.call_action("square", "a", {"n": 2})

    assert [future.result().body["n"] for future in futures] == [0, 1]
    assert response.body == {"n": 2}
    assert seen.count("send") == 3
    assert client.handlers["square"]._awaited._known == {}


def test_a_subclass_that_wraps_sending_only_still_announces_that_it_waits() -> None:
    class Wrapped(Client):
        def send_request(self, *args: Any, **kwargs: Any) -> int:
            return super().send_request(*args, **kwargs)

    client = make_client(client_class=Wrapped, transport="ListeningTransport")
    transport = transport_of(client)

    client.call_action("square", "a", timeout=2)

    assert transport.told == [("expect_reply", 2)]


def test_what_a_stub_of_sending_keeps_to_itself_is_not_expected_of_the_next_request() -> None:
    client = make_client(transport="ListeningTransport")
    transport = transport_of(client)

    with mock.patch.object(Client, "send_request", side_effect=RuntimeError("kept")), pytest.raises(RuntimeError):
        client.call_action("square", "a", timeout=2)
    request_id = client.send_request("square", [{"action": "a"}])

    assert transport.told == []
    assert [one for one, _ in client.get_all_responses("square")] == [request_id]


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_futures_made_outside_of_a_stub_may_be_asked_inside_and_the_other_way_round(transport: str) -> None:
    client = make_client(transport=transport)

    def receive(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        yield from original(self, service_name, *args, **kwargs)

    original = Client.get_all_responses
    outside = client.call_action_future("square", "a", {"n": 1})
    with mock.patch.object(Client, "get_all_responses", receive):
        inside = client.call_action_future("square", "a", {"n": 2})
        assert outside.result().body == {"n": 1}
    assert inside.result().body == {"n": 2}


def test_a_transport_double_needs_only_to_send_and_receive() -> None:
    class Double:
        def send_request_message(self, request_id: int, meta: Any, body: Any, expiry: Any) -> None:
            self.request_id, self.body = request_id, body

        def receive_response_message(self, timeout: Any) -> Any:
            return self.request_id, {}, echo(self.body)

    client = make_client()
    client._get_handler("square").transport = Double()

    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}
    assert client.call_action_future("square", "a", {"n": 1}).result().body == {"n": 1}
    assert client.call_jobs_parallel([{"service_name": "square", "actions": [{"action": "a"}]}])[0].errors == []
    client.close()


def test_a_mock_transport_works() -> None:
    client = make_client()
    transport = mock.MagicMock()
    client._get_handler("square").transport = transport
    client.handlers["square"].request_counter = 6
    transport.receive_response_message.return_value = (7, {}, {"errors": [], "actions": [{"action": "a"}]})

    assert client.call_action("square", "a").action == "a"
    assert transport.send_request_message.call_args.args[0] == 7
    assert not transport.expect_reply.called


def test_a_handler_double_works() -> None:
    client = Client({})
    handler = mock.Mock()
    handler.send_request.return_value = 5
    handler.get_all_responses.side_effect = lambda *args: iter([(5, canned("a"))])
    client.handlers["square"] = handler

    assert client.call_action("square", "a").action == "a"
    assert client.call_action_future("square", "a").result().action == "a"


def test_a_handler_class_that_receives_in_its_own_way_is_asked_for_all_responses() -> None:
    class OwnHandler(ServiceHandler):
        def get_all_responses(self, receive_timeout_in_seconds: Any = None) -> Any:
            LOG.append("own")
            yield from super().get_all_responses(receive_timeout_in_seconds)

    class OwnClient(Client):
        handler_class = OwnHandler

    client = make_client(client_class=OwnClient)

    assert client.call_action("square", "a").action == "a"
    assert LOG == ["own"]
