"""No bytes on the wire end a worker or hold it for a second: a corpus of shapes, and what hypothesis thinks of."""

from __future__ import annotations

import copy
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from tests.support.faults import BOTH_ENGINES, SERVICE, Services, client_of, standard
from tests.support.processes import Process
from tests.support.raw import RawConnection
from tests.support.vectors import load

QUEUE = f"pysoa:service.{SERVICE}"
REPLY_TO = f"service.{SERVICE}.{'0' * 32}!7f00"
MSGPACK = b"pysoa-redis/3//content-type:application/msgpack;"
JSON = b"pysoa-redis/3//content-type:application/json;"
LIMIT_IN_SECONDS = 1.0
NEVER = 4_000_000_000.5

Message = dict[Any, Any]


def good_message(**meta: Any) -> Message:
    return {
        "request_id": 77,
        "meta": {"client_version": [1, 4, 9], "__expiry__": NEVER, "reply_to": REPLY_TO, **meta},
        "body": {
            "control": {"continue_on_error": False, "suppress_response": False, "timeout": 5},
            "context": {"correlation_id": "c", "switches": [1], "caller": "x", "calling_service": "y"},
            "actions": [{"action": "echo", "body": {"a": 1}}],
        },
    }


def packed(message: Any) -> bytes:
    return MSGPACK + msgpack.packb(message)


IN_BODY = ("body", "actions", 0, "body", "a")
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**64 - 1,
    -(2**63),
    1.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "line\nbreak\x1b[31m\x00\u2028\U0001f600",
    "x" * 300_000,
    b"",
    b"\xff\x00",
    [],
    [None],
    [[[]]],
    {},
    {"": None},
    {1: 2},
    {None: None},
    {b"k": 1},
    {"a": {"b": [{"c": {}}]}},
    [0] * 50_000,
    {str(number): number for number in range(20_000)},
    msgpack.ExtType(1, b""),
    msgpack.ExtType(2, b"\x03USD\x00"),
    msgpack.ExtType(5, b"1e999999999"),
    msgpack.ExtType(42, b"unknown"),
    msgpack.Timestamp(2**33, 999_999_999),
]
PATHS: list[tuple[Any, ...]] = [
    (),
    ("request_id",),
    ("meta",),
    ("meta", "__expiry__"),
    ("meta", "reply_to"),
    ("meta", "client_version"),
    ("meta", "client_version", 0),
    ("meta", "serializer"),
    ("meta", "protocol_version"),
    ("meta", "unknown"),
    ("body",),
    ("body", "unknown"),
    ("body", "control"),
    ("body", "control", "continue_on_error"),
    ("body", "control", "suppress_response"),
    ("body", "control", "timeout"),
    ("body", "control", "unknown"),
    ("body", "context"),
    ("body", "context", "correlation_id"),
    ("body", "context", "switches"),
    ("body", "context", "switches", 0),
    ("body", "context", "caller"),
    ("body", "context", "calling_service"),
    ("body", "context", "request_id"),
    ("body", "context", "self"),
    ("body", "actions"),
    ("body", "actions", 0),
    ("body", "actions", 0, "action"),
    ("body", "actions", 0, "body"),
    ("body", "actions", 0, "unknown"),
]


def with_value(message: Message, path: tuple[Any, ...], value: Any) -> Any:
    """The message with another value at the path."""
    if not path:
        return value
    message = copy.deepcopy(message)
    place: Any = message
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return message


def without(message: Message, path: tuple[Any, ...]) -> Any:
    """The message without what is at the path."""
    message = copy.deepcopy(message)
    place: Any = message
    for step in path[:-1]:
        place = place[step]
    if isinstance(place, list) or path[-1] in place:
        del place[path[-1]]
    return message


def wrong_values() -> Iterator[bytes]:
    for path, value in itertools.product(PATHS, JUNK):
        yield packed(with_value(good_message(), path, value))


def missing_keys() -> Iterator[bytes]:
    for path in PATHS[1:]:
        yield packed(without(good_message(), path))


def odd_keys() -> Iterator[bytes]:
    keys = [None, True, 1, 1.5, b"k", "", "request_id", "correlation_id", "self", "context", "\x1b[2J"]
    for path, key in itertools.product(PATHS, keys):
        message = good_message()
        with_key = copy.deepcopy(message)
        place: Any = with_key
        try:
            for step in path:
                place = place[step]
            place[key] = key
        except (KeyError, TypeError, IndexError):
            continue
        yield packed(with_key)


