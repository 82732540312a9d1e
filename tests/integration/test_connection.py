"""Connections to real brokers: what is written arrives, what comes back is whole, and nothing waits for too long."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.clock import monotonic
from pysoa.common.transport.redis_gateway.connecting import connect, kwargs_from_url
from pysoa.common.transport.redis_gateway.connection import (
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    BrokerUnreachable,
    RedisConnection,
    pack,
)
from tests.support.brokers import TLSBroker, frozen, start
from tests.support.processes import open_descriptors
from tests.support.proxies import FaultProxy
from tests.support.raw import command, wait_until
from tests.support.scripted_broker import ScriptedBroker

LOOPBACK = "127.0.0.1"


def soon(seconds: float = 5.0) -> float:
    return monotonic() + seconds


def connected(port: int, **kwargs: Any) -> RedisConnection:
    return connect({"host": LOOPBACK, "port": port, **kwargs}, soon())


@pytest.fixture
def connection(broker: Broker) -> Iterator[RedisConnection]:
    with connected(broker.port) as connection:
        yield connection


def test_several_commands_in_one_packet_have_their_replies_in_order(connection: RedisConnection) -> None:
    connection.send(pack(b"RPUSH", b"list", b"a", b"b") + pack(b"LPOP", b"list") + pack(b"GET", b"none"), 3, soon())

    assert [connection.read(soon()) for _ in range(3)] == [2, b"a", None]
    assert connection.owed == 0


def test_an_error_is_an_answer_like_others(connection: RedisConnection) -> None:
    connection.ask(b"SET", b"text", b"x", until=soon())

    reply = connection.ask(b"RPUSH", b"text", b"a", until=soon())

    assert isinstance(reply, BrokerRefused)
    assert reply.kind == "WRONGTYPE"
    assert not reply.not_the_master
    assert connection.is_fresh()


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1 << 20, 8 << 20])
def test_values_of_every_size_go_there_and_back(connection: RedisConnection, size: int) -> None:
    value = os.urandom(size)

    assert connection.ask(b"SET", b"value", value, until=soon()) == b"OK"
    assert connection.ask(b"GET", b"value", until=soon()) == value
    assert connection.ask(b"STRLEN", b"value", until=soon()) == size


def test_one_that_nobody_has_closed_is_closed_without_a_warning(broker: Broker) -> None:
    connection = connected(broker.port)
    descriptors = open_descriptors()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del connection
        gc.collect()

    assert open_descriptors() < descriptors
    assert told == []


def test_a_reply_that_comes_in_pieces_is_put_together(broker: Broker) -> None:
    with ScriptedBroker(broker) as scripted:
        pieces: list[bytes] = [b"*2\r\n$3\r\nab", b"c\r\n$2\r\n", b"de\r\n"]
        scripted.answer = lambda _: pieces.pop(0)
        with connected(scripted.port) as connection:
            connection.send(pack(b"ONE") + pack(b"TWO") + pack(b"THREE"), 1, soon())

            assert connection.read(soon()) == [b"abc", b"de"]


def test_a_time_that_runs_out_is_a_timeout_and_the_reply_can_still_be_read(connection: RedisConnection) -> None:
    began = monotonic()
    connection.send(pack(b"BLPOP", b"list", b"0.4"), 1, soon())

    with pytest.raises(BrokerTimeout):
        connection.read(began + 0.1)

    assert 0.1 <= monotonic() - began < 2
    assert connection.owed == 1
    assert not connection.is_fresh()
    assert connection.read(soon()) is None
    assert connection.is_fresh()


def test_a_wait_has_no_slack_after_a_longer_one(connection: RedisConnection) -> None:
    connection.send(pack(b"BLPOP", b"list", b"0.5") + pack(b"BLPOP", b"list", b"0"), 2, soon())
    assert connection.read(soon()) is None
    began = monotonic()

    with pytest.raises(BrokerTimeout):
        connection.read(began + 0.2)

    assert monotonic() - began < 0.35


def test_a_broker_that_closes_is_lost_before_and_while_reading(fault_proxy: FaultProxy) -> None:
    with connected(fault_proxy.port) as idle, connected(fault_proxy.port) as waiting:
        waiting.send(pack(b"BLPOP", b"list", b"0"), 1, soon())
        closer = threading.Timer(0.1, fault_proxy.drop_connections)
        closer.start()

        with pytest.raises(BrokerLost):
            waiting.read(soon())

        closer.join()
        time.sleep(0.06)  # an idle connection is looked at only after 50 ms
        assert not idle.is_fresh()
        with pytest.raises(BrokerLost):
            idle.ask(b"PING", until=soon())


def test_a_reset_in_the_middle_of_a_reply_is_a_loss(fault_proxy: FaultProxy, broker: Broker) -> None:
    command(broker.url, "SET", "key", "a longer value")
    with connected(fault_proxy.port) as connection:
        fault_proxy.reset_in_reply(after_bytes=4)

        with pytest.raises(BrokerLost, match="connection broke"):
            connection.ask(b"GET", b"key", until=soon())


def test_nonsense_is_a_loss(scripted_broker: ScriptedBroker) -> None:
    scripted_broker.answer = lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with connected(scripted_broker.port) as connection, pytest.raises(BrokerLost, match="Protocol error"):
        connection.ask(b"PING", until=soon())


def test_a_broker_that_takes_nothing_ends_a_send_in_time(fresh_broker: Broker) -> None:
    with connected(fresh_broker.port) as connection, frozen(fresh_broker):
        began = monotonic()

        with pytest.raises(BrokerTimeout, match="did not take"):
            connection.send(pack(b"SET", b"key", bytes(32 << 20)), 1, began + 0.3)

        assert monotonic() - began < 2


def test_a_broker_that_does_not_answer_is_unreachable_in_time(fresh_broker: Broker) -> None:
    with frozen(fresh_broker):
        began = monotonic()

        with pytest.raises(BrokerUnreachable):
            connect({"host": LOOPBACK, "port": fresh_broker.port, "db": 1}, began + 0.3)

        assert monotonic() - began < 2


def test_a_port_where_nobody_listens_is_unreachable_at_once() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        began = monotonic()

        with pytest.raises(BrokerUnreachable, match="ConnectionRefusedError"):
            connected(taken.getsockname()[1])

        assert monotonic() - began < 2


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "x" * 300])
def test_a_name_that_cannot_be_resolved_is_unreachable(name: str) -> None:
    with pytest.raises(BrokerUnreachable):
        connect({"host": name, "port": 1}, soon())


def test_a_name_that_resolves_too_slowly_is_unreachable_in_time_and_leaves_no_connection(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, may_go_on = socket.getaddrinfo, threading.Event()

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        may_go_on.wait(10)
        return resolve(LOOPBACK, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = monotonic()

    with pytest.raises(BrokerUnreachable, match="no connection to broker"):
        connect({"host": "broker.example", "port": broker.port}, began + 0.2)

    assert monotonic() - began < 2
    descriptors = open_descriptors()
    may_go_on.set()
    wait_until(
        lambda: not any(thread.name.startswith("pysoa-connect") for thread in threading.enumerate()),
        "the connecting thread has ended",
    )
    assert open_descriptors() == descriptors


def test_a_name_is_resolved(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **options: resolve(LOOPBACK, *rest, **options))

    with connect({"host": "broker.example", "port": broker.port}, soon()) as connection:
        assert connection.ask(b"PING", until=soon()) == b"PONG"


@pytest.mark.parametrize("by_url", [True, False])
def test_the_numbers_of_databases_count(broker: Broker, by_url: bool) -> None:
    kwargs = kwargs_from_url(f"{broker.url}/3") if by_url else {"port": broker.port, "db": 3}
    with connect(kwargs, soon()) as third, connected(broker.port) as first:
        third.ask(b"SET", b"key", b"value", until=soon())

        assert first.ask(b"GET", b"key", until=soon()) is None
        assert first.ask(b"SELECT", b"3", until=soon()) == b"OK"
        assert first.ask(b"GET", b"key", until=soon()) == b"value"


def test_passwords_and_users_are_given(broker: Broker) -> None:
    with start(password="open+sesame") as locked:
        command_url = f"redis://:open%2Bsesame@127.0.0.1:{locked.port}"
        with connect(kwargs_from_url(command_url), soon()) as connection:
            assert connection.ask(b"PING", until=soon()) == b"PONG"
            connection.ask(b"ACL", b"SETUSER", b"ann", b"on", b">s3cret", b"~*", b"+@all", until=soon())
        with connect(kwargs_from_url(f"redis://ann:s3cret@127.0.0.1:{locked.port}/2"), soon()) as connection:
            assert connection.ask(b"ACL", b"WHOAMI", until=soon()) == b"ann"
        with connected(locked.port, username="ann", password="s3cret") as connection:
            assert connection.ask(b"ACL", b"WHOAMI", until=soon()) == b"ann"
        with pytest.raises(BrokerUnreachable, match="WRONGPASS"):
            connected(locked.port, password="wrong")


@pytest.mark.parametrize("by_url", [True, False])
def test_unix_sockets_work(broker: Broker, by_url: bool) -> None:
    kwargs = kwargs_from_url(f"unix://{broker.unix_socket}") if by_url else {"path": broker.unix_socket}
    with connect(kwargs, soon()) as connection:
        assert connection.ask(b"PING", until=soon()) == b"PONG"


def test_a_unix_socket_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(BrokerUnreachable, match="FileNotFoundError"):
        connect({"path": "/nowhere/at/all"}, soon())


@pytest.mark.parametrize("by_url", [True, False])
def test_tls_works_with_large_values_and_waits(tls_broker: TLSBroker, by_url: bool) -> None:
    kwargs = kwargs_from_url(tls_broker.url) if by_url else {"port": tls_broker.port, "ssl": True}
    value = os.urandom(1 << 20)

    with connect({**kwargs, "ssl_ca_certs": tls_broker.ca_file}, soon()) as connection:
        assert connection.ask(b"SET", b"value", value, until=soon()) == b"OK"
        assert connection.ask(b"GET", b"value", until=soon()) == value
        connection.send(pack(b"BLPOP", b"list", b"0.2"), 1, soon())
        with pytest.raises(BrokerTimeout):
            connection.read(soon(0.05))
        assert connection.read(soon()) is None
        time.sleep(0.06)  # from now on it is looked at before it is used again
        assert connection.is_fresh()


def test_a_certificate_of_an_unknown_authority_is_refused(tls_broker: TLSBroker) -> None:
    with pytest.raises(BrokerUnreachable, match="certificate verify failed"):
        connect(kwargs_from_url(tls_broker.url), soon())


def test_a_slow_tls_handshake_ends_in_time(tls_broker: TLSBroker) -> None:
    tls_broker.proxy.delay(0.25, "to_client")
    kwargs = {**kwargs_from_url(tls_broker.url), "ssl_ca_certs": tls_broker.ca_file, "db": 1}
    began = monotonic()

    with pytest.raises(BrokerUnreachable):
        connect(kwargs, began + 0.4)  # each step alone would be in time

    assert monotonic() - began < 2


def test_settings_of_the_high_level_clients_of_redis_py_do_no_harm(broker: Broker) -> None:
    kwargs = {"retry_on_timeout": True, "health_check_interval": 1, "decode_responses": True, "max_connections": 5}

    with connected(broker.port, socket_timeout=0.001, protocol=3, **kwargs) as connection:
        connection.send(pack(b"BLPOP", b"list", b"0.1"), 1, soon())
        assert connection.read(soon()) is None
        assert connection.ask(b"ECHO", b"bytes", until=soon()) == b"bytes"


def test_a_connection_class_of_the_users_own_is_used(broker: Broker) -> None:
    import redis.connection

    made: list[Any] = []

    class OwnConnection(redis.connection.Connection):
        def __init__(self, **kwargs: Any) -> None:
            made.append(self)
            super().__init__(**kwargs)

    with connected(broker.port, connection_class=OwnConnection, max_connections=3) as connection:
        assert connection.ask(b"PING", until=soon()) == b"PONG"
    assert len(made) == 1


def test_a_child_never_speaks_on_its_parents_connection(broker: Broker, start_process: Callable[..., Any]) -> None:
    code = f"""
import os
from pysoa.common.clock import monotonic
from pysoa.common.transport.redis_gateway.connecting import connect
connection = connect({{"host": "127.0.0.1", "port": {broker.port}}}, monotonic() + 5)
child = os.fork()
if child == 0:
    assert not connection.is_fresh()
    connection.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", connection.ask(b"PING", until=monotonic() + 5))
"""
    from tests.support.processes import python

    process = start_process(*python("-c", code))

    assert process.wait_for_line("parent") == "parent b'PONG'"


def test_a_push_whose_reply_is_lost_is_sent_once(broker: Broker, fault_proxy: FaultProxy) -> None:
    with connected(fault_proxy.port) as connection:
        fault_proxy.blackhole("to_client")
        connection.send(pack(b"RPUSH", b"list", b"one"), 1, soon())
        with pytest.raises(BrokerTimeout):
            connection.read(soon(0.3))

    assert command(broker.url, "LRANGE", "list", 0, -1) == [b"one"]
