from __future__ import unicode_literals

import os

_REDIS = {
    'backend_type': 'redis.standard',
    'backend_layer_kwargs': {'hosts': [('127.0.0.1', int(os.environ['WAREHOUSE_PORT']))]},
    'receive_timeout_in_seconds': 1,
    'serializer_config': {'path': 'pysoa.common.serializer:MsgpackSerializer'},
}

SOA_SERVER_SETTINGS = {
    'transport': {
        'path': 'pysoa.common.transport.redis_gateway.server:RedisServerTransport',
        'kwargs': _REDIS,
    },
    'middleware': [
        {'path': 'warehouse.middleware:AuditMiddleware', 'kwargs': {'trail': 'stdout'}},
    ],
    'client_routing': {
        'stock': {
            'transport': {
                'path': 'pysoa.common.transport:LocalClientTransport',
                'kwargs': {'server_class': 'warehouse.stock:StockServer', 'server_settings': {}},
            },
            'transport_cache_time_in_seconds': 60,
        },
        'orders': {
            'transport': {
                'path': 'pysoa.common.transport.redis_gateway.client:RedisClientTransport',
                'kwargs': dict(_REDIS, receive_timeout_in_seconds=10),
            },
            'middleware': [
                {'path': 'warehouse.middleware:SignedClientMiddleware', 'kwargs': {'signature': 'warehouse'}},
            ],
        },
    },
    'logging': {
        'version': 1,
        'formatters': {
            'console': {'format': '%(service_name)s [%(correlation_id)s %(request_id)s] %(name)s: %(message)s'},
        },
        'filters': {
            'pysoa_logging_context_filter': {'()': 'pysoa.server.logging.PySOALogContextFilter'},
        },
        'handlers': {
            'console': {
                'level': 'INFO',
                'class': 'logging.StreamHandler',
                'formatter': 'console',
                'filters': ['pysoa_logging_context_filter'],
            },
        },
        'root': {'handlers': ['console'], 'level': 'INFO'},
    },
    'harakiri': {'timeout': 60, 'shutdown_grace': 5},
    'request_log_success_level': 'INFO',
    'request_log_error_level': 'WARNING',
    'metrics': {
        'path': 'warehouse.metrics:FileRecorder',
        'kwargs': {'config': {'folder': os.environ['WAREHOUSE_RUN_FOLDER']}},
    },
}