def json_shapes() -> Iterator[bytes]:
    text = json.dumps(good_message()).encode()
    yield JSON + text
    for payload in (
        b"[" * 200_000,
        b'{"a":' * 200_000,
        text.replace(b"77", b"9" * 200_000),
        text.replace(b"77", b"1e" + b"9" * 50),
        text.replace(b"77", b"NaN"),
        text.replace(b'"x"', b'"\\ud800"'),
        text.replace(b'"x"', b'"\\u0000"'),
        text.replace(b'"x"', b'"\xff"'),
        text + b"x",
        text[:-1],
        b'{"request_id":1,"request_id":2}',
        b"",
        b"null",
    ):
        yield JSON + payload


def bombs() -> Iterator[bytes]:
    for payload in (
        b"\x91" * 300_000,
        b"\x81\xa1a" * 300_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffab",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xdd\x00\x20\x00\x00" + b"\xc0" * 0x200000,
        b"\xdf\x00\x08\x00\x00" + b"".join(b"\xce%b\xc0" % number.to_bytes(4, "big") for number in range(0x80000)),
        b"\xdd\x00\x02\x00\x00" + b"\xd4\x01\x00" * 0x20000,
        b"\xc1",
        b"",
    ):
        yield MSGPACK + payload
    for code in (*range(-3, 12), 127, -128):
        for data in (b"", b"\x00", b"\xff" * 4, b"\xff" * 8, b"\xff" * 12, b"9" * 70_000, b"1e-999999999", b"sNaN"):
            extension = b"\xc9" + len(data).to_bytes(4, "big") + (code % 256).to_bytes(1, "big") + data
            yield packed(with_value(good_message(), IN_BODY, "here")).replace(b"\xa4here", extension)
    many = with_value(good_message(), ("body", "actions"), [{"action": "nothing", "body": {}}] * 20_000)
    yield packed(with_value(many, ("body", "control", "continue_on_error"), True))
    for item in (None, {}, [], 0, {"action": 1}, {"action": "echo", "body": {1: 2}}):
        yield packed(with_value(good_message(), ("body", "actions"), [item] * 300_000))
        yield packed(with_value(good_message(), ("body", "context", "switches"), [item] * 300_000))
    keys: Message = {f"{number:x}": None for number in range(300_000)}
    for path in ((), ("body",), ("body", "control"), ("body", "context"), ("body", "actions", 0), ("meta",)):
        message = good_message()
        place: Any = message
        for step in path:
            place = place[step]
        place.update(keys)
        yield packed(message)
    yield packed(with_value(good_message(), IN_BODY, [0] * 900_000))
    yield packed(with_value(good_message(), IN_BODY, "x" * 10_000_000))
    yield packed(with_value(good_message(), ("body", "actions", 0, "body"), dict.fromkeys(range(300_000))))


def odd_frames() -> Iterator[bytes]:
    good = packed(good_message())
    payload = good[len(MSGPACK) :]
    yield from (good[:length] for length in range(0, len(good), 7))
    yield from (good + tail for tail in (b"x", b"\x00", good))
    for header in (
        b"pysoa-redis/3//",
        b"pysoa-redis/0//",
        b"pysoa-redis/4//",
        b"pysoa-redis/" + b"9" * 100_000 + b"//",
        b"pysoa-redis/-1//",
        b"pysoa-redis/3//content-type:;",
        b"pysoa-redis/3//content-type:application/" + b"x" * 100_000 + b";",
        b"pysoa-redis/3//" + b"content-type:application/json;" * 20_000,
        b"pysoa-redis/3//content-type" + b" " * 200_000 + b":application/msgpack;",
        b"pysoa-redis/3//chunk-count:2;chunk-id:1;",
        b"pysoa-redis/3//chunk-count:1;chunk-id:1;content-type:application/msgpack;",
        b"pysoa-redis/3//chunk-count:" + b"9" * 5000 + b";chunk-id:1;",
        b"pysoa-redis/2//content-type:\x00;",
        b"content-type:application/json;",
    ):
        yield header + payload
    for vector in load("transport_reading")["cases"]:
        yield from (bytes.fromhex(frame) for frame in vector["frames_hex"])


CORPUS: list[Callable[[], Iterable[bytes]]] = [
    wrong_values,
    missing_keys,
    odd_keys,
    json_shapes,
    bombs,
    odd_frames,
]


