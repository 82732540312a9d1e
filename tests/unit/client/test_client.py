from __future__ import annotations

import inspect
import subprocess
import sys
import types
from typing import Any

import pytest

import pysoa.client
from pysoa.client import client as client_module
from pysoa.client import errors
from pysoa.client.client import Client
from pysoa.client.future import FutureSOAResponse
from pysoa.client.settings import ClientSettings
from pysoa.common.errors import Error
from pysoa.common.settings import Settings
from pysoa.common.transport.errors import (
    BatchSendError,
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
    MessageSendError,
    MessageSendTimeout,
)
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from tests.support.client_transports import echo, make_client, transport_of

WRONG = {"code": "WRONG", "message": "it is"}
COMMON = "expansions raise_job_errors raise_action_errors"
HEADERS = "timeout switches correlation_id"
END = "context control_extra"


def failing(body: Any) -> Any:
    answer = echo(body)
    for action in answer["actions"]:
        if action["action"] == "fail":
            action["errors"] = [WRONG]
            action["body"] = {}
    if answer["actions"][0]["action"] == "fail_job":
        return {"errors": [WRONG], "context": {}, "actions": []}
    return answer


def lost(body: Any) -> Any:
    return None if any(action["action"] == "lost" for action in body["actions"]) else failing(body)


# What it is made of


def test_client_can_be_imported_from_the_package() -> None:
    assert pysoa.client.Client is Client
    assert client_module.FutureSOAResponse is FutureSOAResponse
    with pytest.raises(AttributeError, match="Server"):
        pysoa.client.Server  # noqa: B018 - looking it up is the point


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("settings_class", ClientSettings),
        ("handler_class", client_module.ServiceHandler),
        ("FutureResponse", FutureSOAResponse),
        ("ImproperlyConfigured", errors.ImproperlyConfigured),
        ("InvalidExpansionKey", errors.InvalidExpansionKey),
        ("CallJobError", errors.CallJobError),
        ("JobError", errors.CallJobError),
        ("CallActionError", errors.CallActionError),
    ],
)
def test_client_carries_the_classes_that_it_uses(attribute: str, value: Any) -> None:
    assert getattr(Client, attribute) is value


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("__init__", "config expansion_config settings_class context"),
        ("call_action", f"service_name action body {COMMON} {HEADERS} {END}"),
        ("call_actions", f"service_name actions {COMMON} {HEADERS} continue_on_error {END}"),
        ("call_actions_parallel", f"service_name actions {COMMON} catch_transport_errors {HEADERS} {END}"),
        ("call_jobs_parallel", f"jobs {COMMON} catch_transport_errors {HEADERS} continue_on_error {END}"),
        (
            "send_request",
            "service_name actions switches correlation_id continue_on_error context control_extra"
            " message_expiry_in_seconds suppress_response",
        ),
        ("get_all_responses", "service_name receive_timeout_in_seconds"),
    ],
)
def test_arguments_may_be_positional_in_the_order_of_the_first_pysoa(method: str, parameters: str) -> None:
    names = [method, f"{method}_future"] if method.startswith("call_") else [method]

    for name in names:
        found = inspect.signature(getattr(Client, name)).parameters.values()
        assert " ".join(one.name for one in found if one.kind is one.POSITIONAL_OR_KEYWORD) == f"self {parameters}"


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("expansions", None),
        ("raise_job_errors", True),
        ("raise_action_errors", True),
        ("catch_transport_errors", False),
        ("timeout", None),
        ("switches", None),
        ("correlation_id", None),
        ("context", None),
        ("control_extra", None),
    ],
)
def test_defaults_are_those_of_the_first_pysoa(parameter: str, default: Any) -> None:
    for name in dir(Client):
        if name.startswith("call_"):
            found = inspect.signature(getattr(Client, name)).parameters.get(parameter)
            assert found is None or found.default is default, name


@pytest.mark.parametrize("method", [name for name in dir(Client) if name.startswith("call_")])
def test_no_call_can_suppress_its_response(method: str) -> None:
    with pytest.raises(TypeError, match="suppress_response"):
        getattr(make_client(), method)("square", [], suppress_response=True)


def test_settings_are_checked_when_the_client_is_made() -> None:
    with pytest.raises(Settings.ImproperlyConfigured, match="Unknown setting"):
        Client({"square": {"nonsense": 1}})


