from __future__ import annotations

import inspect
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
from pysoa.common.types import ActionRequest, ActionResponse, JobResponse
from tests.support.client_transports import failing, make_client, transport_of

COMMON = "expansions raise_job_errors raise_action_errors"
HEADERS = "timeout switches correlation_id"
END = "context control_extra"


# What it is made of


def test_client_can_be_imported_from_the_package() -> None:
    assert pysoa.client.Client is Client
    assert client_module.FutureSOAResponse is FutureSOAResponse
    with pytest.raises(AttributeError, match="Server"):
        pysoa.client.Server  # noqa: B018 - looking it up is the point


@pytest.mark.parametrize(
    "name",
    [
        "Client",
        "ServiceHandler",
        "FutureSOAResponse",
        "ActionRequestArgument",
        "ActionRequestArgumentList",
        "ActionRequestArgumentIterable",
        "JobRequestArgument",
    ],
)
def test_names_of_the_first_pysoa_are_in_the_module_of_the_client(name: str) -> None:
    assert hasattr(client_module, name)


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
    with pytest.raises(ValueError, match=r'^Called service name "') as raised:
        make_client().call_action(name, "echo")

    assert str(raised.value) == f'Called service name "{name}" must be unicode'


def test_an_unknown_service_is_said_to_be_unknown() -> None:
    client = make_client()

    for call in (client.call_action, client.call_action_future, client.send_request, client.get_all_responses):
        with pytest.raises(errors.ImproperlyConfigured, match=r'^Unrecognized service name "cube"$') as raised:
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
