import os

from orders.settings import SOA_SERVER_SETTINGS as COMMON_SETTINGS

SENTINELS = {
    "hosts": ["sentinel-1", "sentinel-2"],
    "sentinel_services": ["main"],
    "connection_kwargs": {"socket_timeout": 30, "password": os.environ.get("REDIS_PASSWORD")},
}

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": "redis.sentinel",
            "backend_layer_kwargs": SENTINELS,
        },
    },
    "middleware": COMMON_SETTINGS["middleware"],
    "logging": COMMON_SETTINGS["logging"],
    "heartbeat_file": "/run/orders-{{fid}}",
    "order_limit": 50,
}