@pytest.mark.parametrize("config", [None, {}])
def test_a_client_may_know_no_service(config: Any) -> None:
    client = Client(config)

    assert (client.config, client.settings, client.handlers, client.context) == ({}, {}, {}, {})


def test_the_settings_class_may_be_given_and_may_be_a_function() -> None:
    made = []

    def settings(data: Any) -> Any:
        made.append(data)
        return ClientSettings(data)

    client = make_client(settings_class=settings)

    assert made == [client.config["square"]]
    assert isinstance(client.settings["square"], ClientSettings)
    assert Client.settings_class is ClientSettings


def test_expansions_cannot_be_configured_yet() -> None:
    with pytest.raises(errors.ImproperlyConfigured, match="expansions are not supported by this development release"):
        Client({}, {"type_routes": {}})


def test_expansions_that_are_not_configured_mean_nothing() -> None:
    assert make_client().call_action("square", "echo", {"a": 1}, {"foo": ["bar"]}).body == {"a": 1}


def test_handlers_are_made_at_the_first_use_and_kept() -> None:
    client = make_client()
    assert client.handlers == {}

    client.call_action("square", "echo")
    handler = client.handlers["square"]
    client.call_action("square", "echo")

    assert client._get_handler("square") is handler
    assert list(client.handlers) == ["square"]


@pytest.mark.parametrize("name", [b"square", 5, ["square"], None])
def test_a_name_that_is_no_text_is_a_mistake(name: Any) -> None:
    with pytest.raises(ValueError, match="^Called service name \"") as raised:
        make_client().call_action(name, "echo")

    assert str(raised.value) == f'Called service name "{name}" must be unicode'


def test_an_unknown_service_is_said_to_be_unknown() -> None:
    client = make_client()

    for call in (client.call_action, client.call_action_future, client.send_request, client.get_all_responses):
        with pytest.raises(errors.ImproperlyConfigured, match='^Unrecognized service name "cube"$') as raised:
            call("cube", [])
        assert raised.value.outcome == "not_sent"


def test_closing_a_client_closes_its_transports() -> None:
    with make_client("square", "cube") as client:
        transports = [transport_of(client, name) for name in ("square", "cube")]

    assert [transport.closed for transport in transports] == [1, 1]
    assert client.call_action("square", "echo").action == "echo"


def test_a_client_with_another_context_shares_everything_else() -> None:
    client = make_client(context={"correlation_id": "one"})
    other = client.with_context({"correlation_id": "two", "locale": "de"})

    responses = [one.call_actions("square", [{"action": "echo"}]) for one in (client, other, client)]

    assert [response.context["correlation_id"] for response in responses] == ["one", "two", "one"]
    assert type(other) is type(client)
    assert other.handlers is client.handlers
    assert len(transport_of(client).sent) == 3


# What is sent


def test_a_request_is_the_one_that_the_first_pysoa_sends() -> None:
    client = make_client()

    request_id = client.send_request("square", [{"action": "square", "body": {"number": 7}}], [5], "corr-1")

    (sent,) = transport_of(client).sent
    assert sent.request_id == request_id
    assert sent.meta == {"client_version": [2, 0, 0]}
    assert sent.message_expiry_in_seconds is None
    assert str(sent.body) == str(
        {
            "control": {"continue_on_error": False, "suppress_response": False},
            "context": {"correlation_id": "corr-1", "switches": [5]},
            "actions": [{"action": "square", "body": {"number": 7}}],
        }
    )


def test_the_life_of_a_request_is_given_to_the_transport_as_it_is() -> None:
    client = make_client()

    client.send_request("square", [{"action": "a"}], message_expiry_in_seconds=30)

    (sent,) = transport_of(client).sent
    assert sent.message_expiry_in_seconds == 30
    assert sent.body["control"]["timeout"] == 30


def test_each_request_has_its_own_correlation_id_and_number() -> None:
    client = make_client()

    list(client.call_actions_parallel("square", [{"action": "a"}] * 3))

    sent = transport_of(client).sent
    ids = [one.body["context"]["correlation_id"] for one in sent]
    assert len(set(ids)) == 3
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
    assert [one.request_id - sent[0].request_id for one in sent] == [0, 1, 2]
    assert 0 <= sent[0].request_id < 2**52


