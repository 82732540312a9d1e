"""Two whole services, one written for 1.4.9 and one for 0.42, run unedited, call each other and are called.

They are in ``data/orders_149`` and ``data/warehouse_042``, with Conformity's schemas, and the recorder of the former is
pymetrics' own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pysoa
from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from tests.support.brokers import start
from tests.support.faults import ENGINES, routing, standard, workers_of
from tests.support.processes import ROOT, Process, children_of, packages_of_the_first_pysoa, python
from tests.support.raw import wait_until

DATA = ROOT / "tests" / "functional" / "data"
FOLDERS = {"orders": DATA / "orders_149", "warehouse": DATA / "warehouse_042"}
WORKERS = 2
TIMEOUT = 20


@dataclasses.dataclass
class Fleet:
    """Both services, with two workers each.

    Attributes:
        broker: what they share.
        folder: where they keep heartbeats and metrics.
        orders: the supervisor of the one of 1.4.9.
        warehouse: the supervisor of the one of 0.42.
        client: calls both, for a user.
    """

    broker: Broker
    folder: Path
    orders: Process
    warehouse: Process
    client: Client

    def metrics_of(self, pattern: str) -> list[dict[str, float]]:
        """What each worker has recorded so far: for each name the sum of its values."""
        sums = []
        for path in sorted(self.folder.glob(pattern)):
            recorded: dict[str, float] = {}
            for line in path.read_text().splitlines():
                name, value = line.split()
                recorded[name] = recorded.get(name, 0) + float(value)
            sums.append(recorded)
        return sums

    def run(self, module: str) -> Any:
        """Run a program of one of the services, and give back the JSON that it prints."""
        outcome = subprocess.run(
            python("-m", module),
            cwd=FOLDERS[module.partition(".")[0]],
            env={**os.environ, **environment(self.broker, self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)


def environment(broker: Broker, folder: Path) -> dict[str, str]:
    """What both services read of their environment."""
    return {
        "ORDERS_REDIS_PORT": str(broker.port),
        "ORDERS_RUN_FOLDER": str(folder),
        "WAREHOUSE_PORT": str(broker.port),
        "WAREHOUSE_RUN_FOLDER": str(folder),
        **packages_of_the_first_pysoa(),
    }


def all_are_announced(broker: Broker, name: str) -> bool:
    return workers_of(broker.url, name) >= WORKERS


@contextlib.contextmanager
def running(folder: Path, concurrency: int) -> Iterator[Fleet]:
    """Run both services as they were started at their time, but for the option that asks for asyncio."""
    option = ["--concurrency", str(concurrency)] if concurrency > 1 else []
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(start())
        env = environment(broker, folder)
        services = {
            name: stack.enter_context(
                Process(
                    *python("-m", f"{name}.standalone", "-s", f"{name}.settings", "-f", str(WORKERS), *option),
                    env=env,
                    cwd=cwd,
                )
            )
            for name, cwd in FOLDERS.items()
        }
        for name, process in services.items():
            process.wait_for_line("starting up", count=WORKERS)
            wait_until(functools.partial(all_are_announced, broker, name), f"all workers of {name} are there", 20)
        client = Client(routing(standard(broker.url), *FOLDERS), context={"user": "ada"})
        stack.enter_context(client)
        yield Fleet(broker, folder, services["orders"], services["warehouse"], client)


@pytest.fixture(scope="module", params=ENGINES.values(), ids=list(ENGINES))
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Both services in one of the engines, for the tests that leave them running."""
    with running(tmp_path_factory.mktemp("fleet"), request.param) as fleet:
        yield fleet


def faults_of(call: Callable[[], Any]) -> list[tuple[str, str, str | None, bool]]:
    """The errors of the one action that a call fails for."""
    with pytest.raises(CallActionError) as caught:
        call()
    return [
        (error.code, error.message, error.field, error.is_caller_error)
        for action in caught.value.actions
        for error in action.errors
    ]


def test_an_action_of_149_calls_the_service_of_042_through_both_middleware(fleet: Fleet) -> None:
    body = fleet.client.call_action("orders", "place_order", {"lines": ["tea", "sugar"]}, timeout=TIMEOUT).body

    assert body == {
        "reserved": ["tea", "sugar"],
        "audited_for": "ada",  # by job middleware of 0.42
        "told_by": "orders",  # by client middleware of 1.4.9
        "user": "ada",
        "stamp": "orders 1.9",  # by action middleware of 1.4.9
    }


