"""Every round trip: our client's frames and our server's are those of 1.4.9, byte for byte.

Client and server are on brokers of their own, at a clock that stands still at the moment of the recording. The test
carries the frames from one to the other, and so sees each of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from pysoa.common.transport.redis_gateway import async_client as async_client_transport
from pysoa.common.transport.redis_gateway import client as client_transport
from pysoa.common.types import JobResponse, job_response_message
from tests.support.brokers import start
from tests.support.loops import ClientOnLoop
from tests.support.processes import Process
from tests.support.vector_runs import JSON, SERIALIZERS, Lists, StandingClock, differences, start_service
from tests.support.vectors import from_notation, load

VECTORS = load("transport_round_trips")
VECTORS_0_42 = load("transport_round_trips_0.42.0")
FIXED = VECTORS["fixed"]
CASES = {case["name"]: case for case in VECTORS["round_trips"]}
CASES_0_42 = {case["name"]: case for case in VECTORS_0_42["round_trips"]}
ANSWERED = [name for name, case in CASES.items() if case.get("response")]

REQUESTS = "service.vec"
REPLIES = f"service.vec.{FIXED['client_id']}!{FIXED['thread_id_hex']}"
FIXED_VERSION = [1, 4, 9]

# 1.4.9 sent the error that takes the place of such an answer in protocol 3 and in its own content type, whatever its
# client could read. Ours keeps to what the request was written in: frame headers by the name of the case.
HEADERS_OF_FALLBACKS = {
    "chunking_server_v1_client": "",
    "chunking_server_v2_client": "content-type:application/msgpack;",
    "large_response_to_json_client_v2": "content-type:application/json;",
    "types_response_to_json_client": "pysoa-redis/3//content-type:application/json;",
    "unserializable_response_v2": "content-type:application/msgpack;",
}

# Requests that a client of 0.42 sent and that our server does not answer as a server of 0.42 did.
LEFT_OUT_OF_0_42 = {
    "request_too_large": "the client of 0.42 did not send it",
}


def settings_of_server(name: str) -> str:
    if name.startswith("chunk"):
        return "chunking"
    return "json" if name.startswith("square_") and name.endswith("_json") else "plain"


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "json": {"default_serializer_config": {"path": "pysoa.common.serializer:JSONSerializer"}},
    "chunking": {"chunk_messages_larger_than_bytes": 102400, "maximum_message_size_in_bytes": 1024 * 1024},
}


ENGINES: dict[str, dict[str, Any]] = {"blocking": {}, "asyncio": {"concurrency": 4}}
BOTH_CLIENTS = pytest.mark.parametrize("kind", [Client, ClientOnLoop], ids=["blocking client", "asyncio client"])


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """What runs the jobs of the servers."""
    engine: str = request.param
    return engine


@pytest.fixture(scope="module")
def servers(engine: str) -> Iterator[dict[str, Lists]]:
    """The lists of a broker for each way in which the recorded servers were set up, with a server on it."""
    lists: dict[str, Lists] = {}
    with contextlib.ExitStack() as stack:
        for name, transport in SETTINGS.items():
            broker = stack.enter_context(start())
            lists[name] = Lists(broker)
            stack.callback(lists[name].close)
            server = start_service(broker, clock=FIXED["time"], transport=transport, **ENGINES[engine])
            stack.enter_context(server)
            stack.callback(assert_nothing_is_left, lists[name], server)
        yield lists


def assert_nothing_is_left(lists: Lists, server: Process) -> None:
    assert lists.drained(server) == set()


@pytest.fixture
def lists(broker: Broker) -> Iterator[Lists]:
    """The lists of the client's broker."""
    lists = Lists(broker)
    yield lists
    lists.close()