class Victim:
    """A worker, and who pushes at it and calls it."""

    def __init__(self, worker: Process, client: Client, broker: Broker) -> None:
        self.worker = worker
        body = client.call_action(SERVICE, "measure").body
        self.pid, self._cpu = body["pid"], body["cpu"]
        self.longest = 0.0
        self._client = client
        self._connection = RawConnection(broker.url)

    def takes(self, frames: Iterable[bytes]) -> None:
        """Push frames, one at a time or all at once, and see that the worker answers a good request in time."""
        frames = list(frames)
        if frames:
            self._connection.command("RPUSH", QUEUE, *frames)
        began = time.monotonic()
        body = self._client.call_action(SERVICE, "measure", timeout=10).body
        # On a busy machine the worker may wait for a processor; that is not the frames' doing.
        took = min(time.monotonic() - began, body["cpu"] - self._cpu)
        self._cpu = body["cpu"]
        assert body["pid"] == self.pid, "it is another process"
        assert took < LIMIT_IN_SECONDS, f"{took:.3f} s for {len(frames)} frames: {[frame[:200] for frame in frames]}"
        self.longest = max(self.longest, took)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def victim(broker: Broker, services: Services) -> Iterator[Victim]:
    worker = services.start(standard(broker.url), announced_at=broker.url)
    client = client_of(standard(broker.url))
    victim = Victim(worker, client, broker)
    yield victim
    victim.close()
    client.close()


@BOTH_ENGINES
@pytest.mark.parametrize("shapes", CORPUS, ids=lambda shapes: shapes.__name__)
def test_no_malformed_request_ends_a_worker_or_holds_it_for_a_second(
    victim: Victim, shapes: Callable[[], Iterable[bytes]]
) -> None:
    count = 0
    large: list[bytes] = []
    small: list[bytes] = []
    for frame in shapes():
        count += 1
        (large if len(frame) > 100_000 else small).append(frame)
    for frame in large:
        victim.takes([frame])
    for start in range(0, len(small), 20):
        victim.takes(small[start : start + 20])

    print(f"{count} frames, longest wait for a good answer {victim.longest:.3f} s, ", end="")
    print(f"{len(victim.worker.output.splitlines())} lines written, the longest of {_longest_line(victim)} bytes")
    assert victim.worker.returncode is None
    assert _longest_line(victim) < 20_000


def _longest_line(victim: Victim) -> int:
    return max(len(line.encode()) for line in victim.worker.output.splitlines())


single = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.builds(msgpack.ExtType, st.integers(0, 12), st.binary(max_size=16)),
)
keys = st.one_of(st.text(max_size=8), st.integers(0, 100), st.none(), st.binary(max_size=4), st.floats(allow_nan=False))
values = st.recursive(
    single, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@st.composite
def mangled_messages(draw: st.DrawFn) -> bytes:
    """A good message with other values at some places, or with some left out."""
    message: Any = good_message()
    for path in draw(st.lists(st.sampled_from(PATHS[1:]), min_size=1, max_size=4)):
        try:
            message = with_value(message, path, draw(values)) if draw(st.booleans()) else without(message, path)
        except (KeyError, TypeError, IndexError):  # the place itself has gone
            continue
    return packed(message)


@st.composite
def mangled_bytes(draw: st.DrawFn) -> bytes:
    """A good frame with bytes changed, left out, doubled or put in."""
    frame = bytearray(draw(st.sampled_from((packed(good_message()), JSON + json.dumps(good_message()).encode()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(frame) - 1, 0)))
        length = draw(st.integers(0, 8))
        match draw(st.integers(0, 3)):
            case 0:
                frame[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case 1:
                del frame[at : at + length]
            case 2:
                frame[at:at] = frame[at : at + length]
            case _:
                frame[at:at] = draw(st.binary(max_size=8))
    return bytes(frame)


@BOTH_ENGINES
@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(mangled_messages(), id="values"),
        pytest.param(mangled_bytes(), id="bytes"),
        pytest.param(st.binary(max_size=200), id="noise"),
    ],
)
def test_whatever_a_frame_holds_the_worker_lives_and_answers(victim: Victim, frames: st.SearchStrategy[bytes]) -> None:
    count = itertools.count()

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(st.lists(frames, min_size=10, max_size=40))
    def try_some(batch: list[bytes]) -> None:
        for _ in batch:
            next(count)
        victim.takes(batch)

    try_some()

    print(f"{next(count)} frames, longest wait for a good answer {victim.longest:.3f} s")
    assert victim.worker.returncode is None
    assert _longest_line(victim) < 20_000
