"""Each metric is recorded and each line is logged by real clients and servers, over real brokers that fail."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pysoa.cli.broker import Broker
from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from tests.support.brokers import SentinelGroup, restarted
from tests.support.faults import BOTH_ENGINES, by_sentinel, routing, standard, workers_of
from tests.support.loops import ClientOnLoop
from tests.support.processes import Process
from tests.support.raw import RawConnection, command, wait_until
from tests.support.recording import Recorded, lines_in_table, names_in_table, read_records

MICROSECONDS = 10**6
CALLS_OFF_AFTER_A_SECOND = {"harakiri": {"timeout": 1, "shutdown_grace": 1}}
SEEN_ELSEWHERE = (
    "client.receive.error.unknown_request_id",  # of transports that hand out whatever comes
    "server.transport.redis_gateway.receive.put_back",  # of workers that are quick enough to take requests ahead
)
LOGGED_ELSEWHERE = (
    "Thought to be impossible, but the transport returned None",  # see test_server
    "Async event loop is already not running!",  # see test_event_loop
)
SIZES = {
    "chunk_messages_larger_than_bytes": 102_400,
    "log_messages_larger_than_bytes": 102_400,
    "maximum_message_size_in_bytes": 600_000,
}
JOB = {"control": {"continue_on_error": False}, "context": {"switches": []}, "actions": [{"action": "echo"}]}


class Scene:
    """Services and clients of one engine, and what they have recorded."""

    def __init__(
        self, start_module: Callable[..., Process], folder: Path, concurrency: int, stack: contextlib.ExitStack
    ) -> None:
        self.concurrency = concurrency
        self.folder = folder
        self._start_module = start_module
        self._stack = stack
        self._processes: list[Process] = []
        self._records = folder / "records"
        self._metrics = {"path": "tests.support.recording:FileRecorder", "kwargs": {"path": str(self._records)}}

    def start(self, name: str, backend: Any, server: str = "RecordedServer", **settings: Any) -> Process:
        """Start a service."""
        kwargs = {**backend, "receive_timeout_in_seconds": 1, **settings.pop("kwargs", {})}
        path = "pysoa.common.transport.redis_gateway.server:RedisServerTransport"
        settings = {
            "transport": {"path": path, "kwargs": kwargs},
            "metrics": self._metrics,
            "concurrency": self.concurrency,
            "logging": {"formatters": {"console": {"format": "%(levelname)s %(name)s %(message)s"}}},
            **settings,
        }
        run = {"name": name, "server": server, "settings": settings}
        module = "tests.support.recorded_service"
        process = self._start_module(module, "-s", module, env={"RECORDED_SERVICE": json.dumps(run)})
        self._processes.append(process)
        return process

    def client(self, name: str, backend: Any, **kwargs: Any) -> Any:
        """A client of a service."""
        settings = routing(backend, name, **kwargs)
        settings[name]["metrics"] = self._metrics
        client: Any = Client(settings) if self.concurrency == 1 else ClientOnLoop(settings)
        self._stack.callback(client.close)
        return client

    def recorded(self, prefix: str = "") -> list[Recorded]:
        """What has been recorded under names that begin so."""
        return [record for record in read_records(self._records) if record.name.startswith(prefix)]

    def output(self) -> str:
        """What all services have written."""
        return "".join(process.output for process in self._processes)

    def levels(self) -> set[str]:
        """What has been called off because it took too long."""
        return {record.tags["harakiri_level"] for record in self.recorded("server.error.harakiri")}

    def wait_for(self, *names: str) -> None:
        """Wait until these have been recorded."""
        for name in names:
            wait_until(lambda name=name: self.recorded(name), f"{name} is recorded", 20.0)


@pytest.fixture
def scene(start_module: Callable[..., Process], tmp_path: Path, concurrency: int) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        yield Scene(start_module, tmp_path, concurrency, stack)


def call(client: Any, name: str, action: str, timeout: float = 5.0, **body: Any) -> Any:
    """Call, and give back the response or the error."""
    try:
        return client.call_action(
            name, action, body, timeout=timeout, raise_action_errors=False, raise_job_errors=False
        )
    except PySOAError as error:
        return error


@BOTH_ENGINES
def test_each_metric_is_recorded_and_each_line_is_logged(
    scene: Scene, fresh_broker: Broker, start_brokers: Callable[..., Broker], sentinel: SentinelGroup
) -> None:
    dying = start_brokers()
    backend = standard(fresh_broker.url)
    watched = by_sentinel(sentinel.sentinels, sentinel.name)
    watched["backend_layer_kwargs"]["sentinel_failover_retries"] = 3
    heartbeat = str(scene.folder / "heartbeat")
    main = scene.start("main", backend, kwargs=SIZES, heartbeat_file=heartbeat, request_log_limit=1)
    scene.start("full", backend, kwargs={"queue_capacity": 1})
    scene.start("late", backend, **CALLS_OFF_AFTER_A_SECOND)
    scene.start("late_job", backend, **CALLS_OFF_AFTER_A_SECOND)
    scene.start("late_hook", backend, "SlowAfterwards", **CALLS_OFF_AFTER_A_SECOND)
    scene.start("stuck", backend, **CALLS_OFF_AFTER_A_SECOND)
    scene.start("broken", backend, heartbeat_file="/no/such/folder/heartbeat")
    told = scene.start("told", backend)
    lost = scene.start("dying", standard(dying.url))
    scene.start("watched", watched)
    for url, name in ((fresh_broker.url, "main"), (fresh_broker.url, "full"), (dying.url, "dying")):
        wait_until(lambda url=url, name=name: workers_of(url, name), f"{name} serves", 20.0)

    for step in (_calls, _junk, _full_queues, _refusals):
        step(scene, fresh_broker, backend)
    _late_jobs(scene, backend)
    _signals(scene, backend, told)
    _death_of_a_broker(scene, dying, lost)
    _death_of_a_master(scene, sentinel, watched)
    _end(scene, backend, main)

    seen = {record.name: record.kind for record in scene.recorded() if not re.search(r"retry_[2-9]$", record.name)}
    wanted = {name.replace("<n>", "1"): kind for name, kind in names_in_table().items()}
    for name in SEEN_ELSEWHERE:
        seen.setdefault(name, wanted[name])
    assert seen == wanted
    assert {record.value for record in scene.recorded() if record.kind == "timer"} == {MICROSECONDS}
    assert {record.name for record in scene.recorded() if record.tags} == {"server.error.harakiri"}
    assert _lines_missing(scene) == []


def _lines_missing(scene: Scene) -> list[str]:
    """Lines of the table that no service has written."""
    missing = []
    for logger, level, text in lines_in_table():
        pattern = ".*".join(map(re.escape, f"{level} {logger} {text}".split("...")))
        is_of_loop = logger == "pysoa.async" and scene.concurrency > 1  # where all is in one loop
        if not (is_of_loop or text in LOGGED_ELSEWHERE or re.search(f"^{pattern}$", scene.output(), re.MULTILINE)):
            missing.append(text)
    return missing


def _calls(scene: Scene, broker: Broker, backend: Any) -> None:
    client = scene.client("main", backend, maximum_message_size_in_bytes=100_000)
    assert call(client, "main", "echo", a=1).body == {"a": 1}
    for action in ("silent_error", "job_error", "junk", "unwritable", "no_such_action", "background"):
        call(client, "main", action)
    for _ in range(60):
        call(client, "main", "echo")
    call(client, "main", "large", size=150_000)
    call(client, "main", "large", size=700_000)
    call(client, "main", "echo", text="x" * 200_000)
    request_id = client.send_request("main", [{"action": "echo"}])
    assert [one for one, _ in client.get_all_responses("main", receive_timeout_in_seconds=5)] == [request_id]


def _junk(scene: Scene, broker: Broker, backend: Any) -> None:
    """Messages that expired, that lack something, or that are none."""
    now = time.time()
    reply_to = "service.main.0123456789abcdef0123456789abcdef!1"
    with RawConnection(broker.url) as connection:
        for message in (
            {"request_id": 1, "meta": {"reply_to": reply_to, "__expiry__": now - 60}, "body": JOB},
            {"request_id": 1, "meta": {"__expiry__": now + 60}, "body": JOB},
            {"request_id": 1, "meta": {"reply_to": "service.other.0!1", "__expiry__": now + 60}, "body": JOB},
            {"meta": {"reply_to": reply_to, "__expiry__": now + 60}, "body": JOB},
        ):
            connection.command("RPUSH", "pysoa:service.main", msgpack.packb(message))
        with _unanswered_call(scene, connection, backend) as request:
            reply = {"request_id": request["request_id"], "meta": {"__expiry__": now - 60}, "body": {}}
            unknown = {"request_id": 7, "meta": {"__expiry__": now + 60}, "body": {}}
            for message in (reply, unknown, {"meta": {}, "body": {}}):
                connection.command("RPUSH", f"pysoa:{request['meta']['reply_to']}", msgpack.packb(message))


@contextlib.contextmanager
def _unanswered_call(scene: Scene, connection: RawConnection, backend: Any) -> Iterator[dict[str, Any]]:
    """The request of a call that goes on during the block, and until its time is over."""
    thread = threading.Thread(target=call, args=(scene.client("nobody", backend), "nobody", "echo", 2.5))
    thread.start()
    _, frame = connection.command("BLPOP", "pysoa:service.nobody", 5)
    yield msgpack.unpackb(frame[frame.index(b";") + 1 :])
    thread.join()


def _full_queues(scene: Scene, broker: Broker, backend: Any) -> None:
    client = scene.client("busy", backend, queue_capacity=1, queue_full_retries=2)
    with RawConnection(broker.url) as connection:
        connection.command("RPUSH", "pysoa:service.busy", "a", "b", "c")
        call(client, "busy", "echo", timeout=10.0)
        for number in range(6):
            reply_to = f"service.full.0123456789abcdef0123456789abcde{number}!1"
            connection.command("RPUSH", f"pysoa:{reply_to}", "a", "b", "c")
            meta = {"reply_to": reply_to, "__expiry__": time.time() + 60, "client_version": [1, 4, 9]}
            request = {"request_id": number, "meta": meta, "body": JOB}
            connection.command("RPUSH", "pysoa:service.full", msgpack.packb(request))
    gateway = "server.transport.redis_gateway.send."
    scene.wait_for(f"{gateway}queue_full_retry.retry_1", f"{gateway}error.redis_queue_full")


def _refusals(scene: Scene, broker: Broker, backend: Any) -> None:
    """Keys of the queues hold something else than lists."""
    reply_to = "service.main.00000000000000000000000000000000!2"
    command(broker.url, "SET", "pysoa:service.wrong", "no list")
    command(broker.url, "SET", f"pysoa:{reply_to}", "no list")
    call(scene.client("wrong", backend), "wrong", "echo")
    meta = {"reply_to": reply_to, "__expiry__": time.time() + 60, "client_version": [1, 4, 9]}
    request = msgpack.packb({"request_id": 1, "meta": meta, "body": JOB})
    command(broker.url, "RPUSH", "pysoa:service.main", request)
    with RawConnection(broker.url) as connection, _unanswered_call(scene, connection, backend) as unanswered:
        # By the next pop, after two seconds, this is no list.
        connection.command("SET", f"pysoa:{unanswered['meta']['reply_to']}", "no list")
    scene.wait_for("server.transport.redis_gateway.send.error.response")


def _late_jobs(scene: Scene, backend: Any) -> None:
    print("BEFORE", scene.levels())
    for name, action in (("late", "sleep"), ("late_job", "slow_job"), ("late_hook", "echo"), ("stuck", "deaf")):
        scene.client(name, backend).send_request(name, [{"action": action, "body": {"seconds": 60}}])
    wait_until(lambda: scene.levels() == {"action", "job", "server", "emergency"}, "all are called off", 20.0)


def _signals(scene: Scene, backend: Any, told: Process) -> None:
    noted = scene.folder / "told has begun"
    body = {"seconds": 60, "noted": str(noted)}
    scene.client("told", backend).send_request("told", [{"action": "sleep", "body": body}])
    wait_until(noted.exists, "the request is being served", 20.0)
    told.terminate()
    told.wait_for_line("Received interrupt")
    told.interrupt()
    told.wait_for_line("Ignoring duplicate")
    time.sleep(1.2)  # a second signal is a mistake, a later one is meant
    told.terminate()
    assert told.wait() == 1


def _death_of_a_broker(scene: Scene, broker: Broker, lost: Process) -> None:
    client = scene.client("dying", standard(broker.url))
    _call_and_lose(scene, client, "dying", broker.url, broker.kill)
    call(client, "dying", "echo", timeout=1.0)
    for step in ("send", "receive"):
        scene.wait_for(f"server.transport.redis_gateway.{step}.error.unknown")
    with restarted(broker):
        lost.wait_for_line("Receiving messages again")


def _death_of_a_master(scene: Scene, sentinel: SentinelGroup, backend: Any) -> None:
    client = scene.client("watched", backend)

    def kill_all() -> None:
        for broker in (sentinel.sentinel, *sentinel.brokers):
            broker.kill()

    _call_and_lose(scene, client, "watched", sentinel.primary().url, kill_all)
    call(client, "watched", "echo", timeout=3.0)
    for step in ("send", "receive"):
        scene.wait_for(f"server.transport.redis_gateway.{step}.error.connection")


def _call_and_lose(scene: Scene, client: Any, name: str, url: str, lose: Callable[[], object]) -> None:
    """Lose the broker while a request is being served."""
    wait_until(lambda: workers_of(url, name), "it serves", 20.0)
    assert call(client, name, "echo", a=1).body == {"a": 1}
    noted = scene.folder / f"{name} has begun"
    body = {"seconds": 1, "noted": str(noted)}
    thread = threading.Thread(target=call, args=(client, name, "sleep", 8.0), kwargs=body)
    thread.start()
    wait_until(noted.exists, "the request is being served")
    lose()
    thread.join()


def _end(scene: Scene, backend: Any, main: Process) -> None:
    client = scene.client("main", backend)
    assert call(client, "main", "echo", a=1).body == {"a": 1}
    main.terminate()
    main.wait()
    call(client, "main", "echo")
