"""Every behaviour vector: what a running service of 1.4.9 answered, ours answers too, and lives on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pysoa.cli.broker import Broker
from tests.support.brokers import start
from tests.support.processes import Process
from tests.support.vector_runs import (
    HAS_CONFORMITY,
    JSON,
    MSGPACK,
    SERIALIZERS,
    Lists,
    as_0_42,
    differences,
    envelope,
    read_message,
    start_service,
)
from tests.support.vectors import from_notation, load

ALL_CASES = {(case["group"], case["name"]): case for case in load("behaviour")["cases"]}
HARAKIRI = ("timeouts", "harakiri")  # ends its server, so it has a test and a server of its own
CASES = {key: case for key, case in ALL_CASES.items() if key != HARAKIRI}

V3_MSGPACK = "pysoa-redis/3//content-type:application/msgpack;"
V3_JSON = "pysoa-redis/3//content-type:application/json;"


def error(code: str, message: str, field: str | None) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "field": field,
        "traceback": None,
        "variables": None,
        "denied_permissions": None,
        "is_caller_error": False,
    }


def refused(code: str, message: str, field: str | None) -> dict[str, Any]:
    return {"errors": [error(code, message, field)], "context": {}, "actions": []}


def answered(action: str, body: Any, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "errors": [],
        "context": {"correlation_id": "corr-9"},
        "actions": [{"action": action, "errors": errors or [], "body": body}],
    }


NO_REPLY = None

# Settings of the two engines of a server: its own loop, and asyncio's with some jobs at a time.
ENGINES: dict[str, dict[str, Any]] = {"blocking": {}, "asyncio": {"concurrency": 4}}

# On each of these messages a server of 1.4.9 ended. Ours gives the answer noted here, and goes on.
ANSWERS_WHERE_THE_SERVER_STOPPED: dict[tuple[str, str], Any] = {
    ("control", "control_null"): refused("INVALID", "Not a dict", "control"),
    ("control", "control_list"): refused("INVALID", "Not a dict", "control"),
    ("context", "context_null"): refused("INVALID", "Not a dict", "context"),
    ("context", "context_list"): refused("INVALID", "Not a dict", "context"),
    ("context", "context_request_id_clash"): answered("echo", {}),
    ("client_version", "client_version_text"): refused("INVALID", "List is shorter than 1", "actions"),
    ("client_version", "client_version_null"): refused("INVALID", "List is shorter than 1", "actions"),
    ("envelope", "no_reply_to"): NO_REPLY,
    ("envelope", "no_request_id"): NO_REPLY,
    ("envelope", "no_meta"): NO_REPLY,
    ("envelope", "meta_null"): NO_REPLY,
    ("envelope", "body_list"): refused("INVALID", "Not a dict", None),
    ("envelope", "body_text"): refused("INVALID", "Not a dict", None),
    ("envelope", "envelope_list"): NO_REPLY,
    ("envelope", "envelope_int"): NO_REPLY,
    ("envelope", "garbage"): NO_REPLY,
    ("envelope", "plain_text"): NO_REPLY,
    ("envelope", "empty_frame"): NO_REPLY,
    ("envelope", "truncated"): NO_REPLY,
    ("envelope", "surplus"): NO_REPLY,
    ("envelope", "wrong_content_type_json_header"): NO_REPLY,
    ("envelope", "version_4"): NO_REPLY,
    ("envelope", "chunked_request"): NO_REPLY,
    ("envelope", "unknown_ext_in_body"): NO_REPLY,
    ("envelope", "bad_date_in_body"): NO_REPLY,
    ("envelope", "short_date_in_body"): NO_REPLY,
}

# Where we answer otherwise on purpose. Each has a row in docs/reference/deviations.md.
OTHER_ANSWERS: dict[tuple[str, str], Any] = {
    ("built_in", "introspect_switched_bad"): answered(
        "introspect",
        {},
        [{**error("INVALID", "Action not defined in service", "action_name"), "is_caller_error": True}],
    ),
}
OTHER_REPLY_HEADERS = {("envelope", "json_types_reply"): V3_JSON}

# Requests that do not say the version of their client, or say none that makes sense, are answered as clients of 0.42
# can read it: they refuse the key ``context``, which 1.4.9 sends.
FROM_NAMELESS_CLIENTS = {
    ("client_version", "client_version_absent"),
    ("client_version", "client_version_job_error_absent"),
    ("client_version", "client_version_null"),
    ("client_version", "client_version_text"),
    ("envelope", "body_list"),
    ("envelope", "body_text"),
    ("envelope", "expiry_absent"),
    ("envelope", "request_id_text"),
}


class Sent(NamedTuple):
    """One frame on its way, and what is known of the meta headers in it."""

    frame: bytes
    reply_to: str
    meta: dict[str, Any]
    request_id: Any


def with_values(noted: Any, reply_to: str, expires_at: float) -> Any:
    """A typed value with values in the place of its markers."""
    if isinstance(noted, dict):
        return {key: with_values(value, reply_to, expires_at) for key, value in noted.items()}
    return (
        {"<<REPLY_TO>>": reply_to, "<<FUTURE_TIME>>": expires_at}.get(noted, noted) if isinstance(noted, str) else noted
    )


def make_frame(case: dict[str, Any], reply_to: str, *, from_0_42: bool = False) -> Sent:
    """The frame of a case, as the README of the vectors tells; or as a client of 0.42 would have sent it."""
    if "sent_frame_hex" in case:
        return Sent(bytes.fromhex(case["sent_frame_hex"]), reply_to, {}, None)
    expires_at = time.time() + case.get("expiry_seconds_from_now", 60)
    content_type = case.get("payload_written_as", MSGPACK)
    if content_type == JSON and case["name"] == "json_expiry_int":
        expires_at = int(expires_at)
    if "sent_envelope" in case:
        message = with_values(from_notation(case["sent_envelope"]), reply_to, expires_at)
    else:
        version = {"client_version": from_notation(case.get("client_version", [1, 4, 9]))}
        if from_0_42 or not case.get("client_version_sent", True):
            version = {}
        message = envelope(from_notation(case["job_request"]), reply_to, expires_at=expires_at, **version)
    payload = SERIALIZERS[content_type].dict_to_blob(message)
    if "raw_msgpack_for_v_hex" in case:
        payload = payload.replace(b"\xa7<<RAW>>", bytes.fromhex(case["raw_msgpack_for_v_hex"]))
    payload += bytes.fromhex(case.get("payload_surplus_hex", ""))
    payload = payload[: len(payload) - case.get("payload_bytes_cut_from_end", 0)]
    header = "" if from_0_42 else case.get("header_text", V3_MSGPACK)
    meta = message.get("meta")
    return Sent(header.encode() + payload, reply_to, meta or {}, message.get("request_id"))


def expected_answer(key: tuple[str, str]) -> Any:
    """What our service is to answer to a case; None for nothing."""
    case = ALL_CASES[key]
    if key in ANSWERS_WHERE_THE_SERVER_STOPPED:
        return ANSWERS_WHERE_THE_SERVER_STOPPED[key]
    if key in OTHER_ANSWERS:
        return OTHER_ANSWERS[key]
    answer = from_notation(case["job_response"])
    return answer if HAS_CONFORMITY else without_conformity(answer)


def without_conformity(answer: Any) -> Any:
    """The same answer of a service where Conformity is not installed: there is no version of it to tell."""
    if isinstance(answer, list):
        return [without_conformity(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    answer = {key: without_conformity(value) for key, value in answer.items()}
    if answer.get("conformity") == "<<VERSION>>":
        answer["conformity"] = None
    elif isinstance(answer.get("conformity"), dict):
        answer["conformity"] = {"type": "nullable", "nullable": answer["conformity"]}
    return answer


def assert_answer(frames: list[bytes], sent: Sent, expected: Any, header: str) -> None:
    if expected is NO_REPLY:
        assert frames == []
        return
    (frame,) = frames
    message = read_message(frame)
    assert frame.startswith(header.encode())
    assert frame[len(header) :] == SERIALIZERS[JSON if "json" in header else MSGPACK].dict_to_blob(message)
    assert list(message) == ["request_id", "meta", "body"]
    assert message["request_id"] == sent.request_id
    expires_at = message["meta"].pop("__expiry__")
    assert message["meta"] == {name: value for name, value in sent.meta.items() if name != "__expiry__"}
    assert 40 < expires_at - time.time() < 61
    assert differences(expected, message["body"]) == []


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """What runs the jobs of the services."""
    engine: str = request.param
    return engine


@pytest.fixture(scope="module")
def vector_broker(engine: str) -> Iterator[Broker]:
    with start() as broker:
        yield broker


@pytest.fixture(scope="module")
def services(vector_broker: Broker, lists: Lists, engine: str) -> Iterator[dict[str, Process]]:
    """One process of each service, which has to outlive all cases and leave no more answers than were asked for."""
    settings = ENGINES[engine]
    with start_service(vector_broker, "vec", **settings) as vec, start_service(vector_broker, "vec_b", **settings) as b:
        yield {"vec": vec, "vec_b": b}
        assert lists.drained(vec, b) == set()


@pytest.fixture(scope="module")
def lists(vector_broker: Broker) -> Iterator[Lists]:
    lists = Lists(vector_broker)
    yield lists
    lists.close()


def of_every_case(*left_out: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("key", [key for key in CASES if key not in left_out], ids="-".join)


def test_the_tables_are_about_cases() -> None:
    stopped = {key for key, case in CASES.items() if case["server_stopped"]}

    assert len(ALL_CASES) == 199
    assert stopped == ANSWERS_WHERE_THE_SERVER_STOPPED.keys()
    assert OTHER_ANSWERS.keys() | OTHER_REPLY_HEADERS.keys() | FROM_NAMELESS_CLIENTS <= CASES.keys()


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (1, True),
        (1, 1.0),
        (None, {}),
        ([1, 2], [1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": 1, "b": None}, {"a": 1}),
        ({"a": [{"b": "c"}]}, {"a": [{"b": "d"}]}),
        ("<<TRACEBACK>>", None),
        ("<<VERSION>>", None),
        ("<<BUILT_IN_TEXT>>", None),
    ],
)
def test_answers_that_differ_are_told_apart(expected: Any, value: Any) -> None:
    assert len(differences(expected, value)) == 1


@of_every_case()
def test_service_answers_as_recorded_and_lives_on(
    services: dict[str, Process], lists: Lists, key: tuple[str, str]
) -> None:
    case = CASES[key]
    service = case.get("service", "vec")
    sent = make_frame(case, lists.reply_to(service))

    expected = expected_answer(key)

    frames = lists.answers(sent.frame, sent.reply_to, service, is_answered=expected is not NO_REPLY)

    if key in FROM_NAMELESS_CLIENTS and expected is not NO_REPLY:
        expected = as_0_42(expected)
    header = OTHER_REPLY_HEADERS.get(key) or case.get("reply_header_text")
    assert_answer(frames, sent, expected, case.get("header_text", V3_MSGPACK) if header is None else header)
    if "reply_meta_keys" in case:
        assert sorted(read_message(frames[0])["meta"]) == case["reply_meta_keys"]
    assert services[service].returncode is None


@of_every_case(
    *(
        key
        for key, case in CASES.items()
        if "header_text" in case or "sent_frame_hex" in case or "sent_envelope" in case
    )
)
def test_client_of_0_42_gets_the_same_answer_in_words_that_it_knows(
    services: dict[str, Process], lists: Lists, key: tuple[str, str]
) -> None:
    case = CASES[key]
    service = case.get("service", "vec")
    sent = make_frame(case, lists.reply_to(service), from_0_42=True)

    expected = expected_answer(key)

    frames = lists.answers(sent.frame, sent.reply_to, service, is_answered=expected is not NO_REPLY)

    assert_answer(frames, sent, expected if expected is NO_REPLY else as_0_42(expected), "")


@pytest.mark.parametrize("settings", ENGINES.values(), ids=ENGINES)
def test_action_that_runs_for_too_long_is_answered_and_then_the_server_ends(settings: dict[str, Any]) -> None:
    case = ALL_CASES[HARAKIRI]
    with start() as broker:
        lists = Lists(broker)
        sent = make_frame(case, lists.reply_to())
        with start_service(broker, **case["server_settings"], **settings) as server:
            lists.push("service.vec", sent.frame)

            frame = lists.pop(sent.reply_to)

            assert_answer([frame], sent, expected_answer(HARAKIRI), V3_MSGPACK)
            assert server.wait(timeout=10) == 1
        lists.close()


@pytest.mark.parametrize("settings", ENGINES.values(), ids=ENGINES)
def test_callers_are_not_told_of_exceptions_by_default(settings: dict[str, Any]) -> None:
    with start() as broker:
        lists = Lists(broker)
        sent = make_frame(ALL_CASES["errors", "explode"], lists.reply_to())
        with start_service(broker, error_detail=None, **settings) as server:
            lists.push("service.vec", sent.frame)

            message = read_message(lists.pop(sent.reply_to))

            ((told,),) = [action["errors"] for action in message["body"]["actions"]]
            assert (told["code"], told["traceback"], told["variables"]) == ("SERVER_ERROR", None, None)
            found = re.fullmatch(r"Internal server error \(error id ([0-9a-f]+)\)", told["message"])
            assert found is not None
            server.wait_for_line(f"{found[1]}.*kaboom")
            server.wait_for_line("ValueError: kaboom")
        lists.close()
