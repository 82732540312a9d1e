"""The rounds of expansion of one call, without waiting: what to send next, and what becomes of what comes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from pysoa.client.calls import ErrorClasses, action_result
from pysoa.client.errors import InvalidExpansionKey, InvalidExpansionResponse
from pysoa.client.expander import ExpansionConverter, ExpansionNode, Expansions, TypeNode
from pysoa.common.errors import PySOAError
from pysoa.common.protocol.envelope import LIFE_AFTER_TIMEOUT_IN_SECONDS
from pysoa.common.transport.errors import DeadlinePassed
from pysoa.common.types import ActionRequest, ActionResponse, Body, JobResponse

__all__ = ("CallExpansion", "ExpansionErrorClasses", "TimeForRound")

_LONGEST_VALUES_IN_LOG: Final = 1000


class ExpansionErrorClasses(ErrorClasses, Protocol):
    """The classes of errors to raise; a client may have its own."""

    @property
    def InvalidExpansionKey(self) -> type[InvalidExpansionKey]: ...


class TimeForRound(NamedTuple):
    """How much time a round has, and what its requests say of that.

    Attributes:
        timeout: seconds that the call asks for when it sends; None for what the transports allow by default.
        left: seconds in which the responses have to come; None for what the transports allow by default.
        headers: keyword arguments of ``Client.send_request``.
    """

    timeout: float | None
    left: float | None
    headers: Mapping[str, Any]


class _Waiting(NamedTuple):
    """An object, the expansion that it waits for, and the value that is looked up for it."""

    obj: dict[str, Any]
    node: ExpansionNode
    value: Any


class _Request:
    """One request of a round, and what waits for its response."""

    def __init__(self, service: str, action: str, request_field: str) -> None:
        self.service, self.action, self.request_field = service, action, request_field
        self.values: list[Any] = []
        self.waiting: list[_Waiting] = []

    def job(self) -> tuple[str, list[ActionRequest]]:
        return self.service, [ActionRequest(self.action, {self.request_field: self.values})]


class CallExpansion:
    """The rounds of one call: ``begin`` with its responses, send ``jobs`` while there are some, ``record`` what comes.

    Args:
        converter: knows what is configured; None if nothing is, and then nothing is expanded.
        expansions: what the call asks for.
        headers: of the call, as ``request_headers`` makes them.
        timeout: seconds that the call asks for; None and 0 for the default.
        waits: whether the call waits as soon as it has sent something. Then its requests may tell the time that is
            left; those of a future may be asked for later, and live as long as the call says.
        errors: the classes of errors to raise.
    """

    def __init__(
        self,
        converter: ExpansionConverter | None,
        expansions: Expansions,
        *,
        headers: Mapping[str, Any],
        timeout: float | None,
        waits: bool,
        errors: ExpansionErrorClasses,
    ) -> None:
        self._converter = converter
        self._wanted = expansions
        self._headers = {name: value for name, value in headers.items() if name != "continue_on_error"}
        self._timeout = timeout or None
        self._waits = waits
        self._errors = errors
        self._trees: list[TypeNode] | None = None
        self._requests: list[_Request] = []
        self._requested: dict[tuple[str, str, str], set[Any]] = {}
        self._failure: Exception | None = None

    def begin(self, responses: Iterable[object]) -> None:
        """Look for objects to expand; the second time, nothing happens.

        Args:
            responses: of the call; what is no ``JobResponse`` among them is left out.

        Raises:
            InvalidExpansionKey: the call asks for what is not configured.
            ValueError: the configuration of an expansion cannot be right.
        """
        if self._trees is not None or self._converter is None:
            return
        try:
            self._trees = self._converter.dict_to_trees(self._wanted)
        except InvalidExpansionKey as error:
            raise _as(self._errors.InvalidExpansionKey, error) from None
        jobs = [response for response in responses if isinstance(response, JobResponse)]
        self._plan(_found(self._trees, [action.body for job in jobs for action in job.actions]))

    def jobs(self) -> list[tuple[str, list[ActionRequest]]]:
        """What has to be sent for the present round: for each job its service and its action; empty at the end.

        Raises:
            Exception: what the last round has failed with.
        """
        if self._failure is not None:
            raise self._failure
        return [request.job() for request in self._requests]

    def time_for_round(self, now: float, deadline: float | None) -> TimeForRound:
        """How much time the present round has.

        Args:
            now: the present moment.
            deadline: when the call ends; None leaves that to the transports.

        Raises:
            DeadlinePassed: the call should have ended. Nothing must be sent.
        """
        left = None if deadline is None else deadline - now
        if left is not None and left <= 0:
            raise DeadlinePassed(self._requests[0].service, -left)
        if left is None or not self._waits:
            return TimeForRound(self._timeout, left, self._headers)
        if self._timeout is None:
            return TimeForRound(left, left, self._headers)
        control = self._headers["control_extra"]
        if control["timeout"] == self._timeout:  # else the caller has said so
            control = {**control, "timeout": left}
        life = left + LIFE_AFTER_TIMEOUT_IN_SECONDS
        return TimeForRound(left, left, {**self._headers, "control_extra": control, "message_expiry_in_seconds": life})

    def record(self, responses: Sequence[object]) -> None:
        """Put what has come into the objects that wait for it, and look for objects to expand in it.

        Args:
            responses: one for each of ``jobs``, in order.

        Raises:
            CallActionError, CallJobError: expansions that say so have failed; all that came is in the objects.
            InvalidExpansionResponse: a response is not as its route says.
            InvalidMessageError: a response has neither an action nor errors.
        """
        requests, self._requests = self._requests, []
        try:
            self._record(zip(requests, responses, strict=True))
        except Exception as failure:
            self._failure = failure
            raise

    def _record(self, answered: Iterable[tuple[_Request, Any]]) -> None:
        job_errors: list[Any] = []
        failed: list[ActionResponse] = []
        bodies: list[Body] = []
        candidates: list[tuple[dict[str, Any], ExpansionNode]] = []
        for request, response in answered:
            if response.errors:
                for waiting in request.waiting:
                    job_errors += response.errors if waiting.node.raise_action_errors else ()
                continue
            action = action_result(response, request.service, False, False, self._errors)
            if action.errors:
                failed += [action for waiting in request.waiting if waiting.node.raise_action_errors]
            if action.body:
                _fill(request, action.body)
                bodies.append(action.body)
                candidates += _found(_distinct(request), [action.body])
        if failed:
            raise self._errors.CallActionError(failed)
        if job_errors:
            raise self._errors.CallJobError(job_errors)
        self._plan([*candidates, *_found(self._trees or (), bodies)])

    def _plan(self, candidates: Iterable[tuple[dict[str, Any], ExpansionNode]]) -> None:
        """Make the requests of the next round, none for values that an earlier one has asked for."""
        requests: dict[tuple[str, str, str], _Request] = {}
        for obj, node in candidates:
            value = obj.get(node.source_field)
            if node.destination_field not in obj and _can_be_looked_up(value):
                key = (node.service, node.action, node.request_field)
                requests.setdefault(key, _Request(*key)).waiting.append(_Waiting(obj, node, value))
        for key, request in requests.items():
            wanted = dict.fromkeys(waiting.value for waiting in request.waiting)
            requested = self._requested.setdefault(key, set())
            request.values = [value for value in wanted if value not in requested]
            if not request.values:
                _log_skipped(".".join(key), list(wanted))
                continue
            request.waiting = [waiting for waiting in request.waiting if waiting.value not in requested]
            requested.update(request.values)
            self._requests.append(request)

    @contextlib.contextmanager
    def speaking_for_the_call(self) -> Iterator[None]:
        """Let no error of a round say that nothing was sent: the call itself has been answered."""
        try:
            yield
        except PySOAError as error:
            if error.outcome == "not_sent":
                error.outcome = "unknown"
            raise


def _as(kind: type[InvalidExpansionKey], error: InvalidExpansionKey) -> InvalidExpansionKey:
    if kind is type(error):
        return error
    other = kind(*error.args)
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other


def _found(nodes: Iterable[TypeNode], bodies: Sequence[Any]) -> list[tuple[dict[str, Any], ExpansionNode]]:
    """The objects of the types of some nodes, each with each of the expansions of its node."""
    return [
        (obj, expansion)
        for node in nodes
        if (expansions := node.expansions)
        for body in bodies
        for obj in node.find_objects(body)
        for expansion in expansions
    ]


def _distinct(request: _Request) -> list[ExpansionNode]:
    return list({id(waiting.node): waiting.node for waiting in request.waiting}.values())


def _can_be_looked_up(value: Any) -> bool:
    if not value:
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _fill(request: _Request, body: Body) -> None:
    """Give the objects that wait for a response what it has for them."""
    for obj, node, value in request.waiting:
        found = body.get(node.response_field) if isinstance(body, Mapping) else None
        if not isinstance(found, Mapping):
            what = f"holds a {type(found).__name__} there" if node.response_field in body else "does not have it"
            raise InvalidExpansionResponse(
                f"expansion {node.name!r} takes what it finds in the field {node.response_field!r} of the response of "
                f"{request.service}.{request.action}, which {what} instead of a mapping"
            )
        if value in found:
            obj[node.destination_field] = found[value]


def _log_skipped(key: str, values: list[Any]) -> None:
    shown = repr(values)
    if len(shown) > _LONGEST_VALUES_IN_LOG:
        shown = f"{shown[:_LONGEST_VALUES_IN_LOG]}..."
    import logging  # takes 5 ms of the import of a client, which need not log

    # The name that the first PySOA has for it.
    logging.getLogger("pysoa.client.client").info(
        "Avoiding infinite recursion by skipping duplicate expansion: %s = %s", key, shown
    )
