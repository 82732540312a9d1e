from __future__ import print_function, unicode_literals

import json
import os

from pysoa.client import Client
from pysoa.client.errors import CallActionError
from pysoa.client.settings import RedisClientSettings


def _routing(*services):
    transport = {
        'path': 'pysoa.common.transport.redis_gateway.client:RedisClientTransport',
        'kwargs': {
            'backend_type': 'redis.standard',
            'backend_layer_kwargs': {'hosts': [('127.0.0.1', int(os.environ['WAREHOUSE_PORT']))]},
            'serializer_config': {'path': 'pysoa.common.serializer:MsgpackSerializer'},
        },
    }
    return {service: {'transport': transport, 'transport_cache_time_in_seconds': 10} for service in services}


EXPANSIONS = {
    'type_routes': {
        'items': {'service': 'warehouse', 'action': 'get_items', 'request_field': 'ids', 'response_field': 'items'},
    },
    'type_expansions': {
        'order': {
            'item': {
                'type': 'item',
                'route': 'items',
                'source_field': 'item_id',
                'destination_field': 'item',
                'raise_action_errors': True,
            },
        },
    },
}


class WarehouseClient(Client):
    settings_class = RedisClientSettings


def main():
    client = WarehouseClient(_routing('orders', 'warehouse'), expansion_config=EXPANSIONS, context={'user': 'bob'})
    orders = client.call_action('orders', 'get_orders', {'ids': [2]}, expansions={'order': ['item']}, timeout=20)
    try:
        client.call_action('warehouse', 'reserve', {'skus': ['gold']}, timeout=20)
    except CallActionError as e:
        codes = [error.code for action in e.actions for error in action.errors]
    locations = client.call_actions_parallel(
        'warehouse', [{'action': 'locate'}, {'action': 'locate'}], switches=[5], timeout=20
    )
    print(json.dumps({
        'orders': orders.body['orders'],
        'codes': codes,
        'places': [action.body['place'] for action in locations],
    }))


if __name__ == '__main__':
    main()
