"""Starts a service again when its code has changed, for those who write it: ``--use-file-watcher``.

The process that was started, the original, runs a copy of itself and starts another when it ends with exit code 3. The
copy runs the service in its main thread, and looks after the files of the imported modules in another thread. When one
has changed, the copy stops like any server that gets SIGTERM: what was taken is answered, and what waits in the queue
is for the next copy.

Code that cannot be imported does not end the original: the copy tells what is wrong, and waits for the next change.
"""

from __future__ import annotations

import abc
import atexit
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Final, NoReturn

from pysoa import utils
from pysoa.common.clock import monotonic
from pysoa.server.internal.signals import handled
from pysoa.server.internal.watching import RUN_MAIN, WatchedFiles, files_of, process_began

__all__ = ("AbstractReloader", "NEED_RELOAD_EXIT_CODE", "get_reloader", "is_copy", "main_module_name")

NEED_RELOAD_EXIT_CODE: Final = 3
"""What a copy ends with when another is to be started."""

WRAPPER_BIN: Final = "PYSOA_RELOADER_WRAPPER_BIN"

_SECONDS_BETWEEN_LOOKS: Final = 1.0
_SECONDS_BETWEEN_SIGNALS: Final = 0.2
_SECONDS_TO_STOP: Final = 6.5
_SECONDS_TO_START: Final = 10.0


def is_copy() -> bool:
    """Whether this process is the copy, which is to run the service."""
    return os.environ.get(RUN_MAIN) == "true"


def main_module_name() -> str:
    """The module that ``python -m`` was told to run; empty if this program was started in another way."""
    arguments = utils.get_python_interpreter_arguments()
    return arguments[arguments.index("-m") + 1] if "-m" in arguments[:-1] else ""


def get_reloader(
    main_module_name: str, watch_modules: Sequence[str] | None, signal_forks: bool = False
) -> AbstractReloader:
    """A reloader that is told of changes by watchfiles, where that is installed and works, and else looks for them.

    Args:
        main_module_name: the module that this program was started with by ``python -m``; empty if it was not.
        watch_modules: beginnings of the names of modules to watch; None for all.
        signal_forks: whether the service forks workers.
    """
    try:
        import watchfiles
    except ImportError:
        return _PollingReloader(main_module_name, watch_modules, signal_forks)
    # At INFO it tells of every change in the folders, also to files that are not watched.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    return _WatchfilesReloader(main_module_name, watch_modules, signal_forks, watchfiles.watch)


