from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import pytest

from pysoa.common.settings import SettingsData, SettingsSchema
from pysoa.server import settings as settings_module
from pysoa.server.settings import ServerSettings

REDIS: dict[str, Any] = {"transport": {"kwargs": {"backend_type": "redis.standard"}}}


def with_logging(**changes: Any) -> dict[str, Any]:
    return {**REDIS, "logging": changes}


def test_defaults_are_those_of_the_first_pysoa() -> None:
    settings = ServerSettings(REDIS)

    assert settings["transport"]["object"].__name__ == "RedisServerTransport"
    assert settings["coroutine_middleware"][0]["object"].__name__ == "DefaultCoroutineMiddleware"
    assert settings["harakiri"] == {"timeout": 300, "shutdown_grace": 30}
    assert settings["request_log_success_level"] == settings["request_log_error_level"] == "INFO"
    assert settings["heartbeat_file"] is None
    assert settings["extra_fields_to_redact"] == set()
    assert settings["client_routing"] == {}
    assert settings["middleware"] == []
    assert settings["logging"]["handlers"]["syslog"]["facility"] == 23
    assert settings["logging"]["handlers"]["syslog"]["address"] == ("localhost", 514)


def test_details_of_errors_are_redacted_by_default() -> None:
    assert ServerSettings(REDIS)["error_detail"] == "redacted"


def test_the_default_logging_can_be_applied() -> None:
    code = (
        "import logging, logging.config\n"
        "from pysoa.server.settings import ServerSettings\n"
        "settings = ServerSettings({'transport': {'kwargs': {'backend_type': 'redis.standard'}}})\n"
        "logging.config.dictConfig(settings['logging'])\n"
        "logging.warning('seen')\n"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert run.stderr.endswith(" WARNING -- --: seen\n")


def test_a_partial_dict_keeps_the_other_defaults() -> None:
    settings = ServerSettings(
        {**REDIS, "harakiri": {"timeout": 7}, "logging": {"loggers": {"a.b": {"level": "DEBUG"}}}}
    )

    assert settings["harakiri"] == {"timeout": 7, "shutdown_grace": 30}
    assert settings["logging"]["root"] == {"handlers": ["console"], "level": "INFO"}


def test_routes_may_be_any_dicts() -> None:
    settings = ServerSettings({**REDIS, "client_routing": {"other": {"transport": {}}}})

    assert settings["client_routing"] == {"other": {"transport": {}}}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"harakiri": {"timeout": -1}}, "timeout: Value not >= 0 (got -1)"),
        ({"harakiri": {"shutdown_grace": 0}}, "shutdown_grace: Value not > 0 (got 0)"),
        ({"harakiri": {"timeout": 1.5}}, "timeout: Not an integer (got 1.5)"),
        ({"harakiri": {"grace": 1}}, "Extra keys present: grace"),
        ({"request_log_success_level": "TRACE"}, "(got 'TRACE')"),
        ({"request_log_error_level": 20}, 'Value is not one of: "CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING"'),
        ({"heartbeat_file": 5}, "Not a unicode string (got 5)"),
        ({"extra_fields_to_redact": ["ssn"]}, "Not a set or frozenset (got a list)"),
        ({"extra_fields_to_redact": {5}}, "[5]: Not a unicode string"),
        ({"error_detail": "some"}, 'Value is not one of: "full", "redacted" (got \'some\')'),
        ({"client_routing": {"other": "redis"}}, "other: Not a dict (got 'redis')"),
        ({"client_routing": {5: {}}}, "5: Not a unicode string"),
        ({"middleware": {}}, "Not a list (got a dict)"),
        ({"middleware": [{"path": "decimal:Decimal"}]}, "0.path: Type <class 'decimal.Decimal'> is not one of"),
        ({"middleware": ["decimal:Decimal"]}, "0: Not a mapping (dictionary) (got 'decimal:Decimal'; give"),
        ({"coroutine_middleware": [{}]}, "0.path: Missing key (and no default specified): path"),
        ({"metrics": {"path": "decimal:Decimal"}}, "is not a metrics recorder"),
        ({"transport": {"path": "no.such:Transport"}}, "path: ImportError: No module named 'no'"),
        ({"logging": {"version": 2}}, "version: Value not <= 1 (got 2)"),
        ({"logging": {"handler": {}}}, 'Extra keys present: handler (did you mean "handlers"?)'),
        ({"logging": {"root": {"level": "LOUD"}}}, "root.level: Value is not one of"),
        ({"logging": {"root": {"propagate": True}}}, "root: Extra keys present: propagate"),
        (
            {"logging": {"root": {"handlers": ["file"]}}},
            'root.handlers.0: Logger "root" references handler "file", which is not configured. (got \'file\')',
        ),
        (
            {"logging": {"handlers": {"console": {"formatter": "x"}}}},
            'handlers.console.formatter: Handler "console" references formatter "x", which is not configured.',
        ),
        (
            {"logging": {"handlers": {"console": {"filters": ["x"]}}}},
            'handlers.console.filters.0: Handler "console" references filter "x", which is not configured.',
        ),
        (
            {"logging": {"loggers": {"a.b": {"filters": ["x"]}}}},
            'loggers.a.b.filters.0: Logger "a.b" references filter "x", which is not configured. (got \'x\')',
        ),
        ({"logging": {"handlers": {"file": {"level": "INFO"}}}}, "handlers.file.class: Missing key: class"),
        ({"logging": {"handlers": {"file": {"class": "decimal.Decimal"}}}}, "handlers.file.class: Type <class"),
        ({"logging": {"filters": {"f": {"()": "logging.Handler"}}}}, "filters.f.(): Type <class"),
        ({"logging": {"filters": {"f": {"name": "a", "size": 1}}}}, 'Not all keys supported for filter named "f"'),
        ({"logging": {"formatters": {"f": {}}}}, "formatters.f.format: Missing key: format"),
        ({"harakri": {}}, 'Unknown setting(s): harakri (did you mean "harakiri"?)'),
    ],
)
def test_bad_settings_are_refused(data: dict[str, Any], text: str) -> None:
    with pytest.raises(ServerSettings.ImproperlyConfigured) as caught:
        ServerSettings(REDIS | data)

    assert text in str(caught.value)


