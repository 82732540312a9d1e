"""Services that do things as 0.42 did: they work, and are told the line that does it."""

from __future__ import annotations

import re
import sys
import warnings
from types import ModuleType
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.common.plugins import ClassConfiguration
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.types import ActionRequest, ActionResponse
from pysoa.server.internal.command_line import make_server as make_server_of_command_line
from pysoa.server.internal.old_ways import make_transport, takes
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.server import Server
from pysoa.server.types import EnrichedJobRequest
from tests.support.scripted import ScriptedServerTransport, answer, job, make_server
from tests.support.services import FULL, EchoAction, OrdinaryServer

METRICS = object()


class TransportOf042(ServerTransport):
    def __init__(self, service_name: str, metrics: Any, host: str = "localhost", **kwargs: Any) -> None:
        assert not kwargs
        self.made_with = (service_name, metrics, host)

    def receive_request_message(self) -> ReceivedMessage:
        raise NotImplementedError

    def send_response_message(self, request_id: int, meta: Any, body: Any) -> None:
        raise NotImplementedError


class StrictTransportOf042(TransportOf042):
    def __init__(self, service_name: str, metrics: Any) -> None:
        super().__init__(service_name, metrics)


@pytest.mark.parametrize(
    ("transport_class", "kwargs", "host"),
    [(StrictTransportOf042, {}, "localhost"), (TransportOf042, {"host": "example.com"}, "example.com")],
)
def test_a_transport_that_takes_no_worker_number_is_made_without(
    transport_class: type[TransportOf042], kwargs: dict[str, Any], host: str
) -> None:
    configuration = {"object": transport_class, "kwargs": kwargs}

    with pytest.warns(DeprecationWarning, match=rf"{transport_class.__name__}.__init__ should take the number") as said:
        transport: Any = make_transport(configuration, "x", METRICS, 3)  # type: ignore[arg-type]

    assert transport.made_with == ("x", METRICS, host)
    assert said[0].filename == __file__


def test_a_transport_that_takes_the_worker_number_gets_it() -> None:
    transport = make_transport({"object": ScriptedServerTransport}, "x", make_server(OrdinaryServer).metrics, 3)

    assert transport.instance_index == 3


def test_arguments_that_suit_no_signature_are_told_by_the_class_itself() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'hots'"):
        make_transport({"object": StrictTransportOf042, "kwargs": {"hots": "x"}}, "x", METRICS, 3)  # type: ignore[arg-type]


def test_what_has_no_signature_takes_anything() -> None:
    assert takes(type, 1, 2, 3, 4)


SETTINGS = {"transport": {"path": "tests.support.scripted:ScriptedServerTransport"}}


class ServerOf042(Server):
    service_name = "old"
    action_class_map = {"echo": EchoAction}

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.made = True

    def make_client(self, context: Any) -> Client:  # type: ignore[override]
        return Client({}, context={**context, "made_by": "old"})


@pytest.fixture
def settings_of_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("settings_of_042")
    module.SOA_SERVER_SETTINGS = {**SETTINGS, "logging": {"disable_existing_loggers": False}}
    monkeypatch.setitem(sys.modules, "settings_of_042", module)
    monkeypatch.setattr(sys, "argv", ["old", "-s", "settings_of_042"])
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)


@pytest.mark.usefixtures("settings_of_command_line")
def test_a_server_whose_constructor_takes_settings_only_knows_its_worker_all_the_same() -> None:
    with pytest.warns(DeprecationWarning, match=r"ServerOf042.__init__ should take the number of the worker") as said:
        server: Any = make_server_of_command_line(ServerOf042, 4)

    assert server.made
    assert (server._forked_process_id, server.transport.instance_index) == (4, 4)
    assert said[0].filename == __file__


@pytest.mark.usefixtures("settings_of_command_line")
@pytest.mark.parametrize("worker", [None, 4])
def test_a_server_that_takes_the_number_of_its_worker_gets_it(worker: int | None) -> None:
    server: Any = make_server_of_command_line(OrdinaryServer, worker)

    assert (server._forked_process_id, server.transport.instance_index) == (worker, worker or 1)


def test_an_overridden_make_client_may_take_the_context_only() -> None:
    seen: list[Any] = []

    class Asking(EchoAction):
        def run(self, request: Any) -> Any:
            seen.append(request.client.context)
            return {}

    class Old(ServerOf042):
        action_class_map = {"ask": Asking}

    answer(make_server(Old), job("ask"))

    assert [each["made_by"] for each in seen] == ["old"]


class DictMiddleware(ServerMiddleware):
    """Job middleware as 0.42 had it."""

    def job(self, process_job: Any) -> Any:
        def process(job_request: Any) -> Any:
            assert job_request.get("nothing", 5) == 5
            assert "context" in job_request
            assert job_request.get("client") is job_request.client
            for action in job_request["actions"]:
                action["body"] = {**action.get("body", {}), "added": job_request["context"]["correlation_id"]}
            job_request["control"]["continue_on_error"] = True
            return process_job(job_request)

        return process


