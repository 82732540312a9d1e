"""The service that is measured: ``echo`` gives its body back, ``square`` checks a request and a response."""

from __future__ import annotations

import sys
from typing import Any

from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPE_STANDARD
from pysoa.server.action import Action
from pysoa.server.server import Server

LARGE = 8 * 1024 * 1024


def transport_kwargs(port: int) -> dict[str, Any]:
    return {
        "backend_type": REDIS_BACKEND_TYPE_STANDARD,
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", port)]},
        "maximum_message_size_in_bytes": LARGE,
        "log_messages_larger_than_bytes": 0,
    }


class Echo(Action):
    """Gives its body back."""

    def run(self, request: Any) -> Any:
        return request.body


class BenchmarkServer(Server):
    """Serves one action."""

    service_name = "benchmark"
    action_class_map = {"echo": Echo}  # noqa: RUF012 - as services write it


def settings(port: int) -> dict[str, Any]:
    """Settings with logging as 1.x has it by default, but at the level that keeps bodies out of hot paths."""
    return {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
            "kwargs": transport_kwargs(port),
        },
        "logging": {"root": {"handlers": ["console"], "level": "WARNING"}},
    }


def main() -> None:
    import logging.config

    server_settings = BenchmarkServer.settings_class(settings(int(sys.argv[1])))
    logging.config.dictConfig(server_settings["logging"])
    BenchmarkServer(server_settings).run()


if __name__ == "__main__":
    main()
