"""The life of a blocking server's process: its start, the loop that no input can end, signals, and its end.

``Server.run`` and the signal handlers of ``Server`` are its doors.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Final

from pysoa.common.instruments import NO_METRICS
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.serializer.values import plain
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import MessageReceiveTimeout, PySOATransportError, TransientPySOATransportError
from pysoa.common.types import Body
from pysoa.server import jobs
from pysoa.server.internal.faults import Outage, described
from pysoa.server.internal.harakiri import HarakiriInterrupt, HarakiriWatch, end_process, thread_status
from pysoa.server.internal.heartbeat import Heartbeat
from pysoa.server.internal.notes import JobLeftBehind, JobNotes, inherited_notes
from pysoa.server.internal.signals import ShutdownSignals, SignalHandler, Verdict, handled, in_main_thread
from pysoa.server.internal.watching import RUN_MAIN
from pysoa.version import __version__

if TYPE_CHECKING:
    from pysoa.common.transport.async_base import AsyncServerTransport
    from pysoa.server.server import Server

__all__ = ("ServerProcess",)

_RELOADED_WITHIN_SECONDS: Final = 20.0


class ServerProcess:
    """Runs a server.

    Args:
        server: the server; it is what knows of requests, and its hooks are called.

    Attributes:
        watch: interrupts jobs that run for too long; None where that is switched off or cannot work.
        notes: of jobs, for the next worker in this place; None where there will be none, or no watch.
        note: that of the running job, where there is but one.
        heartbeat: the heartbeat file, if there is one.
        is_receiving: set by the server while it waits for a request, to tell faults of transports from others.
        has_received: set by the server once it has a request.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._logger = logging.getLogger("pysoa.server")
        self._signals = ShutdownSignals()
        self._outage = Outage()
        self._was_struck = False
        self.watch: HarakiriWatch | None = None
        self.notes: JobNotes | None = None
        self.note = 0
        self.heartbeat: Heartbeat | None = None
        self.is_receiving = False
        self.has_received = False

    def run(self) -> None:
        """Start, serve until the shutdown, end."""
        server = self._server
        self._say_hello()
        server.setup()
        server._record("server.worker.startup")
        server._record_state(is_running=True, is_busy=False)

        with handled(self._signal_handlers()):
            try:
                server._async_event_loop_thread.starts_on_demand = True
                self._start_heartbeat()
                self._expect_successor(server.transport)
                server.transport.start_serving()
                for job in self._jobs_left_behind():
                    self._answer_for_another(job)
                self._loop()
            except HarakiriInterrupt:
                self._struck_outside_of_jobs()
            except Exception:  # boundary: whatever it is, the end is an orderly one
                server._record("server.error.unknown")
                self._logger.exception("Unhandled server error; shutting down")
                server.exit_code = 1
            finally:
                self.shut_down()

    def _say_hello(self) -> None:
        self._logger.info(
            'Service "%s" server starting up, pysoa version %s, listening on transport %s.',
            self._server.service_name,
            __version__,
            self._server.transport,
        )

    def _start_heartbeat(self) -> None:
        path = self._server.settings["heartbeat_file"]
        if path:
            self.heartbeat = Heartbeat(path, self._server._forked_process_id)
            self.heartbeat.start()

    def _expect_successor(self, transport: ServerTransport | AsyncServerTransport) -> None:
        """Where code is reloaded, calls are to wait for the next process."""
        if os.environ.get(RUN_MAIN) == "true":
            transport.expect_successor(_RELOADED_WITHIN_SECONDS)

    def _struck_outside_of_jobs(self) -> None:
        self._server._record("server.error.harakiri", harakiri_level="server")
        self._logger.error("Harakiri interrupt occurred outside of action or job handling")
        self._server.exit_code = 1

    def _signal_handlers(self) -> dict[signal.Signals, SignalHandler]:
        server = self._server
        handlers: dict[signal.Signals, SignalHandler] = {
            signal.SIGINT: server.handle_shutdown_signal,
            signal.SIGTERM: server.handle_shutdown_signal,
        }
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # neither nohup nor the service has other plans
            handlers[signal.SIGHUP] = server.handle_shutdown_signal
        limits = server.settings["harakiri"]
        if limits["timeout"] and in_main_thread():
            self.watch = HarakiriWatch(limits["timeout"], limits["shutdown_grace"], server.harakiri, self._is_deaf)
            handlers[signal.SIGALRM] = self.watch.on_alarm
        return handlers

    def begin_job(self) -> None:
        """A job begins; its time starts to run."""
        if self.watch is not None:
            began = self.watch.begin()
            if self.notes is not None:
                self.note = self.notes.begin(self._server.transport.taken, began)

    def end_job(self) -> None:
        """It has ended; what follows may take its time."""
        if self.watch is not None:
            self.watch.end()
            if self.notes is not None:
                self.notes.end(self.note)
                self.note = 0

    def _jobs_left_behind(self) -> list[JobLeftBehind]:
        """The jobs that the worker before, in this place, was ended with because they ran for too long."""
        notes = inherited_notes.get()
        if notes is None or self.watch is None:
            return []
        self.notes = notes
        settings = self._server.settings
        left = notes.take_over(settings["concurrency"])
        return [job for job in left if job.ran_for_seconds >= settings["harakiri"]["timeout"]]

    def _answer_for_another(self, job: JobLeftBehind) -> None:
        """Tell the caller of a job what has become of it."""
        transport = self._server.transport
        with self._telling_for_another():
            message = transport.read_again(job.request)
            body = self._body_for_another(job, message)
            if body is not None:
                transport.send_response_message(message.request_id, message.meta, body)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _telling_for_another(self) -> Iterator[None]:
        try:
            yield
        except MessageReceiveTimeout:
            pass  # its caller has gone
        except Exception as error:  # boundary: transports may be users' code, and the broker may be away
            self._server._faults.note("Could not answer for the worker before, which was ended with a job", error)

    def _body_for_another(self, job: JobLeftBehind, message: ReceivedMessage) -> Body | None:
        """What is sent; None where nobody waits."""
        server, (_, meta, job_request) = self._server, message
        if jobs.is_response_suppressed(job_request) or meta is None:
            return None
        self._logger.warning(
            "Answering for the worker before, which was ended with a job after %.1f seconds", job.ran_for_seconds
        )
        body, _ = server._message_of(jobs.ended_job_response(job_request, job.actions_begun), meta)
        server._log_response(job_request or {}, body, failed=True, request_is_logged=False)
        return body if server.transport.encodes_values else plain(body)

    def _loop(self) -> None:
        """Serve until the shutdown, and then what was taken before it."""
        server = self._server
        while not server.shutting_down:
            self._go_round()
        # Other transports hold nothing that they have not given out, and would go on taking.
        if getattr(type(server.transport), "stop_taking", None) in (None, ServerTransport.stop_taking):
            return
        self._stop_taking()
        self.has_received = True
        while self.has_received and not self._was_struck:
            self._go_round()

    def _go_round(self) -> None:
        server = self._server
        self.has_received = False
        try:
            server.handle_next_request()
        except TransientPySOATransportError as error:
            self._wait_for_broker(error)
        except (PySOATransportError, SerializationError) as error:
            self.has_received = True
            server._faults.note("Dropped a message that cannot be read", error)
        except Exception as error:
            if not self.is_receiving:
                raise
            server._record("server.error.unknown")  # boundary: transports may be users' code
            server._faults.note("Receiving failed in the transport", error, with_traceback=True)
            time.sleep(self._outage.next_pause())
        else:
            if self._outage.failures:
                self._logger.warning("Receiving messages again after %.1f seconds.", self._outage.end())
        if server.metrics is not NO_METRICS:
            server.metrics.publish_all()

    def _wait_for_broker(self, error: Exception) -> None:
        pause = self._pause_for_broker(error)
        if not self._server.shutting_down:
            time.sleep(pause)

    def _pause_for_broker(self, error: Exception) -> float:
        """Note that the broker is away; the seconds to wait before the next try."""
        is_first = not self._outage.failures
        pause = self._outage.next_pause()
        if is_first:  # one line for each change of the broker's state
            self._logger.warning(
                "Transient error receiving message from transport, sleeping %.3f seconds and continuing. (%s)",
                pause,
                described(error),
            )
        return pause

    def _stop_taking(self) -> None:
        try:
            self._server.transport.stop_taking()
        except Exception as error:  # boundary: in a signal handler, it must not hurt what that has interrupted
            self._server._faults.note("The transport failed to stop", error)

    def start_within(self) -> None:
        """Start without serving, for a transport that has each request served; ``shut_down`` is the end."""
        server = self._server
        server.setup()
        thread = server._async_event_loop_thread
        thread.starts_on_demand = thread.daemon = True  # nobody need close such a transport

    def shut_down(self) -> None:
        """Take every step of the end, whatever the others do."""
        server = self._server
        steps: list[Callable[[], object]] = [server.teardown, self._record_shutdown]
        if server._async_event_loop_thread.is_used:
            steps.append(server._async_event_loop_thread.join)
        steps += [server._upkeep.end, server.transport.close]
        if server._shared_client is not None:
            steps.append(server._shared_client.close)
        if self.heartbeat is not None:
            steps.append(self.heartbeat.stop)
        if self.watch is not None:
            steps.append(self.watch.stop)
        for step in steps:
            try:
                step()
            except Exception:  # boundary: the other steps are still to be taken
                self._logger.exception("Error while shutting down")
                server.exit_code = 1
        self._logger.info("Server shutdown complete")

    def _record_shutdown(self) -> None:
        self._server._record("server.worker.shutdown")
        self._server._record_state(is_running=False, is_busy=False)
        self._server._log_left_out(float("inf"))
        self._logger.info("Server shutting down")

    def shutdown_asked(self) -> None:
        """Take a signal that asks for shutdown.

        Raises:
            SystemExit: it asks to end now.
        """
        verdict = self._signals.judge()
        if verdict is Verdict.NOTHING_MORE:
            text = "Ignoring duplicate shutdown signal received within one second of original signal"
            self._log_from_handler(logging.INFO, text)
        elif verdict is Verdict.DRAIN:
            self._log_from_handler(logging.WARNING, "Received interrupt, initiating shutdown")
            self._server.shutting_down = True
            self._stop_taking()
        else:
            self._log_from_handler(logging.WARNING, "Received double interrupt, forcing shutdown")
            self._server._async_event_loop_thread.cancel_tasks()
            sys.exit(1)

    def _log_from_handler(self, level: int, text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the signal may have come within a write to the same stream
            self._logger.log(level, text)

    def strike(self, frame: FrameType | None) -> None:
        """A job has run for too long.

        Raises:
            HarakiriInterrupt: always; the second time, the process ends instead.
        """
        limits = self._server.settings["harakiri"]
        if self._was_struck:
            end_process(self._last_words)
        self._was_struck = True
        self._server.shutting_down = True
        self._server.exit_code = 1
        if self.watch is not None:
            self.watch.allow_grace(limits["shutdown_grace"])
        self._log_threads(
            frame,
            f"No activity for {limits['timeout']} seconds, triggering harakiri with grace period of "
            f"{limits['shutdown_grace']} seconds",
        )
        raise HarakiriInterrupt

    def _is_deaf(self) -> None:
        """A job goes on after the grace, and the main thread has not come to the handler of the alarm."""
        limits = self._server.settings["harakiri"]
        self._log_threads(
            None,
            f"No activity for {limits['timeout']} seconds and {limits['shutdown_grace']} more, "
            "in which the main thread has heard no signals",
        )
        end_process(self._last_words)

    def _log_threads(self, frame: FrameType | None, text: str) -> None:
        """Say that something hangs, and where each thread is."""
        status = thread_status(frame)
        self._logger.warning("%s", text, extra={"data": {"thread_status": status}})
        stacks = "\n".join(f"{name}:\n{''.join(lines)}" for name, lines in status.items())
        self._logger.info("Current thread status at harakiri trigger:\n%s", stacks)

    def _last_words(self) -> None:
        grace = self._server.settings["harakiri"]["shutdown_grace"]
        self._logger.error("Graceful shutdown failed %s seconds after harakiri. Exiting now!", grace)
        self._server._record("server.error.harakiri", harakiri_level="emergency")
        self._server.metrics.publish_all()
