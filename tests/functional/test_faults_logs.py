"""What a worker writes and tells: lines that nobody can forge, and nothing that callers should not know."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from tests.support.faults import SERVICE, Services, client_of, standard
from tests.support.raw import RawConnection

TIMEOUT = 5.0
FORGED = "2026-01-01 00:00:00,000    INFO forged"
NASTY = f"a\n{FORGED}\r{FORGED}\x1b[31m\x1b]0;title\x07\x00\x85\u2028\u202e{FORGED}\v\f"
LONG = "y" * 200_000
A_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} +(DEBUG|INFO|WARNING|ERROR) ")
OF_A_TRACEBACK = re.compile(r"  |Traceback|[\w.]+(: |$)|$|The above exception|During handling")
SECRET = "the password is hunter2"


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    client = client_of(standard(broker.url), maximum_message_size_in_bytes=10_000_000)
    yield client
    client.close()


@pytest.mark.parametrize("detail", ["redacted", "full"])
@pytest.mark.parametrize(
    "text",
    [NASTY, LONG, NASTY * 5000, "\U000e0001" * 10_000],
    ids=["control characters", "length", "both", "long escapes"],
)
def test_no_text_from_the_wire_forges_a_line_or_makes_it_long(
    broker: Broker, services: Services, client: Client, text: str, detail: str
) -> None:
    settings = {"request_log_success_level": "INFO", "request_log_limit": 0, "error_detail": detail}
    worker = services.start(standard(broker.url), announced_at=broker.url, settings=settings)
    contexts = [
        {"correlation_id": text},
        {"caller": text, "calling_service": text},
        {text: text, "service_name": text, "action_name": text, "request_id": text},
    ]
    for context, action, body in itertools.product(
        contexts, ["echo", "explode", text], [{"mark": text, text: [text]}, {"reason": text}, {1: text}]
    ):
        client.call_action(
            SERVICE, action, body, context=context, timeout=TIMEOUT, raise_job_errors=False, raise_action_errors=False
        )
    with RawConnection(broker.url) as connection:
        for meta in (
            {"reply_to": text},
            {"reply_to": f"service.{SERVICE}.{text}!{text}"},
            {"__expiry__": text},
            {text: 1},
        ):
            for request_id in (1, text, text.encode()):
                message = {"request_id": request_id, "meta": meta, "body": {"actions": text}}
                connection.command("RPUSH", f"pysoa:service.{SERVICE}", msgpack.packb(message))
        connection.command("RPUSH", f"pysoa:service.{SERVICE}", text.encode())
        connection.command("RPUSH", f"pysoa:service.{SERVICE}", f"pysoa-redis/3//content-type:{text};".encode())
    client.call_action(SERVICE, "echo", {"mark": "last"}, timeout=TIMEOUT)
    worker.wait_for_line("Job response.*last")

    # Not splitlines(), which knows more ends of lines than a terminal; the escapes are looked for in all of it.
    lines = worker.output.rstrip("\n").split("\n")
    begun = [line for line in lines if A_LINE.match(line)]
    print(f"{len(lines)} lines, the longest of {max(len(line.encode()) for line in lines)} bytes")
    assert not [line for line in lines if line.startswith(FORGED)]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", worker.output)
    assert max(len(line.encode()) for line in lines) < 20_000
    assert all(OF_A_TRACEBACK.match(line) for line in lines if line not in begun)


def test_callers_get_an_error_id_and_nothing_else_of_an_exception(
    broker: Broker, services: Services, client: Client
) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)

    answer = client.call_action(SERVICE, "explode", {"reason": SECRET}, timeout=TIMEOUT, raise_action_errors=False)

    (error,) = answer.errors
    assert error.code == "SERVER_ERROR"
    assert SECRET not in repr(answer)
    assert "Traceback" not in repr(answer)
    assert "RuntimeError" not in repr(answer)
    assert error.traceback is None
    assert error.variables is None
    error_id = re.fullmatch(r"Internal server error \(error id ([0-9a-f]{12})\)", error.message)
    assert error_id is not None
    worker.wait_for_line(rf"{error_id[1]}.*")
    worker.wait_for_line(rf"RuntimeError: {SECRET}")


def test_with_the_setting_callers_get_all_of_it(broker: Broker, services: Services, client: Client) -> None:
    services.start(standard(broker.url), announced_at=broker.url, settings={"error_detail": "full"})

    answer = client.call_action(SERVICE, "explode", {"reason": SECRET}, timeout=TIMEOUT, raise_action_errors=False)

    (error,) = answer.errors
    assert error.message == f"Internal server error: {SECRET}"
    assert error.traceback is not None
    assert error.traceback.endswith(f"RuntimeError: {SECRET}\n")


def test_a_flood_of_junk_is_a_line_a_second_and_kind(broker: Broker, services: Services, client: Client) -> None:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    lines_before = len(worker.output.splitlines())
    with RawConnection(broker.url) as connection:
        for _ in range(40):
            connection.command("RPUSH", f"pysoa:service.{SERVICE}", *[b"\xc1 junk"] * 500)
    client.call_action(SERVICE, "echo", {"mark": "last"}, timeout=30)

    lines = worker.output.splitlines()[lines_before:]
    print(f"{len(lines)} lines for 20,000 frames of junk")
    assert 1 <= len(lines) <= 10