def test_logging_may_refer_to_parts_of_an_earlier_configuration_when_incremental() -> None:
    settings = ServerSettings(with_logging(incremental=True, root={"handlers": ["elsewhere"]}))

    assert settings["logging"]["root"]["handlers"] == ["elsewhere"]


def test_custom_filters_and_handlers_may_have_keys_of_their_own() -> None:
    settings = ServerSettings(
        with_logging(
            filters={"mine": {"()": "pysoa.common.logging.PySOALogContextFilter", "size": 5}},
            handlers={"file": {"class": "logging.FileHandler", "filename": "x", "filters": ["mine"]}},
        )
    )

    assert settings["logging"]["handlers"]["file"]["filename"] == "x"


def test_a_service_adds_keys_of_its_own() -> None:
    class OwnSettings(ServerSettings):
        schema: ClassVar[SettingsSchema] = {"currency": settings_module.UnicodeString(min_length=3)}
        defaults: ClassVar[SettingsData] = {"currency": "EUR"}
        restock_below: int = 10

    settings = OwnSettings({**REDIS, "restock_below": 3})

    assert (settings["currency"], settings.restock_below) == ("EUR", 3)


def test_local_settings_of_042_default_to_the_local_transport() -> None:
    with pytest.warns(DeprecationWarning, match="LocalServerSettings is now"):
        cls: Any = settings_module.LocalServerSettings

    assert cls({})["transport"]["object"].__name__ == "LocalServerTransport"


def test_unknown_names_of_the_module_are_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchSettings'"):
        _ = settings_module.NoSuchSettings
