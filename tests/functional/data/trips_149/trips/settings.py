from __future__ import absolute_import, unicode_literals

SOA_SERVER_SETTINGS = {
    'transport': {
        'path': 'pysoa.common.transport.redis_gateway.server:RedisServerTransport',
        'kwargs': {
            'backend_type': 'redis.standard',
            'backend_layer_kwargs': {'hosts': [('redis5', 6379)]},
        },
    },
    'middleware': [{'path': 'trips.middleware:CountJobs'}],
    'client_routing': {
        'weather': {
            'transport': {
                'path': 'pysoa.common.transport.redis_gateway.client:RedisClientTransport',
                'kwargs': {
                    'backend_type': 'redis.standard',
                    'backend_layer_kwargs': {'hosts': [('redis5', 6379)]},
                },
            },
        },
    },
}