def test_an_action_of_042_calls_the_service_of_149_through_both_middleware(fleet: Fleet) -> None:
    body = fleet.client.call_action("warehouse", "orders", timeout=TIMEOUT).body

    signs = {"stamp": "orders 1.9", "signed_by": "warehouse"}
    assert body == {
        "answers": [
            {"orders": {3: {"_type": "order", "id": 3, "item_id": 10}}, **signs},
            {"cents": 119, "gross": True, **signs},
        ]
    }


def test_an_action_of_042_calls_a_service_in_its_process_and_knows_its_server(fleet: Fleet) -> None:
    counted, failed = fleet.client.call_actions(
        "warehouse", [{"action": "count"}, {"action": "fail"}], timeout=TIMEOUT
    ).actions

    assert counted.body == {
        "count": 12,
        "shelves": 4,
        "trail": "stdout",
        "audited_for": "ada",
        "shown": "{'password': '**********'}",
    }
    assert failed.body == {"errors": 1}


def test_job_middleware_may_refuse_and_see_the_response(fleet: Fleet) -> None:
    with Client(routing(standard(fleet.broker.url), *FOLDERS)) as stranger:
        with pytest.raises(CallJobError) as caught:
            stranger.call_action("orders", "get_orders", timeout=TIMEOUT)
        counted = stranger.call_action("warehouse", "count", timeout=TIMEOUT)
    [answered] = fleet.client.call_jobs_parallel(
        [{"service_name": "orders", "actions": [{"action": "count_orders"}]}], timeout=TIMEOUT
    )

    assert [(error.code, error.is_caller_error) for error in caught.value.errors] == [("NO_USER", True)]
    assert counted.body["audited_for"] == "nobody"
    assert answered.context["served_for"] == "ada"


def test_schemas_of_conformity_and_validate_judge_requests_and_responses(fleet: Fleet) -> None:
    def place(body: dict[str, Any]) -> Callable[[], Any]:
        return lambda: fleet.client.call_action("orders", "place_order", body, timeout=TIMEOUT)

    assert sorted(faults_of(place({"lines": [], "iban": 5, "more": 1}))) == [
        ("INVALID", "List is shorter than 1", "lines", True),
        ("INVALID", "Not a unicode string", "iban", True),
        ("UNKNOWN", "Extra keys present: more", None, True),
    ]
    assert faults_of(place({"lines": ["tea"] * 4})) == [("TOO_LONG", "that is too much", "lines", True)]
    assert faults_of(place({"lines": ["gold"]})) == [("NO_SUCH_ITEM", "There is no gold", "skus", True)]
    assert faults_of(lambda: fleet.client.call_action("warehouse", "get_items", {"ids": ["1"]}, timeout=TIMEOUT)) == [
        ("INVALID", "Not an integer", "ids.0", True)
    ]


@pytest.mark.parametrize(
    ("service", "action", "switches", "expected"),
    [
        ("orders", "quote", [], {"cents": 200, "gross": False}),
        ("orders", "quote", [7], {"cents": 238, "gross": True}),
        ("orders", "quote", [8], {"cents": 200, "gross": False}),
        ("warehouse", "locate", [], {"place": "shelf"}),
        ("warehouse", "locate", [5, 6], {"place": "cellar"}),
        ("warehouse", "locate", [6], {"errors": 1}),
        ("warehouse", "locate", [0], {"place": "shelf"}),
    ],
)
def test_switches_choose_between_variants(
    fleet: Fleet, service: str, action: str, switches: list[int], expected: dict[str, Any]
) -> None:
    body = {"cents": 200} if action == "quote" else {}

    answered = fleet.client.call_action(service, action, body, switches=switches, timeout=TIMEOUT).body

    assert answered.items() >= expected.items()