def test_no_body_is_an_empty_body_in_call_action_and_null_elsewhere() -> None:
    client = make_client()

    client.call_action("square", "a", None)
    client.call_actions("square", [{"action": "a", "body": None}, {"action": "a"}, ActionRequest("a", {"b": 1})])

    bodies = [[action["body"] for action in sent.body["actions"]] for sent in transport_of(client).sent]
    assert bodies == [[{}], [None, {}, {"b": 1}]]


@pytest.mark.parametrize("action", [{"action": "a", "nonsense": 1}, {"body": {}}])
def test_an_action_request_of_the_wrong_shape_is_a_mistake_and_nothing_is_sent(action: Any) -> None:
    client = make_client(transport="ListeningTransport")

    with pytest.raises(TypeError):
        client.call_actions("square", [action])
    with pytest.raises(TypeError):
        client.call_actions_parallel("square", [{"action": "a"}, action])

    assert transport_of(client).sent == []


def test_all_jobs_of_a_parallel_call_get_the_switches_and_nothing_given_is_changed() -> None:
    client = make_client()
    context = {"switches": [9], "locale": "de"}
    control_extra = {"zed": 1}

    client.call_jobs_parallel(
        [{"service_name": "square", "actions": [{"action": "a"}]}] * 2,
        switches=(number for number in (5,)),
        context=context,
        control_extra=control_extra,
        timeout=3,
    )

    assert [sent.body["context"]["switches"] for sent in transport_of(client).sent] == [[9, 5], [9, 5]]
    assert (context, control_extra) == ({"switches": [9], "locale": "de"}, {"zed": 1})


# Calls


def test_call_action_gives_back_the_response_of_the_action() -> None:
    response = make_client().call_action("square", "square", {"number": 7})

    assert response == ActionResponse("square", [], {"number": 7})


def test_call_actions_gives_back_the_response_of_the_job() -> None:
    response = make_client().call_actions("square", [{"action": "a"}, {"action": "b"}], correlation_id="c")

    assert response == JobResponse([], {"correlation_id": "c"}, [ActionResponse("a"), ActionResponse("b")])


def test_action_errors_are_raised_unless_they_are_not_to_be() -> None:
    client = make_client()
    transport_of(client).answer = failing
    actions = [{"action": "a"}, {"action": "fail"}]
    failed = ActionResponse("fail", [Error("WRONG", "it is")])

    for call in (
        lambda **options: client.call_action("square", "fail", **options),
        lambda **options: client.call_actions("square", actions, **options),
        lambda **options: client.call_actions_parallel("square", actions, **options),
        lambda **options: client.call_jobs_parallel([{"service_name": "square", "actions": actions}], **options),
    ):
        with pytest.raises(errors.CallActionError) as raised:
            call()
        assert raised.value.actions == [failed]
        assert raised.value.outcome == "answered"
        call(raise_action_errors=False)


def test_job_errors_are_raised_unless_they_are_not_to_be() -> None:
    client = make_client()
    transport_of(client).answer = failing
    fail = {"action": "fail_job"}
    job = {"service_name": "square", "actions": [fail]}
    wrong = Error("WRONG", "it is")

    for call in (
        lambda: client.call_action("square", "fail_job"),
        lambda: client.call_actions("square", [fail]),
        lambda: client.call_actions_parallel("square", [{"action": "a"}, fail]),
        lambda: client.call_jobs_parallel([job]),
    ):
        with pytest.raises(errors.CallJobError) as raised:
            call()
        assert raised.value.errors == [wrong]

    assert client.call_action("square", "fail_job", raise_job_errors=False) == [wrong]
    assert client.call_actions("square", [fail], raise_job_errors=False) == JobResponse([wrong])
    parallel = client.call_actions_parallel("square", [{"action": "a"}, fail], raise_job_errors=False)
    assert list(parallel) == [ActionResponse("a"), [wrong]]
    assert client.call_jobs_parallel([job], raise_job_errors=False) == [JobResponse([wrong])]


def test_a_client_raises_its_own_classes() -> None:
    class TooBad(errors.CallActionError):
        pass

    class OwnClient(Client):
        CallActionError = TooBad

    client = make_client(client_class=OwnClient)
    transport_of(client).answer = failing

    with pytest.raises(TooBad):
        client.call_action("square", "fail")


