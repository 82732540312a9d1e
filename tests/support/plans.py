"""A service, test plans for it, and what pytest does with them, done by hand."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.action import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server
from pysoa.test.plan import FixtureTestCaseData, ServicePlanTestCase

CASE = "test name: {name}\ntest description: of {name}\n{lines}\n"
GOOD = "echo: input: a: b\necho: expect: no errors"


def notify() -> None:
    """Is there to be mocked."""


class Echo(Action):
    def run(self, request: Any) -> dict[str, Any]:
        return {"body": request.body, "locale": request.context.get("locale"), "now": datetime.datetime.now()}


class EchoServer(Server):
    service_name = "echo"
    action_class_map = {"echo": Echo}


class EchoPlan(ServicePlanTestCase):
    """Knows two actions that the service does not have."""

    server_class = EchoServer
    server_settings = {}

    def _process_stub_action_plant(self, body: Any) -> Any:
        if body.get("row") == "bad":
            raise ActionError([Error("BAD", "no", field="row")])
        if body.get("row") == "response":
            return ActionResponse("plant", body={"from": "response"})
        if body.get("row") == "job":
            return JobResponse(errors=[Error("JOB", "job")])
        return {"got": body}

    @staticmethod
    def _process_stub_action_storm(body: Any) -> Any:
        raise JobError([Error("POWER_CUT", "dark")])


def cases_of(folder: Path, *cases: str, plan_class: type[ServicePlanTestCase]) -> list[FixtureTestCaseData]:
    """The test cases of a fixture file with these lines."""
    path = folder / "f.pysoa"
    path.write_text("\n".join(CASE.format(name=f"case{n}", lines=lines) for n, lines in enumerate(cases)))
    plan_class.custom_fixtures = (str(path),)
    return list(plan_class.get_fixture_test_information())


def run(all_data: list[FixtureTestCaseData], plan_class: type[ServicePlanTestCase]) -> list[Any]:
    """What pytest does with test cases, and what each of the steps of each has raised."""
    outcomes = []
    for data in all_data:
        test = plan_class()
        if data is all_data[0]:
            test._pytest_first_fixture_case = data
        if data is all_data[-1]:
            test._pytest_last_fixture_case = data
        steps = {"set-up": test.setup_method, "test": lambda test=test, data=data: data.callable(test)}
        errors = {}
        for name, step in [*steps.items(), ("tear-down", test.teardown_method)]:
            try:
                step()
            except BaseException as error:
                errors[name] = error
        outcomes.append(errors)
    return outcomes
