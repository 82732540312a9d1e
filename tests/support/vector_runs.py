"""Runs the golden vectors: starts the services that they were recorded with, and compares their answers."""

from __future__ import annotations

import importlib.util
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pysoa.cli.broker import Broker
from pysoa.common.protocol.frames import read_frame
from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.serializer.base import Serializer
from tests.support.processes import ROOT, Process, python
from tests.support.raw import RawConnection, wait_until

HAS_CONFORMITY = importlib.util.find_spec("conformity") is not None

MSGPACK = "application/msgpack"
JSON = "application/json"
SERIALIZERS: dict[str, Serializer] = {MSGPACK: MsgpackSerializer(), JSON: JSONSerializer()}


def start_service(
    broker: Broker,
    name: str = "vec",
    *,
    clock: float | None = None,
    transport: Mapping[str, Any] | None = None,
    error_detail: str | None = "full",
    **settings: Any,
) -> Process:
    """Start ``vec`` or ``vec_b`` in a process of its own.

    Args:
        broker: where it serves.
        name: which of the two.
        clock: the broker time at which it stands still; None for the real one.
        transport: settings of its transport.
        error_detail: what callers are told of exceptions; None for the default.
        settings: further settings of the server.
    """
    if error_detail is not None:
        settings["error_detail"] = error_detail
    run = {
        "port": broker.port,
        "transport": dict(transport or {}),
        "settings": settings,
    }
    if clock is not None:
        run["clock"] = clock
    return Process(
        *python("-m", "vec_service", name, "-s", "vec_service.settings"),
        env={"VEC_SERVICE": json.dumps(run), "PYTHONPATH": str(ROOT / "tests/support/vector_services")},
    )


class StandingClock:
    """Takes the place of a master's clock, and always tells the same time."""

    is_known = True

    def __init__(self, time: float) -> None:
        self._time = time

    def now(self) -> float:
        return self._time

    def is_due(self) -> bool:
        return False

    def set(self, reply: object) -> None:
        pass


def envelope(body: Any, reply_to: str, *, expires_at: float, request_id: int = 31, **more_meta: Any) -> dict[str, Any]:
    """A whole message."""
    return {
        "request_id": request_id,
        "meta": {**more_meta, "reply_to": reply_to, "__expiry__": expires_at},
        "body": body,
    }


def status_request() -> dict[str, Any]:
    """A job that both services answer."""
    return {
        "control": {"continue_on_error": False},
        "context": {"correlation_id": "still-there", "switches": []},
        "actions": [{"action": "status", "body": {"verbose": False}}],
    }


