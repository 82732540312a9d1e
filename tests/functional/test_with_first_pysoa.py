"""Processes of the published first PySOA, 1.4.9 and 0.42.0, call ours and are called, over one broker.

They run where the environment names interpreters that have these releases installed: ``PYSOA_FIRST_PYTHON`` for
1.4.9 and ``PYSOA_0_42_PYTHON`` for 0.42.0.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError, CallJobError
from tests.support.processes import ROOT, Process
from tests.support.vector_runs import start_service

FOLDER = ROOT / "tests/support/first_pysoa"
INTERPRETERS = {"1.4.9": "PYSOA_FIRST_PYTHON", "0.42.0": "PYSOA_0_42_PYTHON"}
CHUNKING = {"chunk_messages_larger_than_bytes": 102400, "maximum_message_size_in_bytes": 1024 * 1024}

Answer = dict[str, Any]


@pytest.fixture(params=list(INTERPRETERS))
def release(request: pytest.FixtureRequest) -> str:
    """The release that the other end has."""
    release: str = request.param
    if not os.environ.get(INTERPRETERS[release]):
        pytest.skip(f"{INTERPRETERS[release]} does not name an interpreter that has PySOA {release}")
    return release


def only_with(release: str, wanted: str) -> None:
    if release != wanted:
        pytest.skip(f"{release} cannot do this")


@pytest.fixture
def calls_of_first_client(release: str, broker: Broker) -> Callable[..., list[Answer]]:
    """Has a client of that release make calls, and gives back what it says of each."""

    def make(*calls: tuple[str, dict[str, Any]], **transport: Any) -> list[Answer]:
        setup = {"port": broker.port, "service": "vec", "transport": transport}
        finished = subprocess.run(
            [os.environ[INTERPRETERS[release]], "-m", "first_client"],
            input="\n".join(map(json.dumps, (setup, *calls))) + "\n",
            capture_output=True,
            text=True,
            cwd=FOLDER,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return [json.loads(line) for line in finished.stdout.splitlines()]

    return make


@pytest.fixture
def our_service(broker: Broker) -> Iterator[Process]:
    """Our server of the service ``vec``, which sends large responses in chunks."""
    with start_service(broker, transport=CHUNKING) as process:
        yield process


@pytest.fixture
def first_service(release: str, broker: Broker) -> Iterator[Process]:
    """A server of that release, of the service ``first``."""
    env = {"FIRST_PORT": str(broker.port), "FIRST_TRANSPORT": json.dumps(CHUNKING if release == "1.4.9" else {})}
    with Process(
        os.environ[INTERPRETERS[release]], "-m", "first_service", "-s", "first_service", env=env, cwd=FOLDER
    ) as process:
        yield process


@pytest.fixture
def our_client(release: str, broker: Broker, first_service: Process) -> Iterator[Client]:
    """Our client, set up to call the server of that release."""
    kwargs = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]},
        "protocol_version": 3 if release == "1.4.9" else 1,  # later ones end a server of 0.42
        "receive_timeout_in_seconds": 10,
    }
    path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    with Client({"first": {"transport": {"path": path, "kwargs": kwargs}}}) as client:
        yield client


def test_first_client_calls_our_server(
    calls_of_first_client: Callable[..., list[Answer]], our_service: Process
) -> None:
    square, actions, parallel, unknown, failing, malformed, again = calls_of_first_client(
        ("call_action", {"action": "square", "body": {"number": 7}}),
        ("call_actions", {"actions": [{"action": "square", "body": {"number": n}} for n in (2, 3)]}),
        ("call_actions_parallel", {"actions": [{"action": "square", "body": {"number": n}} for n in range(10)]}),
        ("call_action", {"action": "nope", "body": {}}),
        ("call_action", {"action": "fail", "body": {}}),
        ("call_actions", {"actions": []}),
        ("call_action", {"action": "echo", "body": {"still": "there"}}),
    )

    assert square["returned"] == {"action": "square", "errors": [], "body": {"square": 49}}
    assert [action["body"] for action in actions["returned"]["actions"]] == [{"square": 4}, {"square": 9}]
    assert [action["body"] for action in parallel["returned"]] == [{"square": n**2} for n in range(10)]
    assert unknown["raised"] == "CallActionError"
    message = 'The action "nope" was not found on this server.'
    assert unknown["errors"] == [{"code": "UNKNOWN", "message": message, "field": "action"}]
    assert [error["code"] for error in failing["errors"]] == ["TEAPOT", "COLD"]
    assert malformed["raised"] in ("CallJobError", "JobError")
    assert [error["field"] for error in malformed["errors"]] == ["actions"]
    assert again["returned"]["body"] == {"still": "there"}


def test_first_client_reads_chunks_of_our_server(
    release: str, calls_of_first_client: Callable[..., list[Answer]], our_service: Process
) -> None:
    only_with(release, "1.4.9")
    large, parallel, small = calls_of_first_client(
        ("call_action", {"action": "large", "body": {"size": 250_000}}),
        ("call_actions_parallel", {"actions": [{"action": "large", "body": {"size": 250_000}}] * 10}),
        ("call_action", {"action": "square", "body": {"number": 2}}),
    )

    assert large["returned"]["body"] == {"blob": "x" * 250_000}
    assert [len(action["body"]["blob"]) for action in parallel["returned"]] == [250_000] * 10
    assert small["returned"]["body"] == {"square": 4}


@pytest.mark.parametrize("protocol_version", [1, 2, 3])
@pytest.mark.parametrize("serializer", ["msgpack_serializer:MsgpackSerializer", "json_serializer:JSONSerializer"])
def test_first_client_calls_our_server_in_every_protocol(
    release: str,
    calls_of_first_client: Callable[..., list[Answer]],
    our_service: Process,
    protocol_version: int,
    serializer: str,
) -> None:
    only_with(release, "1.4.9")
    if protocol_version == 1 and "json" in serializer:
        pytest.skip("protocol 1 does not say that it is JSON")

    square, unserializable, too_large = calls_of_first_client(
        ("call_action", {"action": "square", "body": {"number": 7}}),
        ("call_action", {"action": "unserializable", "body": {}}),
        ("call_action", {"action": "large", "body": {"size": 2_000_000}}),
        protocol_version=protocol_version,
        default_serializer_config={"path": f"pysoa.common.serializer.{serializer}"},
    )

    assert square["returned"]["body"] == {"square": 49}
    assert [error["code"] for error in unserializable["errors"]] == ["RESPONSE_NOT_SERIALIZABLE"]
    assert [error["code"] for error in too_large["errors"]] == ["RESPONSE_TOO_LARGE"]


def test_our_client_calls_first_server(our_client: Client) -> None:
    square = our_client.call_action("first", "square", {"number": 7}, timeout=10)
    job = our_client.call_actions("first", [{"action": "square", "body": {"number": n}} for n in (2, 3)])
    parallel = our_client.call_actions_parallel(
        "first", [{"action": "square", "body": {"number": n}} for n in range(10)]
    )
    future = our_client.call_action_future("first", "echo", {"a": (1, 2)})

    assert square.body == {"square": 49}
    assert [action.body for action in job.actions] == [{"square": 4}, {"square": 9}]
    assert [action.body for action in parallel] == [{"square": n**2} for n in range(10)]
    assert future.result().body == {"a": [1, 2]}


def test_our_client_is_told_of_errors_by_first_server(release: str, our_client: Client) -> None:
    with pytest.raises(CallActionError) as unknown:
        our_client.call_action("first", "nope", {})
    with pytest.raises(CallActionError) as failing:
        our_client.call_action("first", "fail", {})
    with pytest.raises(CallJobError) as malformed:
        our_client.call_actions("first", [])
    # 0.42 takes an exception for an error of the whole job.
    with pytest.raises(CallActionError if release == "1.4.9" else CallJobError, match="kaboom"):
        our_client.call_action("first", "explode", {})

    assert [error.code for error in unknown.value.actions[0].errors] == ["UNKNOWN"]
    assert failing.value.actions[0].errors[0].variables == {"temp": 99}
    assert [error.field for error in malformed.value.errors] == ["actions"]
    assert our_client.call_action("first", "square", {"number": 3}).body == {"square": 9}


def test_our_client_reads_chunks_of_first_server(release: str, our_client: Client) -> None:
    only_with(release, "1.4.9")

    assert our_client.call_action("first", "large", {"size": 250_000}, timeout=10).body == {"blob": "x" * 250_000}


def test_our_client_waits_for_a_first_server_that_is_busy(our_client: Client) -> None:
    slow = our_client.call_action_future("first", "slow", {"seconds": 1.5})

    # Nothing tells that servers of the first PySOA are there, so their silence must not be taken for absence.
    assert our_client.call_action("first", "square", {"number": 3}, timeout=10).body == {"square": 9}
    assert slow.result().body == {}
