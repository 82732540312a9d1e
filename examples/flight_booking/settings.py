"""The settings of the service: its broker."""

import os

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": "redis.standard",
            "backend_layer_kwargs": {"hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")]},
        },
    },
    "request_log_success_level": "DEBUG",  # the log then has the requests that fail
}
