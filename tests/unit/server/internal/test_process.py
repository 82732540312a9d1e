from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysoa.common.instruments import NO_METRICS
from pysoa.common.serializer.errors import InvalidMessage
from pysoa.common.transport.errors import ConnectionError as TransportConnectionError
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveError
from pysoa.common.types import ActionResponse
from pysoa.server.internal import process
from pysoa.server.server import HarakiriInterrupt, Server
from tests.support.scripted import job, make_server, run_script


def act(settings: Any) -> Any:
    return lambda request: ActionResponse(request.action)


class TracedServer(Server):
    service_name = "x"
    action_class_map = {"act": act}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trace: list[str] = []

    def setup(self) -> None:
        self.trace.append("setup")

    def teardown(self) -> None:
        self.trace.append("teardown")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses of the loop, which are not made."""
    found: list[float] = []
    monkeypatch.setattr(process.time, "sleep", found.append)
    return found


def messages_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "pysoa.server"]


def test_a_run_sets_up_serves_and_tears_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pysoa.server")
    server = make_server(TracedServer)

    responses = run_script(server, job("act"), None, job("act"))

    assert len(responses) == 2
    assert server.trace == ["setup", "teardown"]
    assert server.transport.calls == ["start_serving", "close"]
    assert server.exit_code == 0
    first, *_, last_but_one, last = messages_of(caplog)
    assert first.startswith('Service "x" server starting up, pysoa version ')
    assert (last_but_one, last) == ("Server shutting down", "Server shutdown complete")


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(InvalidMessageError("No request ID for service x"), id="envelope"),
        pytest.param(InvalidMessage("cannot be read"), id="payload"),
        pytest.param(MessageReceiveError("the broker failed"), id="broker"),
        pytest.param(TransportConnectionError("no connection"), id="connection"),
        pytest.param(KeyError("a fault in a transport"), id="foreign"),
        pytest.param(RecursionError(), id="recursion"),
        pytest.param({}, id="empty job"),
        pytest.param({"control": 1, "context": 2, "actions": 3}, id="numbers"),
        pytest.param([1], id="list"),
        pytest.param("text", id="text"),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_nothing_that_comes_ends_the_loop(junk: Any) -> None:
    server = make_server(TracedServer)

    responses = run_script(server, *[junk] * 20, job("act"))

    assert responses[-1]["actions"] == [{"action": "act", "errors": [], "body": {}}]
    assert server.exit_code == 0


def test_junk_is_logged_once_a_second_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(TracedServer)

    run_script(server, *[InvalidMessageError("a\nb")] * 50, *[InvalidMessage("c")] * 50)

    assert [message for message in messages_of(caplog) if "Dropped" in message] == [
        r"Dropped a message that cannot be read (1 since the last such line): InvalidMessageError: a\nb",
        "Dropped a message that cannot be read (1 since the last such line): InvalidMessage: c",
    ]


def test_a_broker_that_is_away_is_waited_for_and_said_once(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(TracedServer)

    run_script(server, *[MessageReceiveError("down")] * 30, job("act"))

    assert len(pauses) == 30
    assert pauses[0] <= 0.05
    assert all(0.5 <= pause <= 1.0 for pause in pauses[5:])
    away, back = messages_of(caplog)
    assert away.startswith("Transient error receiving message from transport, sleeping 0.0")
    assert away.endswith(" seconds and continuing. (MessageReceiveError: down)")
    assert back.startswith("Receiving messages again after ")


def test_what_a_draining_transport_has_taken_is_served_before_the_end() -> None:
    server = make_server(TracedServer, draining=True)
    server.transport.taken.extend([job("act"), InvalidMessageError("junk"), job("act")])

    responses = run_script(server, job("act"))

    assert len(responses) == 3
    assert server.transport.calls == ["start_serving", "stop_taking", "close"]


def test_other_transports_are_not_asked_again_once_the_server_shuts_down() -> None:
    server = make_server(TracedServer)

    def last() -> Any:
        server.shutting_down = True
        return job("act")

    responses = run_script(server, last, job("act"))

    assert len(responses) == 1


def test_the_first_signal_drains_and_others_of_the_same_storm_change_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "pysoa.server")
    server = make_server(TracedServer, draining=True)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        server.handle_shutdown_signal(number, None)

    assert server.shutting_down
    assert server.transport.calls == ["stop_taking"]
    duplicate = "Ignoring duplicate shutdown signal received within one second of original signal"
    assert messages_of(caplog) == ["Received interrupt, initiating shutdown", duplicate, duplicate]


def test_an_error_of_the_transport_does_not_come_out_of_the_signal_handler() -> None:
    server = make_server(TracedServer, draining=True)
    server.transport.stop_taking = lambda: 1 / 0

    server.handle_shutdown_signal(signal.SIGTERM, None)

    assert server.shutting_down


def test_an_error_that_escapes_an_overridden_loop_step_ends_the_server_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class BrokenServer(TracedServer):
        def handle_next_request(self) -> None:
            raise ValueError("kaboom")

    server = make_server(BrokenServer)

    server.run()

    assert server.exit_code == 1
    assert server.trace == ["setup", "teardown"]
    assert "Unhandled server error; shutting down" in messages_of(caplog)


def test_harakiri_outside_of_jobs_ends_the_server_in_order(caplog: pytest.LogCaptureFixture) -> None:
    class SlowServer(TracedServer):
        def perform_post_request_actions(self) -> None:
            raise HarakiriInterrupt

    server = make_server(SlowServer)

    responses = run_script(server, job("act"), job("act"))

    assert len(responses) == 1
    assert server.exit_code == 1
    assert "Harakiri interrupt occurred outside of action or job handling" in messages_of(caplog)


def test_a_teardown_that_fails_does_not_keep_the_transport_open(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenServer(TracedServer):
        def teardown(self) -> None:
            raise ValueError("kaboom")

    server = make_server(BrokenServer)

    run_script(server)

    assert server.transport.calls == ["start_serving", "close"]
    assert server.exit_code == 1
    assert "Error while shutting down" in messages_of(caplog)


def test_a_server_runs_in_another_thread_without_signals() -> None:
    server = make_server(TracedServer)
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: run_script(server, job("act")))

    thread.start()
    thread.join(10)

    assert len(server.transport.sent) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_handlers_are_there_while_the_server_runs_and_gone_afterwards() -> None:
    server = make_server(TracedServer)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
    during: list[Any] = []

    def look() -> Any:
        during.extend(signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT))

    run_script(server, look)

    assert during == [server.handle_shutdown_signal] * 2
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_heartbeat_file_lives_as_long_as_the_server(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat-{{fid}}"
    server = make_server(TracedServer, heartbeat_file=str(path))
    real_path = tmp_path / "heartbeat-main"
    seen: list[bool] = []

    run_script(server, lambda: seen.append(real_path.exists()))

    assert seen == [True]
    assert not real_path.exists()


def test_a_heartbeat_file_that_cannot_be_made_ends_the_server_in_order(tmp_path: Path) -> None:
    server = make_server(TracedServer, heartbeat_file=str(tmp_path / "missing" / "file"))

    server.run()

    assert server.exit_code == 1
    assert server.trace == ["setup", "teardown"]


def test_coroutines_run_beside_jobs_and_are_finished_before_the_end() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append(threading.current_thread().name)

    def starting(settings: Any) -> Any:
        def start(request: Any) -> ActionResponse:
            request.run_coroutine(work())
            return ActionResponse(request.action)

        return start

    class CoroutineServer(TracedServer):
        action_class_map = {"start": starting}

    server = make_server(CoroutineServer)

    run_script(server, job("start"))

    assert done == ["pysoa-event-loop"]
    assert not server._async_event_loop_thread.is_alive()


def test_a_server_without_coroutines_starts_no_thread() -> None:
    server = make_server(TracedServer)
    threads: list[int] = []

    run_script(server, lambda: threads.append(threading.active_count()))

    assert threads == [threading.active_count()]


def recorded(server_class: type[Server], *script: Any) -> list[Any]:
    server = make_server(server_class, metrics={"path": "tests.support.recording:ListRecorder"})
    run_script(server, *script)
    events: list[Any] = server.metrics.events
    return events


def test_the_life_of_a_worker_is_recorded() -> None:
    class IdleServer(TracedServer):
        def perform_idle_actions(self) -> None:
            self.metrics.events.append("idle")  # type: ignore[attr-defined]

    events = recorded(IdleServer, job("act"))

    running, busy = "server.worker.running", "server.worker.busy"
    assert events == [
        "server.worker.startup",
        (running, 1),
        (busy, 0),
        "publish",
        "server.idle_time start",
        "server.idle_time stop",
        (running, 1),
        (busy, 1),
        "publish",  # the request has been received
        "publish",  # and is about to be served
        (busy, 0),
        "publish",  # once round the loop
        "server.idle_time start",
        "server.idle_time stop",
        "idle",
        (running, 1),
        (busy, 0),
        "publish",
        "publish",
        "server.worker.shutdown",
        (running, 0),
        (busy, 0),
        "publish",
    ]


def raising(error: Callable[[], BaseException]) -> Any:
    def act(request: Any) -> ActionResponse:
        raise error()

    return lambda settings: act


@pytest.mark.parametrize(
    ("script", "event"),
    [
        pytest.param({}, "server.error.job_error", id="malformed"),
        pytest.param(job("explode"), "server.error.unhandled_error", id="exception"),
        pytest.param(job("overrun"), "server.error.harakiri action", id="harakiri"),
        pytest.param(KeyError("fault in a transport"), "server.error.unknown", id="unknown"),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_errors_are_counted(script: Any, event: str) -> None:
    class ErrorServer(TracedServer):
        action_class_map = {"explode": raising(ValueError), "overrun": raising(HarakiriInterrupt)}

    assert event in recorded(ErrorServer, script)


def test_a_recorder_that_records_nothing_is_known_as_such() -> None:
    assert make_server(TracedServer).metrics is NO_METRICS
