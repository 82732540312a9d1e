from __future__ import annotations

import copy
import threading
from typing import Any

import attr
import pytest

from pysoa.common.transport.base import NO_MESSAGE, ReceivedMessage
from pysoa.common.transport.local import LocalClientTransport, LocalServerTransport
from pysoa.common.types import ActionResponse
from pysoa.server.server import Server

SETTINGS: dict[str, Any] = {"error_detail": "full"}
NOT_SETTINGS = ["a", "list"]


def echo(_: Any) -> Any:
    return lambda request: ActionResponse(request.action, [], request.body)


class EchoServer(Server):
    service_name = "echo"
    action_class_map = {"echo": echo}
    was_run = False
    setups = 0

    def setup(self) -> None:
        type(self).setups += 1
        super().setup()

    def run(self) -> None:
        type(self).was_run = True


class GreedyServer(EchoServer):
    def handle_next_request(self) -> None:
        self.transport.receive_request_message()
        self.transport.receive_request_message()


class SilentServer(EchoServer):
    def handle_next_request(self) -> None:
        self.transport.receive_request_message()


class RecordingServer(EchoServer):
    bodies: list[Any] = []

    def handle_next_request(self) -> None:
        message = self.transport.receive_request_message()
        assert message.request_id is not None
        assert message.meta is not None
        self.bodies.append(message.body)
        body = {"errors": [], "context": {}, "actions": [{"body": {"tags": {1}, "pair": (1, 2), "object": self}}]}
        self.transport.send_response_message(message.request_id, message.meta, body)


class Stranger:
    service_name = "echo"


def local(server_class: Any = EchoServer, settings: Any = SETTINGS, name: str = "echo") -> LocalClientTransport:
    return LocalClientTransport(name, server_class=server_class, server_settings=settings)


def job(**body: Any) -> dict[str, Any]:
    actions = [{"action": "echo", "body": body}]
    context = {"switches": [], "correlation_id": "c-1"}
    return {"control": {"continue_on_error": False}, "context": context, "actions": actions}


def test_a_request_is_served_while_it_is_sent() -> None:
    transport = local()

    transport.send_request_message(7, {"client_version": [1, 4, 9]}, job(number=3))

    assert len(transport.response_messages) == 1
    response = transport.receive_response_message()
    assert response.request_id == 7
    assert response.body is not None
    assert response.body["errors"] == []
    assert response.body["actions"][0]["body"] == {"number": 3}


def test_nothing_sent_is_nothing_received_and_nothing_waits() -> None:
    assert local().receive_response_message(60) == NO_MESSAGE
    assert ReceivedMessage(None, None, None) == NO_MESSAGE


def test_responses_come_in_order() -> None:
    transport = local()
    for number in range(3):
        transport.send_request_message(number, {}, job())

    assert [transport.receive_response_message().request_id for _ in range(4)] == [0, 1, 2, None]


def test_the_server_is_set_up_and_not_run() -> None:
    before = EchoServer.setups

    transport = local()

    assert EchoServer.setups == before + 1
    assert not EchoServer.was_run
    assert isinstance(transport.server, EchoServer)
    assert transport.server.transport is transport
    assert transport.is_local


def test_the_settings_given_are_left_as_they_were_and_their_transport_is_replaced() -> None:
    settings = {**SETTINGS, "transport": {"path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport"}}
    before = copy.deepcopy(settings)

    transport = local(settings=settings)

    assert settings == before
    assert transport.server_settings["transport"]["path"] == "pysoa.common.transport.local:LocalServerTransport"


def test_class_and_settings_can_be_given_by_their_paths() -> None:
    transport = local(f"{__name__}:EchoServer", f"{__name__}:SETTINGS")

    assert type(transport.server).__name__ == "EchoServer"


@pytest.mark.parametrize(
    ("server_class", "settings", "error", "text"),
    [
        ("nowhere.at.all:Server", SETTINGS, ImportError, "Could not resolve server class path nowhere.at.all:Server: "),
        (EchoServer, "nowhere.at.all:X", ImportError, "Could not resolve settings path nowhere.at.all:X: "),
        (f"{__name__}:Missing", SETTINGS, AttributeError, "Could not resolve server class path"),
        (Stranger, SETTINGS, TypeError, "server_class must be or extend Server"),
        ("pysoa.common.errors:Error", SETTINGS, TypeError, "must be or extend Server"),
        (EchoServer, f"{__name__}:NOT_SETTINGS", TypeError, f"Imported settings path {__name__}:NOT_SETTINGS is not"),
    ],
)
def test_what_cannot_be_a_server_or_settings_is_refused(
    server_class: Any, settings: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        local(server_class, settings)

    assert text in str(raised.value)


def test_the_names_must_be_the_same() -> None:
    with pytest.raises(Exception, match='service name "echo" does not match "other"') as raised:
        local(name="other")

    assert str(raised.value).startswith(f"Server {EchoServer} ")


def test_a_server_receives_once_for_each_request() -> None:
    with pytest.raises(RuntimeError, match="Local server tried to receive message more than once"):
        local(GreedyServer).send_request_message(1, {}, job())


def test_a_server_that_does_not_answer_leaves_nothing() -> None:
    transport = local(SilentServer)

    transport.send_request_message(1, {}, job())

    assert transport.receive_response_message() == NO_MESSAGE


@attr.s(auto_attribs=True)
class Pair:
    left: int
    right: int


def test_bodies_are_copied_as_plain_data_and_what_no_serializer_writes_passes() -> None:
    transport = local(RecordingServer)
    thing, original = object(), {"inner": [1]}
    RecordingServer.bodies.clear()

    transport.send_request_message(1, {}, job(pair=Pair(1, 2), tags={5}, list=(1,), thing=thing, original=original))

    body = RecordingServer.bodies[0]["actions"][0]["body"]
    assert body == {
        "pair": {"left": 1, "right": 2},
        "tags": [5],
        "list": [1],
        "thing": thing,
        "original": original,
    }
    assert body["original"] is not original
    response = transport.receive_response_message().body
    assert response is not None
    assert response["actions"][0]["body"]["tags"] == [1]
    assert response["actions"][0]["body"]["pair"] == [1, 2]
    assert response["actions"][0]["body"]["object"] is transport.server


def test_threads_take_turns() -> None:
    transport = local()
    threads = [
        threading.Thread(target=transport.send_request_message, args=(number, {}, job(number=number)))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    received = [transport.receive_response_message() for _ in threads]

    for message in received:
        assert message.body is not None
        assert message.body["actions"][0]["body"] == {"number": message.request_id}
    assert {message.request_id for message in received} == set(range(20))


def test_the_stub_in_the_settings_moves_nothing() -> None:
    stub = LocalServerTransport("echo")

    with pytest.raises(TypeError, match="The LocalServerTransport cannot be used directly; it is a stub"):
        stub.receive_request_message()
    with pytest.raises(TypeError, match="The LocalServerTransport cannot be used directly; it is a stub"):
        stub.send_response_message(1, {}, {})
