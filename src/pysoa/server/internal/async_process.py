"""The life of an asyncio server's process: the twin of ``process``, whose signals, heartbeat and harakiri it shares."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.clock import monotonic
from pysoa.common.instruments import NO_METRICS
from pysoa.common.serializer.errors import SerializationError
from pysoa.common.threads import in_thread
from pysoa.common.transport.errors import MessageReceiveTimeout, PySOATransportError, TransientPySOATransportError
from pysoa.server.async_server import AsyncServer
from pysoa.server.internal.harakiri import HarakiriInterrupt, end_process, end_process_later
from pysoa.server.internal.notes import JobLeftBehind
from pysoa.server.internal.process import ServerProcess
from pysoa.server.internal.signals import handled

if TYPE_CHECKING:
    from pysoa.server.server import Server

__all__ = ("AsyncServerProcess", "new_event_loop")

_TICK_IN_SECONDS: Final = 0.5


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop, where that is installed, or else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class AsyncServerProcess(ServerProcess):
    """Runs a server in an event loop of its own.

    Each of ``concurrency`` tasks, the workers, takes one request after another. One whose job has left context
    variables behind is replaced, so that no job sees those of another.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._workers: set[asyncio.Task[None]] = set()
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._engine: AsyncServer | None = None
        self._main: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_stuck = False
        self._last_request = 0.0

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._run())
        except HarakiriInterrupt:
            self._struck_outside_of_jobs()
        if self._is_stuck:
            end_process(self._server.metrics.publish_all)  # what is stuck would keep the process from ending

    async def _run(self) -> None:
        """Start, serve until the shutdown, end."""
        server = self._server
        self._event_loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        engine = await self.start_engine()
        engine.running.on_stuck = self._job_is_stuck
        server._record("server.worker.startup")
        server._record_state(is_running=True, is_busy=False)
        with handled(self._signal_handlers()):
            try:
                self._start_heartbeat()
                self._expect_successor(engine.transport)
                await engine.transport.start_serving()
                for job in self._jobs_left_behind():
                    await self._answer_for_another_async(engine, job)
                await self._serve(engine)
            except Exception:  # boundary: whatever it is, the end is an orderly one
                server._record("server.error.unknown")
                self._logger.exception("Unhandled server error; shutting down")
                server.exit_code = 1
            finally:
                await self.end_engine(engine)

    async def start_engine(self) -> AsyncServer:
        """Set the server up in the running loop. It serves what it is told to, until ``end_engine``."""
        server = self._server
        self._engine = engine = AsyncServer(server)
        self._say_hello()
        await _called(server.setup)
        server._async_event_loop_thread.starts_on_demand = True
        return engine

    async def _answer_for_another_async(self, engine: AsyncServer, job: JobLeftBehind) -> None:
        with self._telling_for_another():
            message = await engine.transport.read_again(job.request)
            body = self._body_for_another(job, message)
            if body is not None:
                await engine.transport.send_response_message(message.request_id, message.meta, body)  # type: ignore[arg-type]

    async def _serve(self, engine: AsyncServer) -> None:
        """Take requests until the shutdown, and finish those that were taken before it."""
        loop = asyncio.get_running_loop()
        self._last_request = monotonic()
        self._server._begin_idle_time()
        base = contextvars.copy_context()
        for _ in range(engine.concurrency):
            self._start_worker(base)
        ticking = loop.create_task(self._tick(engine), name="pysoa-tick")
        try:
            while self._workers:
                await asyncio.wait([next(iter(self._workers))])
        finally:
            ticking.cancel()
            await asyncio.wait([ticking])

    def _start_worker(self, base: contextvars.Context) -> None:
        """Start a worker in a context without traces of any job."""
        loop = asyncio.get_running_loop()
        worker = loop.create_task(self._work(base), name="pysoa-worker", context=base.copy())
        self._workers.add(worker)
        worker.add_done_callback(functools.partial(self._worker_ended, base))

    def _worker_ended(self, base: contextvars.Context, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if worker.cancelled():
            # By its own job, which may do so; or by the end of the loop, which wants no other.
            if self._is_stopping or self._main is None or self._main.cancelling() or self._main.done():
                return
        elif error is None:
            return
        elif isinstance(error, Exception):
            self._server._faults.note("A worker failed", error, with_traceback=True)
        elif isinstance(error, HarakiriInterrupt):
            self._struck_outside_of_jobs()
        self._start_worker(base)

    async def _work(self, base: contextvars.Context) -> None:
        """Serve one request after another."""
        engine, server = self._engine, self._server
        assert engine is not None
        receive, handle = engine.transport.receive_request_message, engine.handle
        before = contextvars.copy_context()
        task = asyncio.current_task()
        while True:
            try:
                request_id, meta, job_request = await receive()
            except MessageReceiveTimeout:
                if self._is_stopping:
                    return
                continue
            except Exception as error:  # boundary: transports may be users' code
                await self._receive_failed(error)
                continue
            if request_id is None or meta is None or job_request is None:
                self._logger.warning("Thought to be impossible, but the transport returned None")
                continue
            if self._outage.failures:
                self._say_outage_is_over()
            self._last_request = monotonic()
            await handle(request_id, meta, job_request, task)
            if server.shutting_down and not self._is_stopping:
                self._begin_stop()
            if contextvars.copy_context() != before:
                self._start_worker(base)
                return

    def _say_outage_is_over(self) -> None:
        self._logger.warning("Receiving messages again after %.1f seconds.", self._outage.end())

    async def _receive_failed(self, error: Exception) -> None:
        server = self._server
        if isinstance(error, TransientPySOATransportError):
            await asyncio.sleep(self._pause_for_broker(error))
        elif isinstance(error, PySOATransportError | SerializationError):
            server._faults.note("Dropped a message that cannot be read", error)
        else:
            server._record("server.error.unknown")
            server._faults.note("Receiving failed in the transport", error, with_traceback=True)
            await asyncio.sleep(self._outage.next_pause())

    async def _tick(self, engine: AsyncServer) -> None:
        """Now and then, show that the loop goes round, and look whether it is to end or has nothing to do."""
        server = self._server
        idle_after = server.settings["transport"].get("kwargs", {}).get("receive_timeout_in_seconds", 5)
        is_receiving = False
        while True:
            if self.watch is not None:
                # Harakiri strikes a loop that does not come by here; what holds it up may have begun just before.
                self.watch.goes_round(monotonic() + _TICK_IN_SECONDS)
            if server.shutting_down and not self._is_stopping:
                self._begin_stop()
            # Twice, for the broker may be about to refuse what it was asked just now.
            is_receiving, was_receiving = engine.transport.is_receiving, is_receiving
            if self._outage.failures and is_receiving and was_receiving:
                self._say_outage_is_over()
            if not engine.running.by_task and monotonic() - self._last_request > idle_after:
                self._last_request = monotonic()
                await self._be_idle(engine)
            if server.metrics is not NO_METRICS:
                server.metrics.publish_all()
            await asyncio.sleep(_TICK_IN_SECONDS)

    async def _be_idle(self, engine: AsyncServer) -> None:
        server = self._server
        server._log_left_out(monotonic())
        server._end_idle_time()
        try:
            await _called(server.perform_idle_actions)
        except Exception as error:  # boundary: a hook must not end the loop
            server._faults.note("perform_idle_actions failed", error, with_traceback=True)
        if not engine.running.by_task:
            server._record_state(is_running=True, is_busy=False)
            server._begin_idle_time()

    # The end

    def _stop_taking(self) -> None:
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self._begin_stop)

    def shutdown_asked(self) -> None:
        try:
            super().shutdown_asked()
        except SystemExit:
            # Jobs that do not let themselves be cancelled, and threads, would keep the process from ending.
            end_process_later()
            raise

    def _begin_stop(self) -> None:
        if self._is_stopping or self._engine is None:
            return
        self._is_stopping = True
        self._server.shutting_down = True
        try:
            self._engine.transport.stop_taking()
        except Exception as error:  # boundary: transports may be users' code
            self._server._faults.note("The transport failed to stop", error)

    def _job_is_stuck(self, text: str) -> None:
        """A job does not end that has run for too long: drain, and end the process at the latest after the grace."""
        self._log_threads(None, f"{text}; shutting down")
        self._server._record("server.error.harakiri", harakiri_level="server")
        self._server.exit_code = 1
        self._is_stuck = True
        self._begin_stop()
        assert self._event_loop is not None
        grace = self._server.settings["harakiri"]["shutdown_grace"]
        self._event_loop.call_later(grace, end_process, self._last_words)

    async def end_engine(self, engine: AsyncServer) -> None:
        """Take every step of the end, whatever the others do."""
        server = self._server
        steps: list[Callable[[], Any]] = [server.teardown, self._record_shutdown, engine.aclose]
        if server._async_event_loop_thread.is_used:
            steps.append(functools.partial(in_thread, server._async_event_loop_thread.join))
        steps.append(server._upkeep.end)
        for client in (server._shared_client, server._shared_async_client):
            if client is not None:
                steps.append(client.close)
        if self.heartbeat is not None:
            steps.append(self.heartbeat.stop)
        if self.watch is not None:
            steps.append(self.watch.stop)
        for step in steps:
            try:
                await _called(step)
            except Exception:  # boundary: the other steps are still to be taken
                self._logger.exception("Error while shutting down")
                server.exit_code = 1
        self._logger.info("Server shutdown complete")


async def _called(hook: Callable[[], Any]) -> Any:
    """The result of a hook, which may be a coroutine function."""
    result = hook()
    return await result if inspect.isawaitable(result) else result
