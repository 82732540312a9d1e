"""The asyncio server: runs the jobs of a ``Server`` side by side in one event loop; the twin of its blocking loop.

A service is defined once, as a subclass of ``Server``; its setting ``concurrency`` says which loop it runs in. Rules
are in ``server.jobs``, steps that both loops take are methods of ``Server``, and what concerns the process is in
``server.internal.async_process``.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType
from typing import Any, Final

from pysoa.common.bridge import run_sync
from pysoa.common.clock import monotonic
from pysoa.common.deadline import reset_deadline, set_deadline, without_deadline
from pysoa.common.instruments import NO_METRICS
from pysoa.common.logging import _action_names as _log_action_names
from pysoa.common.logging import _contexts as _log_contexts
from pysoa.common.logging import printable
from pysoa.common.serializer.values import plain
from pysoa.common.stacks import Task, build_stack
from pysoa.common.transport.async_base import AsyncServerTransport
from pysoa.common.types import (
    ActionResponse,
    Body,
    Context,
    JobResponse,
    answer_message,
    job_response,
    job_response_message,
)
from pysoa.server import jobs
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.coroutine import Coroutine
from pysoa.server.errors import JobError
from pysoa.server.internal.harakiri import HarakiriInterrupt
from pysoa.server.internal.running import RunningJobs
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.internal.upkeep import NO_UPKEEP
from pysoa.server.middleware import AsyncServerMiddleware
from pysoa.server.server import Server
from pysoa.server.types import ActionInterface, EnrichedActionRequest, EnrichedJobRequest, is_async_action

__all__ = ("AsyncServer",)

_BLOCKED_FOR_SECONDS: Final = 0.1
_ROUND_IN_SECONDS: Final = 0.01
_MOST_KINDS: Final = 1024

# In C, and bound once.
_log_context, _push_log_context, _pop_log_context = _log_contexts.get, _log_contexts.set, _log_contexts.reset
_log_action, _push_log_action, _pop_log_action = _log_action_names.get, _log_action_names.set, _log_action_names.reset

_NO_SWITCHES: Final = RequestSwitchSet()


class AsyncServer:
    """Runs a server's jobs in the running event loop.

    Actions and middleware may be plain or asynchronous. Plain actions run in the loop, or on a thread where they say
    that they are ``blocking``; plain middleware around asynchronous actions is suspended with them.

    Args:
        server: what is served: its actions, middleware, settings and hooks. Its transport gives way to the twin.

    Attributes:
        server: the same.
        transport: where requests come from and responses go to.
        loop: the event loop.
        concurrency: how many jobs run at a time at most.
        running: the jobs under way.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.transport = _async_transport(server)
        server.transport = self.transport  # type: ignore[assignment] # hooks may look at it
        self.concurrency: int = server.settings["concurrency"]
        self.running = RunningJobs(self.loop, server.settings["harakiri"], server.logger.error)
        self._threads: ThreadPoolExecutor | None = None
        self._all_blocking: bool = server.settings["blocking_actions"]
        self._coroutines: set[asyncio.Task[Any]] = set()
        self._middleware = [(each, isinstance(each, AsyncServerMiddleware)) for each in server._middleware]
        base: Task = self.execute_job
        if type(server).execute_job is not Server.execute_job:
            base = functools.partial(run_sync, server.execute_job)
        self._process_job, _ = build_stack([(each.job, is_async) for each, is_async in self._middleware], base, True)
        self._is_plain = (
            not self._middleware
            and type(server).process_job is Server.process_job
            and type(server).execute_job is Server.execute_job
            and server.request_class is EnrichedActionRequest
            and not server._makes_own_clients
        )
        self._goes_round_again_at = 0.0
        self._is_async: dict[type, bool] = {}
        self._overrides_process_job = type(server).process_job is not Server.process_job
        self._pre_hook = self._hook("perform_pre_request_actions", server.metrics is not NO_METRICS)
        self._post_hook = self._hook("perform_post_request_actions", bool(server.settings["heartbeat_file"]))
        server._async_server = self
        server._start_task = self.run_coroutine

    def _hook(self, name: str, does_something: bool) -> Callable[[], Any] | None:
        """A hook that is called for each request; None where it is the server's own and has nothing to do."""
        is_own = getattr(getattr(self.server, name), "__func__", None) is getattr(Server, name)
        hook: Callable[[], Any] = getattr(self.server, name)
        does_something = does_something or self.server._upkeep is not NO_UPKEEP
        return hook if does_something or not is_own else None

    # One request

    async def handle(
        self, request_id: int, meta: dict[str, Any], job_request: Body, task: asyncio.Task[Any] | None = None
    ) -> None:
        """Process a request and send the response. What goes wrong is answered, logged, or both.

        Args:
            request_id: of the request.
            meta: of the request, as the transport has received it.
            job_request: its body, as it came.
            task: the current task, for those who know it.
        """
        server, transport = self.server, self.transport
        if task is None:
            task = asyncio.current_task()
            assert task is not None
        if server.metrics is not NO_METRICS:
            server._record_state(is_running=True, is_busy=True)
        now = monotonic()
        if now > self._goes_round_again_at:
            self._goes_round(now)
        moment = jobs.deadline(meta, job_request, now, transport.seconds_until)
        action = jobs.only_action(job_request) if self._is_plain else None
        context = (jobs.request_context(job_request) if action is None else job_request["context"]).copy()
        running = self.running.begin(task, moment, now)
        if (notes := server._process.notes) is not None:
            running.note = notes.begin(transport.taken, now)
        log_token = _push_log_context((context, _log_context(), request_id))
        deadline_token = set_deadline(moment)
        try:
            logs = server.job_logger.isEnabledFor(server.request_log_success_level) and server._log_limit.allows(now)
            if logs:
                server._log_request(job_request, now)
            refusal = None if self._pre_hook is None else await self._refusal_of_hook(self._pre_hook)
            if action is not None and refusal is None:
                message, failed = await self._answer_plainly(action, job_request, context, meta)
            else:
                message, failed = server._message_of(refusal or await self._response_to(job_request), meta)
            if not running.is_late and (action is not None or not jobs.is_response_suppressed(job_request)):
                try:
                    body = message if transport.encodes_values else plain(message)
                    await transport.send_response_message(request_id, meta, body)
                except Exception as error:  # boundary: serializers and transports may be users' code
                    await self._send_other(request_id, meta, server._replacement(error, job_request, message))
            if logs or failed:
                server._log_response(job_request, message, failed=failed, request_is_logged=logs)
        except asyncio.CancelledError:
            # Where its own time was over, outside of its actions, nobody waits for more.
            if not self.running.is_called_off():
                raise
        except Exception as error:  # boundary: no input ends the loop
            server._faults.note("Serving a request failed", error, with_traceback=True)
        finally:
            del self.running.by_task[task]
            if notes is not None:
                notes.end(running.note)
            reset_deadline(deadline_token)
            _pop_log_context(log_token)
            if self._post_hook is not None:
                try:
                    await _settled(self._post_hook())
                except Exception as error:  # boundary: a hook must not end the loop
                    server._faults.note("perform_post_request_actions failed", error, with_traceback=True)
            if server.metrics is not NO_METRICS:
                self._record_end()

    def _record_end(self) -> None:
        if self.running.by_task:
            self.server.metrics.publish_all()
        else:
            self.server._record_state(is_running=True, is_busy=False)
            self.server._begin_idle_time()

    def _goes_round(self, now: float) -> None:
        """Show the harakiri watch that the loop goes round: a hundred times a second is often enough."""
        self._goes_round_again_at = now + _ROUND_IN_SECONDS
        if (watch := self.server._process.watch) is not None:
            watch.goes_round(now)

    async def _refusal_of_hook(self, pre_hook: Callable[[], Any]) -> JobResponse | None:
        """Call the hook before a request. What it raises is in the response that it then has."""
        try:
            await _settled(pre_hook())
        except HarakiriInterrupt:
            return self.server._job_timeout()
        except Exception as error:  # boundary: hooks must not end the loop
            return self.server.handle_unhandled_exception(error, JobResponse)
        return None

    async def _response_to(self, job_request: Body) -> JobResponse:
        """The response to a request; whatever overrides raise is in it."""
        server = self.server
        try:
            if self._overrides_process_job:
                return await run_sync(server.process_job, job_request)
            return await self.process_job(job_request)
        except HarakiriInterrupt:
            return server._job_timeout()
        except Exception as error:  # boundary: hooks and overrides must not end the loop
            return server.handle_unhandled_exception(error, JobResponse)

    async def _send_other(self, request_id: int, meta: dict[str, Any], response: JobResponse | None) -> None:
        """Send what says that a response cannot be sent; drop it when that fails as well."""
        server, transport = self.server, self.transport
        if response is None:
            return
        try:
            body = job_response_message(response, jobs.client_version(meta))
            await transport.send_response_message(request_id, meta, body)
        except Exception as error:  # boundary: there is nobody left to tell
            server._faults.note("Dropped an error response that cannot be sent", error)

    async def process_job(self, job_request: Body) -> JobResponse:
        """Check a job request, given as the plain dict that came, and run it through the middleware.

        Whatever goes wrong is in the response.
        """
        server = self.server
        try:
            request = server._enriched(job_request, server._run_coroutine)
            return server._completed(await self._process_job(request), job_request)
        except (Exception, HarakiriInterrupt, asyncio.CancelledError) as error:
            return self._failed_job(error)

    def _failed_job(self, error: BaseException) -> JobResponse:
        """What a job answers that has raised.

        Raises:
            asyncio.CancelledError: something else than its time has cancelled it.
        """
        server = self.server
        if isinstance(error, asyncio.CancelledError) and not self.running.is_called_off():
            raise error
        if isinstance(error, JobError):
            server._record("server.error.job_error")
            return JobResponse(error.errors)
        if isinstance(error, Exception):  # boundary: middleware and the making of actions are users' code
            return server.handle_unhandled_exception(error, JobResponse)
        return JobResponse([jobs.job_timeout_error()]) if self.running.is_late() else server._job_timeout()

    async def execute_job(self, job_request: EnrichedJobRequest) -> JobResponse:
        """Run the actions of a job, within its middleware.

        Raises:
            JobError: an action failed the whole job.
        """
        server = self.server
        active = job_request.context.get("switches")
        switches = RequestSwitchSet(active) if active else _NO_SWITCHES
        run = jobs.JobRun(job_request.actions, job_request.control)
        while (waiting := run.next_action()) is not None:
            self._note_next_action()
            name = waiting.action
            process = server._action(name)
            if process is None:
                run.record(ActionResponse(name, [jobs.unknown_action_error(name)]))
                continue
            request = server._request_for(waiting, job_request, switches)
            response, is_last = await self._answer(name, process, request)
            run.record(response, is_last=is_last)
        return run.response()

    async def _answer_plainly(
        self, action: Body, job_request: Body, context_as_it_came: Context, meta: dict[str, Any]
    ) -> tuple[Body, bool]:
        """What ``process_job`` and ``execute_job`` do, for the only action of a sound job with nothing around it.

        Most jobs are of that kind. It makes none of what only middleware and overrides would see.

        Returns:
            The body of the response's message, and whether it has errors.
        """
        server = self.server
        self._note_next_action()
        name = action["action"]
        response: Any
        try:
            process: Any = server._action(name)
            if process is None:
                response = ActionResponse(name, [jobs.unknown_action_error(name)])
            else:
                active = context_as_it_came["switches"]
                is_async = self._is_async.get(type(process))
                if is_async is None:
                    is_async = self._is_async_action(process)
                request = EnrichedActionRequest.of_message(
                    action,
                    job_request,
                    context_as_it_came,
                    RequestSwitchSet(active) if active else _NO_SWITCHES,
                    server,
                    self.run_coroutine if is_async else server._run_coroutine,
                    is_async,
                )
                name_token = _push_log_action((name, _log_action()))
                try:
                    if is_async:
                        response = await process(request)
                    else:
                        process, is_async = self._step(name, process)
                        response = process(request)
                        if is_async or isinstance(response, CoroutineType):
                            response = await response
                except (Exception, HarakiriInterrupt, asyncio.CancelledError) as error:
                    response = self._failed_action(name, error)
                finally:
                    _pop_log_action(name_token)
            context = job_request["context"]
            if type(response) is ActionResponse and not response.errors and "correlation_id" in context:
                told = {"correlation_id": context["correlation_id"]}
                return answer_message(response, told, jobs.client_version(meta)), False
            jobs.check_response(response)
            answer = server._completed(job_response([response]), job_request)
        except (Exception, HarakiriInterrupt, asyncio.CancelledError) as error:
            answer = self._failed_job(error)
        return server._message_of(answer, meta)

    def _is_async_action(self, process: Any) -> bool:
        """``is_async_action``, which is remembered where the kind of the action tells."""
        is_async = is_async_action(process)
        if isinstance(process, ActionInterface) and len(self._is_async) < _MOST_KINDS:
            self._is_async[type(process)] = is_async
        return is_async

    def _note_next_action(self) -> None:
        notes = self.server._process.notes
        running = self.running.by_task.get(asyncio.current_task()) if notes is not None else None  # type: ignore[arg-type]
        if notes is not None and running is not None:
            notes.next_action(running.note)

    async def _answer(self, name: str, process: Task, request: Any) -> tuple[ActionResponse, bool]:
        """Run one action in its middleware; its response, and whether it ends the job whatever that says.

        Raises:
            JobError: it fails the whole job.
        """
        name_token = _push_log_action((name, _log_action()))
        try:
            is_async = request.suit(process)
            if not is_async:
                process, is_async = self._step(name, process)
            if self._middleware:
                wraps = [(each.action, wrap_is_async) for each, wrap_is_async in self._middleware]
                process, is_async = build_stack(wraps, process, is_async)
            response: Any = process(request)
            if is_async or isinstance(response, CoroutineType):
                response = await response
            return response, False
        except (Exception, HarakiriInterrupt, asyncio.CancelledError) as error:
            return self._failed_action(name, error), not isinstance(error, Exception)
        finally:
            _pop_log_action(name_token)

    def _step(self, name: str, process: Task) -> tuple[Task, bool]:
        """How an action is run that is not known to be asynchronous, and whether that is to be awaited."""
        is_blocking = getattr(process, "blocking", False)
        is_switched = isinstance(process, SwitchedAction) and type(process).__call__ is SwitchedAction.__call__
        if is_switched and not is_blocking:
            return functools.partial(self._in_variant, name, process), True
        if is_blocking or self._all_blocking:
            return functools.partial(self._in_thread, name, process), True
        return functools.partial(self._in_loop, name, process), False

    async def _in_variant(self, name: str, switched: Any, request: Any) -> Any:
        """Run the action that the switches choose, which middleware may have changed by now, as is its own way."""
        process: Any = switched.chosen_action(request)
        is_async = request.suit(process)
        if not is_async:
            process, is_async = self._step(name, process)
        response = process(request)
        return await response if is_async or isinstance(response, CoroutineType) else response

    def _failed_action(self, name: str, error: BaseException) -> ActionResponse:
        """What an action answers that has raised.

        Raises:
            JobError: it fails the whole job.
            asyncio.CancelledError: something else than its time has cancelled it.
        """
        if isinstance(error, Exception):  # boundary: the runner of actions
            return self.server._failed(name, error)
        if isinstance(error, asyncio.CancelledError) and not self.running.is_called_off():
            raise error
        if self.running.is_late():  # no harakiri, and nobody is there to be answered
            return ActionResponse(name, [jobs.action_timeout_error(name)])
        return self.server._interrupted(name)

    def _in_loop(self, name: str, process: Task, request: Any) -> Any:
        """Run a plain action, and say so when it holds the whole loop up."""
        began = monotonic()
        try:
            return process(request)
        finally:
            took = monotonic() - began
            if took > _BLOCKED_FOR_SECONDS:
                text = (
                    f"The action {printable(name)} held the event loop up: make it async, or set blocking = True on it"
                )
                self.server._faults.note(text, RuntimeError(f"it took {took:.3f} seconds"))

    async def _in_thread(self, name: str, process: Task, request: Any) -> Any:
        """Run a blocking action on a thread, with the context variables of the job."""
        if self._threads is None:
            size = self.server.settings["thread_pool_size"] or self.concurrency
            self._threads = ThreadPoolExecutor(size, thread_name_prefix="pysoa-action")
        running = self.running.by_task.get(asyncio.current_task())  # type: ignore[arg-type] # there is one
        if running is not None:
            running.thread_action = name
        process = self.server._upkeep.on_thread(process)
        future = self.loop.run_in_executor(self._threads, contextvars.copy_context().run, process, request)
        response = await future
        if running is not None:
            running.thread_action = None  # not where it was cancelled: then the thread goes on
        return response

    # Coroutines beside jobs

    def run_coroutine(self, coroutine: Coroutine) -> Any:
        """Run a coroutine in this loop, beside the job, and give back a future that may be awaited or waited for.

        It may outlive the job, so the deadline of that does not hold for it. The server ends only after it.
        """
        thread = self.server._async_event_loop_thread
        coroutine = thread.wrapped(coroutine)
        with without_deadline():
            task = self.loop.create_task(coroutine)
        self._coroutines.add(task)
        task.add_done_callback(self._coroutines.discard)
        return task

    async def aclose(self) -> None:
        """Wait for coroutines beside jobs, and give back connections and threads."""
        while self._coroutines:
            await asyncio.wait(self._coroutines)
        self.running.stop()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        await self.transport.aclose()


async def _settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _async_transport(server: Server) -> AsyncServerTransport:
    """The asyncio twin of a server's transport.

    Raises:
        ImproperlyConfigured: it has none.
    """
    settings = server.settings["transport"]
    transport_class = settings["object"].async_server_class()
    if transport_class is None:
        raise server.settings_class.ImproperlyConfigured(
            f"concurrency: {settings['path']} cannot be used with asyncio: override its method async_server_class"
        )
    transport: AsyncServerTransport = transport_class(
        server.service_name, server.metrics, server._forked_process_id or 1, **settings.get("kwargs", {})
    )
    return transport
