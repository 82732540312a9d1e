from __future__ import annotations

import asyncio
import sys
import threading
import unittest
from types import ModuleType
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallJobError
from pysoa.server.server import Server
from pysoa.test.server import BaseServerTestCase, PyTestServerTestCase, ServerTestCase, UnitTestServerTestCase
from tests.support.shop import ShopServer

SETTINGS_MODULE = "tests.support.shop"


class ShopCase(BaseServerTestCase):
    server_class = ShopServer
    server_settings: Any = {}


def set_up(**attributes: Any) -> BaseServerTestCase:
    case = ShopCase()
    for name, value in attributes.items():
        setattr(case, name, value)
    case.setup_pysoa()
    return case


class Nameless(Server):
    pass


@pytest.mark.parametrize(
    ("server_class", "text"),
    [
        (None, "You must specify `server_class` in `ServerTestCase` subclasses"),
        (dict, "`server_class` must be a subclass of `Server` in `ServerTestCase` subclasses"),
        ("shop", "`server_class` must be a subclass of `Server` in `ServerTestCase` subclasses"),
        (Nameless, "`server_class.service_name` must be set in `ServerTestCase` subclasses"),
    ],
)
def test_a_case_without_a_server_is_refused(server_class: Any, text: str) -> None:
    with pytest.raises(TypeError) as failure:
        set_up(server_class=server_class)

    assert str(failure.value) == text


def test_a_case_has_a_server_and_a_client_that_calls_it() -> None:
    case = set_up()
    server = case.client._get_handler("shop").transport.server

    assert type(server) is ShopServer
    assert server._skip_django_database_cleanup is True
    assert server._middleware == []
    assert case.service_name == "shop"
    assert case.call_action("square", {"number": 3}).body == {"square": 9}
    assert case.call_action("echo").body == {}
    with pytest.raises(Client.ImproperlyConfigured):
        case.call_action("square", {}, service_name="other")
    with pytest.raises(CallJobError):
        case.assertActionRunsWithErrorCodes("fail_job", {}, "J")
    job_errors: Any = case.call_action("fail_job", {}, raise_job_errors=False)
    assert [error.code for error in job_errors] == ["J"]


def test_settings_are_those_of_the_case_if_it_has_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSOA_SETTINGS_MODULE", raising=False)

    case = set_up(server_settings={"request_log_error_level": "DEBUG"})

    assert case.client._get_handler("shop").transport.server.settings["request_log_error_level"] == "DEBUG"


def test_settings_are_found_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSOA_SETTINGS_MODULE", SETTINGS_MODULE)
    assert set_up(server_settings=None).call_action("square", {"number": 2}).body == {"square": 4}

    for name, text in [
        ("", "PYSOA_SETTINGS_MODULE environment variable must be set to run tests."),
        (
            "not_there",
            "Could not access not_there.SOA_SERVER_SETTINGS: No module named 'not_there'",
        ),
        (
            "json",
            "Could not access json.SOA_SERVER_SETTINGS: module 'json' has no attribute 'SOA_SERVER_SETTINGS'",
        ),
    ]:
        monkeypatch.setenv("PYSOA_SETTINGS_MODULE", name)
        with pytest.raises(AssertionError) as failure:
            set_up(server_settings=None)
        assert str(failure.value) == text


def test_settings_of_django_are_looked_up_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    class DjangoServer(ShopServer):
        use_django = True

    conf: Any = ModuleType("django.conf")
    conf.settings = type("Settings", (), {"SOA_SERVER_SETTINGS": {"request_log_error_level": "CRITICAL"}})
    monkeypatch.setitem(sys.modules, "django", ModuleType("django"))
    monkeypatch.setitem(sys.modules, "django.conf", conf)

    case = set_up(server_class=DjangoServer, server_settings=None)

    assert case.client._get_handler("shop").transport.server.settings["request_log_error_level"] == "CRITICAL"


ERRORS = {
    "errors": [{"code": "A", "message": "m A"}, {"code": "C", "message": "m C", "field": "f"}],
}


