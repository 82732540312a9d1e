"""The pytest plugin for tests of services: fixtures, and coroutine tests in test cases.

Every pytest that finds PySOA loads this module, so it imports nothing of PySOA until something of it is used.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pysoa.cli.broker import Broker
    from pysoa.client.client import Client
    from pysoa.common.types import ActionResponse, Body
    from pysoa.test.services import RunningService
    from pysoa.test.stub_service import stub_action


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("pysoa")
    group.addoption(
        "--pysoa-broker", metavar="URL", help="the broker of the fixture pysoa_broker, in the place of one of its own"
    )
    group.addoption(
        "--pysoa-contract-file", metavar="FILE", help="write what stubs of actions were asked and answered into a file"
    )


_contract_entries = pytest.StashKey[list[dict[str, Any]]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the contract file; a worker of pytest-xdist hands over what is to be in it."""
    config = session.config
    file = config.getoption("pysoa_contract_file")
    if not file:
        return
    from pysoa.test.contracts import recorded, write_contract
    from pysoa.test.stubs.captured import CAPTURED

    entries = recorded(CAPTURED)
    if hasattr(config, "workeroutput"):
        config.workeroutput["pysoa_contract"] = json.dumps(entries)
        return
    write_contract(Path(file), [*config.stash.get(_contract_entries, []), *entries])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of pytest-xdist hands over."""
    entries = json.loads(getattr(node, "workeroutput", {}).get("pysoa_contract", "[]"))
    node.config.stash.setdefault(_contract_entries, []).extend(entries)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run coroutine tests of test cases that no other plugin runs."""
    server = sys.modules.get("pysoa.test.server")
    if server is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if pyfuncitem.cls is None or not issubclass(pyfuncitem.cls, server.BaseServerTestCase):
        return None
    from pysoa.test.coroutines import run_coroutine_test

    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run_coroutine_test(pyfuncitem.instance, pyfuncitem.obj, **arguments)
    return True


@pytest.fixture(scope="module")
def server_settings(server_class: Any) -> Any:
    """The settings of the server: Django's, or those of the module that ``PYSOA_SETTINGS_MODULE`` names."""
    if server_class.use_django:
        settings = importlib.import_module("django.conf").settings
    else:
        name = os.environ.get("PYSOA_SETTINGS_MODULE")
        if not name:
            raise AssertionError("PYSOA_SETTINGS_MODULE environment variable must be set to run tests.")
        try:
            settings = importlib.import_module(name)
        except ImportError as error:
            raise AssertionError(f"Could not import PYSOA_SETTINGS_MODULE: {name}") from error
    for name in ("SOA_SERVER_SETTINGS", "settings"):
        with contextlib.suppress(AttributeError):
            return getattr(settings, name)
    raise AssertionError("Could not access settings.SOA_SERVER_SETTINGS or settings.settings")


@pytest.fixture(scope="module")
def service_client_settings(server_class: Any, server_settings: Any) -> dict[str, Any]:
    """Settings of a client that runs the server in the process of the test."""
    return {
        server_class.service_name: {
            "transport": {
                "path": "pysoa.common.transport.local:LocalClientTransport",
                "kwargs": {"server_class": server_class, "server_settings": server_settings},
            }
        }
    }


@pytest.fixture(scope="module")
def service_client_class(server_class: Any) -> type[Client]:
    """A client class whose ``call_action`` knows the name of the service."""
    from pysoa.client.client import Client

    class ServiceClient(Client):
        """Calls the service under test."""

        def call_action(  # type: ignore[override] # the service comes last, and may be left out
            self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
        ) -> ActionResponse:
            """Call an action of the service, or of another one."""
            return super().call_action(service_name or server_class.service_name, action, body=body, **kwargs)

    return ServiceClient


@pytest.fixture(scope="module")
def service_client(
    server_class: Any, service_client_class: type[Client], service_client_settings: dict[str, Any]
) -> Iterator[Client]:
    """Calls the service under test; all tests of a module have the same one, and the same server."""
    from pysoa.test.server import end_event_loop_of_server, start_server

    client = service_client_class(service_client_settings)
    start_server(client, server_class.service_name)
    yield client
    end_event_loop_of_server(client, server_class.service_name)


@pytest.fixture
def action_stubber() -> Iterator[Callable[..., Any]]:
    """Takes what ``stub_action`` takes, starts the stub, gives its mock, and stops all of them after the test."""
    from pysoa.test.stub_service import stub_action

    started: list[stub_action] = []

    def stub(*args: Any, **kwargs: Any) -> Any:
        started.append(stub_action(*args, **kwargs))
        return started[-1].start()

    yield stub
    for one in reversed(started):
        one.stop()


@pytest.fixture(scope="session")
def pysoa_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A Redis or Valkey server for the tests of this process; ``url`` is where it is.

    It is started for them, and nobody else's, unless ``--pysoa-broker`` names one.
    """
    from pysoa.cli.broker import find_broker

    with find_broker(request.config.getoption("pysoa_broker"), allow_start=True, reuse=False) as broker:
        yield broker


@pytest.fixture
def pysoa_service(pysoa_broker: Broker) -> Iterator[Callable[..., RunningService]]:
    """Runs services over ``pysoa_broker`` until the test ends.

    It takes a server class, its settings if it has any, and ``own_process=True`` for a process of its own in the place
    of a thread; it gives a ``RunningService``, whose ``client`` calls the service.
    """
    from pysoa.test.services import run_service

    with contextlib.ExitStack() as stack:
        yield lambda server_class, settings=None, **kwargs: stack.enter_context(
            run_service(server_class, pysoa_broker.url, settings, **kwargs)
        )
