"""Faults of brokers and networks: every call ends in time, says whether it can have run, and the next one is right."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageSendError
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from tests.support.brokers import freeze, frozen, restarted, thaw
from tests.support.gateway import REQUEST_KEY, Gateway, call, send
from tests.support.proxies import FaultProxy
from tests.support.raw import command, wait_until
from tests.support.scripted_broker import Command, HangUp, ScriptedBroker

ANSWERS = [
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-NOPERM User default has no permissions to run this command\r\n",
    b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    b"-NOREPLICAS Not enough good replicas to write.\r\n",
    b"-ERR unknown command\r\n",
]
PUSHES = (b"RPUSH", b"EVALSHA", b"EVAL")
AFTER_RECOVERY_IN_SECONDS = 2.0


def fails_in_time(client: RedisClientTransport, number: int, timeout: float) -> PySOAError:
    """Make a call that cannot succeed, and return its error."""
    began = time.monotonic()
    with pytest.raises(PySOAError) as raised:
        call(client, number, timeout)
    assert time.monotonic() - began <= timeout + 0.5
    assert raised.value.outcome in ("not_sent", "unknown")
    return raised.value


def is_right_again(client: RedisClientTransport, within: float = AFTER_RECOVERY_IN_SECONDS) -> None:
    """Call until it succeeds, which must be soon; from then on, each call succeeds."""
    until = time.monotonic() + within
    number = 1000
    while True:
        try:
            assert call(client, number, timeout=max(0.3, until - time.monotonic())) == number
            break
        except PySOAError:
            assert time.monotonic() < until, f"not right within {within} s"
            number += 1
    for number in range(5000, 5010):
        assert call(client, number) == number


# Answers of the broker


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.split()[0].decode())
@pytest.mark.parametrize("what", ["pushes", "pops", "everything"])
@pytest.mark.parametrize("new", [False, True], ids=["used client", "new client"])
def test_a_broker_that_refuses_a_client(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker, answer: bytes, what: str, new: bool
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(scripted_broker)
    if not new:
        call(client, 1)
    scripted_broker.refuse(*{"pushes": PUSHES, "pops": (b"BLPOP", b"LPOP"), "everything": ()}[what], reply=answer)

    error = fails_in_time(client, 2, timeout=0.4)

    if what != "pops":
        assert error.outcome == "not_sent"
        assert 2 not in worker.served
    elif error.outcome == "not_sent":
        assert 2 not in worker.served
    scripted_broker.heal()
    is_right_again(client)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.split()[0].decode())
@pytest.mark.parametrize("what", ["pops", "everything"])
def test_a_broker_that_refuses_a_worker(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker, answer: bytes, what: str
) -> None:
    worker = gateway.worker(scripted_broker, receive_timeout_in_seconds=0.2)
    client = gateway.client(broker)
    call(client, 1)
    scripted_broker.refuse(*{"pops": (b"BLPOP", b"LPOP"), "everything": ()}[what], reply=answer)
    wait_until(lambda: worker.faults, "the worker has been refused")

    fails_in_time(client, 3, timeout=0.2)

    scripted_broker.heal()
    is_right_again(client)


@pytest.mark.parametrize("answer", [b"-OOM no memory\r\n", b"-NOPERM no permission\r\n", b"-NOREPLICAS none\r\n"])
def test_a_broker_that_refuses_the_answers_of_a_worker(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker, answer: bytes
) -> None:
    worker = gateway.worker(scripted_broker)
    client = gateway.client(broker)
    call(client, 1)
    scripted_broker.refuse(*PUSHES, reply=answer)

    for number in (2, 3):
        assert fails_in_time(client, number, timeout=0.2).outcome == "unknown"

    assert worker.served == [1, 2, 3]
    scripted_broker.heal()
    is_right_again(client)


def test_a_broker_without_memory(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    call(client, 1)
    command(fresh_broker.url, "CONFIG", "SET", "maxmemory", "1")

    error = fails_in_time(client, 2, timeout=1)

    assert error.outcome == "not_sent"
    assert 2 not in worker.served
    command(fresh_broker.url, "CONFIG", "SET", "maxmemory", "0")
    is_right_again(client)


def test_a_broker_that_becomes_a_replica_for_a_while(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    call(client, 1)
    command(fresh_broker.url, "REPLICAOF", "127.0.0.1", "1")

    for number in (2, 3):
        assert fails_in_time(client, number, timeout=0.5).outcome == "not_sent"

    assert worker.served == [1]
    command(fresh_broker.url, "REPLICAOF", "NO", "ONE")
    is_right_again(client)


def test_a_broker_that_wants_a_password_for_a_while(fresh_broker: Broker, gateway: Gateway) -> None:
    gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    call(client, 1)
    command(fresh_broker.url, "CONFIG", "SET", "requirepass", "secret")
    secret_url = f"redis://:secret@127.0.0.1:{fresh_broker.port}"
    command(secret_url, "CLIENT", "KILL", "TYPE", "normal")

    fails_in_time(client, 2, timeout=0.5)  # its connection was closed a moment ago
    assert fails_in_time(client, 3, timeout=0.5).outcome == "not_sent"

    command(secret_url, "CONFIG", "SET", "requirepass", "")
    is_right_again(client)


def test_an_error_that_is_not_the_queues_fault_is_not_told_as_a_full_queue(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker
) -> None:
    client = gateway.client(scripted_broker, queue_full_retries=0)
    send(client)
    scripted_broker.refuse(*PUSHES, reply=b"-READONLY You can't write against a read only replica.\r\n")

    with pytest.raises(MessageSendError, match="READONLY") as raised:
        send(client)

    assert raised.value.outcome == "not_sent"


def test_a_broker_that_forgets_its_scripts_is_told_them_again(broker: Broker, gateway: Gateway) -> None:
    client = gateway.client(broker, queue_capacity=50)
    send(client)
    command(broker.url, "SCRIPT", "FLUSH")

    send(client)

    assert command(broker.url, "LLEN", REQUEST_KEY) == 2


def test_a_broker_that_knows_no_conditions_of_expire_still_gives_the_list_a_life(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker
) -> None:
    def like_redis_6(one: Command) -> bytes | None:
        return b"-ERR wrong number of arguments for 'expire' command\r\n" if one[-1] == b"NX" else None

    scripted_broker.answer = like_redis_6
    client = gateway.client(scripted_broker)
    for _ in range(4):
        send(client)
        assert command(broker.url, "TTL", REQUEST_KEY) > 3000
        command(broker.url, "DEL", REQUEST_KEY)

    assert sum(one[0] == b"EXPIRE" and one[-1] == b"NX" for one in scripted_broker.commands) == 1


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_broker_that_hangs_up_at_any_point_of_a_call(
    broker: Broker, gateway: Gateway, scripted_broker: ScriptedBroker, after: int
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(scripted_broker)
    call(client, 1)
    commands = 0

    def hang_up(_: Command) -> bytes | None:
        nonlocal commands
        commands += 1
        if commands == after + 1:
            raise HangUp
        return None

    scripted_broker.answer = hang_up
    try:
        result: int | PySOAError = call(client, 2, timeout=1)
    except PySOAError as error:
        result = error
    scripted_broker.heal()

    assert result == 2 or isinstance(result, PySOAError)
    assert worker.served.count(2) <= 1
    is_right_again(client)


# Networks


def test_delays_within_the_timeout_do_no_harm(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(fault_proxy)
    client = gateway.client(fault_proxy)
    fault_proxy.delay(0.05)

    assert [call(client, number) for number in range(5)] == list(range(5))


def test_delays_beyond_the_timeout_end_calls_in_time(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.delay(0.4)

    for number in (2, 3):
        fails_in_time(client, number, timeout=0.3)
    fails_in_time(gateway.client(fault_proxy, receive_timeout_in_seconds=1), 4, timeout=0.3)

    fault_proxy.heal()
    is_right_again(client)


@pytest.mark.parametrize("after_bytes", [1, 3, 10, 40])
def test_a_reset_in_the_middle_of_a_reply(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy, after_bytes: int
) -> None:
    worker = gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.reset_in_reply(after_bytes)

    outcome = "answered"
    try:
        call(client, 2, timeout=1)
    except PySOAError as error:
        outcome = error.outcome

    assert outcome in ("answered", "unknown")
    assert worker.served.count(2) == 1
    assert call(client, 3) == 3


def test_a_reset_in_the_middle_of_a_reply_to_a_worker(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(fault_proxy, receive_timeout_in_seconds=1)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.reset_in_reply(2)

    fails_in_time(client, 2, timeout=0.5)

    assert call(client, 3) == 3


@pytest.mark.parametrize("direction", ["to_broker", "to_client", None])
def test_a_half_open_connection_costs_a_client_one_call(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy, direction: Any
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.blackhole(direction)
    healer = threading.Timer(0.1, fault_proxy.heal)
    healer.start()

    error = fails_in_time(client, 2, timeout=0.7)

    healer.join()
    assert error.outcome == "unknown"
    assert call(client, 3, timeout=1) == 3


def test_connections_that_died_while_they_were_idle_cost_at_most_one_call(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    threads = [threading.Thread(target=call, args=(client, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    fault_proxy.blackhole()
    fault_proxy.heal()  # new connections are sound, the idle ones are dead

    fails_in_time(client, 2, timeout=0.3)

    assert call(client, 3, timeout=1) == 3


def test_a_half_open_connection_is_noticed_by_a_worker(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    worker = gateway.worker(fault_proxy, receive_timeout_in_seconds=0.5)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.blackhole()
    fault_proxy.heal()
    began = time.monotonic()

    wait_until(lambda: worker.faults, "the worker notices", timeout=5)

    assert time.monotonic() - began < 0.5 + 2 + 0.3
    is_right_again(client, within=1)


def test_a_worker_whose_answers_go_nowhere_serves_again_soon(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(fault_proxy, receive_timeout_in_seconds=0.3)
    client = gateway.client(broker)
    call(client, 1)
    fault_proxy.blackhole("to_broker")
    fault_proxy.heal()
    began = time.monotonic()
    while True:
        try:
            call(client, 2, timeout=0.3)
            break
        except PySOAError:
            assert time.monotonic() - began < 0.3 + 2 + 0.5

    is_right_again(client)


def test_a_network_that_is_gone_ends_every_call_in_time(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    call(client, 1)
    fault_proxy.hold()

    for number in range(3):
        fails_in_time(client, number, timeout=0.3)
    error = fails_in_time(gateway.client(f"redis://127.0.0.1:{fault_proxy.port}/0"), 4, timeout=0.3)

    assert error.outcome == "not_sent"
    fault_proxy.heal()
    is_right_again(client)


def test_a_port_that_refuses_connections(broker: Broker, gateway: Gateway, fault_proxy: FaultProxy) -> None:
    gateway.worker(broker)
    client = gateway.client(fault_proxy)
    fault_proxy.refuse()

    assert fails_in_time(client, 1, timeout=1).outcome == "not_sent"

    fault_proxy.heal()
    is_right_again(client)


def test_a_push_whose_reply_is_lost_is_never_sent_again(
    broker: Broker, gateway: Gateway, fault_proxy: FaultProxy
) -> None:
    client = gateway.client(fault_proxy)
    send(client, 1)
    command(broker.url, "DEL", REQUEST_KEY)
    fault_proxy.blackhole("to_client")

    assert fails_in_time(client, 2, timeout=0.5).outcome == "unknown"

    assert command(broker.url, "LLEN", REQUEST_KEY) == 1


# Brokers


def test_a_broker_that_was_killed_and_comes_back_empty(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    clients = [gateway.client(fresh_broker) for _ in range(2)]
    for client in clients:
        call(client, 1)
    fresh_broker.kill()
    for client in clients:
        fails_in_time(client, 2, timeout=0.5)  # its connection was closed a moment ago
        assert fails_in_time(client, 3, timeout=0.5).outcome == "not_sent"

    with restarted(fresh_broker):
        for client in clients:
            is_right_again(client)
        worker.stop()


def test_a_broker_that_is_killed_while_calls_are_made(fresh_broker: Broker, gateway: Gateway) -> None:
    worker = gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    errors: list[BaseException] = []
    stop = threading.Event()

    def make_calls() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            began = time.monotonic()
            try:
                assert call(client, number, timeout=0.5) == number
            except PySOAError:
                threading.Event().wait(0.01)
            except BaseException as error:
                errors.append(error)
            if time.monotonic() - began > 1.0:
                errors.append(AssertionError("too late"))

    threads = [threading.Thread(target=make_calls) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(worker.served) > 30, "calls are made")
    fresh_broker.kill()
    threading.Event().wait(0.5)
    with restarted(fresh_broker):
        served = len(worker.served)
        wait_until(lambda: len(worker.served) > served + 30, "calls are made again", timeout=2)
        stop.set()
        for thread in threads:
            thread.join(5)
        worker.stop()

    assert errors == []


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_a_broker_that_is_frozen_for_a_while(fresh_broker: Broker, gateway: Gateway, seconds: float) -> None:
    gateway.worker(fresh_broker, receive_timeout_in_seconds=1)
    client = gateway.client(fresh_broker)
    call(client, 1)
    with frozen(fresh_broker):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fails_in_time(client, 2, timeout=0.2)

    is_right_again(client)


def test_a_call_that_waits_longer_than_the_broker_is_frozen_succeeds(fresh_broker: Broker, gateway: Gateway) -> None:
    gateway.worker(fresh_broker)
    client = gateway.client(fresh_broker)
    call(client, 1)
    freeze(fresh_broker)
    timer = threading.Timer(0.5, thaw, args=(fresh_broker,))
    timer.start()

    assert call(client, 2, timeout=5) == 2
    timer.join()


def test_an_interrupt_in_the_middle_of_a_call_costs_that_call_only(
    broker: Broker, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pysoa.common.transport.redis_gateway.connection import RedisConnection

    gateway.worker(broker)
    client = gateway.client(broker)
    call(client, 1)
    real = RedisConnection.read
    for interrupted in range(4):
        reads = iter(range(100))

        def read(self: RedisConnection, until: float, *, at: int = interrupted, reads: Any = reads) -> Any:
            if threading.current_thread() is threading.main_thread() and next(reads) == at:
                raise KeyboardInterrupt
            return real(self, until)

        monkeypatch.setattr(RedisConnection, "read", read)
        with contextlib.suppress(KeyboardInterrupt):
            call(client, 2)
        monkeypatch.setattr(RedisConnection, "read", real)

        assert [call(client, number) for number in range(10, 15)] == list(range(10, 15))
