from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from pysoa.server.internal.command_line import load_django_settings, load_settings, parse_arguments


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty module named ``some_settings``."""
    module = ModuleType("some_settings")
    monkeypatch.setitem(sys.modules, "some_settings", module)
    return module


def test_settings_may_have_either_name_and_the_longer_one_wins(module: Any) -> None:
    module.settings = {"a": 1}
    assert load_settings("some_settings") == {"a": 1}

    module.SOA_SERVER_SETTINGS = {"b": 2}
    assert load_settings("some_settings") == {"b": 2}


@pytest.mark.usefixtures("module")
def test_a_module_without_settings_is_refused() -> None:
    text = "Cannot find `SOA_SERVER_SETTINGS` or `settings` variable in settings module `some_settings`."
    with pytest.raises(ValueError, match=text):
        load_settings("some_settings")


def test_a_missing_module_is_refused() -> None:
    with pytest.raises(ValueError, match="Cannot import settings module `no_such_module`: No module named"):
        load_settings("no_such_module")


def test_settings_of_django_are_those_of_its_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    conf: Any = ModuleType("django.conf")
    monkeypatch.setitem(sys.modules, "django", ModuleType("django"))
    monkeypatch.setitem(sys.modules, "django.conf", conf)
    conf.settings = ModuleType("settings")
    with pytest.raises(ValueError, match="Cannot find `SOA_SERVER_SETTINGS` in the Django settings"):
        load_django_settings()

    conf.settings.SOA_SERVER_SETTINGS = {"a": 1}

    assert load_django_settings() == {"a": 1}


def test_django_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django", None)

    with pytest.raises(ImportError, match="You must install Django if you enable Django support in your service"):
        load_django_settings()


def test_arguments_of_the_runner_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-f", "2", "--no-respawn", "-s", "a.b", "-d"])

    arguments = parse_arguments("x", needs_settings=True)

    assert (arguments.settings, arguments.daemon) == ("a.b", True)


def test_a_server_within_django_takes_no_settings_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-s", "a.b"])

    assert not hasattr(parse_arguments("x", needs_settings=False), "settings")
