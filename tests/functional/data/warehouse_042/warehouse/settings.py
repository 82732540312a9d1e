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
    },
    'logging': {
        'filters': {
            'pysoa_logging_context_filter': {'()': 'pysoa.server.logging.PySOALogContextFilter'},
        },
    },
    'harakiri': {'timeout': 60, 'shutdown_grace': 5},
}
