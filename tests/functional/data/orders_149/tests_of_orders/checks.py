from unittest import mock

from orders.server import Server

from pysoa.client.client import Client


def check_that_orders_are_counted() -> None:
    local = {
        "path": "pysoa.common.transport.local:LocalClientTransport",
        "kwargs": {"server_class": Server, "server_settings": {"order_limit": 3}},
    }
    with mock.patch("redis.Redis"), mock.patch("pysoa.client.client.Client.send_request"):
        Client({"orders": {"transport": local}})
