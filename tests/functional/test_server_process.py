"""A server's process: signals, harakiri, exit codes, memory. No broker is needed."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, python

START = ("tests.support.lone_server", "-s", "tests.support.lone_server")


@pytest.fixture
def start(start_module: Callable[..., Process]) -> Callable[..., Process]:
    """Starts a lone server with these calls and settings."""

    def start(calls: str = "", **settings: Any) -> Process:
        return start_module(*START, env={"LONE_CALLS": calls, "LONE_SETTINGS": json.dumps(settings)})

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_server_ends_at_once_and_in_order(start: Callable[..., Process], number: int) -> None:
    server = start("nap")
    server.wait_for_line("waiting")

    server.signal(number)

    assert server.wait(5) == 0
    lines = server.output.splitlines()
    assert "response 1: fine fine" in lines
    end = lines[lines.index("WARNING -- Received interrupt, initiating shutdown") :]
    assert "left the wait" in end
    assert end[end.index("teardown") :] == [
        "teardown",
        "INFO -- Server shutting down",
        "transport closed",
        "INFO -- Server shutdown complete",
        "main has returned",
    ]


def test_a_server_under_nohup_outlives_its_terminal(start_process: Callable[..., Process]) -> None:
    server = start_process("nohup", *python("-m", *START), env={"LONE_CALLS": "nap:0.5"})
    server.wait_for_line("napping for 0.5")

    server.signal(signal.SIGHUP)
    server.wait_for_line("response 1: fine fine")
    server.wait_for_line("waiting")

    assert "Received interrupt" not in server.output
    server.terminate()
    assert server.wait(5) == 0


def test_what_runs_and_what_was_taken_is_served_before_the_end(start: Callable[..., Process]) -> None:
    server = start("nap:0.5,nap")
    server.wait_for_line("napping for 0.5")

    server.terminate()

    assert server.wait(10) == 0
    assert "response 1: fine fine" in server.output
    assert "response 2: fine fine" in server.output


def test_a_storm_of_signals_is_one_drain(start: Callable[..., Process]) -> None:
    server = start("nap:1.5,nap")
    server.wait_for_line("napping for 1.5")

    end = time.monotonic() + 1.3
    while time.monotonic() < end:
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        time.sleep(0.002)

    assert server.wait(10) == 0
    assert "response 1: fine fine" in server.output
    assert "response 2: fine fine" in server.output
    assert server.output.count("Received interrupt, initiating shutdown") == 1
    assert "Traceback" not in server.output


def test_a_second_signal_after_a_second_ends_the_server_at_once(start: Callable[..., Process]) -> None:
    server = start("nap:30")
    server.wait_for_line("napping for 30")
    server.terminate()
    server.wait_for_line("Received interrupt")
    time.sleep(1.1)

    server.terminate()

    assert server.wait(5) == 1
    assert "WARNING call-1 Received double interrupt, forcing shutdown" in server.output
    assert "transport closed" in server.output


def test_an_action_that_overruns_is_interrupted_answered_and_the_server_ends(start: Callable[..., Process]) -> None:
    server = start("nap:0.6,nap:30,nap", harakiri={"timeout": 1, "shutdown_grace": 5})

    assert server.wait(10) == 1
    assert "response 1: fine fine" in server.output
    assert "response 2: ACTION_TIMEOUT\n" in server.output
    assert "response 3" not in server.output
    text = "No activity for 1 seconds, triggering harakiri with grace period of 5 seconds"
    assert f"WARNING call-2 {text}" in server.output
    assert "Current thread status at harakiri trigger:" in server.output
    assert "in act\n    time.sleep(seconds)" in server.output
    assert "transport closed" in server.output


def test_an_action_that_goes_on_after_the_interrupt_is_ended_with_its_process(start: Callable[..., Process]) -> None:
    begin = time.monotonic()
    server = start("deaf_nap:30", harakiri={"timeout": 1, "shutdown_grace": 1})

    assert server.wait(15) == 1
    assert time.monotonic() - begin < 15
    assert "not impressed by HarakiriInterrupt" in server.output
    assert "ERROR call-1 Graceful shutdown failed 1 seconds after harakiri. Exiting now!" in server.output
    assert "response 1" not in server.output


def test_code_that_holds_the_interpreter_is_ended_with_its_process(start: Callable[..., Process]) -> None:
    server = start("nap,hold", harakiri={"timeout": 1, "shutdown_grace": 1})

    assert server.wait(15) == 1
    assert "holding the interpreter" in server.output
    assert "response 2" not in server.output
    report = server.output[server.output.index("Timeout (0:00:0") :]
    assert re.search(r'File ".*lone_server.py", line \d+ in act', report)


def test_code_that_hears_no_signals_is_ended_with_its_process(start: Callable[..., Process]) -> None:
    server = start("nap,hash_on", harakiri={"timeout": 1, "shutdown_grace": 1})

    assert server.wait(15) == 1
    assert "hashing" in server.output
    assert "response 2" not in server.output
    assert "the main thread has heard no signals" in server.output
    assert "hashlib.pbkdf2_hmac" in server.output
    assert "Graceful shutdown failed 1 seconds after harakiri. Exiting now!" in server.output


def test_an_idle_server_is_never_struck(start: Callable[..., Process]) -> None:
    server = start("nap", harakiri={"timeout": 1, "shutdown_grace": 1})
    server.wait_for_line("waiting")
    time.sleep(2.2)

    server.terminate()

    assert server.wait(5) == 0
    assert "harakiri" not in server.output


def test_a_heartbeat_file_names_the_process_and_goes_with_it(start: Callable[..., Process], tmp_path: Path) -> None:
    server = start(heartbeat_file=str(tmp_path / "beat-{{pid}}-{{fid}}"))
    server.wait_for_line("waiting")
    (path,) = tmp_path.iterdir()
    assert path.name == f"beat-{server.pid}-main"

    server.terminate()

    assert server.wait(5) == 0
    assert not list(tmp_path.iterdir())


def test_a_fatal_error_ends_the_process_with_an_exit_code(start: Callable[..., Process], tmp_path: Path) -> None:
    server = start(heartbeat_file=str(tmp_path / "missing" / "beat"))

    assert server.wait(10) == 1
    assert "Unhandled server error; shutting down" in server.output
    assert "teardown" in server.output


def test_bad_settings_end_the_process_with_their_fault(start: Callable[..., Process]) -> None:
    server = start(harakiri={"timeout": -1})

    assert server.wait(10) == 1
    assert "harakiri" in server.output
    assert "Value not >= 0" in server.output


def test_without_a_settings_module_the_command_line_is_refused(start_module: Callable[..., Process]) -> None:
    server = start_module("tests.support.lone_server")

    assert server.wait(10) == 2
    assert "-s/--settings" in server.output
