from __future__ import annotations

import pytest

from pysoa.common.transport.errors import (
    BatchSendError,
    MessageReceiveError,
    MessageSendError,
    MessageSendTimeout,
)
from pysoa.common.types import ActionResponse, JobResponse
from tests.support.client_transports import make_client, transport_of

# Transport errors


def test_a_send_error_takes_the_slot_of_its_job() -> None:
    client = make_client()
    error = MessageSendError("no")
    transport_of(client).send_errors.extend([None, error])

    first, second, third = client.call_actions_parallel(
        "square", [{"action": "a"}, {"action": "b"}, {"action": "c"}], catch_transport_errors=True
    )

    assert (first, second, third) == (ActionResponse("a"), error, ActionResponse("c"))


def test_a_receive_error_takes_all_slots_of_its_service_that_are_empty() -> None:
    client = make_client("square", "cube")
    error = MessageReceiveError("no")
    transport_of(client, "square").receive_errors.extend([None, error])

    responses = client.call_jobs_parallel(
        [{"service_name": name, "actions": [{"action": "a"}]} for name in ("square", "cube", "square", "square")],
        catch_transport_errors=True,
    )

    assert [isinstance(response, JobResponse) for response in responses] == [True, True, False, False]
    assert responses[2:] == [error, error]


def test_without_catching_transport_errors_are_raised_and_the_rest_forgotten() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.send_errors.extend([None, MessageSendError("no")])

    with pytest.raises(MessageSendError, match="no"):
        client.call_actions_parallel("square", [{"action": "a"}] * 3)

    assert len(transport.sent) == 1
    assert client.handlers["square"]._awaited._known == {}
    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}


def test_not_sent_is_said_of_a_call_only_when_none_of_its_jobs_was_sent() -> None:
    client = make_client()
    transport_of(client).send_errors.extend([MessageSendTimeout("first"), None, MessageSendTimeout("second")])

    with pytest.raises(MessageSendTimeout, match="first") as first:
        client.call_actions_parallel("square", [{"action": "a"}] * 2)
    with pytest.raises(MessageSendTimeout, match="second") as second:
        client.call_actions_parallel("square", [{"action": "a"}] * 2)

    assert first.value.outcome == "not_sent"
    assert second.value.outcome == "unknown"


def test_serializer_errors_are_not_caught() -> None:
    from pysoa.common.serializer.errors import InvalidField

    client = make_client(transport="ListeningTransport")
    transport_of(client).send_errors.append(InvalidField("no"))

    with pytest.raises(InvalidField):
        client.call_actions_parallel("square", [{"action": "a"}], catch_transport_errors=True)


# What transports that listen are told


def test_a_call_that_waits_says_so_before_it_sends() -> None:
    client = make_client(transport="ListeningTransport")
    transport = transport_of(client)

    client.call_action("square", "a")
    client.call_action("square", "a", timeout=4)
    list(client.call_actions_parallel("square", [{"action": "a"}], timeout=3))
    client.call_action_future("square", "a").result()
    client.send_request("square", [{"action": "a"}])

    assert transport.told == [("expect_reply", None), ("expect_reply", 4), ("expect_reply", 3)]


def test_parallel_calls_go_in_one_batch_for_each_service() -> None:
    client = make_client("square", "cube", transport="ListeningTransport")
    jobs = [{"service_name": name, "actions": [{"action": "a"}]} for name in ("square", "cube", "square")]

    client.call_jobs_parallel(jobs, timeout=4)
    client.call_jobs_parallel_future(jobs).result()

    assert transport_of(client, "square").told == [("expect_reply", 4), ("batch", 2), ("batch", 2)]
    assert transport_of(client, "cube").told == [("expect_reply", 4), ("batch", 1), ("batch", 1)]


def test_what_fails_of_a_batch_takes_the_slots_of_its_jobs() -> None:
    client = make_client("square", "cube", transport="ListeningTransport")
    error = MessageSendTimeout("full")
    transport_of(client, "square").batch_errors.append({1: error})
    jobs = [{"service_name": name, "actions": [{"action": "a"}]} for name in ("square", "cube", "square")]

    responses = client.call_jobs_parallel(jobs, catch_transport_errors=True, timeout=2)

    assert [isinstance(response, JobResponse) for response in responses] == [True, True, False]
    assert responses[2] is error


def test_an_error_of_a_batch_is_raised_as_what_it_is() -> None:
    client = make_client(transport="ListeningTransport")
    transport = transport_of(client)
    transport.batch_errors.extend(
        [{0: MessageSendTimeout("full"), 1: MessageSendTimeout("full")}, {1: MessageSendTimeout("full")}]
    )

    with pytest.raises(MessageSendTimeout, match="full") as all_of_it:
        client.call_actions_parallel("square", [{"action": "a"}] * 2)
    with pytest.raises(MessageSendTimeout, match="full") as a_part:
        client.call_actions_parallel("square", [{"action": "a"}] * 2)

    assert not isinstance(all_of_it.value, BatchSendError)
    assert all_of_it.value.outcome == "not_sent"
    assert a_part.value.outcome == "unknown"
    assert client.handlers["square"]._awaited._known == {}


def test_a_service_that_fails_keeps_what_is_held_back_for_the_others() -> None:
    client = make_client("square", "cube", transport="ListeningTransport")
    transport_of(client, "cube").batch_errors.append(MessageSendTimeout("full"))
    jobs = [{"service_name": name, "actions": [{"action": "a"}]} for name in ("square", "cube")]

    with pytest.raises(MessageSendTimeout) as raised:
        client.call_jobs_parallel(jobs, timeout=2)

    assert raised.value.outcome == "not_sent"
    assert transport_of(client, "square").sent == []


def test_a_service_that_is_not_there_is_said_to_be_so_of_one_request_only() -> None:
    from pysoa.common.transport.errors import ServiceUnavailable

    client = make_client(transport="ListeningTransport")
    transport_of(client).receive_errors.extend([ServiceUnavailable("gone", outcome="not_sent") for _ in range(2)])

    with pytest.raises(ServiceUnavailable) as one:
        client.call_action("square", "a")
    with pytest.raises(ServiceUnavailable) as several:
        client.call_actions_parallel("square", [{"action": "a"}] * 2)

    assert one.value.outcome == "not_sent"
    assert several.value.outcome == "unknown"
