"""``pysoa run``: services in production."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.cli.caller import client_settings
from pysoa.client import Client
from tests.support.commands import EXAMPLES, Outcome, pysoa, wait_until_served
from tests.support.processes import Process, children_of, python
from tests.support.raw import command, wait_until


def start_run(start_process: Callable[..., Process], broker_url: str, *arguments: str) -> Process:
    return start_process(
        *python("-W", "error", "-m", "pysoa", "run", "flight_booking", "-s", "flight_booking.settings", *arguments),
        cwd=EXAMPLES,
        env={"REDIS_URL": broker_url},
    )


def test_several_workers_serve_and_drain(broker: Broker, start_process: Callable[..., Process]) -> None:
    process = start_run(start_process, broker.url, "--workers", "2")
    wait_until(
        lambda: command(broker.url, "ZCOUNT", "pysoa:presence.flight_booking", "(0", "+inf") == 2, "two are present", 20
    )

    outcome = pysoa("call", "flight_booking", "status", "verbose=false", "--broker", broker.url)
    workers = children_of(process.pid)
    process.terminate()

    assert outcome.code == 0
    assert len(workers) == 2
    assert process.wait() == 0
    assert process.output.count("Server shutdown complete") == 2


def test_workers_may_be_one_for_each_core_and_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(dedent(DIES))

    def pysoa_run(*arguments: str) -> Outcome:
        return pysoa("run", "dies", "-s", "dies", "--workers", *arguments, cwd=tmp_path)

    assert pysoa_run("3", "--no-respawn") == (0, "dead\n" * 3, "")
    cores = os.cpu_count() or 1
    outcome = pysoa_run("cpu", "--give-up-after", "2")
    assert outcome.output.count("dead") == (cores * 2 if cores > 1 else 1)
    for number in ("0", "-1", "many", "1.5"):
        outcome = pysoa_run(number)
        assert (outcome.code, outcome.output) == (2, "")
        assert f"{number!r} is not a number of processes" in outcome.said


def test_one_worker_is_the_process_itself(broker: Broker, start_process: Callable[..., Process]) -> None:
    process = start_run(start_process, broker.url)
    wait_until_served(broker, "flight_booking")

    children = children_of(process.pid)
    process.terminate()

    assert children == set()
    assert process.wait() == 0


def test_a_broker_that_is_down_is_a_line_in_the_log_and_waited_for(start_process: Callable[..., Process]) -> None:
    process = start_run(start_process, "redis://127.0.0.1:1")

    process.wait_for_line("WARNING.*Connection refused")
    process.terminate()

    assert process.wait() == 0
    assert "Traceback" not in process.output


def test_missing_settings_are_told_in_one_line() -> None:
    assert pysoa("run", "flight_booking", cwd=EXAMPLES) == (
        2,
        "",
        "the settings are missing: -s MODULE names them\n",
    )


def test_wrong_settings_are_told_before_anything_is_forked(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("SOA_SERVER_SETTINGS = {'harakiri': {'timeout': 'soon'}}\n")

    outcome = pysoa(
        "run", "flight_booking", "-s", "wrong", "--workers", "2", cwd=tmp_path, env={"PYTHONPATH": str(EXAMPLES)}
    )

    assert outcome.code == 2
    assert outcome.said.startswith("wrong: ")
    assert "Traceback" not in outcome.said


DIES = """
    import os
    from pysoa.server import Server as BaseServer

    class Server(BaseServer):
        service_name = "dies"

        @classmethod
        def main(cls, forked_process_id=None):
            os.write(1, b"dead\\n")

    SOA_SERVER_SETTINGS = {"transport": {"kwargs": {"backend_type": "redis.standard"}}}
"""


WAITS = """
    import asyncio, os, threading
    from pysoa.server import Server as BaseServer
    from pysoa.server.action import Action

    class Wait(Action):
        async def run(self, request):
            await asyncio.sleep(0.2)
            return {"process": os.getpid(), "thread": threading.current_thread().name}

    class Server(BaseServer):
        service_name = "waits"
        action_class_map = {"wait": Wait}

    kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [os.environ["REDIS_URL"]]}}
    SOA_SERVER_SETTINGS = {"transport": {"kwargs": kwargs}}
"""


@pytest.mark.parametrize(("workers", "concurrency"), [("1", "20"), ("2", "10")])
def test_jobs_wait_side_by_side_in_the_loop_of_each_process(
    broker: Broker, start_process: Callable[..., Process], tmp_path: Path, workers: str, concurrency: str
) -> None:
    (tmp_path / "waits.py").write_text(dedent(WAITS))
    options = ("-s", "waits", "--workers", workers, "--concurrency", concurrency)
    process = start_process(
        *python("-W", "error", "-m", "pysoa", "run", "waits", *options), cwd=tmp_path, env={"REDIS_URL": broker.url}
    )
    wait_until(
        lambda: command(broker.url, "ZCOUNT", "pysoa:presence.waits", "(0", "+inf") == int(workers), "all are present"
    )

    with Client({"waits": client_settings(broker.url)}) as client:

        def answers() -> list[dict[str, Any]]:
            return [answer.body for answer in client.call_actions_parallel("waits", [{"action": "wait"}] * 20)]

        began = time.monotonic()
        threads = {answer["thread"] for answer in answers()}
        took = time.monotonic() - began
        wait_until(lambda: len({answer["process"] for answer in answers()}) == int(workers), "all processes serve")
    process.terminate()

    assert took < 20 * 0.2
    assert threads == {"MainThread"}
    assert process.wait() == 0
    assert process.output.count("Server shutdown complete") == int(workers)


def test_a_transport_without_a_twin_is_told_before_anything_is_forked() -> None:
    service = "tests.support.lone_server"

    for options in ((), ("--workers", "2")):
        outcome = pysoa("run", service, "-s", service, "--concurrency", "5", *options)

        assert outcome == (
            2,
            "",
            f"{service}: concurrency 5: the transport {service}:LoneTransport has no twin for asyncio "
            "(its method async_server_class names none); use concurrency 1\n",
        )


def test_a_transport_without_a_twin_ends_a_standalone_service_with_the_same_line(
    start_module: Callable[..., Process],
) -> None:
    service = "tests.support.lone_server"

    process = start_module(service, "-s", service, "--concurrency", "5")

    assert process.wait() == 2
    assert process.output.startswith(f"error: concurrency 5: the transport {service}:LoneTransport has no twin")
    assert process.output.count("\n") == 1