def test_status_tells_versions_and_what_the_checks_have_found(fleet: Fleet) -> None:
    def status(service: str, body: dict[str, Any]) -> Any:
        return fleet.client.call_action(service, "status", body, timeout=TIMEOUT).body

    versions = {"conformity": "1.28.2", "pysoa": pysoa.__version__, "python": platform.python_version()}
    of_orders = {**versions, "version": "1.9.0", "build": "149", "stamp": "orders 1.9"}
    of_warehouse = {**versions, "version": "3.2.0"}
    assert status("orders", {"verbose": False}) == of_orders
    assert status("orders", {}) == {
        **of_orders,
        "healthcheck": {
            "errors": [["INK_DRY", "the ink is dry"]],
            "warnings": [["STAMPS_LOW", "a few stamps are left"]],
            "diagnostics": {"free": "enough", "services": {"warehouse": of_warehouse}},
        },
    }
    assert status("warehouse", {"verbose": False}) == of_warehouse
    assert status("warehouse", {"verbose": True})["healthcheck"] == {
        "errors": [],
        "warnings": [["SHELVES_FEW", "There are few shelves"]],
        "diagnostics": {"shelves": 4},
    }


def test_introspection_tells_of_schemas_and_variants(fleet: Fleet) -> None:
    orders = fleet.client.call_action("orders", "introspect", timeout=TIMEOUT).body
    quote = fleet.client.call_action("orders", "introspect", {"action_name": "quote[switch:7]"}, timeout=TIMEOUT).body
    warehouse = fleet.client.call_action("warehouse", "introspect", timeout=TIMEOUT).body

    assert orders["documentation"] == "The orders of a shop."
    assert orders["action_names"] == [
        "break", "count_orders", "get_orders", "introspect", "place_order",
        "quote[DEFAULT]", "quote[switch:7]", "status", "write_letter",
    ]  # fmt: skip
    assert orders["actions"]["place_order"]["documentation"] == "Places an order."
    assert orders["actions"]["place_order"]["request_schema"] == {
        "type": "dictionary",
        "contents": {
            "lines": {
                "type": "list",
                "contents": {"type": "unicode"},
                "min_length": 1,
                "description": "What is ordered",
            },
            "iban": {"type": "unicode"},
        },
        "optional_keys": ["iban"],
        "allow_extra_keys": False,
    }
    assert quote["actions"]["quote[switch:7]"]["documentation"] == "The price with tax."
    assert warehouse["documentation"] == "Where things are."
    assert warehouse["action_names"] == [
        "count", "fail", "get_items", "introspect", "locate[DEFAULT]", "locate[switch:5]", "locate[switch:6]",
        "orders", "reserve", "status",
    ]  # fmt: skip
    assert warehouse["actions"]["get_items"]["documentation"] == "Items by their ids"


def test_a_client_of_149_expands_what_two_services_answer(fleet: Fleet) -> None:
    tea = {"_type": "item", "id": 10, "name": "tea", "first_order_id": 1}
    sugar = {"_type": "item", "id": 20, "name": "sugar", "first_order_id": 2}
    first, second = {"_type": "order", "id": 1, "item_id": 10}, {"_type": "order", "id": 2, "item_id": 20}

    assert fleet.run("orders.overview") == {
        "orders": {
            "1": {**first, "item": {**tea, "first_order": first}},
            "2": {**second, "item": {**sugar, "first_order": second}},
            "3": {"_type": "order", "id": 3, "item_id": 10, "item": {**tea, "first_order": first}},
        },
        "count": 3,
        "served_for": "ada",
        "items": {},
    }


def test_a_client_of_042_expands_and_calls_in_parallel(fleet: Fleet) -> None:
    sugar = {"_type": "item", "id": 20, "name": "sugar", "first_order_id": 2}

    assert fleet.run("warehouse.overview") == {
        "orders": {"2": {"_type": "order", "id": 2, "item_id": 20, "item": sugar}},
        "codes": ["NO_SUCH_ITEM"],
        "places": ["cellar", "cellar"],
    }


def test_coroutines_run_in_their_middleware(fleet: Fleet) -> None:
    body = fleet.client.call_action("orders", "write_letter", {"to": "Bob"}, timeout=TIMEOUT).body

    assert body["letter"] == "Dear Bob, yours, the orders team."


def test_local_actions_are_called_with_the_request_class_of_the_service(fleet: Fleet) -> None:
    body = fleet.client.call_action("orders", "count_orders", timeout=TIMEOUT).body

    assert body == {"count": 3, "missing": "UNKNOWN", "class": "Request", "stamp": "orders 1.9"}