class Lists:
    """The Redis lists of the services, seen from outside.

    Attributes:
        connection: the connection that is used.
    """

    def __init__(self, broker: Broker) -> None:
        self.connection = RawConnection(broker.url, timeout=30)

    def reply_to(self, service: str = "vec") -> str:
        """The name of a reply queue that nobody has used yet."""
        return f"service.{service}.{uuid.uuid4().hex}!00000000002a"

    def push(self, queue: str, *frames: bytes) -> None:
        """Push frames to a queue, given without the prefix of all keys."""
        self.connection.command("RPUSH", f"pysoa:{queue}", *frames)

    def pop(self, queue: str, timeout: float = 20.0) -> bytes:
        """Wait for a frame."""
        popped = self.connection.command("BLPOP", f"pysoa:{queue}", timeout)
        assert popped is not None, f"nothing came to {queue} within {timeout:g} s"
        frame: bytes = popped[1]
        return frame

    def all_of(self, queue: str) -> list[bytes]:
        """Take the frames that are there."""
        frames: list[bytes] = self.connection.command("LRANGE", f"pysoa:{queue}", 0, -1)
        self.connection.command("DEL", f"pysoa:{queue}")
        return frames

    def answers(self, frame: bytes, reply_to: str, service: str = "vec", *, is_answered: bool) -> list[bytes]:
        """What a service answers to a frame, which has to be something or nothing.

        A second request is pushed behind it, whose answer tells that the service lives on. Where jobs run side by side
        it does not tell that the first is done: what comes too late for this is found by ``drained``.
        """
        other = self.reply_to(service)
        request = envelope(status_request(), other, expires_at=4e9, request_id=32)
        header = b"pysoa-redis/3//content-type:application/msgpack;"
        self.push(f"service.{service}", frame, header + SERIALIZERS[MSGPACK].dict_to_blob(request))
        first = [self.pop(reply_to)] if is_answered else []
        assert read_message(self.pop(other))["body"]["errors"] == []
        return first + self.all_of(reply_to)

    def drained(self, *servers: Process) -> set[str]:
        """Stop the servers, which finish what they have taken, and return the queues in which something is left."""
        for server in servers:
            # One that no test has asked may still be starting, and does not know yet what to do with a signal.
            server.wait_for_line("server starting up")
        wait_until(self._are_all_announced(len(servers)), "the servers serve")
        for server in servers:
            server.terminate()
        assert [server.wait() for server in servers] == [0] * len(servers)
        return {key.decode() for key in self.connection.command("KEYS", "pysoa:service.*")}

    def _are_all_announced(self, count: int) -> Callable[[], bool]:
        def are_announced() -> bool:
            keys = self.connection.command("KEYS", "pysoa:presence.*")
            return sum(self.connection.command("ZCOUNT", key, "1", "+inf") for key in keys) >= count

        return are_announced

    def close(self) -> None:
        self.connection.close()


def read_message(frame: bytes, content_type: str = MSGPACK) -> dict[str, Any]:
    """The message in a frame; the content type is for frames that do not say theirs."""
    parts = read_frame(frame)
    return SERIALIZERS[parts.content_type or content_type].blob_to_dict(parts.payload)


_ADDRESS = re.compile("0x[0-9a-f]+")


def _fits_marker(marker: str, value: Any) -> bool:
    if marker == "<<TRACEBACK>>":
        return isinstance(value, str) and value.startswith("Traceback (most recent call last):\n")
    if marker == "<<VERSION>>":
        return isinstance(value, str) and value[:1].isdigit()
    if marker == "<<BUILT_IN_TEXT>>":
        return isinstance(value, str) and len(value) > 0
    return isinstance(value, str) and _ADDRESS.sub("<<ADDRESS>>", value) == marker


def differences(expected: Any, value: Any, where: str = "") -> list[str]:
    """How a value differs from what is expected, which may hold the markers of ``behaviour.json``.

    The order of keys does not matter; types do.
    """
    if isinstance(expected, str) and "<<" in expected:
        return [] if _fits_marker(expected, value) else [f"{where}: {value!r} is not like {expected}"]
    if type(expected) is not type(value):
        return [f"{where}: {value!r} instead of {expected!r}"]
    if isinstance(expected, dict):
        found = [f"{where}: no key {key!r}" for key in expected.keys() - value.keys()]
        found += [f"{where}: surplus key {key!r}" for key in value.keys() - expected.keys()]
        for key in expected.keys() & value.keys():
            found += differences(expected[key], value[key], f"{where}.{key}")
        return found
    if isinstance(expected, list):
        if len(expected) != len(value):
            return [f"{where}: {len(value)} items instead of {len(expected)}: {value!r}"]
        return [
            text
            for i, pair in enumerate(zip(expected, value, strict=True))
            for text in differences(*pair, f"{where}.{i}")
        ]
    return [] if expected == value else [f"{where}: {value!r} instead of {expected!r}"]


def as_0_42(job_response: dict[str, Any]) -> dict[str, Any]:
    """A job response in the words that clients of 0.42 know: they refuse all others."""

    def known(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                key: value
                for key, value in error.items()
                if key != "is_caller_error" and not (key == "denied_permissions" and value is None)
            }
            for error in errors
        ]

    return {
        "errors": known(job_response["errors"]),
        "actions": [{**action, "errors": known(action["errors"])} for action in job_response["actions"]],
    }
