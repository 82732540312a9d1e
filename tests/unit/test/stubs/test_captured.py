from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, JobResponse
from pysoa.server.errors import ActionError, JobError
from pysoa.test.stub_service import StubClient, get_stubbed_requests, get_stubbed_responses, stub_action
from pysoa.test.stubs.captured import CAPTURED

client = Client({})
E = Error("E", "m E")


class Since:
    """What has been captured since it was made."""

    def __init__(self) -> None:
        self._before = len(get_stubbed_requests()), len(get_stubbed_responses())

    def requests(self) -> list[Any]:
        return get_stubbed_requests()[self._before[0] :]

    def responses(self) -> list[Any]:
        return get_stubbed_responses()[self._before[1] :]


def entry(body: Any, action: str = "show") -> dict[str, Any]:
    return {"service": "cart", "action": action, "body": body}


def test_what_stubs_are_asked_and_answer_is_captured_in_order() -> None:
    since = Since()
    effects = [{"n": [1]}, ActionError([E]), JobError([E]), MessageReceiveTimeout(), ActionResponse("x", [E], {"n": 2})]
    with stub_action("cart", "show", side_effect=[*effects, JobResponse(errors=[E])]):
        response = client.call_action("cart", "show", {"id": 1})
        response.body["n"].append(2)
        for _ in range(5):
            client.send_request("cart", [{"action": "show"}])

    assert since.requests() == [entry({"id": 1}), *[entry(None)] * 5]
    assert since.responses() == [entry({"n": [1]}), entry({}), entry({"n": 2})]
    assert get_stubbed_requests() is get_stubbed_requests()


def test_a_request_is_captured_as_it_came() -> None:
    since = Since()
    with stub_action("cart", "show", side_effect=lambda body: body.clear()):
        client.call_action("cart", "show", {"id": 1})

    assert since.requests() == [entry({"id": 1})]


def test_what_was_not_answered_is_not_captured() -> None:
    since = Since()
    with stub_action("cart", "show", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        client.call_action("cart", "show")

    assert (since.requests(), since.responses()) == ([], [])


@pytest.mark.parametrize("of_requests", [True, False])
def test_a_stub_may_keep_out_of_it(of_requests: bool) -> None:
    since = Since()
    flags = {
        "register_request_schema_contract": of_requests,
        "register_response_schema_contract": not of_requests,
    }
    with stub_action("cart", "show", **flags):
        client.call_action("cart", "show")

    assert (len(since.requests()), len(since.responses())) == (of_requests, not of_requests)


def test_stub_clients_are_not_captured() -> None:
    since = Since()
    with StubClient({"cart": {"show": {"body": {}}}}) as stub_client:
        stub_client.call_action("cart", "show")

    assert (since.requests(), since.responses()) == ([], [])


def test_it_is_known_in_which_test_something_was_captured(request: pytest.FixtureRequest) -> None:
    with stub_action("cart", "show", body={"n": 1}):
        client.call_action("cart", "show", {"id": 1})

    asked, answered = CAPTURED[-2:]
    assert (asked.kind, asked.body, answered.kind, answered.body) == ("request", {"id": 1}, "response", {"n": 1})
    assert asked.test == answered.test == request.node.nodeid
