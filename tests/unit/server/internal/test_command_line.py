from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from pysoa.server import Server
from pysoa.server.internal.command_line import (
    load_django_settings,
    load_settings,
    make_server,
    parse_arguments,
    transport_fault,
    with_concurrency,
)
from pysoa.server.settings import ServerSettings
from tests.support.lone_server import LoneTransport


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
    monkeypatch.setitem(sys.modules, "django.conf", None)  # another test may have imported it

    with pytest.raises(ImportError, match="You must install Django if you enable Django support in your service"):
        load_django_settings()


def test_arguments_of_the_runner_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-f", "2", "--no-respawn", "-s", "a.b", "-d"])

    arguments = parse_arguments("x", needs_settings=True)

    assert (arguments.settings, arguments.daemon) == ("a.b", True)


def test_a_server_within_django_takes_no_settings_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-s", "a.b"])

    assert not hasattr(parse_arguments("x", needs_settings=False), "settings")


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], None), (["--concurrency", "1"], 1), (["--concurrency=20"], 20)]
)
def test_the_command_line_may_say_how_many_jobs_run_at_a_time(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: int | None
) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-s", "a.b", *arguments])

    assert parse_arguments("x", needs_settings=True).concurrency == expected


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_what_is_no_number_of_jobs_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "-s", "a.b", f"--concurrency={text}"])

    with pytest.raises(SystemExit) as caught:
        parse_arguments("x", needs_settings=True)

    assert caught.value.code == 2
    assert f"argument --concurrency: {text!r} is not a number of jobs: it takes 1 or more" in capsys.readouterr().err


def test_the_command_line_stands_above_the_setting() -> None:
    settings = {"concurrency": 7, "heartbeat_file": "x"}

    assert with_concurrency(settings, 20) == {"concurrency": 20, "heartbeat_file": "x"}
    assert with_concurrency(settings, None) == settings
    assert settings["concurrency"] == 7


LONE = {"path": f"{LoneTransport.__module__}:{LoneTransport.__name__}"}
REDIS = {"kwargs": {"backend_type": "redis.standard"}}


@pytest.mark.parametrize(
    ("transport", "concurrency", "is_wrong"), [(LONE, 1, False), (LONE, 2, True), (REDIS, 2, False)]
)
def test_only_transports_with_a_twin_can_serve_several_jobs_at_a_time(
    transport: dict[str, Any], concurrency: int, is_wrong: bool
) -> None:
    fault = transport_fault(ServerSettings({"transport": transport, "concurrency": concurrency}))

    assert (fault is not None) is is_wrong


def test_a_transport_without_a_twin_ends_the_command_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: Any
) -> None:
    module.SOA_SERVER_SETTINGS = {"transport": LONE}
    monkeypatch.setattr(sys, "argv", ["service", "-s", "some_settings", "--concurrency", "20"])

    with pytest.raises(SystemExit) as caught:
        make_server(type("Lone", (Server,), {"service_name": "lone"}), None)

    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"error: concurrency 20: the transport {LONE['path']} has no twin for asyncio "
        "(its method async_server_class names none); use concurrency 1\n"
    )
