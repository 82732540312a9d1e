import json

from orders.settings import REDIS
from pysoa.client.client import Client

SERVICES = {
    name: {
        "transport": {
            "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
            "kwargs": REDIS,
        },
        "middleware": [{"path": "orders.middleware:TellCaller", "kwargs": {"caller": "overview"}}],
    }
    for name in ("orders", "warehouse")
}

EXPANSIONS = {
    "type_routes": {
        "items_by_id": {
            "service": "warehouse",
            "action": "get_items",
            "request_field": "ids",
            "response_field": "items",
        },
        "orders_by_id": {
            "service": "orders",
            "action": "get_orders",
            "request_field": "ids",
            "response_field": "orders",
        },
    },
    "type_expansions": {
        "order": {
            "item": {
                "type": "item",
                "route": "items_by_id",
                "source_field": "item_id",
                "destination_field": "item",
                "raise_action_errors": True,
            },
        },
        "item": {
            "first_order": {
                "type": "order",
                "route": "orders_by_id",
                "source_field": "first_order_id",
                "destination_field": "first_order",
            },
        },
    },
}


def main() -> None:
    client = Client(SERVICES, expansion_config=EXPANSIONS, context={"user": "ada"})
    future = client.call_action_future("orders", "get_orders", expansions={"order": ["item.first_order"]}, timeout=20)
    counted, nothing = client.call_jobs_parallel(
        [
            {"service_name": "orders", "actions": [{"action": "count_orders"}]},
            {"service_name": "warehouse", "actions": [{"action": "get_items", "body": {"ids": []}}]},
        ],
        timeout=20,
        correlation_id="overview",
    )
    print(
        json.dumps(
            {
                "orders": future.result().body["orders"],
                "count": counted.actions[0].body["count"],
                "served_for": counted.context["served_for"],
                "items": nothing.actions[0].body["items"],
            }
        )
    )


if __name__ == "__main__":
    main()
