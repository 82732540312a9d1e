"""Test cases for services: each test has a server and a client of its own, in the process of the test."""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
import unittest
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, Body
from pysoa.server.server import Server
from pysoa.test.assertions import Codes, raises_call_action_error, raises_error_codes, raises_field_errors
from pysoa.test.coroutines import close_clients_after_coroutine_tests, run_coroutine_test
from pysoa.test.old_assertions import OldAssertions

if TYPE_CHECKING:
    from pysoa.client.async_client import AsyncClient

__all__ = ("BaseServerTestCase", "PyTestServerTestCase", "ServerTestCase", "UnitTestServerTestCase")

_LOCAL = "pysoa.common.transport.local:LocalClientTransport"


class BaseServerTestCase:
    """What all test cases with a server share.

    Tests may be ``async def``; they run in an event loop of their own, whatever plugins pytest has, and call by
    ``async_client``.

    Attributes:
        server_class: the server to test.
        server_settings: its settings; None looks them up, in Django or in the module that the environment variable
            ``PYSOA_SETTINGS_MODULE`` names.
        service_name: its name, from ``setup_pysoa`` on.
        client: calls it, from ``setup_pysoa`` on.
    """

    server_class: type[Server] | None = None
    server_settings: Mapping[str, Any] | None = None
    service_name: str
    client: Client

    _client_config: Mapping[str, Any]
    _async_client: AsyncClient | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        close_clients_after_coroutine_tests(cls)

    def setup_pysoa(self) -> None:
        """Make a server, and a client that calls it.

        Raises:
            TypeError: the class names no server, or none that can be called.
            AssertionError: there are no settings.
        """
        server_class = self.server_class
        if server_class is None:
            raise TypeError("You must specify `server_class` in `ServerTestCase` subclasses")
        if not (isinstance(server_class, type) and issubclass(server_class, Server)):
            raise TypeError("`server_class` must be a subclass of `Server` in `ServerTestCase` subclasses")
        if not server_class.service_name:
            raise TypeError("`server_class.service_name` must be set in `ServerTestCase` subclasses")
        self.service_name = server_class.service_name
        settings = _settings(server_class) if self.server_settings is None else self.server_settings
        kwargs = {"server_class": server_class, "server_settings": settings}
        self._client_config = {self.service_name: {"transport": {"path": _LOCAL, "kwargs": kwargs}}}
        self._async_client = None
        self.client = Client(self._client_config)
        start_server(self.client, self.service_name)

    @property
    def async_client(self) -> AsyncClient:
        """Calls the service from coroutines; it has a server of its own, and is closed when the test ends."""
        if self._async_client is None:
            from pysoa.client.async_client import AsyncClient  # asyncio is not for those who have no use for it

            self._async_client = AsyncClient(self._client_config)
        return self._async_client

    async def _close_async_client(self) -> None:
        client, self._async_client = self._async_client, None
        if client is not None:
            await client.close()

    def _end_event_loop_of_server(self) -> None:
        if "client" in self.__dict__:
            end_event_loop_of_server(self.client, self.service_name)

    def call_action(
        self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
    ) -> ActionResponse:
        """Call an action of the service, or of another one.

        Args:
            action: its name.
            body: what it is given.
            service_name: the service, if it is another one.
            kwargs: for ``Client.call_action``.
        """
        return self.client.call_action(service_name or self.service_name, action, body=body, **kwargs)

    async def async_call_action(
        self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
    ) -> ActionResponse:
        """As ``call_action``, by the asyncio client."""
        return await self.async_client.call_action(service_name or self.service_name, action, body=body, **kwargs)

    def assertActionRunsWithAndReturnErrors(self, action: str, body: Body, **kwargs: Any) -> list[Error]:
        """Fail unless the action fails; see ``raises_call_action_error``.

        Returns:
            Its errors.
        """
        __tracebackhide__ = True
        with raises_call_action_error() as info:
            self.call_action(action, body, **kwargs)
        errors: list[Error] = info.soa_errors
        return errors

    def assertActionRunsWithFieldErrors(
        self, action: str, body: Body, field_errors: Mapping[str, Codes], only: bool = False, **kwargs: Any
    ) -> None:
        """Fail unless the action fails with these errors of fields; see ``raises_field_errors``."""
        __tracebackhide__ = True
        with raises_field_errors(field_errors, only=only):
            self.call_action(action, body, **kwargs)

    def assertActionRunsWithOnlyFieldErrors(
        self, action: str, body: Body, field_errors: Mapping[str, Codes], **kwargs: Any
    ) -> None:
        """Fail unless the action fails with these errors of fields and no others."""
        __tracebackhide__ = True
        self.assertActionRunsWithFieldErrors(action, body, field_errors, only=True, **kwargs)

    def assertActionRunsWithErrorCodes(
        self, action: str, body: Body, error_codes: Codes, only: bool = False, **kwargs: Any
    ) -> None:
        """Fail unless the action fails with these codes; see ``raises_error_codes``."""
        __tracebackhide__ = True
        with raises_error_codes(error_codes, only=only):
            self.call_action(action, body, **kwargs)

    def assertActionRunsWithOnlyErrorCodes(self, action: str, body: Body, error_codes: Codes, **kwargs: Any) -> None:
        """Fail unless the action fails with these codes and no others."""
        __tracebackhide__ = True
        self.assertActionRunsWithErrorCodes(action, body, error_codes, only=True, **kwargs)


