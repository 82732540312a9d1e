"""``pysoa call`` against services that run."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from pysoa.cli.broker import Broker
from tests.support.commands import pysoa, start_example
from tests.support.processes import Process
from tests.support.raw import command, wait_until


@pytest.fixture
def example(broker: Broker, start_process: Callable[..., Process]) -> Process:
    return start_example(start_process, broker, "example_service", "example")


@pytest.fixture
def flights(broker: Broker, start_process: Callable[..., Process]) -> Process:
    return start_example(start_process, broker, "flight_booking")


@pytest.mark.usefixtures("example")
def test_a_right_call_prints_the_answer(broker: Broker) -> None:
    outcome = pysoa("call", "example", "square", "number=7", "--broker", broker.url)

    assert outcome == (0, '{"square": 49}\n', "")


@pytest.mark.usefixtures("example")
def test_a_misspelt_action_gets_did_you_mean(broker: Broker) -> None:
    outcome = pysoa("call", "example", "squar", "number=7", "--broker", broker.url)

    assert outcome == (
        1,
        "",
        "UNKNOWN action: The action \"squar\" was not found on this server.\ndid you mean 'square'?\n",
    )


@pytest.mark.usefixtures("example")
def test_an_action_that_is_like_no_other_gets_the_list(broker: Broker) -> None:
    outcome = pysoa("call", "example", "xyz", "--broker", broker.url)

    assert outcome.said.splitlines()[1] == "actions: call_service, introspect, square, status, wait"


@pytest.mark.usefixtures("example")
def test_a_misspelt_field_gets_did_you_mean(broker: Broker) -> None:
    outcome = pysoa("call", "example", "square", "numbr=7", "--broker", broker.url)

    assert outcome == (
        1,
        "",
        "MISSING number: Missing key: number\n"
        "UNKNOWN: Extra keys present: numbr\n"
        "did you mean 'number' instead of 'numbr'?\n",
    )


@pytest.mark.usefixtures("flights")
def test_a_misspelt_field_deep_in_a_typed_body_gets_did_you_mean(broker: Broker) -> None:
    body = {"flight": "PY101", "departure_date": "2018-07-15", "passengers": [{"name": "Ada", "bagage_in_kg": 3}]}

    outcome = pysoa("call", "flight_booking", "book_flight", "--json", json.dumps(body), "--broker", broker.url)

    assert outcome == (
        1,
        "",
        "UNKNOWN passengers.0.bagage_in_kg: Extra keys present: bagage_in_kg\n"
        "did you mean 'passengers.0.baggage_in_kg' instead of 'passengers.0.bagage_in_kg'?\n",
    )


@pytest.mark.usefixtures("example")
def test_a_service_that_was_never_there_is_told_at_once_and_then_waited_for(broker: Broker) -> None:
    outcome = pysoa("call", "exmple", "square", "number=7", "--timeout", "0.4", "--broker", broker.url)

    assert outcome == (
        3,
        "",
        "nobody has announced service 'exmple' on this broker (known: example); did you mean 'example'? "
        "waiting 0.4 s in case it is an older server\n"
        "no answer from 'exmple' within 0.4 s; the action may run yet\n",
    )


def test_a_service_whose_servers_have_gone_is_told_at_once(broker: Broker, example: Process) -> None:
    example.terminate()
    assert example.wait() == 0

    outcome = pysoa("call", "example", "square", "number=7", "--timeout", "20", "--broker", broker.url)

    assert outcome == (3, "", "nobody serves 'example' now: its servers have all gone\n")
    assert command(broker.url, "LLEN", "pysoa:service.example") == 0


def test_a_dead_broker_is_one_line_with_a_count_of_tries() -> None:
    outcome = pysoa("call", "example", "square", "number=7", "--broker", "redis://:secret@127.0.0.1:1")

    assert outcome.code == 3
    assert outcome.said.startswith("no broker at redis://:***@127.0.0.1:1: Connection refused (3 tries in ")
    assert outcome.said.count("\n") == 1


def test_a_broker_that_wants_a_password_is_one_line(start_brokers: Callable[..., Broker]) -> None:
    broker = start_brokers(password="secret")

    outcome = pysoa("call", "example", "status", "--broker", f"redis://127.0.0.1:{broker.port}")

    assert outcome.code == 3
    assert "NOAUTH" in outcome.said
    assert outcome.said.count("\n") == 1


@pytest.mark.usefixtures("example")
def test_the_broker_is_found_in_redis_url(broker: Broker) -> None:
    assert pysoa("call", "example", "square", "number=7", env={"REDIS_URL": broker.url}).code == 0


def test_without_any_broker_the_things_that_help_are_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = str(tmp_path_factory.mktemp("run"))

    outcome = pysoa("call", "example", "square", "number=7", env={"XDG_RUNTIME_DIR": empty})

    assert outcome.code == 3
    assert outcome.said.splitlines()[0] == "no broker is set, and no `pysoa dev` is running. Any of these helps:"
    assert len(outcome.said.splitlines()) == 4


@pytest.mark.usefixtures("example")
def test_a_whole_body_comes_from_standard_input(broker: Broker) -> None:
    outcome = pysoa("call", "example", "square", "--json", "-", "--broker", broker.url, stdin='{"number": 12}')

    assert outcome == (0, '{"square": 144}\n', "")


@pytest.mark.usefixtures("flights")
def test_dates_decimals_and_amounts_are_rendered(broker: Broker) -> None:
    arguments = ["flight=PY205", "departure_date=2018-07-15", 'passengers=[{"name": "Ada", "baggage_in_kg": "23.5"}]']

    outcome = pysoa("call", "flight_booking", "book_flight", *arguments, "--broker", broker.url)

    answer = json.loads(outcome.output)
    assert outcome.code == 0
    assert outcome.output.count("\n") == 1
    assert answer["departure_date"] == "2018-07-15"
    assert answer["baggage_in_kg"] == "23.5"
    assert answer["price"] == {"currency": "USD", "value": 99_50 + 58_75}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["number"], "'number' is not KEY=VALUE (a whole body is given by --json '{...}')"),
        (["--json", "[1]"], "--json is not a JSON object: it begins with { and ends with }"),
        (["a=1", "a.b=2"], "'a.b=2': 'a' has a value already, and so cannot have parts"),
        (
            ["--broker", "http://here"],
            "'http://here' is no broker: give redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH",
        ),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str) -> None:
    assert pysoa("call", "example", "square", *arguments, env={"REDIS_URL": "redis://127.0.0.1:1"}) == (
        2,
        "",
        f"{message}\n",
    )


def test_what_cannot_be_sent_is_one_line(broker: Broker) -> None:
    outcome = pysoa("call", "example", "square", f"number={2**70}", "--broker", broker.url)

    assert outcome.code == 2
    assert "the request cannot be sent: " in outcome.said
    assert "Traceback" not in outcome.said


def test_ctrl_c_ends_the_wait_with_one_line(broker: Broker, start_process: Callable[..., Process]) -> None:
    arguments = ["-m", "pysoa", "call", "nobody", "status", "--timeout", "60", "--broker", broker.url]
    process = start_process(sys.executable, *arguments)
    wait_until(lambda: command(broker.url, "LLEN", "pysoa:service.nobody"), "the request is sent")

    process.signal(signal.SIGINT)

    assert process.wait() == 130
    assert process.output.splitlines()[1:] == ["interrupted"]


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_lines_and_colours_unless_it_wants_none(broker: Broker, no_color: bool) -> None:
    text = on_a_terminal(
        "call", "example", "square", "number=7", "--broker", broker.url, env={"NO_COLOR": "1"} if no_color else {}
    )

    plain = text.replace("\r\n", "\n")
    if no_color:
        assert plain == '{\n  "square": 49\n}\n'
    else:
        assert "\x1b[" in plain


def on_a_terminal(*arguments: str, env: dict[str, str]) -> str:
    """What the command writes to a terminal."""
    controller, terminal = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    subprocess.run(
        [sys.executable, "-m", "pysoa", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
        env={**environment, "TERM": "xterm-256color", **env},
        timeout=30,
        check=True,
    )
    os.close(terminal)
    written = b""
    try:
        while chunk := os.read(controller, 65536):
            written += chunk
    except OSError:  # the end, on Linux
        pass
    os.close(controller)
    return written.decode()
