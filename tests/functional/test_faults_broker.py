"""Brokers that die, come back empty, or stand still, with workers and callers at work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from pysoa.cli.broker import Broker
from tests.support.brokers import frozen, start
from tests.support.faults import BOTH_ENGINES, Calls, Services, echo, load, standard
from tests.support.processes import Process
from tests.support.proxies import FaultProxy
from tests.support.raw import RawConnection, command, wait_until

pytestmark = BOTH_ENGINES

TIMEOUT = 2.0
AWAY_FOR_SECONDS = 3.0
RECOVERY_IN_SECONDS = 2.0


def killed_and_replaced_by_an_empty_one(broker: Broker) -> Broker:
    broker.kill()
    broker.stop()
    time.sleep(AWAY_FOR_SECONDS)  # the time is what is tried
    return start(port=broker.port)


def frozen_for_a_while(broker: Broker) -> Broker:
    with frozen(broker):
        time.sleep(AWAY_FOR_SECONDS)
    return broker


def refusing_for_a_while(broker: Broker) -> Broker:
    """It asks for a password that nobody has."""
    with RawConnection(broker.url) as connection:
        connection.command("CONFIG", "SET", "requirepass", "secret")
        connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        time.sleep(AWAY_FOR_SECONDS)
        connection.command("CONFIG", "SET", "requirepass", "")
    return broker


def full_for_a_while(broker: Broker) -> Broker:
    """Out of memory."""
    command(broker.url, "CONFIG", "SET", "maxmemory", "1")
    time.sleep(AWAY_FOR_SECONDS)
    command(broker.url, "CONFIG", "SET", "maxmemory", "0")
    return broker


@pytest.mark.parametrize(
    "outage",
    [killed_and_replaced_by_an_empty_one, frozen_for_a_while, refusing_for_a_while, full_for_a_while],
    ids=lambda outage: outage.__name__,
)
def test_all_is_right_two_seconds_after_the_broker_is_back_and_workers_say_one_line_of_it(
    services: Services, outage: Callable[[Broker], Broker]
) -> None:
    broker = start()
    try:
        url = broker.url
        workers = [services.start(standard(url), announced_at=url) for _ in range(2)]
        lines_before = [len(worker.output.splitlines()) for worker in workers]
        client = services.client(standard(url))
        calls = Calls()

        with load(calls, echo(client, TIMEOUT), timeout=TIMEOUT, threads=4, pause=0.005):
            wait_until(lambda: len(calls.right) > 100, "the load is on")
            broker = outage(broker)
            back_at = time.monotonic()
            well_from = back_at + RECOVERY_IN_SECONDS
            wait_until(lambda: time.monotonic() > well_from + 1.0, "all is well for a while")

        client.close()
        first = min(call.ended for call in calls.right if call.ended > back_at)
        last = max((call.ended for call in calls.failed), default=back_at)
        said = [_lines(worker)[before:] for worker, before in zip(workers, lines_before, strict=True)]
        print(
            f"{len(calls.right)} right, {len(calls.failed)} failed {dict(calls.outcomes())}; first right answer "
            f"{first - back_at:.2f} s and last failure {last - back_at:.2f} s after the broker was back; workers wrote "
            f"{[len(lines) for lines in said]} lines; longest overrun {calls.longest_overrun:.3f} s"
        )
        assert not calls.broken
        assert not [call for call in calls.failed if call.began > well_from]
        assert sum(call.began > well_from for call in calls.right) > 20
        for worker, lines in zip(workers, said, strict=True):
            assert worker.returncode is None
            assert len(lines) <= 4, lines
            assert sum("sleeping" in line for line in lines) == sum("again after" in line for line in lines) <= 1, lines
            assert not re.search("Traceback|CRITICAL", "\n".join(lines))
    finally:
        broker.stop()


BLOCK_TIME = 1.0


def test_a_worker_notices_that_its_connection_is_half_open(
    broker: Broker, fault_proxy: FaultProxy, services: Services
) -> None:
    worker = services.start(
        standard(fault_proxy.url), announced_at=broker.url, transport={"receive_timeout_in_seconds": BLOCK_TIME}
    )
    client = services.client(standard(broker.url))
    calls = Calls()
    assert calls.try_one(echo(client, TIMEOUT), TIMEOUT) is None

    for _ in range(2):
        fault_proxy.blackhole()
        fault_proxy.heal()  # new connections are sound, those that there are never say a word again
        lost_at = time.monotonic()
        wait_until(lambda: calls.try_one(echo(client, 0.2), 0.2) is None, "it answers again")
        print(f"answers again {time.monotonic() - lost_at:.2f} s after its connection was lost, ", end="")
        assert time.monotonic() - lost_at < BLOCK_TIME + 2.0 + 0.5

    client.close()
    assert not calls.broken
    assert worker.returncode is None


def _lines(worker: Process) -> list[str]:
    return worker.output.splitlines()
