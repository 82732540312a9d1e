from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.common.transport.errors import MessageReceiveError, MessageReceiveTimeout
from pysoa.common.types import ActionRequest, JobResponse
from pysoa.server.errors import JobError
from pysoa.test.compatibility import mock
from pysoa.test.stub_service import stub_action
from tests.support.shop import ShopServer

LOCAL = "pysoa.common.transport.local:LocalClientTransport"
SHOP = {"transport": {"path": LOCAL, "kwargs": {"server_class": ShopServer, "server_settings": {}}}}
SQUARE = {"action": "square", "body": {"number": 2}}
BAD_SQUARE = {"action": "square", "body": {"number": "two"}}
ECHO = {"action": "echo", "body": {"real": True}}
STUBBED = {"stubbed": True}
E = Error("E", "m E")
EXPANSIONS = {
    "type_routes": {
        "author": {"service": "authors", "action": "by_id", "request_field": "ids", "response_field": "authors"}
    },
    "type_expansions": {
        "book": {
            "author": {
                "type": "author",
                "route": "author",
                "source_field": "author_id",
                "destination_field": "author",
            }
        }
    },
}

genuine = Client.send_request, Client.get_all_responses


@pytest.fixture
def client() -> Iterator[Client]:
    with Client({"shop": SHOP}) as made:
        yield made
    assert genuine == (Client.send_request, Client.get_all_responses)


def bodies(response: JobResponse) -> list[Any]:
    return [[error.code for error in action.errors] or action.body for action in response.actions]


def test_the_methods_of_the_class_are_replaced_and_put_back() -> None:
    with stub_action("cart", "show"):
        with stub_action("cart", "add"):
            send, receive = Client.send_request, Client.get_all_responses
            assert (send.description, receive.description) == (  # type: ignore[attr-defined]
                f"<stub cart.add wrapper around <stub cart.show wrapper around {genuine[0]!r}>>",
                f"<stub cart.add wrapper around <stub cart.show wrapper around {genuine[1]!r}>>",
            )
        assert send.description == f"<stub cart.show wrapper around {genuine[0]!r}>"  # type: ignore[attr-defined]

    assert genuine == (Client.send_request, Client.get_all_responses)


def test_what_is_not_stubbed_is_as_before(client: Client) -> None:
    with stub_action("shop", "echo", body=STUBBED) as stub, stub_action("cart", "show"):
        assert client.call_action("shop", "square", {"number": 3}).body == {"square": 9}
        with pytest.raises(CallActionError) as failure:
            client.call_action("shop", "nothing")
        assert failure.value.actions[0].errors[0].code == "UNKNOWN"
        with pytest.raises(Client.ImproperlyConfigured, match='Unrecognized service name "other"'):
            client.call_action("other", "show")
        with pytest.raises(Client.ImproperlyConfigured):
            client.get_all_responses("other")
        with pytest.raises(AssertionError, match='Called service name "5" must be unicode'):
            client.call_action(5, "show")  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="Called action name \"b'show'\" must be unicode"):
            client.call_action("shop", b"show")  # type: ignore[arg-type]
        request_id = client.send_request("shop", [SQUARE])
        assert [number for number, _ in client.get_all_responses("shop")] == [request_id]

    assert not stub.called


def test_the_stub_that_was_entered_last_answers(client: Client) -> None:
    with stub_action("shop", "echo", body={"n": 1}) as outer:
        with stub_action("shop", "echo", body={"n": 2}) as inner:
            assert client.call_action("shop", "echo").body == {"n": 2}
        assert client.call_action("shop", "echo").body == {"n": 1}

    assert (outer.call_count, inner.call_count) == (1, 1)


def test_stubs_may_be_left_in_any_order(client: Client) -> None:
    first, second, third = (stub_action("shop", "echo", body={"n": n}) for n in (1, 2, 3))
    for stub in (first, second, third):
        stub.start()

    second.stop()
    assert client.call_action("shop", "echo").body == {"n": 3}
    third.stop()
    assert client.call_action("shop", "echo").body == {"n": 1}
    first.stop()

    assert client.call_action("shop", "echo", ECHO["body"]).body == {"real": True}


