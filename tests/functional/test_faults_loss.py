"""What is lost and what runs twice when workers are killed, told to stop, or restarted; and what must never run."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageReceiveTimeout
from tests.support.brokers import start
from tests.support.faults import BOTH_ENGINES, SERVICE, Calls, Services, load, standard
from tests.support.proxies import FaultProxy
from tests.support.raw import RawConnection, command, wait_until

pytestmark = BOTH_ENGINES

REQUESTS = 2000


@pytest.fixture
def client(broker: Broker, services: Services) -> Iterator[Client]:
    client = services.client(standard(broker.url))
    yield client
    client.close()


def note(client: Client, timeout: float, **body: object) -> Callable[[str], object]:
    """A call that leaves its token behind when it runs: for ``Calls.try_one``."""
    return lambda token: client.call_action(SERVICE, "note", {"token": token, **body}, timeout=timeout).body["token"]


def send_many(client: Client, count: int) -> dict[int, str]:
    """Send requests without waiting; their tokens by id."""
    tokens = (f"t{number}" for number in range(count))
    return {
        client.send_request(
            SERVICE, [{"action": "note", "body": {"token": token}}], message_expiry_in_seconds=60
        ): token
        for token in tokens
    }


def receive_all(client: Client, timeout: float) -> dict[int, str]:
    """The tokens that come back, by id, until nothing has come for so long."""
    received = {}
    with contextlib.suppress(MessageReceiveTimeout):
        for request_id, response in client.get_all_responses(SERVICE, receive_timeout_in_seconds=timeout):
            received[request_id] = response.actions[0].body["token"]
    return received


@pytest.mark.parametrize("prefetch", [1, 16])
def test_a_killed_worker_loses_at_most_what_it_had_in_hand(
    broker: Broker, services: Services, client: Client, prefetch: int
) -> None:
    sent = send_many(client, REQUESTS)
    workers = [services.start(standard(broker.url), transport={"prefetch": prefetch}) for _ in range(2)]
    wait_until(lambda: services.noted().total() > REQUESTS // 10, "both are at work", pause=0.001)

    workers[0].kill()

    received = receive_all(client, 2.0)
    noted = services.noted()
    lost = set(sent) - set(received)
    print(
        f"prefetch {prefetch}: {len(lost)} of {len(sent)} lost, {sum(sent[one] in noted for one in lost)} of them begun"
    )
    assert received == {request_id: sent[request_id] for request_id in received}
    # Side by side: the jobs that run or wait for the loop, and answers that have not left it.
    assert len(lost) <= (prefetch if services.concurrency == 1 else prefetch + services.concurrency)
    assert max(noted.values()) == 1
    assert noted.keys() >= set(received.values())


def test_stopping_workers_in_a_storm_of_signals_loses_nothing_and_runs_nothing_twice(
    broker: Broker, services: Services, client: Client
) -> None:
    sent = send_many(client, REQUESTS)
    first = services.start(standard(broker.url))
    wait_until(lambda: services.noted().total() > REQUESTS // 10, "it is at work", pause=0.001)

    for number in itertools.islice(itertools.cycle((signal.SIGTERM, signal.SIGINT)), 100):
        with contextlib.suppress(ProcessLookupError):
            first.signal(number)

    assert first.wait(10) == 0
    served_by_first = services.noted().total()
    services.start(standard(broker.url))
    assert receive_all(client, 2.0) == sent
    assert services.noted() == dict.fromkeys(sent.values(), 1)
    assert first.output.count("Received interrupt") == 1
    print(f"{served_by_first} of {len(sent)} served before the end of the first worker, 0 lost")


def test_a_rolling_restart_under_load_loses_nothing_and_runs_nothing_twice(
    broker: Broker, services: Services, client: Client
) -> None:
    workers = [services.start(standard(broker.url), announced_at=broker.url) for _ in range(2)]
    calls = Calls()

    with load(calls, note(client, 5.0), timeout=5.0, threads=6):
        for number in range(4):
            wait_until(lambda: len(calls.right) > 300 * (number + 1), "the load is on")  # noqa: B023 - asked at once
            old = workers.pop(0)
            workers.append(services.start(standard(broker.url), announced_at=broker.url))
            old.terminate()
            assert old.wait(10) == 0
        before = len(calls.right)
        wait_until(lambda: len(calls.right) > before + 200, "all is well afterwards")

    print(f"{len(calls.right)} right and {len(calls.failed)} failed over 4 restarts")
    assert not calls.broken
    assert not calls.failed
    assert max(services.noted().values()) == 1
    assert services.noted().total() == len(calls.right)


def test_a_slow_action_finishes_after_sigterm_and_what_waited_behind_it_is_served_by_another(
    broker: Broker, services: Services, client: Client
) -> None:
    first = services.start(standard(broker.url), announced_at=broker.url)
    tokens = [f"t{number}" for number in range(30)]
    futures = [
        client.call_action_future(SERVICE, "note", {"token": token, "seconds": 0.6 if token == "t5" else 0}, timeout=10)
        for token in tokens
    ]
    wait_until(lambda: "t5" in services.noted(), "the slow one runs")

    first.terminate()
    second = services.start(standard(broker.url))

    assert [future.result().body["token"] for future in futures] == tokens
    assert services.noted() == dict.fromkeys(tokens, 1)
    assert first.wait(10) == 0
    assert second.returncode is None


# What must never run


def out_of_memory(broker: Broker) -> Callable[[], object]:
    command(broker.url, "CONFIG", "SET", "maxmemory", "1")
    return lambda: command(broker.url, "CONFIG", "SET", "maxmemory", "0")


def read_only(broker: Broker) -> Callable[[], object]:
    command(broker.url, "CONFIG", "SET", "replica-serve-stale-data", "yes")
    command(broker.url, "REPLICAOF", "127.0.0.1", "1")
    return lambda: command(broker.url, "REPLICAOF", "NO", "ONE")


def too_few_replicas(broker: Broker) -> Callable[[], object]:
    command(broker.url, "CONFIG", "SET", "min-replicas-to-write", "1")
    return lambda: command(broker.url, "CONFIG", "SET", "min-replicas-to-write", "0")


def no_permission(broker: Broker) -> Callable[[], object]:
    command(broker.url, "ACL", "SETUSER", "default", "-rpush", "-evalsha", "-eval")
    return lambda: command(broker.url, "ACL", "SETUSER", "default", "+@all")


def password_wanted(broker: Broker) -> Callable[[], object]:
    connection = RawConnection(broker.url)
    connection.command("CONFIG", "SET", "requirepass", "secret")
    connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def heal() -> None:
        connection.command("CONFIG", "SET", "requirepass", "")
        connection.close()

    return heal


def wrong_type(broker: Broker) -> Callable[[], object]:
    key = f"pysoa:service.{SERVICE}"
    command(broker.url, "DEL", key)
    command(broker.url, "SET", key, "not a list")
    return lambda: command(broker.url, "DEL", key)


def crowded(broker: Broker) -> Callable[[], object]:
    """No connections can be had."""
    connection = RawConnection(broker.url)
    connection.command("CONFIG", "SET", "maxclients", "1")
    connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def heal() -> None:
        connection.command("CONFIG", "SET", "maxclients", "10000")
        connection.close()

    return heal


FAULTS = [out_of_memory, read_only, too_few_replicas, no_permission, password_wanted, wrong_type, crowded]


def test_what_is_said_not_to_have_been_sent_never_runs(services: Services) -> None:
    with start() as broker, FaultProxy(broker.port) as proxy:
        backend = standard(broker.url)
        services.start(backend, announced_at=broker.url)
        client = services.client(standard(proxy.url))
        small = services.client(standard(proxy.url), maximum_message_size_in_bytes=100)
        calls = Calls()
        not_sent: dict[str, set[str]] = {}

        def provoke(name: str, caller: Client = client, count: int = 8, **body: object) -> None:
            for number in range(count):
                timeout = (0.05, 0.13, 0.31)[number % 3]  # fractions: the first PySOA ran such calls and denied it
                token = ""

                def call(given: str, timeout: float = timeout) -> object:
                    nonlocal token
                    token = given
                    return note(caller, timeout, **body)(given)

                failure = calls.try_one(call, timeout)
                if failure is not None and failure.outcome == "not_sent":
                    not_sent.setdefault(name, set()).add(token)

        assert calls.try_one(note(client, 5.0), 5.0) is None
        for fault in FAULTS:
            heal = fault(broker)
            provoke(fault.__name__)
            heal()
            wait_until(lambda: calls.try_one(note(client, 2.0), 2.0) is None, f"all is well after {fault.__name__}")
        proxy.refuse()
        proxy.reset_connections()
        provoke("refused connections")
        proxy.heal()
        for behaviour in (proxy.hold, proxy.blackhole, lambda: proxy.delay(0.1), lambda: proxy.reset_in_reply(1)):
            behaviour()
            provoke("silent connections", count=6)
            proxy.reset_connections()
            provoke("silent new connections", count=6)
            proxy.heal()
        provoke("too large", small, padding="x" * 1000)
        provoke("not serializable", client, unserializable=object())

        # Requests are served in order: after this one, nothing of the above can still come.
        wait_until(lambda: calls.try_one(note(client, 2.0), 2.0) is None, "all is well in the end")
        client.close()
        small.close()
        noted = services.noted()
        print({name: len(tokens) for name, tokens in not_sent.items()}, calls.outcomes())
        assert not calls.broken
        assert not_sent.keys() >= {fault.__name__ for fault in FAULTS}
        assert not_sent.keys() >= {"refused connections", "too large", "not serializable"}
        assert not set(itertools.chain.from_iterable(not_sent.values())) & noted.keys()
        assert max(noted.values()) == 1


def test_what_a_full_queue_refuses_within_a_fractional_timeout_never_runs(broker: Broker, services: Services) -> None:
    client = services.client(standard(broker.url), queue_capacity=20)
    calls = Calls()
    waiting, refused = ([f"{kind}{number}" for number in range(20)] for kind in ("waiting", "refused"))
    for token in waiting:
        client.send_request(SERVICE, [{"action": "note", "body": {"token": token}}], message_expiry_in_seconds=30)
    for token in refused:
        with pytest.raises(PySOAError, match="full") as caught:
            client.send_request(SERVICE, [{"action": "note", "body": {"token": token}}], message_expiry_in_seconds=0.05)
        assert caught.value.outcome == "not_sent"
    for timeout in (0.1, 0.25, 0.75):
        failure = calls.try_one(note(client, timeout), timeout)
        assert failure is not None
        assert failure.outcome == "not_sent"
        assert "full" in str(failure)

    services.start(standard(broker.url), announced_at=broker.url)
    wait_until(lambda: services.noted().total() == 20, "what was sent is run")
    assert calls.try_one(note(client, 5.0), 5.0) is None

    client.close()
    assert not calls.broken
    assert services.noted().total() == 21
    assert services.noted().keys() > set(waiting)


def test_requests_that_expired_while_nobody_served_never_run(
    broker: Broker, services: Services, client: Client
) -> None:
    for number in range(300):
        body = {"token": f"t{number}"}
        client.send_request(SERVICE, [{"action": "note", "body": body}], message_expiry_in_seconds=0.1 + number / 1000)
    calls = Calls()
    for _ in range(3):
        failure = calls.try_one(note(client, 0.3), 0.3)
        assert isinstance(failure, MessageReceiveTimeout)
    time.sleep(1.1)  # until the last has expired: requests live a second longer than their callers wait
    assert command(broker.url, "LLEN", f"pysoa:service.{SERVICE}") == 303

    services.start(standard(broker.url))

    assert calls.try_one(note(client, 5.0), 5.0) is None
    assert not calls.broken
    assert services.noted().total() == 1
