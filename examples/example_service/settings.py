"""The settings of the service: its broker, and how it reaches the services that it calls."""

import os

_BROKER = {
    "backend_type": "redis.standard",
    "backend_layer_kwargs": {"hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")]},
}

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": _BROKER,
    },
    "client_routing": {
        "flight_booking": {
            "transport": {
                "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                "kwargs": _BROKER,
            },
        },
    },
    "request_log_success_level": "DEBUG",  # the log then has the requests that fail
}
