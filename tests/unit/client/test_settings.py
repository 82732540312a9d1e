from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pysoa.client import settings as settings_module
from pysoa.client.settings import ClientSettings
from pysoa.common.instruments import NoOpMetricsRecorder

REDIS = {"kwargs": {"backend_type": "redis.standard"}}


def test_a_backend_type_is_all_that_must_be_given() -> None:
    settings = ClientSettings({"transport": {"kwargs": {"backend_type": "redis.standard"}}})

    assert settings["transport"]["path"] == "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    assert settings["transport"]["object"].__name__ == "RedisClientTransport"
    assert settings["middleware"] == []
    assert settings["metrics"]["object"] is NoOpMetricsRecorder


def test_without_a_backend_type_settings_are_refused() -> None:
    with pytest.raises(ClientSettings.ImproperlyConfigured) as caught:
        ClientSettings({})

    assert str(caught.value) == "Invalid setting 'transport':\n  - kwargs.backend_type: Missing key: backend_type\n"


def test_a_transport_must_be_one_of_clients() -> None:
    with pytest.raises(ClientSettings.ImproperlyConfigured, match="is not one of or a subclass of one of"):
        ClientSettings({"transport": {"path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport"}})


def test_a_middleware_must_be_one_of_clients() -> None:
    with pytest.raises(
        ClientSettings.ImproperlyConfigured, match=r"0\.path: Type <class 'decimal.Decimal'> is not one"
    ):
        ClientSettings({"transport": REDIS, "middleware": [{"path": "decimal:Decimal"}]})


def test_middleware_gains_its_class() -> None:
    settings = ClientSettings(
        {"transport": REDIS, "middleware": [{"path": "pysoa.client.middleware:ClientMiddleware"}]}
    )

    assert settings["middleware"][0]["object"].__name__ == "ClientMiddleware"


def test_the_transport_cache_time_of_042_is_accepted_and_ignored() -> None:
    with pytest.warns(DeprecationWarning, match="transport_cache_time_in_seconds does nothing"):
        settings = ClientSettings({"transport": REDIS, "transport_cache_time_in_seconds": 60})

    assert "transport_cache_time_in_seconds" not in settings


def test_local_settings_of_042_default_to_the_local_transport() -> None:
    with pytest.warns(DeprecationWarning, match="LocalClientSettings is now"):
        cls: Any = settings_module.LocalClientSettings

    assert cls.defaults["transport"] == {"path": "pysoa.common.transport.local:LocalClientTransport"}


def test_unknown_names_of_the_module_are_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchSettings'"):
        _ = settings_module.NoSuchSettings


def test_importing_client_settings_loads_no_checker_and_no_broker_library() -> None:
    code = (
        "import sys, pysoa.client.settings\n"
        "print([m for m in ('pydantic', 'msgspec', 'conformity', 'redis', 'asyncio', 'inspect') if m in sys.modules])"
    )

    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert bare.stdout.strip() in ("[]", "['inspect']")  # attrs of some releases loads inspect
