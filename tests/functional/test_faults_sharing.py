"""One client in many hands: threads, futures, forks, and answers that come too late."""

from __future__ import annotations

import functools
import json
import random
import signal
from collections.abc import Callable

from pysoa.cli.broker import Broker
from tests.functional.test_faults_network import call_action, call_action_future, call_actions, call_actions_parallel
from tests.support.faults import Calls, Services, client_of, standard
from tests.support.processes import Process
from tests.support.sharing_client import CHILDREN, ROUNDS, THREADS


def test_threads_and_forks_that_share_a_used_client_get_their_own_answers_only(
    broker: Broker, services: Services, start_module: Callable[..., Process]
) -> None:
    for _ in range(2):
        services.start(standard(broker.url), announced_at=broker.url)

    sharing = start_module("tests.support.sharing_client", broker.url)

    assert sharing.wait(60) == 0
    reports = [json.loads(line) for line in sharing.output.splitlines() if line.startswith("{")]
    assert len(reports) == CHILDREN + 1, sharing.output
    assert [report["broken"] for report in reports] == [[]] * len(reports)
    assert [report["failed"] for report in reports] == [[]] * len(reports)
    right, late = sum(report["right"] for report in reports), sum(report["late"] for report in reports)
    print(f"{right} right calls in {len(reports)} processes of {THREADS} threads, {late} timeouts with late answers")
    assert right > (CHILDREN + 1) * THREADS * ROUNDS
    assert late > 50


class Interrupted(Exception):
    """Raised by a signal, wherever the main thread is."""


def test_after_an_interrupted_call_the_next_one_gets_its_own_answer(broker: Broker, services: Services) -> None:
    services.start(standard(broker.url), announced_at=broker.url)
    client = client_of(standard(broker.url))
    chance = random.Random(1)
    interrupted = 0
    calls = Calls()

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(600):
            way = chance.choice((call_action, call_actions, call_actions_parallel, call_action_future))
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, 0.001))
                way(client, calls.token(), 5.0)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                interrupted += 1
            calls.try_one(functools.partial(way, client, timeout=5.0), 5.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        client.close()

    print(f"{interrupted} calls interrupted, {len(calls.right)} right after them")
    assert interrupted > 100
    assert not calls.broken
    assert not calls.failed
