"""The brokers, proxies and processes that other tests stand on do what their names say."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker
from tests.support.brokers import SentinelGroup, TLSBroker, frozen, restarted, start, tls_in_front_of
from tests.support.processes import Process, children_of, is_alive, python
from tests.support.proxies import FaultProxy
from tests.support.raw import RawConnection, command, wait_until

PING = b"*1\r\n$4\r\nPING\r\n"


def tls_connection(tls: TLSBroker, context: ssl.SSLContext) -> ssl.SSLSocket:
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("localhost", tls.port), 5))
        connection = context.wrap_socket(plain, server_hostname="localhost")
        stack.pop_all()
    return connection


def test_the_shared_broker_is_emptied_before_each_test(broker: Broker) -> None:
    assert command(broker.url, "DBSIZE") == 0

    command(broker.url, "SET", "left", "behind")


def test_the_shared_broker_is_emptied_before_each_test_again(broker: Broker) -> None:
    test_the_shared_broker_is_emptied_before_each_test(broker)


def test_a_frozen_broker_answers_late(fresh_broker: Broker) -> None:
    with RawConnection(fresh_broker.url, timeout=0.2) as connection:
        with frozen(fresh_broker), pytest.raises(TimeoutError):
            connection.command("PING")

        assert connection.read() == b"PONG"


def test_a_restarted_broker_is_empty_and_has_its_old_port(fresh_broker: Broker) -> None:
    command(fresh_broker.url, "SET", "key", "value")

    with restarted(fresh_broker) as again:
        assert again.port == fresh_broker.port
        assert command(again.url, "DBSIZE") == 0


@pytest.mark.parametrize("password", [None, "open-sesame"])
def test_the_replica_is_promoted_when_the_primary_is_killed(password: str | None) -> None:
    with SentinelGroup(password) as sentinel:
        with RawConnection(sentinel.primary().url) as connection:
            connection.command("SET", "key", "value")
            assert connection.command("WAIT", 1, 2000) == 1

        old = sentinel.kill_primary()
        new = sentinel.wait_for_promotion(old)

        assert new is not old
        assert command(new.url, "GET", "key") == b"value"


def test_a_failover_can_be_asked_for(sentinel: SentinelGroup) -> None:
    old = sentinel.primary()

    new = sentinel.fail_over()

    assert new.port != old.port


def test_tls_is_checked_against_the_authority(tls_broker: TLSBroker) -> None:
    context = ssl.create_default_context(cafile=tls_broker.ca_file)

    with tls_connection(tls_broker, context) as connection:
        connection.sendall(PING)
        assert connection.recv(64) == b"+PONG\r\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        tls_connection(tls_broker, ssl.create_default_context())


def test_tls_can_ask_for_a_certificate_of_the_client(broker: Broker, tmp_path: Path) -> None:
    with tls_in_front_of(broker, tmp_path, ask_for_client_certificate=True) as tls:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.load_cert_chain(tls.client_certificate)

        with tls_connection(tls, context) as connection:
            connection.sendall(PING)
            assert connection.recv(64) == b"+PONG\r\n"


def test_a_delay_holds_back_each_direction(fault_proxy: FaultProxy) -> None:
    with RawConnection(fault_proxy.url) as connection:
        fault_proxy.delay(0.05)
        began = time.monotonic()

        assert connection.command("PING") == b"PONG"
        assert time.monotonic() - began >= 0.1


def test_a_blackhole_lasts_for_its_connections_and_ends_for_later_ones(fault_proxy: FaultProxy) -> None:
    with RawConnection(fault_proxy.url, timeout=0.2) as lost:
        fault_proxy.blackhole()
        with pytest.raises(TimeoutError):
            lost.command("PING")
        fault_proxy.heal()

        with RawConnection(fault_proxy.url) as sound:
            assert sound.command("PING") == b"PONG"
        with pytest.raises(TimeoutError):
            lost.command("PING")


def test_replies_alone_can_be_lost(fault_proxy: FaultProxy, broker: Broker) -> None:
    with RawConnection(fault_proxy.url, timeout=0.2) as connection:
        fault_proxy.blackhole("to_client")
        with pytest.raises(TimeoutError):
            connection.command("SET", "key", "value")

    assert command(broker.url, "GET", "key") == b"value"


def test_what_was_held_is_delivered_late(fault_proxy: FaultProxy) -> None:
    with RawConnection(fault_proxy.url, timeout=0.2) as connection:
        fault_proxy.hold()
        with pytest.raises(TimeoutError):
            connection.command("PING")
        fault_proxy.heal()

        assert connection.read() == b"PONG"


def test_a_reply_can_be_cut_off_in_its_middle(fault_proxy: FaultProxy) -> None:
    with RawConnection(fault_proxy.url) as connection:
        connection.command("SET", "key", "a longer value")
        fault_proxy.reset_in_reply(after_bytes=4)
        connection.send("GET", "key")

        assert connection.socket.recv(100) == b"$14\r"
        with pytest.raises(ConnectionResetError):
            connection.socket.recv(100)

    assert command(fault_proxy.url, "GET", "key") == b"a longer value"


def test_open_connections_can_be_reset_and_dropped(fault_proxy: FaultProxy) -> None:
    with RawConnection(fault_proxy.url) as first, RawConnection(fault_proxy.url) as second:
        first.command("PING")
        fault_proxy.reset_connections()
        with pytest.raises(ConnectionResetError):
            first.socket.recv(1)

    wait_until(lambda: fault_proxy.connections_open == 0, "connections are forgotten")
    with RawConnection(fault_proxy.url) as second:
        second.command("PING")
        fault_proxy.drop_connections()

        assert second.socket.recv(1) == b""


def test_new_connections_can_be_refused(fault_proxy: FaultProxy) -> None:
    fault_proxy.refuse()

    with pytest.raises(ConnectionError), RawConnection(fault_proxy.url) as connection:
        connection.command("PING")
    assert fault_proxy.connections_accepted == 1


def test_the_server_can_be_reached_by_unix_socket(broker: Broker) -> None:
    assert command(f"unix://{broker.unix_socket}", "PING") == b"PONG"


def test_a_broker_with_a_password_refuses_strangers() -> None:
    with start(password="open-sesame") as broker:
        assert command(broker.url, "PING") == b"PONG"
        with pytest.raises(Exception, match="NOAUTH"):
            command(f"redis://127.0.0.1:{broker.port}", "PING")


def test_a_process_is_read_line_by_line_and_signalled(start_process: Callable[..., Process]) -> None:
    code = "import signal, sys; print('up'); signal.sigwait({signal.SIGTERM}); print('down'); sys.exit(3)"
    process = start_process(*python("-c", "import signal; signal.pthread_sigmask(0, {15}); " + code))

    assert process.wait_for_line("up") == "up"
    process.terminate()

    assert process.wait() == 3
    assert process.output == "up\ndown\n"


def test_a_process_that_ends_early_shows_what_it_wrote(start_process: Callable[..., Process]) -> None:
    process = start_process(*python("-c", "print('only this')"))

    with pytest.raises(AssertionError, match="only this"):
        process.wait_for_line("something else")


def test_closing_a_process_ends_its_children_too(start_process: Callable[..., Process]) -> None:
    code = "import subprocess; c = subprocess.Popen(['sleep', '60']); print('child', c.pid); c.wait()"
    process = start_process(*python("-c", code))
    child = int(process.wait_for_line("child").split()[1])
    assert children_of(process.pid) == {child}

    process.close()

    wait_until(lambda: not is_alive(child), "the child has ended")
