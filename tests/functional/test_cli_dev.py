"""``pysoa dev``: services that run in a terminal, and mistakes that are short to read."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pysoa.cli.broker import Broker, answers
from tests.support.commands import EXAMPLES, Outcome, pysoa, wait_until_served
from tests.support.processes import Process, is_alive, python
from tests.support.raw import command, wait_until

SERVICE = """
    from pysoa.common.fields import Dictionary, Integer
    from pysoa.server import Server as BaseServer
    from pysoa.server.action import Action

    class Double(Action):
        request_schema = Dictionary({"number": Integer(gte=1)})

        def run(self, request):
            return {"double": request.body["number"] * 2}

    class Server(BaseServer):
        service_name = "doubles"
        action_class_map = {"double": Double}
"""

LOOPS = """
    import asyncio
    from pysoa.server import Server as BaseServer
    from pysoa.server.action import Action

    class Concurrency(Action):
        async def run(self, request):
            in_a_loop = asyncio.current_task() is not None
            return {"concurrency": self.settings["concurrency"], "in_a_loop": in_a_loop}

    class Server(BaseServer):
        service_name = "loops"
        action_class_map = {"concurrency": Concurrency}
"""


NOWHERE = "here or among the installed ones"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "doubles", SERVICE)
    write(tmp_path, "loops", LOOPS)
    return tmp_path


def write(folder: Path, module: str, text: str) -> None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def start_dev(start_process: Callable[..., Process], *arguments: str, cwd: Path, env: dict[str, str]) -> Process:
    return start_process(*python("-W", "error", "-m", "pysoa", "dev", *arguments), cwd=cwd, env=env)


def dev(folder: Path, *arguments: str) -> Outcome:
    # A URL keeps it from starting a broker: the mistakes are found before it is used.
    return pysoa("dev", *arguments, "--broker", "redis://127.0.0.1:1", cwd=folder)


def test_a_service_without_settings_starts_with_a_broker_and_says_how_to_call_it(
    folder: Path, start_process: Callable[..., Process]
) -> None:
    alone = {"XDG_RUNTIME_DIR": str(folder), "REDIS_URL": ""}
    process = start_dev(start_process, "doubles", cwd=folder, env=alone)

    url = re.split(r"[ ]", process.wait_for_line(r"^broker: .* \(started "))[1]
    how = process.wait_for_line("^doubles: ").split("call it by  ")[1]
    process.wait_for_line("starting up")
    outcome = pysoa(*how.split()[1:], env={"XDG_RUNTIME_DIR": str(folder)}, cwd=folder)
    process.interrupt()

    assert how == "pysoa call doubles double number=1"
    assert (outcome.code, outcome.output) == (0, '{"double": 2}\n')
    assert process.wait() == 0
    assert process.output.splitlines()[-1] == "doubles: ended"
    assert not answers(url)


def test_a_service_starts_again_when_its_code_changes(folder: Path, start_process: Callable[..., Process]) -> None:
    alone = {"XDG_RUNTIME_DIR": str(folder), "REDIS_URL": ""}
    process = start_dev(start_process, "doubles", "--reload", cwd=folder, env=alone)
    process.wait_for_line("starting up")

    def doubled() -> str:
        outcome = pysoa("call", "doubles", "double", "number=1", env={"XDG_RUNTIME_DIR": str(folder)}, cwd=folder)
        return outcome.output or outcome.said

    assert doubled() == '{"double": 2}\n'
    write(folder, "doubles", SERVICE.replace("* 2", "** 2 ="))
    process.wait_for_line("^doubles cannot be imported: SyntaxError: ")
    process.wait_for_line("The service cannot start. Waiting for a file to change.")
    write(folder, "doubles", SERVICE.replace("* 2", "+ 41"))
    process.wait_for_line("starting up", count=2)
    assert doubled() == '{"double": 42}\n'
    process.interrupt()

    assert process.wait() == 0
    assert "Traceback" not in process.output
    assert process.output.count("broker: ") == 1
    assert process.output.count("call it by") == 2


def test_a_second_dev_shares_the_broker_of_the_first(folder: Path, start_process: Callable[..., Process]) -> None:
    alone = {"XDG_RUNTIME_DIR": str(folder), "REDIS_URL": ""}
    first = start_dev(start_process, "doubles", cwd=folder, env=alone)
    first.wait_for_line("starting up")

    second = start_dev(start_process, "flight_booking", cwd=EXAMPLES, env=alone)

    assert second.wait_for_line("^flight_booking: ").endswith(
        "pysoa call flight_booking get_available_flights "
        "departure_airport=... arrival_airport=... departure_date=2026-01-31"
    )
    shared = second.wait_for_line("^broker: ")
    url = first.wait_for_line("^broker: ").split(" ")[1]
    assert shared == f"broker: {url} (shared with the pysoa dev that has process id {first.pid})"


def test_a_killed_dev_leaves_no_broker(folder: Path, start_process: Callable[..., Process]) -> None:
    alone = {"XDG_RUNTIME_DIR": str(folder), "REDIS_URL": ""}
    process = start_dev(start_process, "doubles", cwd=folder, env=alone)
    process.wait_for_line("starting up")
    url = process.wait_for_line("^broker: ").split(" ")[1]
    broker_pid = int(re.search(rb"process_id:(\d+)", command(url, "INFO", "server"))[1])

    process.kill()

    wait_until(lambda: not is_alive(broker_pid), "the broker ends with its dev")


def test_settings_count_but_for_the_broker(broker: Broker, folder: Path, start_process: Callable[..., Process]) -> None:
    write(
        folder,
        "doubles_settings",
        """
        kwargs = {"backend_type": "redis.sentinel", "backend_layer_kwargs": {"hosts": [("nowhere", 1)]}}
        SOA_SERVER_SETTINGS = {
            "transport": {"kwargs": {**kwargs, "receive_timeout_in_seconds": 1}},
            "request_log_success_level": "DEBUG",
            "heartbeat_file": "heartbeat",
        }
        """,
    )

    process = start_dev(start_process, "doubles", "-s", "doubles_settings", cwd=folder, env={"REDIS_URL": broker.url})
    wait_until_served(broker, "doubles")
    outcome = pysoa("call", "doubles", "double", "number=4", "--broker", broker.url)

    assert outcome == (0, '{"double": 8}\n', "")
    assert process.wait_for_line("^broker: ") == f"broker: {broker.url} (from REDIS_URL)"
    assert (folder / "heartbeat").exists()
    assert "Job request" not in process.output


def test_a_service_may_have_an_asyncio_loop(
    broker: Broker, folder: Path, start_process: Callable[..., Process]
) -> None:
    process = start_dev(start_process, "loops", "--concurrency", "3", cwd=folder, env={"REDIS_URL": broker.url})
    wait_until_served(broker, "loops")

    outcome = pysoa("call", "loops", "concurrency", "--broker", broker.url)
    process.interrupt()

    assert outcome == (0, '{"concurrency": 3, "in_a_loop": true}\n', "")
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("module", "text", "arguments", "message"),
    [
        ("doubles", SERVICE, ["doubls"], f"there is no module 'doubls' {NOWHERE}; did you mean 'doubles'?\n"),
        ("doubles", SERVICE, ["doubles.py"], "doubles.py is a file, not a module: try doubles\n"),
        ("doubles", SERVICE, ["doubles:Servr"], "there is no Servr in doubles; did you mean doubles:Server?\n"),
        ("doubles", SERVICE, ["doubles:Double"], "doubles:Double is not a subclass of pysoa.server.Server\n"),
        ("empty", "", ["empty"], "there is no server in empty: no subclass of pysoa.server.Server\n"),
        (
            "two",
            """
            from pysoa.server import Server
            class One(Server): service_name = "one"
            class Two(Server): service_name = "two"
            """,
            ["two"],
            "there are 2 servers in two; say which: two:One, two:Two\n",
        ),
        (
            "nameless",
            "from pysoa.server import Server\nclass Nameless(Server): pass\n",
            ["nameless"],
            "nameless:Nameless has no service_name\n",
        ),
        (
            "broken",
            "\nraise ValueError('what now')\n",
            ["broken"],
            "broken cannot be imported: ValueError: what now\n  at broken.py:2\n",
        ),
        (
            "broken",
            "import not_there\n",
            ["broken"],
            "broken cannot be imported: ModuleNotFoundError: No module named 'not_there'\n  at broken.py:1\n",
        ),
        (
            "broken",
            "x = 1\ny = (\n",
            ["broken"],
            "broken cannot be imported: SyntaxError: '(' was never closed\n  at broken.py:2\n",
        ),
        (
            "broken",
            "import sys\nsys.exit(3)\n",
            ["broken"],
            "broken cannot be imported: SystemExit: 3\n  at broken.py:2\n",
        ),
        (
            "switched",
            """
            from pysoa.server.action.switched import SwitchedAction

            class Wrong(SwitchedAction):
                switch_to_action_map = ()
            """,
            ["switched"],
            "switched cannot be imported: ValueError: Class attribute switch_to_action_map must be an iterable of at "
            "least two indexable items, each with exactly two indexes, where the first element is a switch and the "
            "second element is an action (callable).\n  at switched.py:4\n",
        ),
        (
            "schemaless",
            """
            from pysoa.server import Server
            from pysoa.server.action import Action
            class Act(Action):
                request_schema = 5
                def run(self, request): return {}
            class Mine(Server):
                service_name = "mine"
                action_class_map = {"act": Act}
            """,
            ["schemaless"],
            "schemaless.Act.request_schema: 5 is not a schema: ",
        ),
        ("doubles", SERVICE, ["doubles", "-s", "nope"], f"there is no settings module 'nope' {NOWHERE}\n"),
        ("doubles", SERVICE, ["doubles", "-s", "doubles"], "doubles has no SOA_SERVER_SETTINGS and no settings\n"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_line_or_two(
    folder: Path, module: str, text: str, arguments: list[str], message: str
) -> None:
    write(folder, module, text)

    code, output, said = dev(folder, *arguments)

    assert (code, output) == (2, "")
    assert said == message or (not message.endswith("\n") and said.startswith(message) and said.count("\n") == 1)


def test_wrong_settings_are_told_with_key_and_value(folder: Path) -> None:
    write(folder, "wrong", "settings = {'harakiri': {'timeout': 'soon'}, 'transport': {'path': 'x'}}\n")

    code, _, said = dev(folder, "doubles", "-s", "wrong")

    assert code == 2
    assert said.startswith("wrong: Invalid setting 'transport':\n")
    assert "harakiri" in said
    assert "Traceback" not in said


def test_a_server_in_the_submodule_server_is_found(
    broker: Broker, folder: Path, start_process: Callable[..., Process]
) -> None:
    write(folder, "shop.__init__", "")
    write(folder, "shop.server", SERVICE.replace("doubles", "shop"))

    process = start_dev(start_process, "shop:Server", cwd=folder, env={"REDIS_URL": broker.url})

    process.wait_for_line('Service "shop" server starting up')
