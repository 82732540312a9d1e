"""Settings that tell when they are read, and when logging is configured by them."""

from __future__ import annotations

import json
import logging
import os

from tests.support.lone_server import SOA_SERVER_SETTINGS as LONE_SETTINGS
from tests.support.lone_server import say


class TellingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__()
        say(f"{os.getpid()} configured logging")


say(f"{os.getpid()} read settings")

SOA_SERVER_SETTINGS = {
    **LONE_SETTINGS,
    "logging": {
        "formatters": {"console": {"format": "%(process)d %(service_name)s: %(message)s"}},
        "handlers": {"console": {"class": f"{__name__}.TellingHandler"}},
        "root": {"level": "INFO"},
    },
    **json.loads(os.environ.get("ROW_SETTINGS", "{}")),
}