def test_parallel_actions_come_back_as_a_generator_in_the_order_of_the_requests() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.respond = lambda request_id, answer: transport.arrived.appendleft((request_id, {}, answer))

    responses = client.call_actions_parallel("square", (ActionRequest("a", {"n": n}) for n in range(4)))

    assert isinstance(responses, types.GeneratorType)
    assert [response.body["n"] for response in responses] == [0, 1, 2, 3]


def test_parallel_actions_are_over_before_their_generator_is_given_back() -> None:
    client = make_client()

    client.call_actions_parallel("square", [{"action": "a"}])

    assert transport_of(client).outstanding == 0


def test_parallel_jobs_come_back_in_the_order_of_the_jobs() -> None:
    client = make_client("square", "cube")

    responses = client.call_jobs_parallel(
        [
            {"service_name": "cube", "actions": [{"action": "a"}]},
            {"service_name": "square", "actions": [{"action": "b"}, {"action": "c"}]},
            {"service_name": "cube", "actions": [{"action": "d"}]},
        ]
    )

    assert [[action.action for action in response.actions] for response in responses] == [["a"], ["b", "c"], ["d"]]


def test_no_jobs_have_no_responses() -> None:
    client = make_client()

    assert client.call_jobs_parallel([]) == []
    assert list(client.call_actions_parallel("square", [])) == []


def test_of_several_jobs_that_fail_the_first_raises() -> None:
    client = make_client()
    transport_of(client).answer = failing

    with pytest.raises(errors.CallActionError):
        client.call_actions_parallel("square", [{"action": "a"}, {"action": "fail"}, {"action": "fail_job"}])
    with pytest.raises(errors.CallJobError):
        client.call_actions_parallel("square", [{"action": "fail_job"}, {"action": "fail"}])


@pytest.mark.parametrize("method", ["call_action", "call_actions_parallel", "call_action_future"])
def test_continue_on_error_for_one_action_is_an_old_way(method: str) -> None:
    action: Any = "a" if "actions" not in method else [{"action": "a"}]
    client = make_client()

    with pytest.warns(DeprecationWarning, match=f"Client.{method}: continue_on_error means nothing"):
        getattr(client, method)("square", action, continue_on_error=True)

    assert transport_of(client).sent[0].body["control"]["continue_on_error"] is False


# Timeouts


def test_a_timeout_covers_the_whole_call_and_is_told_to_the_server() -> None:
    client = make_client()

    client.call_action("square", "a", timeout=4)

    transport = transport_of(client)
    (sent,) = transport.sent
    assert sent.message_expiry_in_seconds == 5
    assert sent.body["control"]["timeout"] == 4
    assert 3 < transport.timeouts[0] <= 4


@pytest.mark.parametrize("timeout", [None, 0])
def test_no_timeout_leaves_all_to_the_transport(timeout: Any) -> None:
    client = make_client()

    client.call_action("square", "a", timeout=timeout)

    transport = transport_of(client)
    assert transport.sent[0].message_expiry_in_seconds is None
    assert "timeout" not in transport.sent[0].body["control"]
    assert transport.timeouts == [None]


def test_a_timeout_costs_its_call_and_none_after_it() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost

    with pytest.raises(MessageReceiveTimeout, match="^No message received for service square$") as raised:
        client.call_action("square", "lost")
    late = transport.sent[0].request_id
    transport.respond(late, echo(transport.sent[0].body))

    assert raised.value.outcome == "unknown"
    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}
    assert client.handlers["square"]._awaited._known == {}


def test_lost_responses_leave_nothing_behind() -> None:
    client = make_client(transport="ListeningTransport")
    transport = transport_of(client)
    transport.receive_errors.extend([MessageReceiveTimeout("late")] * 200)

    for _ in range(100):
        with pytest.raises(MessageReceiveTimeout):
            client.call_action("square", "a")
        with pytest.raises(MessageReceiveTimeout):
            client.call_actions_parallel("square", [{"action": "a"}] * 2)

    awaited = client.handlers["square"]._awaited
    assert (awaited._known, awaited._parked, awaited._leaders) == ({}, {}, {})
    assert not any(transport._ids.values())


def test_responses_that_nobody_asks_for_are_kept_within_bounds() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost

    for _ in range(40_000):
        client.send_request("square", [ActionRequest("lost")])
        transport.sent.clear()

    assert len(client.handlers["square"]._awaited._known) <= 20_000


