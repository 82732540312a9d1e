"""The pytest plugin for tests of services, in pytests of their own: fixtures, collection, and what it costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVICE = """
import asyncio
from typing import Any, TypedDict
from pysoa.server.action import Action
from pysoa.server.server import Server

class Number(TypedDict):
    number: int

class Square(Action):
    request_schema = Number

    def run(self, request):
        return {"square": request.body["number"] ** 2}

class Ask(Action):
    def run(self, request):
        return request.client.call_action("other", "ask", request.body).body

class MyServer(Server):
    service_name = "mine"
    action_class_map = {"square": Square, "ask": Ask}

    def teardown(self):
        print("teardown of", self.service_name)

settings = {}
"""


def run_pytest(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_service.py").write_text(SERVICE)
    return tmp_path


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    last = done.stdout.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}


FIXTURES = """
import pytest
from my_service import MyServer
from pysoa.client.client import Client

@pytest.fixture(scope="module")
def server_class():
    return MyServer

def test_client(service_client, service_client_class, service_client_settings, server_settings, server_class):
    assert type(service_client) is service_client_class
    assert issubclass(service_client_class, Client)
    assert service_client.config is service_client_settings
    assert server_settings == {}
    kwargs = service_client_settings["mine"]["transport"]["kwargs"]
    assert kwargs == {"server_class": MyServer, "server_settings": {}}
    server = service_client.handlers["mine"].transport.server
    assert server._skip_django_database_cleanup is True
    assert service_client.call_action("square", {"number": 3}).body == {"square": 9}
    assert service_client.call_actions("mine", [{"action": "square", "body": {"number": 3}}]).actions[0].body
    with pytest.raises(Client.ImproperlyConfigured):
        service_client.call_action("square", {}, service_name="other")
    service_client.seen = True

def test_client_is_the_same(service_client):
    assert service_client.seen

def test_stubs(service_client, action_stubber):
    stub = action_stubber("other", "ask", body={"n": 1})
    inner = action_stubber("other", "ask", side_effect=lambda body: {"n": body["x"]})
    assert service_client.call_action("ask", {"x": 2}).body == {"n": 2}
    inner.assert_called_once_with({"x": 2})
    assert not stub.called

def test_stubs_are_gone(service_client):
    assert Client.send_request.__qualname__ == "Client.send_request"
    with pytest.raises(service_client.CallActionError):
        service_client.call_action("ask", {})
"""


def test_fixtures_give_a_client_of_the_service_and_stubs(folder: Path) -> None:
    (folder / "test_it.py").write_text(FIXTURES)

    done = run_pytest(folder, PYSOA_SETTINGS_MODULE="my_service")

    assert outcomes(done) == {"passed": 4}, done.stdout


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("", "PYSOA_SETTINGS_MODULE environment variable must be set to run tests."),
        ("not_there", "Could not import PYSOA_SETTINGS_MODULE: not_there"),
        ("json", "Could not access settings.SOA_SERVER_SETTINGS or settings.settings"),
    ],
)
def test_missing_settings_are_told(folder: Path, module: str, text: str) -> None:
    (folder / "test_it.py").write_text(
        "import pytest\nfrom my_service import MyServer\n"
        "@pytest.fixture(scope='session')\ndef server_class(): return MyServer\n"
        "def test_it(service_client): pass\n"
    )

    done = run_pytest(folder, PYSOA_SETTINGS_MODULE=module)

    assert f"AssertionError: {text}" in done.stdout
    assert outcomes(done) == {"error": 1}


OVER_A_BROKER = """
import asyncio
import pytest
from my_service import MyServer
from pysoa.test.services import ServiceDidNotStart, client_settings

class OtherServer(MyServer):
    service_name = "other"

    def setup(self):
        if self.settings["request_log_error_level"] == "CRITICAL":
            raise ValueError("not this time")

@pytest.mark.parametrize("own_process", [False, True])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_service(pysoa_service, pysoa_broker, own_process, concurrency):
    service = pysoa_service(MyServer, {"concurrency": concurrency}, own_process=own_process)
    assert service.client.call_action("mine", "square", {"number": 3}).body == {"square": 9}

    async def call():
        async with service.async_client() as client:
            return await client.call_action("mine", "square", {"number": 4})

    assert asyncio.run(call()).body == {"square": 16}
    assert service.config == client_settings(["mine"], pysoa_broker.url)
    service.stop()
    assert not service.is_running()

