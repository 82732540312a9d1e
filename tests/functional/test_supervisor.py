"""The supervisor with real forked processes and real signals."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.processes import Process, _process_table, children_of, is_alive

StartModule = Callable[..., Process]


def start(start_module: StartModule, *arguments: str, **environment: str) -> Process:
    return start_module("tests.support.tiny_server", *arguments, env=environment)


def worker_pids(supervisor: Process, count: int) -> list[int]:
    """Process ids of the first workers that have started, in the order of their numbers."""
    supervisor.wait_for_line(r"worker \d+ is \d+", count=count)
    started = re.findall(r"worker (\d+) is (\d+)", supervisor.output)[:count]
    return [int(pid) for _, pid in sorted(started)]


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> float:
    """Wait for the condition, and give back how many seconds that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, "the condition did not come true"
        time.sleep(0.02)
    return time.monotonic() - started


def test_workers_are_numbered_from_one_and_pre_fork_is_called_once_in_the_parent(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "3")

    pids = worker_pids(supervisor, 3)

    assert children_of(supervisor.pid) == set(pids)
    assert sorted(re.findall(r"worker \d", supervisor.output)) == ["worker 1", "worker 2", "worker 3"]
    assert supervisor.output.count("pre_fork") == 1
    assert f"pre_fork in {supervisor.pid}" in supervisor.output


def test_a_killed_worker_comes_back_under_its_number_and_leaves_no_zombie(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2")
    first, second = worker_pids(supervisor, 2)

    os.kill(first, signal.SIGKILL)

    supervisor.wait_for_line("Re-spawning failed server process #1", timeout=5)
    assert supervisor.wait_for_line(r"worker \d is", count=3, timeout=5).startswith("worker 1 is")
    everyone = {pid for pid, parent, _ in _process_table() if parent == supervisor.pid}
    assert len(everyone) == 2
    assert second in everyone
    assert first not in everyone


def test_a_worker_that_always_ends_is_started_again_for_ever_after_growing_pauses(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", TINY_MODE="crash")
    supervisor.wait_for_line("worker 1 is")
    started = time.monotonic()

    supervisor.wait_for_line("worker 1 is", count=6, timeout=20)

    assert time.monotonic() - started > 0.25 + 0.5 + 1 + 2 - 0.5
    assert supervisor.returncode is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_all_workers_finish_and_then_ends_the_supervisor(
    start_module: StartModule, number: signal.Signals
) -> None:
    supervisor = start(start_module, "-f", "2", TINY_DRAIN="0.3")
    worker_pids(supervisor, 2)

    supervisor.signal(number)

    assert supervisor.wait() == 0
    assert supervisor.output.count("has drained after 1 signal(s)") == 2
    assert "the supervisor has ended" in supervisor.output
    assert "Re-spawning" not in supervisor.output


def test_a_storm_of_signals_is_one_drain(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", TINY_DRAIN="1.5")
    worker_pids(supervisor, 2)

    for _ in range(40):
        supervisor.signal(signal.SIGTERM)
        supervisor.signal(signal.SIGINT)
        supervisor.signal(signal.SIGHUP)

    assert supervisor.wait() == 0
    assert supervisor.output.count("has drained after 1 signal(s)") == 2


def test_a_signal_long_after_the_first_is_passed_on_too(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", TINY_DRAIN="60")
    worker_pids(supervisor, 2)
    supervisor.signal(signal.SIGTERM)
    time.sleep(1.2)  # the time is what is tested

    supervisor.signal(signal.SIGTERM)

    supervisor.wait(timeout=5)
    assert "has drained" not in supervisor.output


def test_workers_that_do_not_end_are_killed_after_the_grace_time(start_module: StartModule) -> None:
    supervisor = start(start_module, TINY_MODE="stuck", TINY_GRACE="0.5")
    pids = worker_pids(supervisor, 2)

    supervisor.signal(signal.SIGTERM)

    assert supervisor.wait(timeout=10) == 0
    assert "Killing server process #1, which did not end in time" in supervisor.output
    assert not any(map(is_alive, pids))


def test_workers_that_have_not_come_to_handling_signals_end_at_once(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", TINY_MODE="starting")
    worker_pids(supervisor, 2)

    supervisor.signal(signal.SIGTERM)

    assert supervisor.wait(timeout=5) == 0
    assert "Traceback" not in supervisor.output


@pytest.mark.parametrize("platform", [sys.platform, "another"])  # told by the kernel on Linux, by a pipe elsewhere
def test_workers_finish_and_end_when_their_supervisor_is_killed(start_module: StartModule, platform: str) -> None:
    supervisor = start(start_module, "-f", "3", TINY_DRAIN="0.3", TINY_PLATFORM=platform)
    pids = worker_pids(supervisor, 3)

    supervisor.kill()

    assert wait_until(lambda: not any(map(is_alive, pids))) < 5
    supervisor.wait()
    assert supervisor.output.count("has drained after 1 signal(s)") == 3


def test_stuck_workers_end_within_ten_seconds_of_their_supervisors_death(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", TINY_MODE="stuck")
    pids = worker_pids(supervisor, 2)

    supervisor.kill()

    assert wait_until(lambda: not any(map(is_alive, pids)), timeout=10) > 2


def test_without_respawning_the_supervisor_ends_with_its_last_worker(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", "--no-respawn")
    first, second = worker_pids(supervisor, 2)

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: children_of(supervisor.pid) == {second})
    os.kill(second, signal.SIGKILL)

    assert supervisor.wait() == 0
    assert "Re-spawning" not in supervisor.output


def test_the_supervisor_can_be_told_to_give_up(start_module: StartModule) -> None:
    supervisor = start(start_module, "-f", "2", "--give-up-after", "3", TINY_MODE="crash")

    assert supervisor.wait() == 0
    assert supervisor.output.count("worker 1 is") == 3
    assert "Server process #1 has crashed too many times (3) in a row; not respawning." in supervisor.output


def test_in_the_background_it_is_the_supervisor_that_goes_there(start_module: StartModule) -> None:
    starter = start(start_module, "-f", "2", "-d")

    worker_pids(starter, 2)
    supervisor_pid = int(re.findall(r"PID=(\d+)", starter.output)[0])

    assert len(children_of(supervisor_pid)) == 2
    assert starter.output.count("PID=") == 1
    os.kill(supervisor_pid, signal.SIGTERM)
    starter.wait_for_line("the supervisor has ended")
