"""What jobs and actions get as their request, and what an action has to be."""

from __future__ import annotations

import abc
import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attr

from pysoa.common.constants import ERROR_CODE_SERVER_ERROR
from pysoa.common.errors import Error
from pysoa.common.switches import Switch
from pysoa.common.types import ActionRequest, ActionResponse, Body, Context, Control, JobRequest, action_request
from pysoa.server.errors import ActionError
from pysoa.server.internal.old_ways import JobRequestAsDict
from pysoa.server.internal.types import RequestSwitchSet
from pysoa.server.jobs import unknown_action_error

if TYPE_CHECKING:
    import concurrent.futures

    from pysoa.client.async_client import AsyncClient
    from pysoa.client.client import Client
    from pysoa.server.settings import ServerSettings

__all__ = (
    "ActionInterface",
    "ActionServer",
    "ActionType",
    "Answering",
    "EnrichedActionRequest",
    "EnrichedJobRequest",
    "IntrospectionActionType",
    "RunCoroutine",
    "is_async_action",
)


class ActionServer(Protocol):
    """What a request needs of the server that runs it."""

    @property
    def settings(self) -> ServerSettings: ...

    @property
    def action_class_map(self) -> Mapping[str, ActionType]: ...

    def make_client(self, context: Context) -> Client: ...

    def make_async_client(self, context: Context) -> AsyncClient: ...

    @property
    def _start_task(self) -> RunCoroutine: ...


_new: Callable[[type[Any]], Any] = object.__new__

RunCoroutine: TypeAlias = "Callable[[Coroutine[Any, Any, Any]], concurrent.futures.Future[Any]]"


class _ClientOnDemand:
    """The class attribute ``client`` of requests that have none in their ``__dict__`` yet: makes it at first use.

    Making a client costs more than many an action, and few actions use theirs.
    """

    def __get__(self, request: Any, owner: type | None = None) -> Any:
        client = None if request is None else request._make_client()
        if request is not None:
            request.client = client
        return client


@attr.s(auto_attribs=True)
class EnrichedJobRequest(JobRequestAsDict, JobRequest):
    """A job request as job middleware and ``Server.execute_job`` see it.

    Attributes:
        client: calls other services with the context of this job.
        run_coroutine: runs a coroutine on the server's event loop, beside the job, and gives back its future.
    """

    client: Client = None  # type: ignore[assignment] # made when it is first used; None only without a server
    run_coroutine: RunCoroutine | None = None

    _server = None  # the server and the context that the client is made with; not fields
    _client_context = None

    @classmethod
    def with_client_on_demand(cls, job_request: Body, server: ActionServer, run_coroutine: RunCoroutine) -> Any:
        """The request of a job whose client is made when it is first asked for."""
        request = cls.__new__(cls)
        context = job_request["context"]
        request.__dict__ = {
            "control": job_request["control"],
            "context": context,
            "actions": [action_request(action) for action in job_request["actions"]],
            "run_coroutine": run_coroutine,
            "_server": server,
            "_client_context": context.copy(),  # what middleware adds for actions is not for the wire
        }
        return request

    def _make_client(self) -> Client | None:
        server: ActionServer | None = self._server
        return None if server is None else server.make_client(self._client_context or {})

    def async_client(self) -> AsyncClient | None:
        """The asyncio twin of ``client``, over the same context; made when it is first asked for."""
        client: AsyncClient | None = self.__dict__.get("_async_client")
        server: ActionServer | None = self._server
        if client is None and server is not None:
            client = self.__dict__["_async_client"] = server.make_async_client(self._client_context or {})
        return client


def _to_switches(switches: Iterable[Switch] | None) -> RequestSwitchSet:
    return switches if isinstance(switches, RequestSwitchSet) else RequestSwitchSet(switches)