def test_service_calls_another_that_is_stubbed(pysoa_service, action_stubber):
    action_stubber("other", "ask", body={"n": 1})
    service = pysoa_service(MyServer, {"client_routing": {"other": {"transport": {"kwargs": {"a": "replaced"}}}}})
    assert service.client.call_action("mine", "ask").body == {"n": 1}

@pytest.mark.parametrize("own_process", [False, True])
def test_service_that_does_not_start(pysoa_service, own_process):
    with pytest.raises(ServiceDidNotStart, match="(?s)service other has ended.*not this time"):
        pysoa_service(OtherServer, {"request_log_error_level": "CRITICAL"}, own_process=own_process)
"""


def test_services_run_over_a_broker_of_their_own(folder: Path) -> None:
    (folder / "test_it.py").write_text(OVER_A_BROKER)

    done = run_pytest(folder)

    assert outcomes(done) == {"passed": 7}, done.stdout


COROUTINES = """
import asyncio
import unittest
import pytest
from my_service import MyServer
from pysoa.test.server import ServerTestCase, UnitTestServerTestCase
from pysoa.test.stub_service import stub_action

@pytest.fixture
def number():
    return 3

class TestMine(ServerTestCase):
    server_class = MyServer
    server_settings = {}

    @stub_action("other", "ask", body={"n": 1})
    async def test_it(self, stub, number):
        assert (await self.async_call_action("square", {"number": number})).body == {"square": 9}
        assert (await self.async_client.call_action("mine", "ask")).body == {"n": 1}

    async def test_failure(self):
        assert (await self.async_call_action("square", {"number": 2})).body == {"square": 5}

class MyCase(UnitTestServerTestCase):
    server_class = MyServer
    server_settings = {}

    async def test_it(self):
        assert (await self.async_call_action("square", {"number": 2})).body == {"square": 4}

@pytest.mark.anyio
class TestMarked(TestMine):
    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

class NotCollected(TestMine):
    pass

async def test_of_others():
    pass
"""


@pytest.mark.parametrize("plugins", [("-p", "no:anyio"), ()], ids=["none", "anyio"])
def test_coroutine_tests_run_whatever_plugins_there_are(folder: Path, plugins: tuple[str, ...]) -> None:
    (folder / "test_it.py").write_text(COROUTINES)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    anyio: for coroutines\n")

    done = run_pytest(folder, *plugins)

    counts = outcomes(done)
    assert counts.pop("passed") == 3, done.stdout
    assert sum(counts.values()) == 3  # before 8.4, pytest skips coroutine functions that it cannot run
    assert "async def functions are not natively supported" in done.stdout
    assert done.stdout.count("{'square': 4} == {'square': 5}") >= 2


HEAVY = ("asyncio", "attr", "click", "factory", "hiredis", "msgspec", "pydantic", "pyparsing", "redis")


def test_a_pytest_that_does_not_use_it_pays_nothing_for_it(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    print('loaded', sorted(name for name in sys.modules if name.partition('.')[0] == 'pysoa'))\n"
        f"    print('heavy', [name for name in {HEAVY} if name in sys.modules])\n"
    )

    done = run_pytest(folder, "-s", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    with_plugin = run_pytest(
        folder, "-s", "-p", "pysoa.test.plugins.pytest.fixtures", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )

    def line(output: str, name: str) -> Any:
        return next(line for line in output.splitlines() if line.startswith(name))

    assert line(done.stdout, "loaded") == "loaded []"
    assert line(with_plugin.stdout, "heavy") == line(done.stdout, "heavy")
    allowed = ["pysoa", "pysoa.test", "pysoa.test.plugins", "pysoa.test.plugins.pytest"]
    assert line(with_plugin.stdout, "loaded") == (
        f"loaded {[*allowed, 'pysoa.test.plugins.pytest.fixtures', 'pysoa.version']}"
    )