def start_server(client: Client, service_name: str) -> None:
    """Start the server behind the local transport of a client, so that it does not end the test's database session."""
    handler: Any = client._get_handler(service_name)
    server = handler.transport.server
    if server is not None:  # else it has an event loop, on a thread
        server._skip_django_database_cleanup = True


def end_event_loop_of_server(client: Client, service_name: str) -> None:
    """End the server behind the local transport, if it has an event loop; another is left to itself, as in 1.x."""
    handler: Any = client.handlers.get(service_name)
    if handler is not None and getattr(handler.transport, "server", client) is None:
        client.close()


def _settings(server_class: type[Server]) -> Any:
    if server_class.use_django:
        return importlib.import_module("django.conf").settings.SOA_SERVER_SETTINGS
    name = os.environ.get("PYSOA_SETTINGS_MODULE")
    if not name:
        raise AssertionError("PYSOA_SETTINGS_MODULE environment variable must be set to run tests.")
    try:
        return importlib.import_module(name).SOA_SERVER_SETTINGS
    except (ImportError, AttributeError) as error:
        raise AssertionError(f"Could not access {name}.SOA_SERVER_SETTINGS: {error}") from error


class UnitTestServerTestCase(unittest.TestCase, BaseServerTestCase):
    """A test case for ``unittest``, with a new server for each test."""

    def setUp(self) -> None:
        """Make the server and the client."""
        super().setUp()
        self.setup_pysoa()
        self.addCleanup(self._end_event_loop_of_server)

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        if inspect.iscoroutinefunction(method):
            run_coroutine_test(self, method)
        else:
            super()._callTestMethod(method)  # type: ignore[misc] # what IsolatedAsyncioTestCase overrides, too


class PyTestServerTestCase(OldAssertions, BaseServerTestCase):
    """A test case for pytest, with a new server for each test.

    It is not a ``unittest.TestCase``, so fixtures and ``parametrize`` work in it, and a subclass is found if its name
    is one that pytest looks for. What ``unittest`` would call, and its assertions, are there for tests written when it
    was one.
    """

    _cleanups: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]

    @classmethod
    def setup_class(cls) -> None:
        """Called before the tests of the class."""
        if cls.setUpClass.__func__ is not PyTestServerTestCase.setUpClass.__func__:  # type: ignore[attr-defined]
            _warn_of_unittest("setUpClass", "setup_class")
            cls.setUpClass()

    @classmethod
    def teardown_class(cls) -> None:
        """Called after the tests of the class."""
        if cls.tearDownClass.__func__ is not PyTestServerTestCase.tearDownClass.__func__:  # type: ignore[attr-defined]
            _warn_of_unittest("tearDownClass", "teardown_class")
            cls.tearDownClass()

    def setup_method(self) -> None:
        """Called before each test; makes the server and the client."""
        self._cleanups = []
        self.setup_pysoa()
        if self.__class__.setUp is not PyTestServerTestCase.setUp:
            _warn_of_unittest("setUp", "setup_method")
            self.setUp()

    def teardown_method(self) -> None:
        """Called after each test."""
        try:
            if self.__class__.tearDown is not PyTestServerTestCase.tearDown:
                _warn_of_unittest("tearDown", "teardown_method")
                self.tearDown()
            self.doCleanups()
        finally:
            self._end_event_loop_of_server()

    @classmethod
    def setUpClass(cls) -> None:
        """Deprecated: for overrides; ``setup_class`` takes its place."""

    @classmethod
    def tearDownClass(cls) -> None:
        """Deprecated: for overrides; ``teardown_class`` takes its place."""

    def setUp(self) -> None:
        """Deprecated: for overrides; ``setup_method`` takes its place."""

    def tearDown(self) -> None:
        """Deprecated: for overrides; ``teardown_method`` takes its place."""

    def addCleanup(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Deprecated: have a function called after the test; ``teardown_method`` takes its place."""
        warnings.warn(
            "`ServerTestCase.addCleanup` is deprecated. `ServerTestCase` no longer inherits from `unittest.TestCase`. "
            "Your test cleanup will be run, but you should stop using `addCleanup` and clean up your tests in "
            "`teardown_method`, instead. This will be removed in PySOA 2.0.",
            DeprecationWarning,
            stacklevel=2,
        )
        self._cleanups.append((function, args, kwargs))

    def doCleanups(self) -> bool:
        """Call the functions given to ``addCleanup``, the last first.

        Returns:
            Whether none has failed. What one raised is printed; if it was the last one, it is raised.
        """
        is_well = True
        while self._cleanups:
            function, args, kwargs = self._cleanups.pop()
            try:
                function(*args, **kwargs)
            except KeyboardInterrupt:
                raise
            except BaseException:  # boundary: the other functions have to be called
                if not self._cleanups:
                    raise
                is_well = False
                traceback.print_exc()
        return is_well


ServerTestCase = PyTestServerTestCase


def _warn_of_unittest(old: str, new: str) -> None:
    warnings.warn(
        f"`ServerTestCase.{old}` is deprecated. `ServerTestCase` no longer inherits from `unittest.TestCase`. Your "
        f"test setup has been run, but you should change the `{old}` method name to `{new}` and be sure to still call "
        "`super` within it. This will be removed in PySOA 2.0.",
        DeprecationWarning,
        stacklevel=3,
    )
