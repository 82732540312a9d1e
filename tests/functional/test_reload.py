"""Services that start again when their code changes, with real processes, files and calls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from tests.support.faults import Calls, client_of, load, standard, workers_of
from tests.support.processes import Process, children_of, is_alive, python
from tests.support.raw import wait_until

SERVICE = "reloaded"
TIMEOUT = 15.0

PACKAGE = {
    "__init__": "",
    "answers": "NUMBER = 1\n",
    "server": """
        import os, time
        from pysoa.server import Server as BaseServer
        from pysoa.server.action import Action
        from reloaded.answers import NUMBER

        class Tell(Action):
            def run(self, request):
                time.sleep(0.01)
                return {"number": NUMBER, "pid": os.getpid(), "token": request.body.get("token")}

        class Server(BaseServer):
            service_name = "reloaded"
            action_class_map = {"tell": Tell}
    """,
    "settings": """
        import os

        kwargs = {"backend_type": "redis.standard", "backend_layer_kwargs": {"hosts": [os.environ["REDIS_URL"]]}}
        SOA_SERVER_SETTINGS = {
            "transport": {"kwargs": kwargs},
            "concurrency": int(os.environ["CONCURRENCY"]),
            "request_log_success_level": "DEBUG",
        }
    """,
    "standalone": """
        from pysoa.server.standalone import simple_main

        def main():
            def server():
                from reloaded.server import Server
                return Server
            simple_main(server)

        if __name__ == "__main__":
            main()
    """,
}


class Package:
    """The service's code, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in PACKAGE.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Put a new text in the place of a module, as editors do."""
        path = self.folder / SERVICE / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(dedent(text))
        new.replace(path)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    client = client_of(standard(broker.url), SERVICE)
    yield client
    client.close()


@pytest.fixture
def start(start_process: Callable[..., Process], broker: Broker, package: Package) -> Callable[..., Process]:
    """Starts the service under the file watcher."""

    def start(*arguments: str, watcher: str = "watchfiles", concurrency: int = 1) -> Process:
        hidden = package.folder / "hidden"
        if watcher == "polling":
            hidden.mkdir()
            (hidden / "watchfiles.py").write_text("raise ImportError('hidden')\n")
        command = ("-m", "reloaded.standalone", "-s", "reloaded.settings", "--use-file-watcher", SERVICE, *arguments)
        environment = {"REDIS_URL": broker.url, "CONCURRENCY": str(concurrency), "PYTHONPATH": str(hidden)}
        environment["PYTHONDONTWRITEBYTECODE"] = ""  # as for users: what was compiled must not hide a change
        process = start_process(*python(*command), cwd=package.folder, env=environment)
        process.wait_for_line("server starting up", count=2 if "--fork" in arguments else 1)
        return process

    return start


def number(client: Client) -> int:
    return int(client.call_action(SERVICE, "tell", timeout=TIMEOUT).body["number"])


@pytest.mark.parametrize(
    ("watcher", "arguments", "concurrency"),
    [
        pytest.param("watchfiles", (), 1, id="one process"),
        pytest.param("polling", ("--fork", "2"), 1, id="workers"),
        pytest.param("watchfiles", ("--fork", "2"), 8, id="workers on asyncio"),
    ],
)
def test_code_that_changes_again_and_again_costs_no_call(
    start: Callable[..., Process],
    package: Package,
    client: Client,
    watcher: str,
    arguments: tuple[str, ...],
    concurrency: int,
) -> None:
    process = start(*arguments, watcher=watcher, concurrency=concurrency)
    calls = Calls()
    pids = set()
    numbers = []

    def call(token: str) -> str:
        body = client.call_action(SERVICE, "tell", {"token": token}, timeout=TIMEOUT).body
        numbers.append(body["number"])
        pids.add(body["pid"])
        return str(body["token"])

    with load(calls, call, timeout=TIMEOUT, threads=4):
        wait_until(lambda: 1 in numbers, "the load is on")
        for value in (2, 3):
            package.write("answers", f"NUMBER = {value}\n")
            wait_until(lambda value=value: value in numbers, f"{value} is answered", 20)

    assert calls.failed == []
    assert calls.broken == []
    assert process.output.count("File change detected; reloading server process") >= 2
    print(
        f"{len(calls.right)} calls over 2 reloads, the longest took {max(c.ended - c.began for c in calls.right):.2f} s"
    )
    process.terminate()
    assert process.wait() == 0
    assert not any(map(is_alive, pids))