class AbstractReloader(abc.ABC):
    """Runs a service, and starts it again when its code has changed.

    Args:
        main_module_name: the module that this program was started with by ``python -m``; empty if it was not.
        watch_modules: beginnings of the names of modules to watch; None for all. Only imported modules are watched.
        signal_forks: whether the service forks workers: then a SIGHUP, for their supervisor, precedes the SIGTERM.
    """

    def __init__(self, main_module_name: str, watch_modules: Sequence[str] | None, signal_forks: bool = False) -> None:
        self._main_module_name = main_module_name
        self._signal_forks = signal_forks
        self._files = WatchedFiles(main_module_name, watch_modules, process_began())
        # In the original:
        self._process: Any = None
        self._shall_end = False
        # In the copy:
        self._pid = os.getpid()
        self._is_reloading = False
        self._has_ended = threading.Event()
        self._watcher: threading.Thread | None = None

    @abc.abstractmethod
    def wait(self, folders: set[str]) -> None:
        """Wait for a second at most, or until something may have changed in these folders or the service has ended."""

    def main(
        self, func: Callable[..., Any], args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> NoReturn:
        """Run the service, or see to it that it runs; see the module.

        Args:
            func: runs the service until that is told to stop. Called in the copy only.
            args: for it.
            kwargs: for it.

        Raises:
            SystemExit: the end, with the exit code of the service. If a signal has ended it, the same ends this
                process.
        """
        if is_copy():
            self._run_service(func, args or (), kwargs or {})
        else:
            self._run_copies()

    def wait_for_mending(self, error: BaseException, told: str | None = None) -> NoReturn:
        """In a copy that cannot start: tell why, wait for a change, and end to be started again.

        Args:
            error: what has kept it from starting.
            told: what is told of that, in place of its traceback.

        Raises:
            SystemExit: the end.
        """
        self._end_on_signals()
        if told is None:
            traceback.print_exception(error)
        else:
            print(told, file=sys.stderr)
        print("The service cannot start. Waiting for a file to change.", flush=True)
        self._files.add(files_of(error))
        self._start_watching()
        while True:
            # Not without a limit: a signal that comes just before a wait does not end it.
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    # The original

    def _run_copies(self) -> NoReturn:
        self._files.changed()  # what they are like now
        news: list[str] = []
        code = 0
        with handled({signal.SIGINT: self._pass_on, signal.SIGTERM: self._pass_on}):
            while not self._shall_end:
                began = monotonic()
                code = self._run_copy()
                if code == NEED_RELOAD_EXIT_CODE:
                    news = self._files.changed()
                elif code == 1 and news and monotonic() - began < _SECONDS_TO_START:
                    # It has not come so far as to run the reloader, which would have waited there.
                    print("The service cannot start. Waiting for a file to change.", flush=True)
                    news = self._next_changes()
                else:
                    break
        if code < 0:
            with contextlib.suppress(OSError):  # some cannot be handled anyway
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(0 if code == NEED_RELOAD_EXIT_CODE else code)

    def _next_changes(self) -> list[str]:
        while not (news := self._files.changed()) and not self._shall_end:
            time.sleep(_SECONDS_BETWEEN_SIGNALS)
        return news

    def _run_copy(self) -> int:
        environment = {**os.environ, RUN_MAIN: "true"}
        self._process = subprocess.Popen(self._command(), env=environment)
        if self._shall_end:  # a signal came before there was a process to pass it on to
            self._process.terminate()
        while True:
            try:
                self._process.wait(_SECONDS_BETWEEN_LOOKS)  # as in wait_for_mending
                break
            except subprocess.TimeoutExpired:
                continue
        code: int = self._process.returncode
        self._process = None
        return code

    def _command(self) -> list[str]:
        """The command that starts this program once more."""
        if wrapper := os.environ.get(WRAPPER_BIN):
            command = wrapper.split()
        else:
            command = [sys.executable, *(f"-W{option}" for option in sys.warnoptions)]
        if self._main_module_name:
            return [*command, "-m", self._main_module_name, *sys.argv[1:]]
        return [*command, *sys.argv]

    def _pass_on(self, _signal_number: int, _frame: FrameType | None) -> None:
        self._shall_end = True
        if self._process is not None:
            self._process.terminate()

    # The copy

    def _run_service(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> NoReturn:
        self._end_on_signals()
        self._start_watching()
        code: Any = 0
        try:
            func(*args, **kwargs)
        except SystemExit as error:
            code = error.code
        except Exception as error:  # boundary: users' code
            self.wait_for_mending(error)
        self._has_ended.set()
        for number in self._signals():
            signal.signal(number, signal.SIG_IGN)  # the watcher may just be sending one
        sys.exit(NEED_RELOAD_EXIT_CODE if self._is_reloading else code)

    def _signals(self) -> list[signal.Signals]:
        return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if self._signal_forks else [])]

    def _end_on_signals(self) -> None:
        """End in order on a signal that comes while no server is there to handle it."""
        for number in self._signals():
            signal.signal(number, self._end_now)

    def _end_now(self, _signal_number: int, _frame: FrameType | None) -> NoReturn:
        if os.getpid() != self._pid:
            os._exit(0)  # a worker that has nothing to finish yet
        for number in self._signals():
            signal.signal(number, signal.SIG_IGN)
        sys.exit(NEED_RELOAD_EXIT_CODE if self._is_reloading else 0)

    def _start_watching(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="pysoa-file-watcher", daemon=True)
            self._watcher.start()
            # A thread that is in code of watchfiles when the interpreter ends can abort the process.
            atexit.register(self._stop_watching)

    def _stop_watching(self) -> None:
        self._has_ended.set()
        if self._watcher is not None:
            self._watcher.join(_SECONDS_BETWEEN_LOOKS)

    def _watch(self) -> None:
        parent = os.getppid()
        while not self._files.changed():
            self.wait({os.path.dirname(path) for path in self._files.paths()})
            if self._has_ended.is_set():
                return
            if os.getppid() != parent:  # the original was killed
                os.kill(os.getpid(), signal.SIGTERM)
                return
        print("File change detected; reloading server process", flush=True)
        self._is_reloading = True
        if self._signal_forks:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(_SECONDS_BETWEEN_SIGNALS)
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._has_ended.wait(_SECONDS_TO_STOP):
            print("Process took too long to stop after file change; signaling again (won't restart)", flush=True)
            self._is_reloading = False
            os.kill(os.getpid(), signal.SIGTERM)


class _PollingReloader(AbstractReloader):
    """Looks each second."""

    def wait(self, folders: set[str]) -> None:
        self._has_ended.wait(_SECONDS_BETWEEN_LOOKS)


class _WatchfilesReloader(AbstractReloader):
    """Looks when watchfiles says that something has changed, and each second besides."""

    def __init__(
        self, main_module_name: str, watch_modules: Sequence[str] | None, signal_forks: bool, watch: Callable[..., Any]
    ) -> None:
        super().__init__(main_module_name, watch_modules, signal_forks)
        self._start: Callable[..., Any] | None = watch
        self._changes: Iterator[object] = iter(())
        self._folders: set[str] = set()

    def wait(self, folders: set[str]) -> None:
        if self._start is None:
            self._has_ended.wait(_SECONDS_BETWEEN_LOOKS)
            return
        try:
            if folders != self._folders:
                self._folders = folders
                self._changes = self._start(
                    *filter(os.path.isdir, folders),
                    recursive=False,  # a folder may hold more than code
                    watch_filter=None,
                    debounce=200,
                    stop_event=self._has_ended,
                    rust_timeout=int(_SECONDS_BETWEEN_LOOKS * 1000),
                    yield_on_timeout=True,
                )
            if next(self._changes, None) is None:  # it has been stopped
                self._folders = set()
                self._has_ended.wait(_SECONDS_BETWEEN_LOOKS)
        except Exception as error:  # boundary: it says nothing of what it raises, such as for too many folders
            print(f"Looking for changed files each second, because watchfiles failed: {error}", flush=True)
            self._start = None