def test_job_middleware_of_042_may_go_on_reading_requests_as_dicts() -> None:
    server = make_server(OrdinaryServer, middleware=[{"path": f"{__name__}:DictMiddleware"}], **FULL)

    with pytest.warns(DeprecationWarning, match="requests are objects, not dicts") as said:
        response = answer(server, job("fail", "echo"))

    assert [action["body"] for action in response["actions"]] == [{}, {"added": "corr-9"}]
    assert {each.filename for each in said} == {__file__}
    assert {re.sub(".*: use ", "", str(each.message)) for each in said} == {
        "job_request.actions",
        "job_request.client",
        "job_request.context",
        "job_request.control",
        "action_request.body",
    }


def old_request() -> Any:
    return EnrichedJobRequest({}, {}, [{"action": "a"}, ActionRequest("b")])


def test_actions_of_a_job_can_be_replaced_as_dicts() -> None:
    request = old_request()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        request["actions"] = [{"action": "c", "body": {"x": 1}}, *request.actions]
        names = [dict(action)["action"] for action in request["actions"]]

    assert names == ["c", "a", "b"]
    assert request.actions[0] == ActionRequest("c", {"x": 1})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda request: request["action"], KeyError),
        (lambda request: request.__setitem__("user", 1), KeyError),
        (list, TypeError),
        (dict, TypeError),
        (lambda request: request["actions"].append({}), AttributeError),
        (lambda request: request["actions"][0]["bodies"], KeyError),
        (lambda request: request["actions"][0].update(user=1), KeyError),
        (lambda request: request["actions"][0].pop("body"), TypeError),
    ],
)
def test_what_cannot_be_done_to_a_request_as_a_dict_fails_at_once(use: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        use(old_request())


def test_a_job_request_is_equal_to_another_by_its_fields_and_shows_them() -> None:
    assert old_request() == old_request()
    assert repr(old_request()).startswith("EnrichedJobRequest(control={}, context={}, actions=[ActionRequest(")


def test_plug_ins_of_042_say_nothing_of_their_arguments_and_get_them() -> None:
    configuration = {"path": f"{__name__}:StrictTransportOf042"}

    with pytest.warns(DeprecationWarning, match="does not say which keyword arguments") as said:
        errors = ClassConfiguration(ServerTransport).errors(configuration)

    assert errors == []
    assert said[0].filename == __file__


RECORDED: list[str] = []


class MetricOf042:
    def increment(self, amount: int = 1) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: Any) -> None: ...


class RecorderOf042:
    """Has counters, timers and ``commit``, and nothing else."""

    def __init__(self, config: dict[str, Any], prefix: str = "") -> None:
        assert config == {"any": "thing"}

    def counter(self, name: str, **kwargs: Any) -> MetricOf042:
        RECORDED.append(name)
        return MetricOf042()

    def timer(self, name: str, resolution: int = 1000, **kwargs: Any) -> MetricOf042:
        RECORDED.append(name)
        return MetricOf042()

    def commit(self) -> None:
        RECORDED.append("commit")


def test_recorders_of_042_count_and_time_and_commit_for_servers_and_clients() -> None:
    RECORDED.clear()
    metrics = {"path": f"{__name__}:RecorderOf042", "kwargs": {"config": {"any": "thing"}}}
    local = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": OrdinaryServer, "server_settings": {"metrics": metrics}},
    }

    def call() -> ActionResponse:
        with Client({"x": {"transport": local, "metrics": metrics}}) as client:
            return client.call_action("x", "explode", raise_action_errors=False)

    with pytest.warns(DeprecationWarning, match="RecorderOf042 does not say which keyword arguments"):
        answered = call()

    assert answered.errors[0].code == "SERVER_ERROR"
    assert {
        "client.transport.initialize",
        "client.middleware.initialize",
        "client.send.including_middleware",
        "client.send.excluding_middleware",
        "client.receive.including_middleware",
        "client.receive.excluding_middleware",
        "server.idle_time",
        "server.error.unhandled_error",
        "commit",
    } <= set(RECORDED)


def test_an_action_of_a_request_without_a_body_gets_an_empty_one() -> None:
    response = answer(make_server(OrdinaryServer), job({"action": "echo"}))

    assert response["actions"][0] == {"action": "echo", "errors": [], "body": {}}


def test_an_exception_in_an_action_leaves_the_rest_of_its_job_alone() -> None:
    request = job("echo", "explode", "echo", control={"continue_on_error": True})

    response = answer(make_server(OrdinaryServer), request)

    assert response["errors"] == []
    assert [len(action["errors"]) for action in response["actions"]] == [0, 1, 0]
