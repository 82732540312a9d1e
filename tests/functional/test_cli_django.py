"""``pysoa run`` and ``pysoa dev`` for services that live in a Django project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pysoa.cli.broker import Broker
from pysoa.cli.caller import client_settings
from pysoa.client import Client
from tests.support.commands import pysoa, wait_until_served
from tests.support.django_project import sqlite
from tests.support.processes import Process, python

pytest.importorskip("django", reason="django is not installed")

SERVER = "tests.support.django_service.server"
SETTINGS = "tests.support.django_service.settings"
NAMED = ("-s", SETTINGS)
IN_THE_ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": SETTINGS}


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(("run", SERVER, *NAMED), {}, id="run with -s"),
        pytest.param(("run", SERVER, "--concurrency", "5", "--workers", "2"), IN_THE_ENVIRONMENT, id="run without"),
        pytest.param(("dev", SERVER, *NAMED), {}, id="dev with -s"),
        pytest.param(("dev", SERVER, "--reload"), IN_THE_ENVIRONMENT, id="dev without"),
    ],
)
def test_models_are_there_when_the_service_is_imported(
    broker: Broker,
    start_process: Callable[..., Process],
    tmp_path: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str],
) -> None:
    process = start_process(
        *python("-W", "error", "-m", "pysoa", *arguments),
        env={
            "REDIS_URL": broker.url,
            "DJANGO_SERVICE": json.dumps({"DATABASES": {"default": sqlite(tmp_path)}}),
            "DJANGO_SERVICE_TABLES": "" if "--workers" in arguments else "1",  # pre_fork makes them
            **environment,
        },
    )
    wait_until_served(broker, "notes")
    with Client({"notes": client_settings(broker.url)}) as client:
        client.call_action("notes", "write_blocking", {"text": "one"})
        assert client.call_action("notes", "write_async", {"text": "two"}).body["backends"]
    process.terminate()

    assert process.wait() == 0
    assert "Traceback" not in process.output


def test_settings_of_dev_count_but_for_the_broker(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text(
        dedent("""
            from tests.support.django_service.settings import *
            SOA_SERVER_SETTINGS = {
                "transport": {"kwargs": {"backend_type": "redis.standard",
                                         "backend_layer_kwargs": {"hosts": ["redis://127.0.0.1:1"]}}},
                "concurrency": 3,
            }
        """)
    )
    process = start_process(
        *python("-m", "pysoa", "dev", SERVER, "-s", "elsewhere", "--broker", broker.url),
        env={"PYTHONPATH": str(tmp_path)},
    )
    wait_until_served(broker, "notes")
    process.terminate()

    assert process.wait() == 0


def test_faults_are_told_in_two_lines_at_most(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "INSTALLED_APPS = ['nowhere_to_be_found']\nSOA_SERVER_SETTINGS = {}\nUSE_TZ = True\n"
    )
    (tmp_path / "wrong.py").write_text("from tests.support.django_service.settings import *\nSOA_SERVER_SETTINGS = 3\n")
    (tmp_path / "uses_django.py").write_text(
        "from pysoa.server import Server as Base\n\n\nclass Server(Base):\n"
        "    service_name = 'uses_django'\n    use_django = True\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}

    def said(*arguments: str, **more: str) -> str:
        outcome = pysoa("run", *arguments, env={**environment, **more})
        assert (outcome.code, outcome.output) == (2, "")
        return outcome.said

    assert said("uses_django") == (
        "the settings of Django are missing: -s MODULE, or the environment variable DJANGO_SETTINGS_MODULE\n"
    )
    assert said("uses_django", "-s", "broken").startswith(
        "Django cannot be set up with broken: ModuleNotFoundError: No module named 'nowhere_to_be_found'\n"
    )
    assert said("uses_django", "-s", "wrong").startswith("SOA_SERVER_SETTINGS: these are no settings: ")
    assert said("uses_django", DJANGO_SETTINGS_MODULE="not_there").startswith(
        "Django cannot be set up with not_there: ValueError: Cannot import Django settings module `not_there`."
    )


def test_a_service_without_django_may_be_started_beside_a_project(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "project.py").write_text("INSTALLED_APPS = ['nowhere_to_be_found']\n")
    for named in ("project", "not_there"):
        process = start_process(
            *python("-W", "error", "-m", "pysoa", "dev", "examples.flight_booking", "--broker", broker.url),
            env={"PYTHONPATH": f"{tmp_path}:examples", "DJANGO_SETTINGS_MODULE": named},
        )
        wait_until_served(broker, "flight_booking")
        process.terminate()
        assert process.wait() == 0
