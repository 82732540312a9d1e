from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.test import factories
from pysoa.test.factories import ActionFactory
from pysoa.test.server import ServerTestCase
from tests.support.processes import ROOT


class FactoryServer(Server):
    service_name = "factories"
    action_class_map = {
        "nothing": ActionFactory(),
        "something": ActionFactory({"a": 1}),
        "instance": ActionFactory(exception=ZeroDivisionError("odd")),
        "class": ActionFactory(exception=ZeroDivisionError),
    }


class TestActions(ServerTestCase):
    server_class = FactoryServer
    server_settings: Any = {"error_detail": "full"}

    def test_an_action_answers_or_raises_what_it_is_made_for(self) -> None:
        assert self.call_action("nothing").body == {}
        assert self.call_action("something", {"x": 1}).body == {"a": 1}
        for name, text in (("instance", "Internal server error: odd"), ("class", "Internal server error: ")):
            [error] = self.assertActionRunsWithAndReturnErrors(name, {})
            assert (error.code, error.message) == ("SERVER_ERROR", text)


def test_an_action_class_has_no_schemas() -> None:
    made = ActionFactory()

    assert issubclass(made, Action)
    assert (made.__name__, made.request_schema, made.response_schema) == ("TestAction", None, None)


LOCAL = "pysoa.common.transport.local:LocalServerTransport"


def test_settings_have_the_local_transport_whatever_is_asked_for() -> None:
    settings = factories.ServerSettingsFactory(
        data={"transport": {"path": "no.such:Transport"}, "request_log_error_level": "DEBUG"}
    )

    assert isinstance(settings, ServerSettings)
    assert settings["transport"]["path"] == LOCAL
    assert settings["request_log_error_level"] == "DEBUG"
    assert factories.ServerSettingsFactory()["transport"]["path"] == LOCAL


def test_settings_come_from_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("settings", "SOA_SERVER_SETTINGS"):
        module: Any = ModuleType("shop_settings")
        setattr(module, name, {"request_log_error_level": "DEBUG"})
        monkeypatch.setitem(sys.modules, "shop_settings", module)
        assert factories.ServerSettingsFactory.from_module("shop_settings")["request_log_error_level"] == "DEBUG"


def test_a_server_is_made_with_settings() -> None:
    class ShopServerFactory(factories.ServerFactory):
        class Meta:
            model = FactoryServer

    server = ShopServerFactory(settings__data={"request_log_error_level": "DEBUG"})

    assert isinstance(server, FactoryServer)
    assert server.settings["request_log_error_level"] == "DEBUG"
    assert isinstance(ShopServerFactory(settings=factories.ServerSettingsFactory()), FactoryServer)


def test_actions_are_made_without_factory_boy() -> None:
    code = (
        "import sys; sys.modules['factory'] = None\n"
        "from pysoa.test.factories import ActionFactory\n"
        "ActionFactory()\n"
        "try:\n    from pysoa.test.factories import ServerFactory\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)

    assert "factory" in done.stdout
    with pytest.raises(AttributeError, match="has no attribute 'Other'"):
        _ = factories.Other
