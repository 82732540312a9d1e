from __future__ import annotations

from typing import Any

from pysoa.cli.dev import development_settings
from pysoa.client.settings import ClientSettings
from pysoa.server.settings import ServerSettings

URL = "redis://127.0.0.1:7777"


def test_no_settings_become_settings_on_the_broker() -> None:
    settings = ServerSettings(development_settings({}, URL))

    assert settings["transport"]["kwargs"]["backend_layer_kwargs"] == {"hosts": [URL]}


def test_only_the_broker_of_settings_is_replaced() -> None:
    own: dict[str, Any] = {
        "transport": {
            "kwargs": {
                "backend_type": "redis.sentinel",
                "backend_layer_kwargs": {"hosts": [("far", 1)], "sentinel_services": ["main"]},
                "queue_capacity": 5,
            }
        },
        "heartbeat_file": "x",
    }

    changed = development_settings(own, URL)

    assert changed["heartbeat_file"] == "x"
    assert changed["transport"]["kwargs"] == {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [URL]},
        "queue_capacity": 5,
    }
    assert own["transport"]["kwargs"]["backend_type"] == "redis.sentinel"


def test_services_that_are_called_are_on_the_same_broker() -> None:
    own = {"client_routing": {"other": {"middleware": []}}}

    changed = development_settings(own, URL)

    settings = ClientSettings(changed["client_routing"]["other"])
    assert settings["transport"]["kwargs"]["backend_layer_kwargs"] == {"hosts": [URL]}


def test_transports_that_are_on_no_broker_stay() -> None:
    local = {"path": "pysoa.common.transport.local:LocalClientTransport", "kwargs": {"server_class": "a:B"}}

    changed = development_settings({"client_routing": {"other": {"transport": local}}}, URL)

    assert changed["client_routing"]["other"]["transport"] == local
