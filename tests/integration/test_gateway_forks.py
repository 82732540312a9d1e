"""A client that is carried over a fork: parent and child never get each other's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysoa.cli.broker import Broker
from tests.support.gateway import (
    Gateway,
)
from tests.support.processes import python


def test_parent_and_child_never_get_each_others_answers(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Any]
) -> None:
    gateway.worker(broker)
    code = f"""
import os
from tests.support.gateway import SERVICE, call
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
client = RedisClientTransport(
    SERVICE, backend_type="redis.standard", backend_layer_kwargs={{"hosts": [("127.0.0.1", {broker.port})]}})
call(client, 1)
first = client.client_id
child = os.fork()
base = 1000 if child else 2000
answers = [call(client, base + number) for number in range(200)]
assert answers == list(range(base, base + 200)), answers
if child == 0:
    assert client.client_id != first
    os._exit(0)
assert client.client_id == first
assert os.waitpid(child, 0)[1] == 0
print("both were right")
"""
    process = start_process(*python("-c", code))

    process.wait_for_line("both were right")


def test_a_child_does_not_wait_for_what_its_parent_has_sent(
    broker: Broker, gateway: Gateway, start_process: Callable[..., Any]
) -> None:
    gateway.worker(broker)
    code = f"""
import os
from tests.support.gateway import SERVICE, send, number_of
from pysoa.common.transport.base import NO_MESSAGE
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
client = RedisClientTransport(
    SERVICE, backend_type="redis.standard", backend_layer_kwargs={{"hosts": [("127.0.0.1", {broker.port})]}})
channel = client.channel()
send(client, 5)
child = os.fork()
if child == 0:
    assert client.receive_response_message(1) == NO_MESSAGE
    assert client.receive_from(channel, 1) == NO_MESSAGE
    assert client.requests_outstanding == 0
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent has", number_of(client.receive_response_message(5)))
"""
    process = start_process(*python("-c", code))

    process.wait_for_line("parent has 5")
