"""``pysoa run``: services in production."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pysoa.cli.broker import Broker
from tests.support.commands import EXAMPLES, pysoa, wait_until_served
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
        "the settings are missing: pysoa run flight_booking -s MODULE\n",
    )


def test_wrong_settings_are_told_before_anything_is_forked(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("SOA_SERVER_SETTINGS = {'harakiri': {'timeout': 'soon'}}\n")

    outcome = pysoa(
        "run", "flight_booking", "-s", "wrong", "--workers", "2", cwd=tmp_path, env={"PYTHONPATH": str(EXAMPLES)}
    )

    assert outcome.code == 2
    assert outcome.said.startswith("wrong: ")
    assert "Traceback" not in outcome.said
