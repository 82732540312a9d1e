from __future__ import annotations

import logging
import os
import sys
from types import ModuleType
from typing import Any

import pytest

from pysoa.server.internal.django_setup import set_up_django
from pysoa.server.settings import ServerSettings

OVERWRITTEN = (
    "Django setting `LOGGING` differs from `SOA_SERVER_SETTINGS['logging']` and has been overwritten with the value "
    "of `SOA_SERVER_SETTINGS['logging']`."
)
OF_DJANGO = {"version": 1, "root": {"level": "ERROR"}}
OF_SERVER = {"version": 1, "root": {"level": "DEBUG"}}


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "another")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with Django's settings; ``set_up_with`` is what Django was set up with."""
    module: Any = ModuleType("some_django_settings")
    module.SOA_SERVER_SETTINGS = {}
    module.set_up_with = []
    django: Any = ModuleType("django")
    django.setup = lambda: module.set_up_with.append(
        (os.environ["DJANGO_SETTINGS_MODULE"], getattr(module, "LOGGING", None))
    )
    monkeypatch.setitem(sys.modules, "django", django)
    monkeypatch.setitem(sys.modules, "some_django_settings", module)
    return module


@pytest.mark.parametrize(
    ("of_django", "of_server", "expected", "warns"),
    [
        pytest.param(None, None, ServerSettings.defaults["logging"], False, id="neither"),
        pytest.param(OF_DJANGO, None, OF_DJANGO, False, id="only Django"),
        pytest.param(None, OF_SERVER, OF_SERVER, False, id="only the server"),
        pytest.param(OF_SERVER, OF_SERVER, OF_SERVER, False, id="both, and the same"),
        pytest.param(OF_DJANGO, OF_SERVER, OF_SERVER, True, id="both, and not the same"),
    ],
)
def test_django_has_the_logging_of_the_server(
    module: Any, caplog: pytest.LogCaptureFixture, of_django: Any, of_server: Any, expected: Any, warns: bool
) -> None:
    if of_django is not None:
        module.LOGGING = of_django
    if of_server is not None:
        module.SOA_SERVER_SETTINGS["logging"] = of_server

    set_up_django("some_django_settings")

    assert module.set_up_with == [("some_django_settings", expected)]
    assert module.LOGGING is not ServerSettings.defaults["logging"]
    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert said == ([(logging.WARNING, OVERWRITTEN)] if warns else [])


def test_logging_that_counts_on_defaults_is_completed_for_django(module: Any) -> None:
    module.SOA_SERVER_SETTINGS["logging"] = {"root": {"level": "ERROR"}}

    set_up_django("some_django_settings")

    [(_, logging_of_django)] = module.set_up_with
    assert logging_of_django["version"] == 1
    assert logging_of_django["root"] == {"handlers": ["console"], "level": "ERROR"}


def test_settings_that_cannot_be_imported_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Cannot import Django settings module `no_such_module`\.$"):
        set_up_django("no_such_module")


def test_settings_without_those_of_a_server_are_refused(module: Any) -> None:
    del module.SOA_SERVER_SETTINGS

    with pytest.raises(ValueError, match=r"^Cannot find `SOA_SERVER_SETTINGS` in the Django settings module\.$"):
        set_up_django("some_django_settings")

    assert module.set_up_with == []


def test_django_must_be_installed(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django", None)

    with pytest.raises(ImportError, match="You must install Django if you enable Django support in your service"):
        set_up_django("some_django_settings")