def make_client(
    kind: type[Client | ClientOnLoop],
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    case: dict[str, Any],
    **transport: Any,
) -> Client | ClientOnLoop:
    """A client with the ids, the version and the clock of the recording."""
    kwargs = {
        "backend_type": "redis.standard",
        "backend_layer_kwargs": {"hosts": [("127.0.0.1", broker.port)]},
        "protocol_version": case["protocol_version"] or 1,
        **transport,
    }
    if case["content_type"] == JSON:
        kwargs["default_serializer_config"] = {"path": "pysoa.common.serializer:JSONSerializer"}
    path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    client = kind({"vec": {"transport": {"path": path, "kwargs": kwargs}}})
    handler: Any
    if isinstance(client, ClientOnLoop):
        monkeypatch.setattr(async_client_transport, "get_hex_thread_id", lambda: FIXED["thread_id_hex"])
        client_id = SimpleNamespace(hex=FIXED["client_id"])
        monkeypatch.setattr(async_client_transport, "uuid", SimpleNamespace(uuid4=lambda: client_id))
        handler = client.client._get_handler("vec")
        handler._request_ids = itertools.count(FIXED["request_id"])
    else:
        monkeypatch.setattr(client_transport, "get_hex_thread_id", lambda: FIXED["thread_id_hex"])
        handler = client._get_handler("vec")
        handler.request_counter = FIXED["request_id"] - 1
        handler.transport.client_id = FIXED["client_id"]
    monkeypatch.setattr(handler, "_client_version", FIXED_VERSION)
    (master,) = handler.transport.core.backend_layer.masters(float("inf"))
    monkeypatch.setattr(master, "clock", StandingClock(FIXED["time"]))
    return client


@pytest.fixture
def client(
    kind: type[Client | ClientOnLoop], broker: Broker, monkeypatch: pytest.MonkeyPatch, name: str
) -> Iterator[Client | ClientOnLoop]:
    """The client of the case with this name."""
    expiry = {"message_expiry_in_seconds": 20} if name == "client_setting_expiry_20" else {}
    with make_client(kind, broker, monkeypatch, CASES[name], **expiry) as client:
        yield client


def send(client: Client | ClientOnLoop, case: dict[str, Any]) -> int:
    call = case["client_call"]
    actions = [from_notation(action) for action in call["actions"]]
    request_id: int = client.send_request(call["service"], actions, **from_notation(call["kwargs"]))
    return request_id


def recorded_frames(side: dict[str, Any], content_type: str, header: str | None = None) -> list[bytes]:
    """The frames that were recorded; those too long to be there in full are made anew, and compared with their hashes.

    With a header, the one frame that was recorded is written anew under this header, in the given content type.
    """
    if header is not None:
        (frame,) = side["frames"]
        return [header.encode() + SERIALIZERS[content_type].dict_to_blob(from_notation(frame["message"]))]
    frames = side["frames"]
    if all("frame_hex" in frame for frame in frames):
        return [bytes.fromhex(frame["frame_hex"]) for frame in frames]
    payload = SERIALIZERS[content_type].dict_to_blob(from_notation(side.get("joined_message") or frames[0]["message"]))
    made = []
    for frame in frames:
        length = frame["frame_length"] - len(frame["header_text"])
        made.append(frame["header_text"].encode() + payload[:length])
        payload = payload[length:]
        if "frame_sha256" in frame:
            assert hashlib.sha256(made[-1]).hexdigest() == frame["frame_sha256"]
    assert payload == b""
    return made


def response_frames(name: str) -> list[bytes]:
    """The frames that our server is to answer with."""
    case = CASES[name]
    header = HEADERS_OF_FALLBACKS.get(name)
    return recorded_frames(case["response"], case["content_type"], header)


def as_message(response: JobResponse) -> dict[str, Any]:
    return job_response_message(response, (1, 4, 9))


