"""Test cases with a server in the process of the test."""

from __future__ import annotations

import importlib
import os
from typing import Any

from pysoa.client.client import Client
from pysoa.common.types import ActionResponse, Body
from pysoa.server.server import Server

__all__ = ("BaseServerTestCase", "PyTestServerTestCase")


class BaseServerTestCase:
    """What all test cases with a server share.

    Attributes:
        server_class: the server to test.
        server_settings: its settings; None looks them up.
        service_name: its name.
        client: calls it.
    """

    server_class: type[Server] | None = None
    server_settings: dict[str, Any] | None = None
    service_name: str
    client: Client

    def setup_pysoa(self) -> None:
        """Make a server, and a client that calls it.

        Raises:
            TypeError: the class has no server.
        """
        server_class = self.server_class
        if server_class is None:
            raise TypeError("You must specify `server_class` in `ServerTestCase` subclasses")
        if not issubclass(server_class, Server):
            raise TypeError("`server_class` must be a subclass of `Server` in `ServerTestCase` subclasses")
        if not server_class.service_name:
            raise TypeError("`server_class.service_name` must be set in `ServerTestCase` subclasses")
        self.service_name = server_class.service_name
        settings = _settings(server_class) if self.server_settings is None else self.server_settings
        kwargs = {"server_class": server_class, "server_settings": settings}
        transport = {"path": "pysoa.common.transport.local:LocalClientTransport", "kwargs": kwargs}
        self.client = Client({self.service_name: {"transport": transport}})
        handler: Any = self.client._get_handler(self.service_name)
        handler.transport.server._skip_django_database_cleanup = True

    def call_action(
        self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
    ) -> ActionResponse:
        """Call an action of the server."""
        return self.client.call_action(service_name or self.service_name, action, body=body, **kwargs)


def _settings(server_class: type[Server]) -> Any:
    if server_class.use_django:
        settings = importlib.import_module("django.conf").settings
        return settings.SOA_SERVER_SETTINGS
    name = os.environ.get("PYSOA_SETTINGS_MODULE")
    assert name, "PYSOA_SETTINGS_MODULE environment variable must be set to run tests."
    try:
        return importlib.import_module(name).SOA_SERVER_SETTINGS
    except (ImportError, AttributeError) as error:
        raise AssertionError(f"Could not access {name}.SOA_SERVER_SETTINGS: {error}") from error


class PyTestServerTestCase(BaseServerTestCase):
    """A test case for pytest, with a new server for each test."""

    @classmethod
    def setup_class(cls) -> None:
        """Called before the tests of the class."""

    @classmethod
    def teardown_class(cls) -> None:
        """Called after the tests of the class."""

    def setup_method(self) -> None:
        """Called before each test."""
        self.setup_pysoa()

    def teardown_method(self) -> None:
        """Called after each test."""
