"""One client in many hands: threads, futures, forks, and answers that come too late."""

from __future__ import annotations

import json
from collections.abc import Callable

from pysoa.cli.broker import Broker
from tests.support.faults import Services, standard
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


def test_after_an_interrupted_call_the_next_one_gets_its_own_answer(
    broker: Broker, services: Services, start_module: Callable[..., Process]
) -> None:
    services.start(standard(broker.url), announced_at=broker.url)

    caller = start_module("tests.support.interrupted_client", broker.url)

    assert caller.wait(30) == 0, caller.output
    (report,) = (json.loads(line) for line in caller.output.splitlines() if line.startswith("{"))
    print(f"{report['interrupted']} calls interrupted, {report['right']} right after them")
    assert report["broken"] == []
    assert report["failed"] == []
    assert report["interrupted"] > 30
