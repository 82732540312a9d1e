"""Stands in for actions of other services."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.types import ActionRequest, ActionResponse, Body, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.test.compatibility import mock

__all__ = ("stub_action",)

_request_ids: Final = itertools.count()


class stub_action:
    """Answers the calls of one action, whoever makes them, while it is entered.

    Args:
        service: the name of the service.
        action: the name of the action.
        body: what it answers.
        errors: or with what it fails.
        side_effect: or what a mock does when it is called with the body of a request.
    """

    def __init__(
        self,
        service: str,
        action: str,
        body: Body | None = None,
        errors: Iterable[Error] | None = None,
        side_effect: Any = None,
        register_response_schema_contract: bool = True,
        register_request_schema_contract: bool = True,
    ) -> None:
        self.service = service
        self.action = action
        self.body = body or {}
        self.errors = list(errors or [])
        self.side_effect = side_effect
        self.enabled = False
        self._mock: Any = None
        self._responses: list[tuple[int, JobResponse]] = []

    def start(self) -> Any:
        """Begin to answer; gives back a mock that is called with the body of each request."""
        if self.enabled:
            return self._mock
        self._mock = mock.MagicMock(name=f"{self.service}.{self.action}", side_effect=self.side_effect)
        if self.body or self.errors:
            self._mock.return_value = ActionResponse(self.action, self.errors, self.body)
        self._responses.clear()
        self._replaced = Client.send_request, Client.get_all_responses
        Client.send_request = self._send_request(Client.send_request)  # type: ignore[method-assign]
        Client.get_all_responses = self._get_all_responses(Client.get_all_responses)  # type: ignore[method-assign]
        self.enabled = True
        return self._mock

    def stop(self) -> None:
        """Answer no more."""
        if self.enabled:
            self.enabled = False
            Client.send_request, Client.get_all_responses = self._replaced  # type: ignore[method-assign]

    __enter__ = start

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _send_request(self, wrapped: Callable[..., int]) -> Any:
        def send_request(client: Client, service_name: str, actions: Any, *args: Any, **kwargs: Any) -> int:
            requests = [item if isinstance(item, ActionRequest) else ActionRequest(**item) for item in actions]
            if service_name != self.service or any(item.action != self.action for item in requests):
                return wrapped(client, service_name, requests, *args, **kwargs)
            request_id = next(_request_ids)
            self._responses.append((request_id, self._answer(requests)))
            return request_id

        return send_request

    def _get_all_responses(self, wrapped: Callable[..., Iterator[tuple[int, JobResponse]]]) -> Any:
        def get_all_responses(
            client: Client, service_name: str, *args: Any, **kwargs: Any
        ) -> Iterator[tuple[int, JobResponse]]:
            if service_name == self.service and self._responses:
                responses, self._responses = self._responses, []
                yield from responses
            else:
                yield from wrapped(client, service_name, *args, **kwargs)

        return get_all_responses

    def _answer(self, requests: list[ActionRequest]) -> JobResponse:
        job = JobResponse()
        for request in requests:
            try:
                result = self._mock(request.body or {})
            except ActionError as error:
                result = ActionResponse(self.action, errors=error.errors)
            except JobError as error:
                result = JobResponse(errors=error.errors)
            if isinstance(result, JobResponse):
                return result
            if isinstance(result, ActionResponse):
                job.actions.append(copy.deepcopy(result))
            else:
                body = dict(result) if isinstance(result, dict) else {}
                job.actions.append(ActionResponse(self.action, body=body))
            if job.actions[-1].errors:
                break
        return job
