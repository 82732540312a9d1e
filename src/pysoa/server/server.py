"""The blocking server: the hooks that a service overrides, and the loop that serves one request after another.

Rules are in ``server.jobs``, what concerns the process in ``server.internal``; here is what waits and what calls users'
code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pysoa.client.client import Client
from pysoa.common.bridge import wait_for
from pysoa.common.clock import monotonic
from pysoa.common.deadline import reset_deadline, set_deadline
from pysoa.common.instruments import NO_METRICS
from pysoa.common.logging import PySOALogContextFilter
from pysoa.common.serializer.values import plain
from pysoa.common.transport.base import ServerTransport
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, JobResponse, job_response_message
from pysoa.server import jobs
from pysoa.server.action.base import prepare_schemas
from pysoa.server.action.introspection import IntrospectionAction
from pysoa.server.action.status import make_default_status_action_class
from pysoa.server.errors import ActionError, JobError
from pysoa.server.internal.awaiting import CoroutineWaiter
from pysoa.server.internal.event_loop import AsyncEventLoopThread
from pysoa.server.internal.harakiri import HarakiriInterrupt
from pysoa.server.internal.old_ways import ServerAttributes, make_transport
from pysoa.server.internal.process import ServerProcess
from pysoa.server.internal.reports import ServerReports
from pysoa.server.internal.signals import ignore_shutdown_signals
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.internal.upkeep import upkeep_of
from pysoa.server.middleware import (
    AsyncServerMiddleware,
    ServerMiddleware,
    ServerMiddlewareActionTask,
    ServerMiddlewareJobTask,
)
from pysoa.server.settings import ServerSettings
from pysoa.server.types import (
    ActionType,
    Answering,
    EnrichedActionRequest,
    EnrichedJobRequest,
    IntrospectionActionType,
    RunCoroutine,
)

if TYPE_CHECKING:
    from pysoa.client.async_client import AsyncClient
    from pysoa.server.async_server import AsyncServer

__all__ = ("HarakiriInterrupt", "Server", "ServerMiddlewareActionTask", "ServerMiddlewareJobTask")

Task = TypeVar("Task", bound=Callable[..., Any])

_push_log_context = PySOALogContextFilter.push_logging_request_context
_pop_log_context = PySOALogContextFilter.clear_logging_request_context
_push_log_action = PySOALogContextFilter.set_logging_action_name
_pop_log_action = PySOALogContextFilter.clear_logging_action_name


class Server(ServerAttributes, ServerReports):
    """A service. Subclasses set ``service_name`` and ``action_class_map``, and override hooks as they need.

    Overridden hooks call ``super()``. An instance is used by one thread.

    Attributes:
        service_name: the name by which the service is called; required.
        action_class_map: what makes the action of each name, given the settings.
        settings_class: what checks the settings; a service with keys of its own extends ``ServerSettings``.
        request_class: what action requests are made of; a subclass may add fields with defaults.
        client_class: what ``make_client`` makes.
        async_client_class: what ``make_async_client`` makes.
        use_django: whether the settings are Django's.
        introspection_action: stands in for the built-in ``introspect``; given the server, it makes an action.
        settings: the settings of this instance.
        transport: where requests come from and responses go to.
        shutting_down: whether the loop is to end. Set it to end the loop after the request that is being served.
        exit_code: what the process is to exit with after ``run``: not 0 after a fatal error.
    """

    service_name: str | None = None
    action_class_map: Mapping[str, ActionType] = {}
    settings_class: type[ServerSettings] = ServerSettings
    request_class: type[EnrichedActionRequest] = EnrichedActionRequest
    client_class: type[Client] = Client
    async_client_class: type[AsyncClient] | None = None
    use_django: bool = False
    introspection_action: IntrospectionActionType | None = None
    _forked_process_id: int | None = None

    def __init__(self, settings: ServerSettings, forked_process_id: int | None = None) -> None:
        if not self.service_name:
            raise AttributeError("Server subclass must set service_name")
        if isinstance(self.action_class_map, Mapping):
            prepare_schemas(self.action_class_map.values())

        self.settings = settings
        if forked_process_id is None:
            forked_process_id = self._forked_process_id  # set beforehand where a subclass does not pass it on
        self._forked_process_id = forked_process_id
        self._prepare_reports(settings, forked_process_id)
        self.transport: ServerTransport = make_transport(
            settings["transport"], self.service_name, self.metrics, forked_process_id or 1
        )
        self._upkeep = upkeep_of(self)
        self._async_event_loop_thread = AsyncEventLoopThread(
            [*self._upkeep.coroutine_middleware, *_instances(settings["coroutine_middleware"])]
        )
        self._run_coroutine = self._async_event_loop_thread.run_coroutine
        self._start_task: RunCoroutine = self._async_event_loop_thread.create_task  # for asynchronous actions
        self._waiter = CoroutineWaiter(self._async_event_loop_thread)
        self._middleware: list[ServerMiddleware] = _instances(settings["middleware"])
        execute_job: ServerMiddlewareJobTask = self.execute_job
        self._action_wraps = [(each.action, _is_async(each)) for each in self._middleware]
        self._process_job: ServerMiddlewareJobTask
        if any(map(_is_async, self._middleware)):
            job_wraps = [(each.job, _is_async(each)) for each in self._middleware]
            self._process_job = self._waiter.stack(job_wraps, execute_job)
        else:
            self._process_job = self.make_middleware_stack([each.job for each in self._middleware], execute_job)

        self.shutting_down = False
        self.exit_code = 0
        self._skip_django_database_cleanup = False
        self._default_status_action: ActionType | None = None
        self._shared_client: Client | None = None
        self._shared_async_client: AsyncClient | None = None
        self._async_server: AsyncServer | None = None
        self._makes_own_clients = type(self).make_client is not Server.make_client
        self._process = self._make_process()

    # What services override

    @classmethod
    def initialize(cls, settings: ServerSettings) -> type[Server]:  # noqa: ARG003 - for overrides
        """Hook: called once before there is an instance; gives back the class to make it of."""
        return cls

    @classmethod
    def pre_fork(cls) -> None:
        """Hook: called once in the parent, just before workers are forked; not again when one is replaced."""

    def setup(self) -> None:
        """Hook: called at the start of ``run``, before the first request."""

    def teardown(self) -> None:
        """Hook: called at the end of ``run``, after the last request."""

    def perform_pre_request_actions(self) -> None:
        """Hook: called before each request is processed."""
        self._upkeep.before_job()
        if self.metrics is not NO_METRICS:
            self.metrics.publish_all()

    def perform_post_request_actions(self) -> None:
        """Hook: called after each request, when its response has been sent or could not be."""
        self._upkeep.after_job()
        if self._process.heartbeat is not None:
            self._process.heartbeat.beat()

    def perform_idle_actions(self) -> None:
        """Hook: called when no request has come for a while."""
        self._upkeep.when_idle()
        if self._process.heartbeat is not None:
            self._process.heartbeat.beat()

    def make_client(self, context: Context, extra_context: Context | None = None, **kwargs: Any) -> Client:
        """Hook: make the client of a job, ``request.client``; called with the context only.

        All clients made here share their connections. A subclass that overrides this is called for each job, this
        method only for those that use their client.

        Args:
            context: of the job; copied.
            extra_context: added to it.
            kwargs: for the constructor of ``client_class``; such a client shares nothing.
        """
        context = {**context, **(extra_context or {}), "calling_service": self.service_name}
        routing = self.settings["client_routing"]
        if kwargs or not hasattr(self.client_class, "with_context"):
            return self.client_class(routing, context=context, **kwargs)
        if self._shared_client is None:
            self._shared_client = self.client_class(routing, context={})
        return self._shared_client.with_context(context)

    def make_async_client(self, context: Context, extra_context: Context | None = None, **kwargs: Any) -> AsyncClient:
        """Hook: make the client of an ``async`` action, ``request.client``; the twin of ``make_client``."""
        if self.async_client_class is None:
            from pysoa.client.async_client import AsyncClient  # asyncio is not for those who have no use for it

            client_class = AsyncClient
        else:
            client_class = self.async_client_class
        context = {**context, **(extra_context or {}), "calling_service": self.service_name}
        routing = self.settings["client_routing"]
        if kwargs:
            return client_class(routing, context=context, **kwargs)
        if self._shared_async_client is None:
            self._shared_async_client = client_class(routing, context={})
            if self._async_server is None:
                self._async_event_loop_thread.call_at_end(self._shared_async_client.close)
        return self._shared_async_client.with_context(context)

    @staticmethod
    def make_middleware_stack(middleware: Iterable[Callable[[Task], Task]], base: Task) -> Task:
        """Wrap a task in middleware; the first is the outermost."""
        for wrap in reversed(list(middleware)):
            base = wrap(base)
        return base

    # One request

    def handle_next_request(self) -> None:
        """Wait for a request, process it, and send the response.

        What goes wrong once there is a request is answered, logged, or both; only what goes wrong while waiting is
        raised.

        Raises:
            PySOATransportError, SerializationError: no request could be received.
        """
        metrics, process = self.metrics, self._process
        if metrics is not NO_METRICS:
            self._begin_idle_time()
        process.is_receiving = True
        try:
            request_id, meta, job_request = self.transport.receive_request_message()
        except MessageReceiveTimeout:
            process.is_receiving = False
            self._be_idle()
            return
        process.is_receiving = False
        if request_id is None or meta is None or job_request is None:
            self.logger.warning("Thought to be impossible, but the transport returned None")
            self._be_idle()
            return
        process.has_received = True
        if metrics is not NO_METRICS:
            self._record_state(is_running=True, is_busy=True)
        _push_log_context({**jobs.request_context(job_request), "request_id": request_id})
        # Tests may have put a transport here that has no more than it must.
        seconds_until = getattr(self.transport, "seconds_until", None)
        before = set_deadline(jobs.deadline(meta, job_request, monotonic(), seconds_until))
        try:
            self._serve(request_id, meta, job_request)
        except Exception as error:  # boundary: no input ends the loop
            self._faults.note("Serving a request failed", error, with_traceback=True)
        finally:
            _pop_log_context()
            try:
                self.perform_post_request_actions()
            except Exception as error:  # boundary: a hook must not end the loop
                self._faults.note("perform_post_request_actions failed", error, with_traceback=True)
            finally:
                reset_deadline(before)
            if process.watch is not None:
                process.watch.end()
            if metrics is not NO_METRICS:
                metrics.gauge("server.worker.busy").set(0)

    def _serve(self, request_id: int, meta: dict[str, Any], job_request: Body) -> None:
        """Everything between receiving and the hook afterwards."""
        now = monotonic()
        logs = self.job_logger.isEnabledFor(self.request_log_success_level) and self._log_limit.allows(now)
        if logs:
            self._log_request(job_request, now)
        process = self._process
        try:
            process.begin_job()
            self.perform_pre_request_actions()
            job_response = self.process_job(job_request)
        except HarakiriInterrupt:
            job_response = self._job_timeout()
        except Exception as error:  # boundary: hooks and overrides must not end the loop
            job_response = self.handle_unhandled_exception(error, JobResponse)
        process.end_job()

        message, failed = self._message_of(job_response, meta)
        if not jobs.is_response_suppressed(job_request):
            self._send(request_id, meta, job_request, message)
        if logs or failed:
            self._log_response(job_request, message, failed=failed, request_is_logged=logs)
        if process.watch is not None:
            process.watch.begin()  # the hook afterwards has its own time

    def _send(self, request_id: int, meta: dict[str, Any], job_request: Body, message: Body) -> None:
        """Send a response or, where it cannot be sent, one that says so; drop it when that fails as well."""
        transport = self.transport
        try:
            transport.send_response_message(request_id, meta, message if transport.encodes_values else plain(message))
            return
        except Exception as error:  # boundary: serializers and transports may be users' code
            response = self._replacement(error, job_request, message)
        if response is None:
            return
        try:
            transport.send_response_message(request_id, meta, job_response_message(response, jobs.client_version(meta)))
        except Exception as error:  # boundary: there is nobody left to tell
            self._faults.note("Dropped an error response that cannot be sent", error)

    def process_job(self, job_request: Body) -> JobResponse:
        """Check a job request, given as the plain dict that came, and run it through the middleware.

        Whatever goes wrong is in the response.
        """
        if self._async_server is not None:
            return wait_for(self._async_server.process_job(job_request))
        try:
            request = self._enriched(job_request, self._run_coroutine)
            return self._completed(self._process_job(request), job_request)
        except HarakiriInterrupt:
            return self._job_timeout()
        except JobError as error:
            self._record("server.error.job_error")
            return JobResponse(error.errors)
        except Exception as error:  # boundary: middleware and the making of actions are users' code
            return self.handle_unhandled_exception(error, JobResponse)

    def execute_job(self, job_request: EnrichedJobRequest) -> JobResponse:
        """Run the actions of a job, within its middleware.

        Raises:
            JobError: an action failed the whole job.
        """
        if self._async_server is not None:
            return wait_for(self._async_server.execute_job(job_request))
        switches = RequestSwitchSet(job_request.context.get("switches"))
        run = jobs.JobRun(job_request.actions, job_request.control)
        notes = self._process.notes
        while (waiting := run.next_action()) is not None:
            name = waiting.action
            if notes is not None:
                notes.next_action(self._process.note)
            process = self._action(name)
            if process is None:
                run.record(ActionResponse(name, [jobs.unknown_action_error(name)]))
                continue
            request = self._request_for(waiting, job_request, switches)
            request.suit(process)
            if self._action_wraps:
                process = self._waiter.stack(self._action_wraps, process)

            is_last = False
            _push_log_action(name)
            try:
                response: Any = process(request)
                if isinstance(response, CoroutineType):
                    response = self._waiter.wait_for(response)
            except HarakiriInterrupt:
                response, is_last = self._interrupted(name), True
            except Exception as error:  # boundary: the runner of actions
                response = self._failed(name, error)
            finally:
                _pop_log_action()
            run.record(response, is_last=is_last)
        return run.response()

    # Steps that both loops take

    def _enriched(self, job_request: Body, run_coroutine: RunCoroutine) -> EnrichedJobRequest:
        """The request as middleware sees it.

        Raises:
            JobError: it is malformed.
        """
        if errors := jobs.job_request_errors(job_request):
            raise JobError(errors)
        request: EnrichedJobRequest = EnrichedJobRequest.with_client_on_demand(job_request, self, run_coroutine)
        if self._makes_own_clients:
            request.client = self.make_client(request.context)
        return request

    def _completed(self, response: JobResponse | None, job_request: Body) -> JobResponse:
        """The response of the middleware, with what every response tells of its request."""
        if response is None:
            raise TypeError("job middleware returned None instead of a JobResponse")
        context = job_request["context"]
        if "correlation_id" in context:
            response.context["correlation_id"] = context["correlation_id"]
        return response

    def _request_for(self, waiting: ActionRequest, job_request: EnrichedJobRequest, switches: RequestSwitchSet) -> Any:
        """The request of one action, as action middleware and the action see it."""
        request_class: Any = self.request_class
        if request_class is EnrichedActionRequest:
            return request_class.of_job(waiting, job_request, switches, self)
        request = request_class(  # by name, for a subclass may have put its fields in another order
            action=waiting.action,
            body=waiting.body,
            switches=switches,
            context=job_request.context,
            control=job_request.control,
            run_coroutine=job_request.run_coroutine,
        )
        request.share_client_of(job_request)
        request._server = self
        return request

    def _failed(self, name: str, error: Exception) -> ActionResponse:
        """What an action answers that has raised.

        Raises:
            JobError: it has failed the whole job.
        """
        if isinstance(error, ActionError):
            return ActionResponse(name, error.errors)
        if isinstance(error, JobError):
            raise error
        return self.handle_unhandled_exception(error, ActionResponse, action=name)

    def _interrupted(self, name: str) -> ActionResponse:
        """What an action answers that has run for too long."""
        self._record("server.error.harakiri", harakiri_level="action")
        return ActionResponse(name, [jobs.action_timeout_error(name)])

    def _action(self, name: str) -> Answering | None:
        """Make the action of a name; None when there is none."""
        if name in self.action_class_map:
            return self.action_class_map[name](self.settings)
        if name == "introspect":
            # From the class: a function would become a method of the instance.
            return (type(self).introspection_action or IntrospectionAction)(self)
        if name == "status":
            if self._default_status_action is None:
                self._default_status_action = make_default_status_action_class(type(self))
            return self._default_status_action(self.settings)
        return None

    def _be_idle(self) -> None:
        self._log_left_out(monotonic())
        self._end_idle_time()
        try:
            self.perform_idle_actions()
        except Exception as error:  # boundary: a hook must not end the loop
            self._faults.note("perform_idle_actions failed", error, with_traceback=True)
        if self.metrics is not NO_METRICS:
            self._record_state(is_running=True, is_busy=False)

    # The process

    def _make_process(self) -> ServerProcess:
        if self.settings["concurrency"] == 1:
            return ServerProcess(self)
        from pysoa.server.internal.async_process import AsyncServerProcess

        return AsyncServerProcess(self)

    def run(self) -> None:
        """Serve requests until told to shut down; ``exit_code`` then says how it ended."""
        self._process.run()

    def handle_shutdown_signal(self, signum: int, frame: FrameType | None) -> None:
        """The handler for SIGINT, SIGTERM and SIGHUP: serve what was taken, then end.

        Raises:
            SystemExit: another signal came over a second after the one before it.
        """
        self._process.shutdown_asked()

    def harakiri(self, signum: int, frame: FrameType | None) -> None:
        """The handler for a job that runs for too long: interrupt it at first, end the process the second time.

        Raises:
            HarakiriInterrupt: the first time.
        """
        self._process.strike(frame)

    @classmethod
    def main(cls, forked_process_id: int | None = None) -> None:
        """Read the command line and the settings, set up logging, make a server and run it.

        Args:
            forked_process_id: the number of this worker, from 1, if there are several.

        Raises:
            SystemExit: a fatal error has ended the server.
        """
        from pysoa.server.internal.command_line import make_server

        server = make_server(cls, forked_process_id)
        server.run()
        ignore_shutdown_signals()
        if server.exit_code:
            sys.exit(server.exit_code)


def _instances(configurations: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [cast(Any, each["object"])(**each.get("kwargs", {})) for each in configurations]


def _is_async(middleware: ServerMiddleware) -> bool:
    return isinstance(middleware, AsyncServerMiddleware)
