"""The status action."""

from __future__ import annotations

import platform
import sys
import threading
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import pytest

import pysoa
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.action import status
from pysoa.server.action.status import (
    BaseStatusAction,
    CheckMethodStatus,
    StatusActionFactory,
    make_default_status_action_class,
)
from pysoa.server.errors import ActionError
from pysoa.server.server import Server
from pysoa.server.types import EnrichedActionRequest
from tests.support.scripted import answer_in_loop, job


class Status(BaseStatusAction):
    _version = "9.9.9"


def request(body: Any = None, client: Any = None) -> EnrichedActionRequest:
    return EnrichedActionRequest("status", body if body is not None else {}, client=client)


def test_versions_are_told() -> None:
    body = Status()(request({"verbose": False})).body

    assert body == {
        "conformity": status._version_of_conformity(),
        "pysoa": pysoa.__version__,
        "python": platform.python_version(),
        "version": "9.9.9",
    }


def test_a_build_is_told_where_there_is_one() -> None:
    class Built(Status):
        _build = "b-1"

    assert Built()(request()).body["build"] == "b-1"


@pytest.mark.parametrize(
    ("body", "is_told"), [({}, True), ({"verbose": True}, True), ({"verbose": False}, False), ({"verbose": 1}, False)]
)
def test_health_is_told_unless_verbose_is_given_otherwise(body: dict[str, Any], is_told: bool) -> None:
    assert ("healthcheck" in Status().run(request(body))) is is_told


def test_a_run_without_a_body_is_verbose() -> None:
    unvalidated = request()
    unvalidated.body = None  # type: ignore[assignment]

    assert "healthcheck" in Status().run(unvalidated)


@pytest.mark.parametrize(
    ("body", "code", "field"), [({"verbose": "no"}, "INVALID", "verbose"), ({"x": 1}, "UNKNOWN", None)]
)
def test_other_requests_are_refused(body: dict[str, Any], code: str, field: str | None) -> None:
    with pytest.raises(ActionError) as caught:
        Status()(request(body))

    assert [(error.code, error.field) for error in caught.value.errors] == [(code, field)]


def test_checks_run_in_the_order_of_their_names_and_tell_what_they_find() -> None:
    order = []

    class Checked(Status):
        def check_disk(self, request: EnrichedActionRequest) -> Any:
            order.append("disk")
            self.diagnostics["free"] = 42
            return (CheckMethodStatus(True, "DISK_FULL", "no space"), (False, "DISK_SLOW", "slow io"))

        def check_boat(self, request: EnrichedActionRequest) -> None:
            order.append("boat")

        def check_air(self, request: EnrichedActionRequest) -> Any:
            order.append("air")
            yield True, "AIR_BAD", "smells"

    body = Checked()(request()).body

    assert order == ["air", "boat", "disk"]
    assert body["healthcheck"] == {
        "errors": [("AIR_BAD", "smells"), ("DISK_FULL", "no space")],
        "warnings": [("DISK_SLOW", "slow io")],
        "diagnostics": {"free": 42},
    }


@pytest.mark.parametrize("nothing", [None, [], (), False, 0, ""])
def test_a_check_that_finds_nothing_may_say_so_in_any_way(nothing: Any) -> None:
    class Checked(Status):
        def check_disk(self, request: EnrichedActionRequest) -> Any:
            return nothing

    assert Checked()(request()).body["healthcheck"] == {"errors": [], "warnings": [], "diagnostics": {}}


def test_diagnostics_begin_empty_in_each_run() -> None:
    class Checked(Status):
        def check_disk(self, request: EnrichedActionRequest) -> None:
            self.diagnostics["runs"] = self.diagnostics.get("runs", 0) + 1

    action = Checked()
    action(request())

    assert action(request()).body["healthcheck"]["diagnostics"] == {"runs": 1}


def test_a_check_that_takes_no_request_is_a_mistake_in_the_service() -> None:
    class Mistaken(Status):
        def check_disk(self) -> None:
            pass

    with pytest.raises(RuntimeError) as caught:
        Mistaken()(request())

    assert caught.value.args[0] == (
        "Status action check_* methods must accept a single argument of type EnrichedActionRequest"
    )
    assert isinstance(caught.value.args[1], TypeError)


@pytest.mark.parametrize("problems", [[(True, "code")], [(True, "code", "text", 1)], [5], 5, True])
def test_a_check_that_returns_something_else_is_a_mistake_in_the_service(problems: Any) -> None:
    class Mistaken(Status):
        def check_disk(self, request: EnrichedActionRequest) -> Any:
            return problems

    with pytest.raises(RuntimeError, match="must return None or an iterable of bool-str-str tuples"):
        Mistaken()(request())


