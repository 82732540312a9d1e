import os

from pysoa.common.transport.redis_gateway.constants import REDIS_BACKEND_TYPE_STANDARD

RUN_FOLDER = os.environ["ORDERS_RUN_FOLDER"]

REDIS = {
    "backend_type": REDIS_BACKEND_TYPE_STANDARD,
    "backend_layer_kwargs": {"hosts": [("127.0.0.1", int(os.environ["ORDERS_REDIS_PORT"]))]},
}

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {
            "backend_type": REDIS["backend_type"],
            "backend_layer_kwargs": REDIS["backend_layer_kwargs"],
            "receive_timeout_in_seconds": 1,
            "message_expiry_in_seconds": 60,
            "chunk_messages_larger_than_bytes": 102400,
            "maximum_message_size_in_bytes": 1024 * 1024,
        },
    },
    "middleware": [
        {"path": "orders.middleware:RequireUser", "kwargs": {"exempt": ["introspect", "status"]}},
        {"path": "orders.middleware.StampActions", "kwargs": {"stamp": "orders 1.9"}},
    ],
    "coroutine_middleware": [
        {"path": "pysoa.server.coroutine:DefaultCoroutineMiddleware"},
        {"path": "orders.middleware:SignLetters", "kwargs": {"signature": "the orders team"}},
    ],
    "client_routing": {
        "warehouse": {
            "transport": {
                "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                "kwargs": {
                    "backend_type": REDIS["backend_type"],
                    "backend_layer_kwargs": REDIS["backend_layer_kwargs"],
                    "default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"},
                    "protocol_version": 3,
                },
            },
            "middleware": [{"path": "orders.middleware:TellCaller", "kwargs": {"caller": "orders"}}],
        },
    },
    "logging": {
        "version": 1,
        "formatters": {
            "console": {
                "format": (
                    "%(levelname)s %(service_name)s/%(action_name)s [%(correlation_id)s %(request_id)s] "
                    "%(name)s: %(message)s"
                ),
            },
        },
        "filters": {"pysoa_logging_context_filter": {"()": "pysoa.common.logging.PySOALogContextFilter"}},
        "handlers": {
            "console": {
                "level": "INFO",
                "class": "logging.StreamHandler",
                "formatter": "console",
                "filters": ["pysoa_logging_context_filter"],
            },
        },
        "loggers": {"orders": {"level": "DEBUG", "propagate": True}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "disable_existing_loggers": False,
    },
    "harakiri": {"timeout": 30, "shutdown_grace": 5},
    "request_log_success_level": "INFO",
    "request_log_error_level": "WARNING",
    "heartbeat_file": os.path.join(RUN_FOLDER, "orders-{{fid}}-{{pid}}"),
    "extra_fields_to_redact": {"iban"},
    "metrics": {
        "path": "pymetrics.recorders.default:DefaultMetricsRecorder",
        "kwargs": {
            "prefix": "orders",
            "config": {
                "version": 2,
                "publishers": [
                    {
                        "path": "orders.metrics:FilePublisher",
                        "kwargs": {"path": os.path.join(RUN_FOLDER, "metrics-{{fid}}")},
                    },
                ],
            },
        },
    },
    "order_limit": 3,
}