def test_a_case_says_which_errors_an_action_is_to_have() -> None:
    case = set_up()

    assert [error.code for error in case.assertActionRunsWithAndReturnErrors("fail", ERRORS)] == ["A", "C"]
    case.assertActionRunsWithErrorCodes("fail", ERRORS, "A")
    case.assertActionRunsWithErrorCodes("fail", ERRORS, error_codes=["A"], timeout=5)
    case.assertActionRunsWithFieldErrors("fail", ERRORS, {"f": "C"})
    case.assertActionRunsWithOnlyErrorCodes("fail", {"errors": ERRORS["errors"][:1]}, {"A"})
    case.assertActionRunsWithOnlyFieldErrors("fail", {"errors": ERRORS["errors"][1:]}, {"f": ["C"]})
    for method, expected, text in [
        ("assertActionRunsWithErrorCodes", ["B"], "Expected errors not found in response: ['B']"),
        ("assertActionRunsWithOnlyErrorCodes", "A", "Unexpected errors found in response: [{'f': ('C', 'm C')}]"),
        ("assertActionRunsWithFieldErrors", {"g": "C"}, "Expected field errors not found in response: [{'g': 'C'}]"),
        ("assertActionRunsWithOnlyFieldErrors", {"f": "C"}, "Unexpected errors found in response: [('A', 'm A')]"),
    ]:
        with pytest.raises(pytest.fail.Exception) as failure:
            getattr(case, method)("fail", ERRORS, expected)
        assert str(failure.value) == text
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        case.assertActionRunsWithAndReturnErrors("square", {"number": 1})


