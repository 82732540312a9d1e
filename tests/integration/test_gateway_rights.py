"""The least rights are enough for everything, and each optional one can be missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.transport.base import ReceivedMessage
from pysoa.common.transport.errors import MessageReceiveTimeout, ServiceUnavailable
from pysoa.common.transport.redis_gateway.rights import CLIENT_RIGHTS, SERVER_RIGHTS, Right, acl_rules
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, SERVICE, Gateway, answer_to, call, number_of, send
from tests.support.raw import RawConnection, command, wait_until


def set_user(broker: Broker, name: str, rule: str) -> str:
    """Make a user with this rule, and return the URL to connect as that."""
    parts: list[str] = []
    for word in rule.split():
        if parts and parts[-1].startswith("(") and not parts[-1].endswith(")"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    command(broker.url, "ACL", "SETUSER", name, "reset", "on", ">pw", *parts)
    return f"redis://{name}:pw@127.0.0.1:{broker.port}"


@pytest.fixture
def guarded(broker: Broker) -> Iterator[tuple[str, str]]:
    """URLs for a server and a client that have the least rights."""
    server_rule, client_rule = acl_rules(SERVICE)
    yield set_user(broker, "svc", server_rule), set_user(broker, "web", client_rule)
    command(broker.url, "ACL", "DELUSER", "svc", "web")


@BOTH_GATEWAYS
def test_nothing_is_refused_with_the_least_rights(broker: Broker, gateway: Gateway, guarded: tuple[str, str]) -> None:
    server_host, client_host = guarded
    command(broker.url, "ACL", "LOG", "RESET")
    may_go_on = threading.Event()

    def handle(request: ReceivedMessage) -> dict[str, object]:
        if number_of(request) == 150:
            may_go_on.wait(10)
        return answer_to(request)

    worker = gateway.worker(server_host, handle=handle)
    client = gateway.client(client_host)
    assert [call(client, number) for number in range(20)] == list(range(20))
    with client.batch():
        for number in range(100, 200):
            send(client, number)
    wait_until(lambda: 150 in worker.served, "the slow job has begun")
    threading.Event().wait(0.05)
    may_go_on.set()
    assert len({number_of(client.receive_response_message(5)) for _ in range(100)}) == 100
    small = gateway.client(client_host, queue_capacity=5)
    assert call(small, 7) == 7
    lone = gateway.server(server_host, queue_capacity=5)
    worker.stop()
    with pytest.raises(ServiceUnavailable):
        call(client, 1)
    request = send(client, 8)
    message = lone.receive_request_message()
    assert message.meta is not None
    lone.send_response_message(request, message.meta, answer_to(message))
    assert number_of(client.receive_response_message(5)) == 8

    assert command(broker.url, "ACL", "LOG") == []


def test_the_rules_allow_nothing_else(broker: Broker, guarded: tuple[str, str]) -> None:
    server_host, client_host = guarded
    forbidden = {
        server_host: [
            ("RPUSH", REQUEST_KEY, "x"),
            ("BLPOP", f"{REQUEST_KEY}.a!b", "0.1"),
            ("RPUSH", "pysoa:service.other.a!b", "x"),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
        ],
        client_host: [
            ("BLPOP", REQUEST_KEY, "0.1"),
            ("RPUSH", f"{REQUEST_KEY}.a!b", "x"),
            ("ZADD", f"pysoa:presence.{SERVICE}", "1", "x"),
            ("BLPOP", "pysoa:service.other.a!b", "0.1"),
            ("FLUSHALL",),
        ],
    }

    for host, commands in forbidden.items():
        with RawConnection(host) as connection:
            for one in commands:
                with pytest.raises(Exception, match="NOPERM"):
                    connection.command(*one)


def optional(rights: tuple[Right, ...]) -> list[str]:
    return [command for right in rights if right.is_optional for command in right.commands]


def without(rule: str, right: str) -> str:
    words = [word for word in rule.replace("(", "( ").split() if word != f"+{right}"]
    return " ".join(words).replace("( ", "(")


@BOTH_GATEWAYS
@pytest.mark.parametrize("right", optional(SERVER_RIGHTS))
def test_a_server_works_without_an_optional_right(
    broker: Broker, gateway: Gateway, guarded: tuple[str, str], right: str
) -> None:
    host = set_user(broker, "svc", without(acl_rules(SERVICE)[0], right))
    client = gateway.client(guarded[1])

    def handle(request: ReceivedMessage) -> dict[str, object]:
        if number_of(request) == 30:
            threading.Event().wait(0.05)
        return answer_to(request)

    worker = gateway.worker(host, handle=handle, receive_timeout_in_seconds=0.3)
    with client.batch():
        for number in range(60):
            send(client, number)
    received = {number_of(client.receive_response_message(5)) for _ in range(60)}
    began = time.monotonic()
    worker.stop()

    assert received == set(range(60))
    assert time.monotonic() - began < 3.5
    assert worker.faults == []


@BOTH_GATEWAYS
@pytest.mark.parametrize("right", optional(CLIENT_RIGHTS))
def test_a_client_works_without_an_optional_right(
    broker: Broker, gateway: Gateway, guarded: tuple[str, str], right: str
) -> None:
    host = set_user(broker, "web", without(acl_rules(SERVICE)[1], right))
    worker = gateway.worker(guarded[0])
    client = gateway.client(host)

    assert [call(client, number) for number in range(5)] == list(range(5))
    worker.stop()
    began = time.monotonic()
    with pytest.raises(MessageReceiveTimeout):
        call(client, 6, timeout=0.3)
    assert time.monotonic() - began < 2


def test_characters_of_patterns_in_a_name_stand_for_themselves(broker: Broker) -> None:
    rule = acl_rules("a*[b]?")[1]
    host = set_user(broker, "odd", rule)

    with RawConnection(host) as connection:
        assert connection.command("RPUSH", "pysoa:service.a*[b]?", "x") == 1
        with pytest.raises(Exception, match="NOPERM"):
            connection.command("RPUSH", "pysoa:service.axbc", "x")
    command(broker.url, "ACL", "DELUSER", "odd")


def test_every_right_has_its_reason() -> None:
    assert all(right.reason and right.commands for right in (*SERVER_RIGHTS, *CLIENT_RIGHTS))
