"""The watchdog, in processes of their own: it ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from textwrap import dedent

import pytest

START = """
    import itertools, os, sys, threading, time
    from collections import deque
    from pysoa.server.internal.watchdog import Watchdog

    def overdue():
        os.write(1, b"overdue in " + threading.current_thread().name.encode())
        os._exit(7)

    def hold():
        deque(itertools.repeat(None), maxlen=0)

    watchdog = Watchdog(0.3, overdue)
"""


def start(code: str) -> subprocess.Popen[str]:
    program = dedent(START) + dedent(code)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output, and what went to standard error."""
    try:
        output, errors = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        pytest.fail(f"it did not end: {output} {errors}")
    return process.returncode, output, errors


def test_what_is_over_its_limit_is_told_of_in_another_thread() -> None:
    process = start("watchdog.begin(time.monotonic()); time.sleep(30)")

    assert end(process) == (7, "overdue in pysoa-watchdog", "")


def test_what_holds_the_interpreter_is_ended_with_a_report() -> None:
    code, output, errors = end(start("watchdog.begin(time.monotonic()); hold(); print('went on')"))

    assert (code, output) == (1, "")
    assert errors.startswith("Timeout (0:00:00")
    assert "in hold" in errors


def test_many_short_steps_are_no_long_one_and_a_stopped_watchdog_is_quiet() -> None:
    process = start("""
        for _ in range(12):
            watchdog.begin(time.monotonic())
            time.sleep(0.1)
            watchdog.end()
        watchdog.begin(time.monotonic())
        watchdog.stop()
        time.sleep(1)
        print("well", threading.active_count())
    """)

    assert end(process) == (0, "well 1\n", "")


def test_after_the_last_time_that_is_allowed_anything_is_over_its_limit() -> None:
    process = start("watchdog.begin(time.monotonic()); watchdog.allow(0.1); watchdog.end(); time.sleep(30)")

    assert end(process) == (7, "overdue in pysoa-watchdog", "")


def test_an_idle_process_that_is_suspended_for_long_lives_on() -> None:
    process = start("""
        watchdog.begin(time.monotonic())
        watchdog.end()
        time.sleep(0.8)
        print("idle", flush=True)
        time.sleep(1.6)
        print("alive")
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "idle\n"

    process.send_signal(signal.SIGSTOP)
    time.sleep(1.1)
    process.send_signal(signal.SIGCONT)

    assert end(process) == (0, "alive\n", "")


def test_forked_children_end_as_others_do_and_the_parent_is_still_watched() -> None:
    process = start("""
        watchdog.begin(time.monotonic())
        if os.fork() == 0:
            sys.exit(5)
        os.write(1, b"child: %d, " % os.waitstatus_to_exitcode(os.wait()[1]))
        hold()
    """)

    code, output, errors = end(process)
    assert (code, output) == (1, "child: 5, ")
    assert "in hold" in errors