def test_a_change_that_cannot_be_imported_is_told_and_mended_by_the_next(
    start: Callable[..., Process], package: Package, client: Client
) -> None:
    process = start()

    package.write("answers", "NUMBER = = 2\n")
    process.wait_for_line("SyntaxError")
    process.wait_for_line("The service cannot start. Waiting for a file to change.")
    package.write("answers", "NUMBER = undefined\n")
    process.wait_for_line("NameError")
    process.wait_for_line("The service cannot start. Waiting", count=2)
    package.write("answers", "import reloaded.more\nNUMBER = reloaded.more.NUMBER\n")
    process.wait_for_line("No module named 'reloaded.more'")
    process.wait_for_line("The service cannot start. Waiting", count=3)
    package.write("more", "NUMBER = (3\n")
    package.write("answers", "import reloaded.more\nNUMBER = reloaded.more.NUMBER  # now it is there\n")
    process.wait_for_line("was never closed")
    process.wait_for_line("The service cannot start. Waiting", count=4)
    package.write("more", "NUMBER = 3\n")
    process.wait_for_line("server starting up", count=2)
    assert number(client) == 3

    package.write("__init__", "this is no Python\n")  # then not even the reloader of the copy is reached
    process.wait_for_line("The service cannot start. Waiting", count=5)
    package.write("__init__", "import no_such_module\n")
    process.wait_for_line("The service cannot start. Waiting", count=6)
    package.write("__init__", "")
    process.wait_for_line("server starting up", count=3)
    assert number(client) == 3

    package.write("__init__", "this is no Python\n")
    process.wait_for_line("The service cannot start. Waiting", count=7)
    process.interrupt()
    assert process.wait(5) == 1


def test_settings_are_watched_where_workers_load_them_and_their_faults_mended(
    start: Callable[..., Process], package: Package, client: Client
) -> None:
    process = start("--fork", "2")
    assert number(client) == 1

    package.write("settings", "SOA_SERVER_SETTINGS = {\n")
    process.wait_for_line("SyntaxError")
    process.wait_for_line("The service cannot start. Waiting for a file to change.")
    copies = children_of(process.pid)
    assert len(copies) == 1
    assert children_of(*copies) == set()
    package.write("settings", PACKAGE["settings"])
    process.wait_for_line("server starting up", count=4)

    assert number(client) == 1
    process.interrupt()
    assert process.wait() == 0


@pytest.mark.parametrize("arguments", [(), ("--fork", "2")], ids=["one process", "workers"])
def test_nothing_is_left_when_the_original_is_killed(
    start: Callable[..., Process], client: Client, arguments: tuple[str, ...]
) -> None:
    process = start(*arguments)
    number(client)
    (copy,) = children_of(process.pid)
    pids = {copy, *children_of(copy)}

    process.kill()

    wait_until(lambda: not any(map(is_alive, pids)), "all have ended", 10)


def test_the_end_of_the_service_is_the_end_of_the_original(start: Callable[..., Process], client: Client) -> None:
    process = start()
    number(client)
    (copy,) = children_of(process.pid)

    os.kill(copy, signal.SIGKILL)

    assert process.wait(10) == -signal.SIGKILL


def test_a_terminal_that_interrupts_all_of_them_ends_them_in_order(
    start: Callable[..., Process], broker: Broker
) -> None:
    process = start("--fork", "2", "--concurrency", "4")
    wait_until(lambda: workers_of(broker.url, SERVICE) == 2, "both serve")

    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(10) == 0
    assert "Traceback" not in process.output
    assert process.output.count("Server shutdown complete") == 2
