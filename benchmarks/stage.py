"""Everything that is up during a run: the broker, the servers, and the processes that call them when told."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.floor import MESSAGE_SIZE
from benchmarks.operations import PAYLOADS
from benchmarks.service import CONCURRENCY
from pysoa.cli.broker import Broker, ends_with_this_process, start_broker

ROOT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = ROOT / ".venvs" / "bench-peers" / "bin" / "python"
SECONDS_FOR_AN_ANSWER = 120.0


class Process:
    """A Python module that runs until it is stopped, and answers a JSON line with a JSON line."""

    def __init__(self, *arguments: str, python: str | Path = sys.executable, log: IO[str] | None = None) -> None:
        self._name = " ".join(arguments)
        command = ends_with_this_process([str(python), "-m", *arguments])
        self._child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.pid = self._child.pid

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Give an order and wait for what comes of it."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that the process says.

        Raises:
            RuntimeError: it has ended, or says nothing for two minutes.
        """
        assert self._child.stdout is not None
        # There is never more than one line on its way, so none can wait inside the file object.
        readable, _, _ = select.select([self._child.stdout], [], [], SECONDS_FOR_AN_ANSWER)
        if not readable or not (line := self._child.stdout.readline()):
            raise RuntimeError(f"{self._name} has ended, or does not answer")
        return json.loads(line)  # type: ignore[no-any-return]

    def stop(self) -> None:
        """End the process and wait until it has gone."""
        stop(self._child)


def stop(child: subprocess.Popen[Any]) -> None:
    """End a process that was started here and wait until it has gone."""
    child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class Stage:
    """A context manager around everything that runs.

    Attributes:
        broker: the Redis server.
        servers: process ids by name. A floor's server has a message size or a variant in its name.
        clients: the processes that make calls, by name. A process makes them in blocks, one block at a time.
        loops: which event loop each client runs on.
        left_out: which peers are missing, and why, for people.
    """

    def __init__(self) -> None:
        self.servers: dict[str, int] = {}
        self.clients: dict[str, Process] = {}
        self.loops: dict[str, str] = {}
        self.left_out: list[str] = []
        self._brokers: dict[str, int | None] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self.broker = self._stack.enter_context(start_broker())
            self._start_ours(self.broker)
            self._start_peers()
            for name, client in self.clients.items():
                if loop := client.answer()["loop"]:
                    self.loops[name] = loop
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def broker_pid(self, client: str) -> int | None:
        """The process between a client and its server; None where there is none."""
        return self._brokers.get(client, self.broker.pid)

    def _start(self, *arguments: str, python: str | Path = sys.executable, log: IO[str] | None = None) -> Process:
        process = Process(*arguments, python=python, log=log)
        self._stack.callback(process.stop)
        return process

    def _start_ours(self, broker: Broker) -> None:
        port = str(broker.port)
        sizes = [MESSAGE_SIZE + size for size in (0, *PAYLOADS.values())]
        floors = {f"floor {size}": self._start("benchmarks.floor", port, str(size)) for size in sizes}
        for variant in ("single", "joined"):
            floors[f"floor {variant}"] = self._start("benchmarks.async_floor", "server", port, variant)
        for name, server in floors.items():
            server.answer()  # a call that gives up would leave its echo to the next one
            self.servers[name] = server.pid
        for service in CONCURRENCY:
            self.servers[service] = self._start("benchmarks.service", port, service, log=self._log(service)).pid
        for variant in ("single", "joined"):
            self.clients[f"floor {variant}"] = self._start("benchmarks.async_floor", "client", port, variant)
        self.clients["async"] = self._start("benchmarks.async_client", port)
        self.clients["threads"] = self._start("benchmarks.threads", "pysoa", port)
        self.clients["floor threads"] = self._start("benchmarks.threads", "floor", port)

    def _log(self, service: str) -> IO[str] | None:
        """A file for a service that logs its requests; faults of the others are for whoever runs this."""
        if ", " not in service:
            return None
        return self._stack.enter_context(tempfile.TemporaryFile("w"))

    def _start_peers(self) -> None:
        if not PEERS_PYTHON.exists():
            self.left_out.append("nats and grpc: their environment is made by `make bench`")
            return
        self._start_grpc()
        # Debian puts the server where only root's PATH leads.
        if binary := shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin"):
            self._start_nats(binary)
        else:
            self.left_out.append("nats: there is no nats-server on this machine")

    def _start_grpc(self) -> None:
        server = self._start("benchmarks.peers.grpc_server", python=PEERS_PYTHON)
        self.servers["grpc"] = server.pid
        port = str(server.answer()["port"])
        self.clients["grpc"] = self._start("benchmarks.peers.grpc_client", port, python=PEERS_PYTHON)
        self._brokers["grpc"] = None

    def _start_nats(self, binary: str) -> None:
        port = _free_port()
        command = ends_with_this_process([binary, "--addr", "127.0.0.1", "--port", str(port)])
        broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._stack.callback(stop, broker)
        _wait_for_port(port)
        self._brokers["nats"] = broker.pid
        self.servers["nats"] = self._start("benchmarks.peers.nats_server", str(port), python=PEERS_PYTHON).pid
        self.clients["nats"] = self._start("benchmarks.peers.nats_client", str(port), python=PEERS_PYTHON)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for_port(port: int) -> None:
    give_up_at = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            return


def resident_memory(pid: int) -> float:
    """MiB of memory that a process holds; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def import_cost(runs: int) -> float:
    """Milliseconds that the client's import adds to an empty interpreter: the median of paired runs."""

    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    seconds("import pysoa.client.client")
    differences = sorted(seconds("import pysoa.client.client") - seconds("pass") for _ in range(runs))
    return differences[runs // 2] * 1e3
