"""What stubs answer: from what a mock gives back or raises to responses, and from those to the response of a job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout, PySOATransportError
from pysoa.common.types import ActionRequest, ActionResponse, Body, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.test.compatibility import mock
from pysoa.test.stubs.captured import capture, copied

__all__ = ("JobOfStubs", "Stub", "StubExhausted", "StubMock", "stubbed_request")


class StubExhausted(StopIteration):
    """A stub was called more often than its list of side effects is long."""


class StubMock(mock.MagicMock):  # type: ignore[misc] # mock may be the package of that name
    """Takes the place of an action; it is called with the body of each request.

    Attributes:
        side_effect: as that of every mock; besides, a dict is the body of all responses.
    """

    @property
    def side_effect(self) -> Any:
        return mock.MagicMock.side_effect.fget(self)

    @side_effect.setter
    def side_effect(self, value: Any) -> None:
        if isinstance(value, Mapping):
            body = value
            value = lambda _: body  # noqa: E731 - mock would take a dict for a list of its keys
        mock.MagicMock.side_effect.fset(self, value)

    @property
    def call_body(self) -> Body | None:
        """The body of the last request; None if there was none."""
        bodies = self.call_bodies
        return bodies[-1] if bodies else None

    @property
    def call_bodies(self) -> tuple[Body, ...]:
        """The bodies of all requests."""
        return tuple(call[0][0] for call in self.call_args_list)


class Stub(Protocol):
    """A stub that is entered.

    Attributes:
        service: what it stands for.
        action: what it stands for.
        register_request_schema_contract: whether its requests are captured.
        register_response_schema_contract: whether its responses are.
    """

    service: str
    action: str
    register_request_schema_contract: bool
    register_response_schema_contract: bool

    @property
    def mock(self) -> StubMock: ...

    def check_request(self, body: Body) -> None: ...

    def check_response(self, response: ActionResponse) -> None: ...


class _Result(NamedTuple):
    """What came of calling a mock: a response, errors of the job, or both."""

    response: ActionResponse | None
    job_errors: Sequence[Error] = ()


def stubbed_request(item: Any) -> tuple[str, Body | None]:
    """The name and the body in an entry of ``actions``, as ``Client.send_request`` takes them."""
    action, body = (item.action, item.body) if isinstance(item, ActionRequest) else (item["action"], item.get("body"))
    assert isinstance(action, str), f'Called action name "{action}" must be unicode'
    return action, body


class JobOfStubs:
    """The answer to a job some or all of whose actions are stubbed.

    Args:
        stubs: for each action its stub; None for those that go to the service.
        continue_on_error: whether what follows an action that failed counts, too.

    Attributes:
        error: what receiving the response is to raise, if anything.
    """

    def __init__(self, stubs: Sequence[Stub | None], continue_on_error: bool) -> None:
        self._stubs = stubs
        self._continue_on_error = continue_on_error
        self._responses: dict[int, ActionResponse] = {}
        self._job_errors: list[Error] = []
        self.error: PySOATransportError | None = None

    def call_stubs(self, requests: Sequence[tuple[str, Body | None]]) -> None:
        """Call the mocks in order, until one fails."""
        for position, (stub, (_, body)) in enumerate(zip(self._stubs, requests, strict=True)):
            if stub is None:
                continue
            try:
                result = _call(stub, body)
            except (MessageReceiveError, MessageReceiveTimeout) as error:
                self.error = error
                return
            self._job_errors.extend(result.job_errors)
            if result.response is not None:
                self._responses[position] = result.response
            has_failed = result.response is not None and result.response.errors and not self._continue_on_error
            if result.job_errors or has_failed:
                return

    def response(self, of_service: JobResponse | None = None) -> JobResponse:
        """The response of the whole job.

        Args:
            of_service: what the service has answered to the actions that are not stubbed.

        Raises:
            PySOATransportError: ``error``.
        """
        if self.error is not None:
            raise self.error
        response = JobResponse() if of_service is None else of_service
        response.actions = list(self._merged(iter(response.actions)))
        response.errors = [*response.errors, *self._job_errors]
        return response

    def _merged(self, of_service: Iterator[ActionResponse]) -> Iterator[ActionResponse]:
        for position, stub in enumerate(self._stubs):
            response = next(of_service, None) if stub is None else self._responses.get(position)
            if response is None:
                continue
            yield response
            if response.errors and not self._continue_on_error:
                return


def _call(stub: Stub, body: Body | None) -> _Result:
    asked = copied(body)
    with _captured_request(stub, asked):
        stub.check_request({} if asked is None else asked)
        result = _result(stub, {} if body is None else body)
        if result.response is not None:
            stub.check_response(result.response)
    if result.response is not None and stub.register_response_schema_contract:
        codes = tuple(error.code for error in result.response.errors)
        capture("response", stub.service, stub.action, copied(result.response.body), codes)
    return result


@contextlib.contextmanager
def _captured_request(stub: Stub, body: Body | None) -> Iterator[None]:
    try:
        yield
    except (MessageReceiveError, MessageReceiveTimeout):
        if stub.register_request_schema_contract:
            capture("request", stub.service, stub.action, body)
        raise
    if stub.register_request_schema_contract:
        capture("request", stub.service, stub.action, body)


def _result(stub: Stub, body: Body) -> _Result:
    try:
        result = _call_mock(stub, body)
    except ActionError as error:
        return _Result(ActionResponse(stub.action, errors=error.errors))
    except JobError as error:
        return _Result(None, error.errors)
    if isinstance(result, JobResponse):
        return _Result(_fresh(result.actions[0]) if result.actions else None, result.errors)
    if isinstance(result, ActionResponse):
        return _Result(_fresh(result))
    return _Result(ActionResponse(stub.action, body=copied(result) if isinstance(result, dict) else {}))


def _call_mock(stub: Stub, body: Body) -> Any:
    try:
        result = stub.mock(body)
    except StopIteration as error:
        calls = stub.mock.call_count
        raise StubExhausted(
            f"the side effects of the stub of {stub.service}.{stub.action} are used up: this is call {calls} of it"
        ) from error
    # A list of side effects may have functions in it. Mocks are callable, too: that is what an idle mock gives back.
    if callable(result) and not isinstance(result, mock.NonCallableMock):
        function: Callable[[Body], Any] = result
        return function(body)
    return result


def _fresh(response: ActionResponse) -> ActionResponse:
    """A copy, so that no call sees what the caller of another one has done to its response."""
    return ActionResponse(response.action, errors=list(response.errors), body=copied(response.body))
