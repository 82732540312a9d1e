"""The deadline of a job, from its request to what its actions call."""

from __future__ import annotations

from typing import Any

import pytest

from pysoa.common.clock import monotonic
from pysoa.common.deadline import current_deadline, reset_deadline, set_deadline, time_left
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.local import LocalClientTransport
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.internal.harakiri import HarakiriInterrupt
from pysoa.server.types import EnrichedActionRequest
from tests.support.client_transports import lost, make_client, transport_of
from tests.support.scripted import job, make_server
from tests.support.services import OrdinaryServer


class WatchedServer(OrdinaryServer):
    """Notes the seconds that are left in each step of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left: dict[str, float | None] = {}

    def perform_pre_request_actions(self) -> None:
        self.left["before"] = time_left()

    def process_job(self, job_request: Any) -> JobResponse:
        self.left["job"] = time_left()
        return super().process_job(job_request)

    def perform_post_request_actions(self) -> None:
        self.left["after"] = time_left()


def served(control: dict[str, Any], seconds_until_expiry: float | None = None) -> dict[str, float | None]:
    """What is left in each step of a request."""
    server = make_server(WatchedServer)
    meta: dict[str, Any] = {"reply_to": "service.x!1"}
    if seconds_until_expiry is not None:
        meta["__expiry__"] = 1000.0
        server.transport.seconds_until = lambda expiry: seconds_until_expiry - 1000.0 + expiry
    server.transport.script.append(ReceivedMessage(1, meta, job("echo", control=control)))
    server.handle_next_request()
    left: dict[str, float | None] = server.left
    return left


def test_a_job_and_its_hooks_have_the_deadline_of_the_caller() -> None:
    left = served({"timeout": 20})

    assert list(left) == ["before", "job", "after"]
    assert all(seconds is not None and 18 < seconds <= 20 for seconds in left.values())


def test_the_transport_tells_how_long_a_request_has_been_on_its_way() -> None:
    left = served({"timeout": 20}, seconds_until_expiry=16)["job"]

    assert left is not None
    assert 13 < left <= 15


def test_a_job_begun_too_late_still_runs_and_knows() -> None:
    left = served({"timeout": 20}, seconds_until_expiry=0.5)["job"]

    assert left is not None
    assert left <= -0.5


@pytest.mark.parametrize("control", [{}, {"timeout": 20, "suppress_response": True}, {"timeout": "soon"}])
def test_a_job_whose_caller_does_not_say_or_does_not_wait_has_no_deadline(control: dict[str, Any]) -> None:
    assert set(served(control).values()) == {None}


class _Interrupted(OrdinaryServer):
    def perform_post_request_actions(self) -> None:
        raise HarakiriInterrupt


def test_the_deadline_ends_with_the_job_however_that_ends() -> None:
    server = make_server(_Interrupted)
    server.transport.script.append(job("echo", control={"timeout": 20}))

    with pytest.raises(HarakiriInterrupt):
        server.handle_next_request()

    assert current_deadline() is None


def test_a_transport_that_knows_no_expiry_serves() -> None:
    class Bare:
        encodes_values = True

        def __init__(self) -> None:
            self.sent: list[Any] = []

        def receive_request_message(self) -> ReceivedMessage:
            return ReceivedMessage(1, {"__expiry__": 1.0}, job("echo", control={"timeout": 20}))

        def send_response_message(self, *message: Any) -> None:
            self.sent.append(message)

    server = make_server(WatchedServer)
    server.transport = Bare()

    server.handle_next_request()

    assert len(server.transport.sent) == 1
    assert server.left["job"] > 18


def test_a_transport_of_a_user_goes_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    from pysoa.common.transport import base

    class Plain(ServerTransport):
        def receive_request_message(self) -> ReceivedMessage:
            raise NotImplementedError

        def send_response_message(self, request_id: int, meta: dict[str, Any], body: Any) -> None:
            raise NotImplementedError

    monkeypatch.setattr(base, "wall_clock", lambda: 1000.0)

    assert Plain("square").seconds_until(1061.0) == 61.0


# Calls within jobs


class Nested(OrdinaryServer):
    """Its action calls another service with a client that the test gives it."""

    client: Any = None
    call: Any = None

    def nested(self, settings: Any) -> Any:
        def run(request: EnrichedActionRequest) -> ActionResponse:
            return ActionResponse("nested", body={"answer": type(self).call(type(self).client)})

        return run

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.action_class_map = {"nested": self.nested}


def test_a_call_in_a_job_ends_when_the_caller_of_the_job_stops_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client(transport="ListeningTransport")
    transport_of(client).answer = lost
    monkeypatch.setattr(Nested, "client", client)
    monkeypatch.setattr(Nested, "call", staticmethod(lambda client: client.call_action("square", "lost")))
    server = make_server(Nested, error_detail="full")
    server.transport.script.append(job("nested", control={"timeout": 0.05}))
    began = monotonic()

    server.handle_next_request()

    assert 0.05 <= monotonic() - began < 1
    (error,) = server.transport.sent[0].body["actions"][0]["errors"]
    assert "DeadlinePassed" in error["traceback"]


def test_the_local_transport_passes_a_deadline_on_and_gives_it_back() -> None:
    transport = LocalClientTransport("x", server_class=WatchedServer, server_settings={})
    server: Any = transport.server
    before = set_deadline(monotonic() + 50)
    mine = current_deadline()

    transport.send_request_message(1, {}, job("echo", control={"timeout": 20}))
    after = current_deadline()
    reset_deadline(before)

    assert 18 < server.left["job"] <= 20
    assert after == mine