def test_others_may_replace_the_methods_before_and_after(client: Client) -> None:
    seen: list[str] = []

    def seeing(name: str, wrapped: Any) -> Any:
        def send_request(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return wrapped(self, *args, **kwargs)

        return send_request

    with mock.patch.object(Client, "send_request", seeing("before", genuine[0])):
        inner = stub_action("shop", "echo", body={"n": 1})
        inner.start()
        with (
            mock.patch.object(Client, "send_request", seeing("after", Client.send_request)),
            stub_action("shop", "where", body={"n": 2}),
        ):
            inner.stop()
            assert client.call_action("shop", "where").body == {"n": 2}
            assert seen == []
            assert client.call_action("shop", "echo", ECHO["body"]).body == {"real": True}
            assert seen == ["after", "before"]
        with stub_action("shop", "echo", body={"n": 3}):
            assert client.call_action("shop", "echo").body == {"n": 3}


def test_a_mock_in_the_place_of_sending_is_called_as_it_would_be(client: Client) -> None:
    with mock.patch.object(Client, "send_request") as patched, stub_action("shop", "echo"):
        patched.return_value = 7
        assert client.send_request("shop", [SQUARE], timeout=5) == 7  # type: ignore[call-arg]

    patched.assert_called_once_with("shop", [SQUARE], timeout=5)


def test_all_ways_to_call_are_answered(client: Client) -> None:
    with stub_action("shop", "echo", body=STUBBED) as stub:
        assert client.call_action("shop", "echo").body == STUBBED
        assert bodies(client.call_actions("shop", [ECHO, ActionRequest("echo", {"n": 2})])) == [STUBBED, STUBBED]
        assert [each.body for each in client.call_actions_parallel("shop", [ECHO, SQUARE, ECHO])] == [
            STUBBED,
            {"square": 4},
            STUBBED,
        ]
        jobs = [{"service_name": "shop", "actions": [SQUARE]}, {"service_name": "shop", "actions": [ECHO, SQUARE]}]
        assert [bodies(each) for each in client.call_jobs_parallel(jobs)] == [[{"square": 4}], [STUBBED, {"square": 4}]]
        before = stub.call_count
        future = client.call_action_future("shop", "echo")
        assert stub.call_count == before + 1
        assert future.result() is future.result()
        assert future.result().body == STUBBED
        assert bodies(client.call_actions_future("shop", [SQUARE, ECHO]).result()) == [{"square": 4}, STUBBED]
        parallel = client.call_actions_parallel_future("shop", [SQUARE, ECHO])
        assert [each.body for each in parallel.result()] == [{"square": 4}, STUBBED]
        assert [bodies(each) for each in client.call_jobs_parallel_future(jobs).result()][1] == [STUBBED, {"square": 4}]
        other = client.with_context({"user": "ada"})
        request_id = client.send_request("shop", [ECHO])
        assert [number for number, _ in other.get_all_responses("shop")] == [request_id]
        client.send_request("shop", [ECHO], suppress_response=True)
        assert list(client.get_all_responses("shop")) == []


def test_responses_of_the_service_come_before_those_of_stubs(client: Client) -> None:
    with stub_action("shop", "echo", body=STUBBED):
        pure = client.send_request("shop", [ECHO])
        mixed = client.send_request("shop", [ECHO, SQUARE])
        real = client.send_request("shop", [SQUARE])
        received = list(client.get_all_responses("shop"))

        assert [number for number, _ in received] == [mixed, real, pure]
        assert [bodies(each) for _, each in received] == [[STUBBED, {"square": 4}], [{"square": 4}], [STUBBED]]
        assert pure + 1 == mixed
        assert list(client.get_all_responses("shop")) == []


@pytest.mark.parametrize(
    ("actions", "continues", "expected", "calls"),
    [
        ([BAD_SQUARE, ECHO, SQUARE], False, [["INVALID"]], 1),
        ([SQUARE, ECHO, SQUARE], False, [{"square": 4}, ["E"]], 1),
        ([ECHO, ECHO], False, [["E"]], 1),
        ([ECHO, ECHO], True, [["E"], ["E"]], 2),
        ([BAD_SQUARE, ECHO, SQUARE], True, [["INVALID"], ["E"], {"square": 4}], 1),
    ],
)
def test_what_follows_an_action_that_failed_counts_only_if_wanted(
    client: Client, actions: list[Any], continues: bool, expected: list[Any], calls: int
) -> None:
    with stub_action("shop", "echo", errors=[E]) as stub:
        response = client.call_actions("shop", actions, raise_action_errors=False, continue_on_error=continues)
        assert bodies(response) == expected
        assert stub.call_count == calls
        # As an argument by its place, too.
        client.send_request("shop", actions, None, None, continues)
        assert [bodies(each) for _, each in client.get_all_responses("shop")] == [expected]


def test_errors_of_a_job_end_it_and_are_added(client: Client) -> None:
    with stub_action("shop", "echo", side_effect=JobError([E])) as stub:
        response = client.call_actions("shop", [SQUARE, ECHO, ECHO], raise_job_errors=False, continue_on_error=True)

    assert (bodies(response), response.errors, stub.call_count) == ([{"square": 4}], [E], 1)


def test_a_transport_error_is_raised_at_its_turn_and_costs_one_response(client: Client) -> None:
    effects = [{"n": 1}, MessageReceiveTimeout("late"), {"n": 3}] * 3
    with stub_action("shop", "echo", side_effect=effects):
        ids = [client.send_request("shop", [ECHO]) for _ in range(3)]
        received = []
        with pytest.raises(MessageReceiveTimeout, match="late"):
            for pair in client.get_all_responses("shop"):
                received.append(pair)
        assert [number for number, _ in [*received, *client.get_all_responses("shop")]] == [ids[0], ids[2]]

        with pytest.raises(MessageReceiveTimeout, match="late"):
            client.call_actions_parallel("shop", [ECHO] * 3)

        first, late, third = client.call_actions_parallel("shop", [ECHO] * 3, catch_transport_errors=True)
        assert (first.body, third.body) == ({"n": 1}, {"n": 3})
        assert isinstance(late, MessageReceiveTimeout)


def test_a_transport_error_of_a_mixed_request_costs_its_response(client: Client) -> None:
    with stub_action("shop", "echo", side_effect=MessageReceiveError("lost")):
        with pytest.raises(MessageReceiveError, match="lost"):
            client.call_actions("shop", [SQUARE, ECHO])
        client.send_request("shop", [SQUARE, ECHO])
        with pytest.raises(MessageReceiveError, match="lost"):
            list(client.get_all_responses("shop"))

    assert list(client.get_all_responses("shop")) == []


def test_a_request_is_forgotten_where_its_stub_breaks(client: Client) -> None:
    with stub_action("shop", "echo", side_effect=ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            client.send_request("shop", [SQUARE, ECHO])
        assert list(client.get_all_responses("shop")) == []
        assert client.call_action("shop", "square", {"number": 3}).body == {"square": 9}


def test_what_was_sent_before_a_stub_is_received_while_it_is_active(client: Client) -> None:
    future = client.call_actions_future("shop", [SQUARE, ECHO])

    with stub_action("shop", "echo", body=STUBBED):
        assert bodies(future.result()) == [{"square": 4}, {"real": True}]


def test_subclasses_that_stand_in_for_sending_or_receiving_are_seen() -> None:
    class Recording(Client):
        seen: list[Any] = []

        def send_request(self, *args: Any, **kwargs: Any) -> int:
            self.seen.append("sent")
            return super().send_request(*args, **kwargs)

        def get_all_responses(self, *args: Any, **kwargs: Any) -> Iterator[tuple[int, JobResponse]]:
            for number, response in super().get_all_responses(*args, **kwargs):
                self.seen.append(number)
                yield number, response

    with Recording({"shop": SHOP}) as recording, stub_action("shop", "echo", body=STUBBED):
        assert bodies(recording.call_actions("shop", [ECHO, SQUARE])) == [STUBBED, {"square": 4}]
        assert recording.call_action("shop", "echo").body == STUBBED
        with stub_action("shop", "where"):
            assert recording.call_action("shop", "square", {"number": 3}).body == {"square": 9}

    assert [each for each in recording.seen if each == "sent"] == ["sent"] * 3
    assert len(recording.seen) == 6


def test_stubs_answer_in_other_threads_and_keep_responses_apart(client: Client) -> None:
    def call(number: int) -> Any:
        if number % 3 == 0:
            return client.call_action("shop", "square", {"number": number}).body["square"]
        if number % 3 == 1:
            return client.call_action("shop", "echo", {"number": number}).body["number"]
        response = client.call_actions(
            "shop", [{"action": "square", "body": {"number": number}}, {"action": "echo", "body": {"number": number}}]
        )
        return [action.body for action in response.actions]

    def expected(number: int) -> Any:
        if number % 3 == 2:
            return [{"square": number**2}, {"number": -number}]
        return number**2 if number % 3 == 0 else -number

    with (
        stub_action("shop", "echo", side_effect=lambda body: {"number": -body["number"]}),
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(call, range(300))) == [expected(number) for number in range(300)]


def test_stubs_come_and_go_in_several_threads_at_once(client: Client) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(50):
            with stub_action("cart", f"show_{number}", body={"n": number}):
                assert client.call_action("cart", f"show_{number}").body == {"n": number}

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_a_future_may_be_asked_in_another_thread(client: Client) -> None:
    with stub_action("shop", "echo", body=STUBBED), ThreadPoolExecutor(4) as threads:
        futures = [client.call_actions_future("shop", [ECHO, SQUARE]) for _ in range(8)]
        results = list(threads.map(lambda future: bodies(future.result()), futures))

    assert results == [[STUBBED, {"square": 4}]] * 8


def test_responses_of_stubs_are_expanded_and_expansions_are_stubbed() -> None:
    body = {"books": [{"_type": "book", "author_id": 1}, {"_type": "book", "author_id": 2}]}
    authors = {"authors": {1: {"_type": "author", "name": "Ada"}, 2: {"_type": "author", "name": "Bea"}}}
    with (
        stub_action("library", "books", body=body),
        stub_action("authors", "by_id", body=authors) as stub,
        Client({}, EXPANSIONS) as client,
    ):
        for _ in range(2):
            response = client.call_action("library", "books", expansions={"book": ["author"]})
            assert [book["author"]["name"] for book in response.body["books"]] == ["Ada", "Bea"]

    assert [sorted(each["ids"]) for each in stub.call_bodies] == [[1, 2]] * 2
    assert "author" not in body["books"][0]