@attr.s(auto_attribs=True)
class EnrichedActionRequest(ActionRequest):
    """An action request as action middleware and actions see it.

    All actions of a job share their context, control, switches and client.

    Attributes:
        switches: the switches that are active.
        context: headers for people's code.
        control: headers for PySOA.
        client: calls other services with the context of this job; in an ``async`` action an ``AsyncClient``.
        run_coroutine: runs a coroutine on the server's event loop, beside the job, and gives back its future, which an
            ``async`` action may await.
    """

    switches: RequestSwitchSet = attr.ib(factory=RequestSwitchSet, converter=_to_switches)
    context: Context = attr.Factory(dict)
    control: Control = attr.Factory(dict)
    client: Client = None  # type: ignore[assignment] # made when it is first used; None only without a server
    run_coroutine: RunCoroutine | None = None

    _server = None  # set by the server; not fields
    _job_request = None
    _message = None  # the job request, and its context as it came
    _client_is_async = False

    @property
    def data(self) -> Any:
        """The body as the typed value of the action's request schema; the body itself where that is not typed."""
        return self.__dict__.get("data", self.body)

    @data.setter
    def data(self, data: Any) -> None:
        self.__dict__["data"] = data

    @classmethod
    def of_job(
        cls, request: ActionRequest, job_request: EnrichedJobRequest, switches: RequestSwitchSet, server: ActionServer
    ) -> Any:
        """The request of one action of a job; for this class itself, as subclasses have constructors of their own."""
        enriched = _new(cls)
        enriched.action = request.action
        enriched.body = request.body
        enriched.switches = switches
        enriched.context = job_request.context
        enriched.control = job_request.control
        enriched.run_coroutine = job_request.run_coroutine
        enriched._job_request = job_request
        enriched._server = server
        return enriched

    @classmethod
    def of_message(
        cls,
        action: Body,
        job_request: Body,
        context_as_it_came: Context,
        switches: RequestSwitchSet,
        server: ActionServer,
        run_coroutine: RunCoroutine,
        client_is_async: bool,
    ) -> Any:
        """As ``of_job``, straight from a sound message; the request of the job is made if its client is asked for.

        Args:
            action: what the message says of the action.
            job_request: the body of the message.
            context_as_it_came: a copy of its context, for the client.
            switches: those of the context.
            server: the server.
            run_coroutine: runs coroutines beside the job.
            client_is_async: whether the action can await its client.
        """
        enriched = _new(cls)
        enriched.action = action["action"]
        enriched.body = action.get("body", {})
        enriched.switches = switches
        enriched.context = job_request["context"]
        enriched.control = job_request["control"]
        enriched.run_coroutine = run_coroutine
        enriched._message = job_request, context_as_it_came
        enriched._server = server
        enriched._client_is_async = client_is_async
        return enriched

    def share_client_of(self, job_request: EnrichedJobRequest) -> None:
        """Have the same client as the job, made when it is first asked for in either."""
        del self.client
        self._job_request = job_request

    def suit(self, action: Any) -> bool:
        """Suit the action that is to answer, and say whether that is asynchronous.

        Such an action has an ``AsyncClient``, and can await what ``run_coroutine`` gives.
        """
        is_async = is_async_action(action)
        server: ActionServer | None = self._server
        if is_async and not self._client_is_async and server is not None:
            self.__dict__.pop("client", None)  # middleware may have asked for it
            self._client_is_async = True
            self.run_coroutine = server._start_task
        return is_async

    def _make_client(self) -> Any:
        job_request: EnrichedJobRequest | None = self._job_request
        message: tuple[Body, Context] | None = self._message
        if job_request is None and message is not None and self.run_coroutine is not None:
            server: Any = self._server
            as_it_came = {**message[0], "context": message[1]}
            job_request = EnrichedJobRequest.with_client_on_demand(as_it_came, server, self.run_coroutine)
            self._job_request = job_request
        if job_request is None:
            return None
        return job_request.async_client() if self._client_is_async else job_request.client

    def call_local_action(
        self,
        action: str,
        body: Body,
        raise_action_errors: bool = True,
        is_caller_error: bool = False,
        context: Context | None = None,
    ) -> Any:
        """Run another action of this server, in this process and without middleware.

        A plain action has no ``await``: it has an asynchronous one run by ``run_coroutine``.

        Args:
            action: its name in the ``action_class_map``.
            body: its request body.
            raise_action_errors: whether errors are raised rather than given back in the response.
            is_caller_error: whether errors that the action returns, rather than raises, are our caller's fault.
            context: added to the context of this request.

        Returns:
            The ``ActionResponse`` or, of an asynchronous action, a coroutine that gives it back, or raises.

        Raises:
            ActionError: the action failed, or there is none of that name.
        """
        server: ActionServer | None = self._server
        if server is None:
            problem = "No `_server` attribute set on action request object (and can't make request without it)"
            return _failed(action, Error(ERROR_CODE_SERVER_ERROR, problem), raise_action_errors)
        if action not in server.action_class_map:
            return _failed(action, unknown_action_error(action, is_caller_error=False), raise_action_errors)

        request = copy.copy(self)  # whatever fields a subclass has, and the client only if there is one already
        request.__dict__.pop("data", None)
        request.action = action
        request.body = body
        request.context = {**self.context, **(context or {})}
        request._server = self._server

        def judged(response: ActionResponse) -> ActionResponse:
            if response.errors and raise_action_errors:
                raise ActionError(response.errors, set_is_caller_error_to=is_caller_error)
            return response

        def failed(error: ActionError) -> ActionResponse:
            if raise_action_errors:
                raise error
            return ActionResponse(action, error.errors)

        async def judged_later(responding: Coroutine[Any, Any, ActionResponse]) -> ActionResponse:
            try:
                return judged(await responding)
            except ActionError as error:
                return failed(error)

        async def respond() -> ActionResponse:
            response: ActionResponse = await act(request)
            return response

        act: Any = server.action_class_map[action](server.settings)
        is_async = is_async_action(act)
        if is_async != self._client_is_async:
            request.__dict__.pop("client", None)  # it is of the other kind
            request._client_is_async = is_async
        if is_async:
            return judged_later(respond())  # refusals, too, are for whoever awaits it
        try:
            response: Any = act(request)
            return judged_later(response) if isinstance(response, CoroutineType) else judged(response)
        except ActionError as error:
            return failed(error)


