import os

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
            "default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"},
            "chunk_messages_larger_than_bytes": 102400,
            "maximum_message_size_in_bytes": 1024 * 1024,
        },
    },
    "middleware": [
        {"path": "orders.middleware:RequireUser", "kwargs": {"exempt": ["status"]}},
    ],
    "coroutine_middleware": [{"path": "pysoa.server.coroutine:DefaultCoroutineMiddleware"}],
    "client_routing": {
        "stock": {
            "transport": {
                "kwargs": {"backend_type": "redis.sentinel", "backend_layer_kwargs": SENTINELS, "protocol_version": 3},
            },
        },
    },
    "harakiri": {"timeout": 300, "shutdown_grace": 30},
    "request_log_success_level": "DEBUG",
    "heartbeat_file": "/run/orders-{{fid}}",
    "extra_fields_to_redact": {"iban"},
    "metrics": {"path": "pymetrics.recorders.noop:NonOperationalMetricsRecorder"},
    "order_limit": 50,
}