def of_each(names: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", list(names))


def test_the_tables_are_about_cases() -> None:
    assert (len(CASES), len(CASES_0_42)) == (29, 11)
    assert HEADERS_OF_FALLBACKS.keys() <= CASES.keys()
    assert LEFT_OUT_OF_0_42.keys() <= CASES_0_42.keys()


@BOTH_CLIENTS
@of_each(name for name, case in CASES.items() if "request" in case)
def test_client_sends_the_recorded_frames(lists: Lists, client: Client | ClientOnLoop, name: str) -> None:
    request = CASES[name]["request"]

    request_id = send(client, CASES[name])

    assert request_id == FIXED["request_id"]
    assert lists.connection.command("KEYS", "*") == [request["redis_key"].encode()]
    assert lists.connection.command("TTL", request["redis_key"]) >= request["ttl_seconds"]
    assert lists.all_of(REQUESTS) == recorded_frames(request, CASES[name]["content_type"])


@BOTH_CLIENTS
@of_each(name for name, case in CASES.items() if "client_error" in case)
def test_client_refuses_what_was_refused(lists: Lists, client: Client | ClientOnLoop, name: str) -> None:
    recorded = CASES[name]["client_error"]

    with pytest.raises(PySOAError) as raised:
        send(client, CASES[name])

    assert type(raised.value).__name__ == recorded["class"]
    assert type(raised.value).__module__ == recorded["module"]
    assert str(raised.value) == recorded["message"]
    assert raised.value.message_size_in_bytes == recorded["message_size_in_bytes"]  # type: ignore[attr-defined]
    assert lists.connection.command("KEYS", "*") == []


@of_each(name for name, case in CASES.items() if "request" in case)
def test_server_answers_recorded_requests_with_the_recorded_frames(servers: dict[str, Lists], name: str) -> None:
    lists = servers[settings_of_server(name)]
    (request,) = recorded_frames(CASES[name]["request"], CASES[name]["content_type"])

    frames = lists.answers(request, REPLIES, is_answered=name in ANSWERED)

    assert frames == (response_frames(name) if name in ANSWERED else [])


@BOTH_CLIENTS
@of_each(ANSWERED)
def test_client_receives_recorded_responses_as_recorded(lists: Lists, client: Client | ClientOnLoop, name: str) -> None:
    case = CASES[name]
    send(client, case)
    lists.push(REPLIES, *recorded_frames(case["response"], case["content_type"]))

    received = list(client.get_all_responses("vec", receive_timeout_in_seconds=5))

    assert [request_id for request_id, _ in received] == [one["request_id"] for one in case["client_receives"]]
    for (_, response), one in zip(received, case["client_receives"], strict=True):
        assert differences(from_notation(one["job_response"]), as_message(response)) == []
    assert lists.connection.command("KEYS", "*") == [
        b"pysoa:" + REQUESTS.encode()
    ]  # the request, as nobody serves here


@BOTH_CLIENTS
@of_each(ANSWERED)
def test_client_and_server_understand_each_other(
    servers: dict[str, Lists], lists: Lists, client: Client | ClientOnLoop, name: str
) -> None:
    case = CASES[name]

    send(client, case)
    (request,) = lists.all_of(REQUESTS)
    lists.push(REPLIES, *servers[settings_of_server(name)].answers(request, REPLIES, is_answered=True))
    received = list(client.get_all_responses("vec", receive_timeout_in_seconds=5))

    ((request_id, response),) = received
    (recorded,) = case["client_receives"]
    assert request_id == recorded["request_id"]
    assert differences(from_notation(recorded["job_response"]), as_message(response)) == []
    assert lists.connection.command("KEYS", "*") == []


@of_each(name for name in CASES_0_42 if name not in LEFT_OUT_OF_0_42)
def test_server_answers_clients_of_0_42_as_servers_of_0_42_did(servers: dict[str, Lists], name: str) -> None:
    case = CASES_0_42[name]
    lists = servers["json" if case["content_type"] == JSON else "plain"]
    (request,) = recorded_frames(case["request"], case["content_type"])

    frames = lists.answers(request, REPLIES, is_answered=bool(case.get("response")))

    assert frames == recorded_frames(case["response"], case["content_type"])


@BOTH_CLIENTS
@of_each(name for name, case in CASES_0_42.items() if case.get("response"))
def test_client_understands_servers_of_0_42(
    kind: type[Client | ClientOnLoop], broker: Broker, lists: Lists, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES_0_42[name]
    with make_client(kind, broker, monkeypatch, case) as client:
        send(client, case)
        lists.push(REPLIES, *recorded_frames(case["response"], case["content_type"]))

        received = list(client.get_all_responses("vec", receive_timeout_in_seconds=5))

    ((request_id, response),) = received
    (recorded,) = case["client_receives"]
    expected = {"context": {}, **from_notation(recorded["job_response"])}
    for errors in [expected["errors"], *(action["errors"] for action in expected["actions"])]:
        errors[:] = [{**error, "denied_permissions": None, "is_caller_error": False} for error in errors]
    assert request_id == recorded["request_id"]
    assert differences(expected, as_message(response)) == []