# Responses that cannot be used


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"errors": 5},
        {"actions": [{}]},
        {"actions": ["text"]},
        {"actions": [None]},
        {"errors": [{"code": "X"}]},
        {"actions": [{"action": "a", "errors": ["text"]}]},
    ],
    ids=repr,
)
def test_a_response_of_the_wrong_shape_is_an_invalid_message(body: Any) -> None:
    client = make_client()
    transport_of(client).respond = lambda request_id, answer: transport_of(client).arrived.append(
        (request_id, {}, body)
    )

    with pytest.raises(InvalidMessageError, match="Response from service square is not a job response") as raised:
        client.call_actions("square", [{"action": "a"}])
    with pytest.raises(InvalidMessageError):
        client.call_jobs_parallel([{"service_name": "square", "actions": [{"action": "a"}]}])
    (slot,) = client.call_actions_parallel("square", [{"action": "a"}], catch_transport_errors=True)

    assert raised.value.outcome == "answered"
    assert isinstance(slot, InvalidMessageError)


def test_what_newer_servers_say_is_left_out() -> None:
    client = make_client()
    transport_of(client).answer = lambda body: {**echo(body), "news": 1}

    assert client.call_action("square", "a").action == "a"


@pytest.mark.parametrize("stranger", [17, "text", None, ["list"]], ids=repr)
def test_responses_for_nobody_are_skipped(stranger: Any) -> None:
    client = make_client()
    transport = transport_of(client)
    transport.arrived.extend([(17, {}, None), (stranger if stranger is not None else 18, {}, {"junk": 1})])
    transport.outstanding += 2

    assert client.call_action("square", "a", {"n": 1}).body == {"n": 1}


def test_no_response_but_others_is_told_with_their_ids() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.arrived.append((17, {}, None))

    with pytest.raises(errors.NoResponse) as raised:
        client.call_action("square", "a")

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"Got unexpected response(s) with ID(s) [17] for request with ID {request_id}"


def test_no_response_to_one_of_several_is_told() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.outstanding = -1

    with pytest.raises(errors.NoResponse) as raised:
        client.call_actions_parallel("square", [{"action": "a"}])

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"There was no response for service square, request {request_id}"


def test_a_wrong_response_to_one_of_several_is_told() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lambda body: None
    transport.arrived.append((17, {}, None))

    with pytest.raises(errors.NoResponse) as raised:
        client.call_actions_parallel("square", [{"action": "a"}])

    request_id = transport.sent[0].request_id
    assert str(raised.value) == f"Got response ID 17, not in set of expected IDs {{{request_id}}}"


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


# send_request and get_all_responses


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_all_responses_come_with_their_ids(transport: str) -> None:
    client = make_client(transport=transport)
    ids = [client.send_request("square", [{"action": "a", "body": {"n": n}}]) for n in range(3)]

    responses = client.get_all_responses("square")

    assert isinstance(responses, types.GeneratorType)
    assert [(request_id, response.actions[0].body) for request_id, response in responses] == [
        (request_id, {"n": n}) for n, request_id in enumerate(ids)
    ]
    assert list(client.get_all_responses("square")) == []


def test_a_timeout_comes_after_the_responses_that_are_there() -> None:
    client = make_client()
    transport_of(client).answer = lost
    first = client.send_request("square", [{"action": "a"}])
    client.send_request("square", [{"action": "lost"}])
    responses = client.get_all_responses("square", receive_timeout_in_seconds=2)

    assert next(responses)[0] == first
    with pytest.raises(MessageReceiveTimeout):
        next(responses)
    assert transport_of(client).timeouts == [2, 2]


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
@pytest.mark.parametrize("options", [{"suppress_response": True}, {"control_extra": {"suppress_response": True}}])
def test_a_suppressed_response_is_not_waited_for(transport: str, options: Any) -> None:
    client = make_client(transport=transport)

    client.send_request("square", [{"action": "a"}], **options)

    assert list(client.get_all_responses("square")) == []


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_calls_and_requests_may_be_mixed(transport: str) -> None:
    client = make_client(transport=transport)
    future = client.call_action_future("square", "a", {"n": 1})
    request_id = client.send_request("square", [{"action": "b", "body": {"n": 2}}])

    response = client.call_action("square", "c", {"n": 3})

    assert response.body == {"n": 3}
    assert [(one, job.actions[0].body) for one, job in client.get_all_responses("square")] == [(request_id, {"n": 2})]
    assert future.result().body == {"n": 1}


