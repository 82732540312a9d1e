"""Actions that hang in code written in C, which no exception reaches: they end with their process."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout
from tests.support.faults import BOTH_ENGINES, SERVICE, Services, standard, workers_of
from tests.support.processes import children_of
from tests.support.raw import wait_until

pytestmark = BOTH_ENGINES

HARAKIRI = {"harakiri": {"timeout": 1, "shutdown_grace": 1}}
TIMEOUT = 20.0


@pytest.fixture
def client(broker: Broker, services: Services) -> Iterator[Client]:
    client = services.client(standard(broker.url))
    yield client
    client.close()


def test_callers_are_answered_by_the_next_worker_and_the_service_goes_on(
    broker: Broker, services: Services, client: Client
) -> None:
    supervisor = services.start(
        standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2, settings=HARAKIRI
    )
    before = children_of(supervisor.pid)
    began = time.monotonic()

    alone = client.call_action_future(SERVICE, "hold", {"token": "alone"}, timeout=TIMEOUT, raise_action_errors=False)
    wait_until(lambda: "alone" in services.noted(), "the first worker is stuck")
    second_of_two = client.call_actions_future(
        SERVICE,
        [{"action": "echo", "body": {"token": 1}}, {"action": "hold", "body": {"token": "second"}}],
        timeout=TIMEOUT,
        raise_job_errors=False,
        correlation_id="of the second",
    )

    (error,) = alone.result().errors
    assert (error.code, error.message) == (
        "ACTION_TIMEOUT",
        'The action "hold" ran for too long and had to be interrupted.',
    )
    print(f"answered after {time.monotonic() - began:.2f} s")
    failed = second_of_two.result()
    assert [error.code for error in failed.errors] == ["ACTION_TIMEOUT"]  # the answer of the first is lost
    assert failed.context["correlation_id"] == "of the second"
    assert client.call_action(SERVICE, "echo", {"token": "well"}, timeout=TIMEOUT).body["token"] == "well"
    assert len(children_of(supervisor.pid) - before) == 2
    assert services.noted() == {"alone": 1, "second": 1}
    assert supervisor.output.count("Answering for the worker before, which was ended with a job after") == 2
    assert "in run" in supervisor.output[supervisor.output.index("Timeout (0:00:0") :]


def test_a_pattern_that_takes_years_is_answered_wherever_it_runs(
    broker: Broker, services: Services, client: Client
) -> None:
    services.start(standard(broker.url), "--fork", "2", announced_at=broker.url, workers=2, settings=HARAKIRI)

    for action in ("match", "match_on_thread"):
        answer = client.call_action(SERVICE, action, timeout=TIMEOUT, raise_action_errors=False)

        assert [error.code for error in answer.errors] == ["ACTION_TIMEOUT"]


def test_without_a_supervisor_the_process_ends_and_the_call_by_its_timeout(
    broker: Broker, services: Services, client: Client
) -> None:
    server = services.start(standard(broker.url), announced_at=broker.url, settings=HARAKIRI)

    with pytest.raises(MessageReceiveTimeout) as caught:
        client.call_action(SERVICE, "hold", {"token": "stuck"}, timeout=1)

    assert caught.value.outcome == "unknown"
    assert server.wait(15) == 1
    assert "Timeout (0:00:0" in server.output
    assert workers_of(broker.url, SERVICE) == 1  # nobody could withdraw it