def test_checks_do_not_hold_up_an_event_loop() -> None:
    threads = []

    class Checked(Status):
        def check_thread(self, request: EnrichedActionRequest) -> None:
            threads.append(threading.current_thread())

    class Checking(Server):
        service_name = "checking"
        action_class_map: ClassVar[Any] = {"status": Checked}

    answer_in_loop(Checking, job("status"))

    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_the_base_has_no_version_and_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="_version"):
        BaseStatusAction()  # type: ignore[abstract]


def test_the_factory_makes_a_class_of_a_version() -> None:
    class Base(BaseStatusAction):
        def check_disk(self, request: EnrichedActionRequest) -> Any:
            return [(True, "DISK_FULL", "no space")]

    action_class = StatusActionFactory("1.2.3", "build-4", Base)
    body = action_class()(request()).body

    assert action_class.__name__ == "StatusAction"
    assert (body["version"], body["build"]) == ("1.2.3", "build-4")
    assert body["healthcheck"]["errors"] == [("DISK_FULL", "no space")]
    assert "build" not in StatusActionFactory("1")()(request()).body


def test_the_default_takes_version_and_build_from_the_services_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("some_service")
    package.__version__ = "3.1.4"  # type: ignore[attr-defined]
    package.__build__ = "b-77"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_service", package)
    server_class = type("Server", (), {"__module__": "some_service.inner.server"})

    body = make_default_status_action_class(server_class)()(request()).body

    assert (body["version"], body["build"]) == ("3.1.4", "b-77")


def test_a_package_without_a_version_is_of_an_unknown_one() -> None:
    body = make_default_status_action_class(type("Server", (), {"__module__": "nowhere.at.all"}))()(request()).body

    assert body["version"] == "unknown"
    assert "build" not in body


class TestCheckClientSettings:
    class CheckingStatus(Status):
        check_client_settings = BaseStatusAction._check_client_settings

    @staticmethod
    def client(**responses: Any) -> mock.Mock:
        client = mock.Mock(spec_set=["settings", "call_jobs_parallel"], settings=dict.fromkeys(responses))
        client.call_jobs_parallel.return_value = list(responses.values())
        return client

    def health(self, client: Any) -> Any:
        return self.CheckingStatus()(request(client=client)).body["healthcheck"]

    def test_all_services_are_asked_at_the_same_time(self) -> None:
        good = JobResponse(actions=[ActionResponse("status", body={"version": "1"})])
        client = self.client(one=good, two=good)

        health = self.health(client)

        action = {"action": "status", "body": {"verbose": False}}
        client.call_jobs_parallel.assert_called_once_with(
            [{"service_name": "one", "actions": [action]}, {"service_name": "two", "actions": [action]}],
            timeout=2,
            catch_transport_errors=True,
            raise_job_errors=False,
            raise_action_errors=False,
        )
        assert health["errors"] == []
        assert health["diagnostics"] == {"services": {"one": {"version": "1"}, "two": {"version": "1"}}}

    def test_each_kind_of_problem_has_its_code(self) -> None:
        error = Error("CODE", "a message")
        health = self.health(
            self.client(
                away=MessageReceiveTimeout("no answer"),
                broken=JobResponse(errors=[error]),
                failing=JobResponse(actions=[ActionResponse("status", errors=[error])]),
            )
        )

        assert health["errors"] == [
            ("AWAY_TRANSPORT_ERROR", "no answer"),
            ("BROKEN_CALL_ERROR", str([error])),
            ("FAILING_STATUS_ERROR", str([error])),
        ]
        assert health["diagnostics"] == {"services": {}}

    def test_a_failure_of_the_whole_call_is_one_problem(self) -> None:
        client = self.client(one=None)
        client.call_jobs_parallel.side_effect = ValueError("no such thing")

        assert self.health(client)["errors"] == [("CHECK_SERVICES_UNKNOWN_ERROR", "no such thing")]

    @pytest.mark.parametrize("client", [None, mock.Mock(spec_set=["settings"], settings={})])
    def test_without_services_there_is_nothing_to_ask(self, client: Any) -> None:
        assert self.health(client) == {"errors": [], "warnings": [], "diagnostics": {}}


def test_a_request_without_a_body_passes_as_it_did_in_042() -> None:
    bodyless = EnrichedActionRequest("status", None)  # type: ignore[arg-type]

    response = StatusActionFactory("1.2.3")()(bodyless)

    assert response.body["version"] == "1.2.3"
    assert BaseStatusAction.request_schema.introspect()["type"] == "dictionary"