# Futures


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_futures_of_one_service_each_get_their_own(transport: str) -> None:
    client = make_client(transport=transport)
    futures = [client.call_action_future("square", "a", {"n": n}) for n in range(4)]

    results = [future.result().body["n"] for future in reversed(futures)]

    assert results == [3, 2, 1, 0]


def test_futures_give_what_the_calls_give() -> None:
    client = make_client()
    job = {"service_name": "square", "actions": [{"action": "a"}]}

    assert client.call_action_future("square", "a").result() == ActionResponse("a")
    assert client.call_actions_future("square", [{"action": "a"}]).result().actions == [ActionResponse("a")]
    parallel = client.call_actions_parallel_future("square", [{"action": "a"}])
    assert list(parallel.result()) == [ActionResponse("a")]
    assert list(parallel.result()) == []
    assert client.call_jobs_parallel_future([job]).result()[0].actions == [ActionResponse("a")]
    empty = client.call_jobs_parallel_future([])
    assert empty.result() is empty.result()
    assert empty.done()


def test_futures_raise_send_errors_at_once_and_others_when_asked() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = failing
    transport.send_errors.append(MessageSendError("no"))

    with pytest.raises(MessageSendError):
        client.call_action_future("square", "a")
    future = client.call_action_future("square", "fail")

    with pytest.raises(errors.CallActionError):
        future.result()
    with pytest.raises(errors.CallJobError):
        client.call_action_future("square", "fail_job").result()
    assert client.call_action_future("square", "fail_job", raise_job_errors=False).result() == [Error("WRONG", "it is")]


def test_a_future_that_timed_out_may_be_asked_again() -> None:
    client = make_client()
    transport = transport_of(client)
    transport.answer = lost
    future = client.call_actions_parallel_future("square", [{"action": "a"}, {"action": "lost"}], timeout=4)

    with pytest.raises(MessageReceiveTimeout):
        future.result(2)
    transport.respond(transport.sent[1].request_id, echo(transport.sent[1].body))

    assert [response.action for response in future.result()] == ["a", "lost"]
    assert [round(timeout, 1) for timeout in transport.timeouts] == [2.0, 2.0, 4.0]


def test_a_future_that_catches_transport_errors_is_done_with_them() -> None:
    client = make_client()
    transport_of(client).answer = lost
    future = client.call_actions_parallel_future(
        "square", [{"action": "a"}, {"action": "lost"}], catch_transport_errors=True
    )

    first, second = future.result()

    assert first == ActionResponse("a")
    assert isinstance(second, MessageReceiveTimeout)


def test_futures_that_are_dropped_leave_nothing_behind() -> None:
    client = make_client(transport="ListeningTransport")
    transport_of(client).answer = lost
    for _ in range(5):
        client.call_action_future("square", "lost")

    client.call_action("square", "a")

    assert client.handlers["square"]._awaited._known == {}
    forgotten = [ids for word, ids in transport_of(client).told if word == "forget"]
    assert sum(len(ids) for ids in forgotten) == 5
    assert not any(transport_of(client)._ids.values())


# A fork


FORK = """
import os, sys
from pysoa.common.transport.errors import MessageReceiveError
from tests.support.client_transports import make_client, transport_of

client = make_client(transport={transport!r})
client.call_action("square", "a")
client.send_request("square", [{{"action": "a"}}])
future = client.call_action_future("square", "mine", {{"n": 1}})
client._building._lock.acquire()
parent = client.handlers["square"].request_counter
child = os.fork()
if child == 0:
    assert abs(client.handlers["square"].request_counter - parent) > 1000
    transport_of(client).arrived.clear()
    transport_of(client).outstanding = 0
    assert list(client.get_all_responses("square")) == []
    try:
        future.result()
        os._exit(1)
    except MessageReceiveError as error:
        assert "sent by the parent of this process" in str(error)
    assert client.call_action("square", "a", {{"n": 2}}).body == {{"n": 2}}
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert future.result().body == {{"n": 1}}
assert len(list(client.get_all_responses("square"))) == 1
print("fine")
"""


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_a_child_process_takes_nothing_of_its_parent_and_can_call(transport: str) -> None:
    code = FORK.format(transport=transport)

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert run.stdout == "fine\n", run.stderr
