"""The reloader: what it runs and how it ends. With services that change: tests/functional/test_reload.py."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from unittest import mock

import pytest

from pysoa.server import autoreload
from pysoa.server.autoreload import NEED_RELOAD_EXIT_CODE, AbstractReloader, get_reloader
from tests.support.processes import Process, python


def run_copies(
    codes: list[int], module: str = "", environment: dict[str, str] | None = None
) -> tuple[object, list[object]]:
    """The exit code of an original whose copies end with these codes, and the calls that start them."""
    environment = {"PATH": "/bin", **(environment or {})}
    with (
        mock.patch.object(autoreload.os, "environ", environment),
        mock.patch.object(autoreload.subprocess, "Popen") as popen,
        mock.patch.object(autoreload.sys, "argv", ["/path/to/main.py", "-f", "2"]),
        mock.patch.object(autoreload.sys, "executable", "/the/python"),
        mock.patch.object(autoreload.sys, "warnoptions", ["error", "ignore::DeprecationWarning"]),
    ):
        popen.side_effect = [mock.Mock(returncode=code) for code in codes]
        with pytest.raises(SystemExit) as caught:
            get_reloader(module, None).main(pytest.fail, ["is not called here"])
    return caught.value.code, popen.call_args_list


def test_the_original_runs_copies_until_one_ends_for_good() -> None:
    code, calls = run_copies([3, 3, 0])

    command = ["/the/python", "-Werror", "-Wignore::DeprecationWarning", "/path/to/main.py", "-f", "2"]
    assert code == 0
    assert calls == [mock.call(command, env={"PATH": "/bin", "PYSOA_RELOADER_RUN_MAIN": "true"})] * 3


@pytest.mark.parametrize("code", [0, 1, 2, 99])
def test_other_exit_codes_are_passed_on(code: int) -> None:
    assert run_copies([code])[0] == code


@pytest.mark.parametrize(
    ("module", "environment", "command"),
    [
        (
            "service.main",
            {},
            ["/the/python", "-Werror", "-Wignore::DeprecationWarning", "-m", "service.main", "-f", "2"],
        ),
        (
            "service.main",
            {"PYSOA_RELOADER_WRAPPER_BIN": "/bin/coverage  run -p"},
            ["/bin/coverage", "run", "-p", "-m", "service.main", "-f", "2"],
        ),
        ("", {"PYSOA_RELOADER_WRAPPER_BIN": "/bin/wrap"}, ["/bin/wrap", "/path/to/main.py", "-f", "2"]),
    ],
    ids=["module", "module in a wrapper", "script in a wrapper"],
)
def test_copies_are_started_as_the_original_was(module: str, environment: dict[str, str], command: list[str]) -> None:
    _, ((arguments, _),) = run_copies([0], module, environment)  # type: ignore[misc]

    assert arguments == (command,)


PROGRAM = """
    import os, signal, sys, threading, time
    from pysoa.server import autoreload
    import helper

    autoreload._SECONDS_TO_STOP = 0.5

    def say(line):
        os.write(1, f"{line}\\n".encode())

    def wait(event):
        while not event.wait(0.1):
            pass  # a signal that comes just before a wait does not end it

    def serve(how, *, exit_code=0):
        signals = []
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: (signals.append(signal.Signals(number).name), stop.set()))
        say(f"serving {helper.VALUE} in {os.getpid()}")
        if how == "end":
            sys.exit(exit_code)
        wait(stop)
        if how == "slow":
            stop.clear()
            wait(stop)
        while how == "forks" and signals == ["SIGHUP"]:
            time.sleep(0.01)
        say(f"stopped by {signals}")

    how = sys.argv[1]
    reloader = autoreload.get_reloader("", ["helper"], signal_forks=how == "forks")
    reloader.main(serve, (how,), {"exit_code": int(sys.argv[2]) if len(sys.argv) > 2 else 0})
"""


class Program:
    """A program under the reloader, in a folder of its own."""

    def __init__(self, folder: Path, start_process: Callable[..., Process]) -> None:
        self.folder = folder
        self._start_process = start_process
        (folder / "program.py").write_text(dedent(PROGRAM))
        self.change("1")

    def change(self, value: str) -> None:
        new = self.folder / "new"
        new.write_text(f"VALUE = {value}\n")
        new.replace(self.folder / "helper.py")

    def start(self, *arguments: str) -> None:
        self.process = self._start_process(*python("program.py", *arguments), cwd=self.folder)

    def wait_until_serving(self, value: str) -> int:
        """The process id of the copy that serves with this value, once it does."""
        return int(self.process.wait_for_line(f"serving {value} in").split()[-1])

    def lines(self) -> list[str]:
        """What was written besides."""
        return [line for line in self.process.output.splitlines() if not line.startswith("serving")]


@pytest.fixture
def program(tmp_path: Path, start_process: Callable[..., Process]) -> Program:
    return Program(tmp_path, start_process)


CHANGED = "File change detected; reloading server process"


def test_a_change_ends_the_copy_in_order_and_starts_another(program: Program) -> None:
    program.start("serve")
    program.wait_until_serving("1")

    program.change("22")
    program.wait_until_serving("22")
    program.process.terminate()

    assert program.process.wait(10) == 0
    assert program.lines() == [CHANGED, "stopped by ['SIGTERM']", "stopped by ['SIGTERM']"]


def test_a_supervisor_gets_a_hangup_first(program: Program) -> None:
    program.start("forks")
    program.wait_until_serving("1")

    program.change("22")
    program.wait_until_serving("22")
    program.process.interrupt()

    assert program.process.wait(10) == 0
    assert program.lines() == [CHANGED, "stopped by ['SIGHUP', 'SIGTERM']", "stopped by ['SIGTERM']"]


def test_a_copy_that_takes_too_long_to_stop_is_told_again_and_not_started_again(program: Program) -> None:
    program.start("slow")
    program.wait_until_serving("1")

    program.change("22")

    assert program.process.wait(10) == 0
    assert program.lines() == [
        CHANGED,
        "Process took too long to stop after file change; signaling again (won't restart)",
        "stopped by ['SIGTERM', 'SIGTERM']",
    ]


def test_the_exit_code_of_the_service_is_that_of_the_original(program: Program) -> None:
    program.start("end", "7")

    assert program.process.wait(10) == 7


def test_a_signal_that_kills_the_copy_kills_the_original(program: Program) -> None:
    program.start("serve")

    os.kill(program.wait_until_serving("1"), signal.SIGUSR1)

    assert program.process.wait(10) == -signal.SIGUSR1


def test_the_exit_code_that_asks_for_a_reload_is_three() -> None:
    assert NEED_RELOAD_EXIT_CODE == 3
    assert isinstance(get_reloader("", []), AbstractReloader)


def test_where_watchfiles_fails_files_are_looked_at_each_second(capsys: pytest.CaptureFixture[str]) -> None:
    def watch(*_: object, **__: object) -> object:
        raise OSError("inotify limit reached")

    with mock.patch.dict(sys.modules, watchfiles=mock.Mock(watch=watch)):
        reloader = get_reloader("", None)
    reloader._has_ended.set()
    reloader.wait({"/tmp"})
    reloader.wait({"/tmp"})

    assert capsys.readouterr().out == (
        "Looking for changed files each second, because watchfiles failed: inotify limit reached\n"
    )