def _failed(action: str, error: Error, raise_it: bool) -> ActionResponse:
    if raise_it:
        raise ActionError([error], set_is_caller_error_to=None)
    return ActionResponse(action, [error])


# After attrs has made the classes: it takes class attributes for defaults.
EnrichedJobRequest.client = _ClientOnDemand()  # type: ignore[assignment]
EnrichedActionRequest.client = _ClientOnDemand()  # type: ignore[assignment]


class ActionInterface(abc.ABC):
    """What a class must offer to be an action."""

    @abc.abstractmethod
    def __init__(self, settings: ServerSettings | None = None) -> None:
        """Make an action for one request; it gets the settings of the server."""

    @abc.abstractmethod
    def __call__(self, action_request: EnrichedActionRequest) -> Any:
        """Answer the request with an ``ActionResponse``, or with a coroutine that gives one back.

        Raises:
            ActionError: the action fails, with these errors.
            JobError: the whole job fails, with these errors.
        """


def is_async_action(action: Any) -> bool:
    """Whether an action, as its maker has given it, answers with a coroutine, so that it can await a client.

    An action class says so by a ``run`` that is ``async def``, or by its attribute ``is_async``; a function by being a
    coroutine function.
    """
    kind = type(action)
    return inspect.iscoroutinefunction(action) if kind in _FUNCTIONS else _is_async_kind(kind)  # type: ignore[arg-type]


_FUNCTIONS: Final = (FunctionType, MethodType, functools.partial)


@functools.lru_cache(1024)
def _is_async_kind(kind: Any) -> bool:
    marked = getattr(kind, "is_async", None)
    if marked is not None:
        return bool(marked)
    return any(inspect.iscoroutinefunction(getattr(kind, name, None)) for name in ("run", "__call__"))


Answering: TypeAlias = "Callable[[EnrichedActionRequest], ActionResponse | Awaitable[ActionResponse]]"
"""Answers a request, in a plain or in a coroutine function."""

ActionType: TypeAlias = "Callable[[ServerSettings], Answering]"
"""Takes the server's settings and gives back what answers a request: an action class, or a function of that kind."""

IntrospectionActionType: TypeAlias = "Callable[[Any], Answering]"
"""As ``ActionType``, but takes the server itself."""