class Log:
    """A class for unittest's ways, and what it does."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def case(self, *methods: str) -> PyTestServerTestCase:
        def hook(name: str) -> Any:
            def run(self: Any) -> None:
                log.lines.append(name)

            return classmethod(run) if name.endswith("Class") else run

        log = self
        attributes: dict[str, Any] = {name: hook(name) for name in methods}
        case_class = type(
            "TestShop", (ServerTestCase,), {"server_class": ShopServer, "server_settings": {}, **attributes}
        )
        case: PyTestServerTestCase = case_class()
        return case


def texts(warned: Any) -> list[str]:
    assert {one.category for one in warned} <= {DeprecationWarning}
    return [str(one.message) for one in warned]


OLD = "`ServerTestCase.{}` is deprecated. `ServerTestCase` no longer inherits from `unittest.TestCase`. "
RENAMED = (
    OLD + "Your test setup has been run, but you should change the `{}` method name to `{}` and be sure to still call "
    "`super` within it. This will be removed in PySOA 2.0."
)


def test_hooks_of_unittest_are_called_with_a_warning() -> None:
    log = Log()
    case = log.case("setUpClass", "setUp", "tearDown", "tearDownClass")

    with pytest.warns(DeprecationWarning) as warned:
        case.setup_class()
        case.setup_method()
        client = case.client
        case.teardown_method()
        case.setup_method()
        case.teardown_class()

    assert log.lines == ["setUpClass", "setUp", "tearDown", "setUp", "tearDownClass"]
    names = [
        ("setUpClass", "setup_class"),
        ("setUp", "setup_method"),
        ("tearDown", "teardown_method"),
        ("setUp", "setup_method"),
        ("tearDownClass", "teardown_class"),
    ]
    assert texts(warned) == [RENAMED.format(old, old, new) for old, new in names]
    assert case.client is not client


def test_a_case_without_those_hooks_warns_of_nothing() -> None:
    case = Log().case()

    case.setup_class()
    case.setup_method()
    case.setUp()
    case.tearDown()
    case.teardown_method()
    case.teardown_class()

    assert not issubclass(PyTestServerTestCase, unittest.TestCase)
    assert ServerTestCase is PyTestServerTestCase


def fail(kind: type[BaseException]) -> None:
    raise kind(kind.__name__)


def test_cleanups_are_called_last_first(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    case = log.case()
    case.setup_method()

    with pytest.warns(DeprecationWarning) as warned:
        case.addCleanup(log.lines.append, "first")
        case.addCleanup(fail, kind=ValueError)
        case.addCleanup(log.lines.append, "last")
    assert case.doCleanups() is False
    assert case.doCleanups() is True

    assert log.lines == ["last", "first"]
    assert (
        texts(warned)
        == [
            OLD.format("addCleanup")
            + "Your test cleanup will be run, but you should stop using `addCleanup` and clean up your tests in "
            "`teardown_method`, instead. This will be removed in PySOA 2.0."
        ]
        * 3
    )
    assert warned[0].filename == __file__
    assert "ValueError: ValueError" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:`ServerTestCase.addCleanup`")
def test_the_exception_of_the_cleanup_that_comes_last_is_raised() -> None:
    case = Log().case()
    case.setup_method()
    case.addCleanup(fail, ValueError)
    case.addCleanup(fail, KeyError)
    with pytest.raises(ValueError):
        case.teardown_method()

    case.addCleanup(fail, ValueError)
    case.addCleanup(fail, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        case.doCleanups()
    with pytest.raises(ValueError):
        case.doCleanups()


class OrdinaryCase(UnitTestServerTestCase):
    __test__ = False  # one of its tests is to fail
    server_class = ShopServer
    server_settings: Any = {}
    seen: list[Any] = []

    def test_plain(self) -> None:
        self.seen.append((self.client, self.call_action("square", {"number": 5}).body))

    async def test_coroutine(self) -> None:
        self.seen.append((self.async_client, (await self.async_call_action("square", {"number": 6})).body))
        assert asyncio.get_running_loop().is_running()

    async def test_failing_coroutine(self) -> None:
        await self.async_client.call_action("shop", "square", {"number": 6})
        raise AssertionError("on purpose")


def test_a_case_of_unittest_runs_with_coroutines_and_without_a_plugin() -> None:
    OrdinaryCase.seen.clear()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(OrdinaryCase)

    result = unittest.TestResult()
    suite.run(result)

    assert (result.testsRun, result.errors) == (3, [])
    assert ["on purpose" in text for _, text in result.failures] == [True]
    assert [body for _, body in OrdinaryCase.seen] == [{"square": 36}, {"square": 25}]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("pysoa-local")]


class LoopCase(PyTestServerTestCase):
    server_class = ShopServer
    server_settings: Any = {"concurrency": 5}


def test_a_server_with_an_event_loop_ends_with_the_test() -> None:
    case = LoopCase()
    before = set(threading.enumerate())
    case.setup_method()
    started = set(threading.enumerate()) - before

    assert case.call_action("where").body["thread"] in {thread.name for thread in started}
    case.teardown_method()

    assert not [thread for thread in started if thread.is_alive()]


class TestCoroutines(ServerTestCase):
    server_class = ShopServer
    server_settings: Any = {}

    @pytest.fixture
    def number(self) -> int:
        return 7

    async def test_a_coroutine_test_runs_with_fixtures(self, number: int) -> None:
        responses = await asyncio.gather(*[self.async_call_action("square", {"number": number}) for _ in range(3)])

        assert [response.body for response in responses] == [{"square": 49}] * 3

    @pytest.mark.parametrize("number", [1, 2])
    async def test_a_coroutine_test_runs_with_parameters(self, number: int) -> None:
        assert (await self.async_call_action("square", {"number": number})).body == {"square": number**2}

    @pytest.mark.anyio
    async def test_a_coroutine_test_runs_with_the_plugin_of_anyio(self, anyio_backend: Any) -> None:
        assert (await self.async_call_action("square", {"number": 3})).body == {"square": 9}

    def test_both_clients_may_be_used(self) -> None:
        assert self.call_action("square", {"number": 3}).body == {"square": 9}


class Mixin:
    async def test_of_a_mixin(self: Any) -> None:
        assert (await self.async_call_action("square", {"number": 3})).body == {"square": 9}


class TestMixin(Mixin, ServerTestCase):
    server_class = ShopServer
    server_settings: Any = {}

    def teardown_method(self) -> None:
        super().teardown_method()
        assert self._async_client is None
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("pysoa-local")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