def test_every_worker_has_a_heartbeat_while_it_lives(fleet: Fleet) -> None:
    beats = sorted(path.name.split("-")[1:] for path in fleet.folder.glob("orders-*"))

    assert [number for number, _ in beats] == ["1", "2"]
    assert {int(pid) for _, pid in beats} == children_of(fleet.orders.pid)


def test_one_correlation_id_is_in_the_logs_of_both_services(fleet: Fleet) -> None:
    body = {"lines": ["tea"], "iban": "GB33BUKB20201555555555"}
    id_ = f"of-{fleet.orders.pid}"

    fleet.client.call_action("orders", "place_order", body, correlation_id=id_, timeout=TIMEOUT)

    said = fleet.orders.wait_for_line(rf"\[{id_} \d+\] pysoa.server.job: Job response")
    assert said.startswith("INFO orders/(n/a) ")
    request = fleet.orders.wait_for_line(rf"\[{id_} \d+\] pysoa.server.job: Job request")
    assert "GB33" not in fleet.orders.output
    assert "'iban': '**********'" in request
    fleet.orders.wait_for_line(rf"INFO orders/place_order \[{id_} \d+\] orders.server: placing an order")
    fleet.orders.wait_for_line(rf"\[{id_} \d+\] orders.middleware: orders heard of \['reserve'\]")
    fleet.warehouse.wait_for_line(rf"warehouse \[{id_} \d+\] warehouse.server: reserving")
    assert "debug messages" not in fleet.orders.output


def test_what_an_action_raises_unexpectedly_is_in_the_log_and_fails_it_alone(fleet: Fleet) -> None:
    faults = faults_of(lambda: fleet.client.call_action("orders", "break", timeout=TIMEOUT))

    [(code, message, field, is_caller_error)] = faults
    assert (code, field, is_caller_error) == ("SERVER_ERROR", None, False)
    error_id = re.fullmatch(r"Internal server error \(error id (\w+)\)", message)
    assert error_id is not None
    fleet.orders.wait_for_line("ValueError: broken")
    assert error_id[1] in fleet.orders.output


@pytest.mark.parametrize("concurrency", ENGINES.values(), ids=list(ENGINES))
def test_both_end_in_order_and_have_recorded_what_they_did(tmp_path: Path, concurrency: int) -> None:
    with running(tmp_path, concurrency) as fleet:
        for _ in range(3):
            fleet.client.call_action("orders", "place_order", {"lines": ["tea"]}, timeout=TIMEOUT)
        with pytest.raises(CallActionError):
            fleet.client.call_action("orders", "break", timeout=TIMEOUT)
        fleet.orders.terminate()
        fleet.warehouse.terminate()
        codes = fleet.orders.wait(), fleet.warehouse.wait()

    assert codes == (0, 0)
    assert list(tmp_path.glob("orders-*")) == []
    said = fleet.orders.output
    assert said.count("orders are about to fork") == 1
    assert said.count("orders are open, up to 3 lines") == said.count("orders are closed") == WORKERS
    assert said.count("Server shutdown complete") == WORKERS
    assert fleet.warehouse.output.count("the warehouse is open") == WORKERS
    assert fleet.warehouse.output.count("Server shutdown complete") == WORKERS
    assert "Traceback" not in fleet.warehouse.output

    assert [path.name for path in sorted(tmp_path.glob("metrics-[12]"))] == ["metrics-1", "metrics-2"]
    of_orders = fleet.metrics_of("metrics-[12]")
    assert [each["orders.server.worker.startup"] for each in of_orders] == [1, 1]
    assert [each["orders.server.worker.shutdown"] for each in of_orders] == [1, 1]
    assert sum(each.get("orders.requests", 0) for each in of_orders) == 4
    assert sum(each.get("orders.server.error.unhandled_error", 0) for each in of_orders) == 1
    of_warehouse = [each for each in fleet.metrics_of("metrics-???*") if each]
    assert [each["server.worker.startup"] for each in of_warehouse] == [1, 1]
    assert sum(each.get("server.idle_time", 0) for each in of_warehouse) > 0
