"""A broker that answers with errors, or hangs up: every call ends in time, and the next one is right."""

from __future__ import annotations

import pytest

from pysoa.cli.broker import Broker
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageSendError
from tests.support.gateway import BOTH_GATEWAYS, REQUEST_KEY, Gateway, call, fails_in_time, is_right_again, send
from tests.support.raw import command, wait_until
from tests.support.scripted_broker import Command, HangUp, ScriptedBroker

pytestmark = BOTH_GATEWAYS

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
        wait_until(lambda: command(broker.url, "TTL", REQUEST_KEY) > 3000, "the list has a life")
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
