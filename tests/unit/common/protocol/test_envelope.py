from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pysoa.common.protocol.envelope import is_expired, read_envelope, request_life
from pysoa.common.transport.errors import InvalidMessageError, MessageReceiveTimeout

NOW = 1_700_000_000.25


def envelope(**parts: Any) -> dict[str, Any]:
    return {"request_id": 77, "meta": {"__expiry__": NOW + 30}, "body": {"ok": True}} | parts


def test_an_envelope_is_taken_apart() -> None:
    assert read_envelope(envelope(extra=1), "vec", NOW) == (77, {"__expiry__": NOW + 30}, {"ok": True})


def test_a_missing_meta_is_empty_and_a_missing_body_is_none() -> None:
    assert read_envelope({"request_id": 77}, "vec", NOW) == (77, {}, None)


@pytest.mark.parametrize("body", [None, [1], "text", {}])
def test_the_body_is_given_out_as_it_is(body: Any) -> None:
    assert read_envelope(envelope(body=body), "vec", NOW)[2] == body


@pytest.mark.parametrize("request_id", [0, -1, 2**64 - 1, "abc", "", b"abc", 1.5])
def test_request_ids_of_foreign_clients_are_kept(request_id: Any) -> None:
    assert read_envelope(envelope(request_id=request_id), "vec", NOW)[0] == request_id


@pytest.mark.parametrize(
    "meta", [{}, {"__expiry__": None}, {"__expiry__": 0}, {"__expiry__": NOW}, {"__expiry__": 2e9}]
)
def test_what_has_not_expired_is_let_through(meta: dict[str, Any]) -> None:
    assert read_envelope(envelope(meta=meta), "vec", NOW)[1] == meta
    assert not is_expired(meta, NOW)


@pytest.mark.parametrize("expiry", [NOW - 0.001, 1, -1, float("-inf")])
def test_what_has_expired_is_a_timeout(expiry: float) -> None:
    with pytest.raises(MessageReceiveTimeout, match=r"^Message expired for service vec$"):
        read_envelope(envelope(meta={"__expiry__": expiry}), "vec", NOW)
    assert is_expired({"__expiry__": expiry}, NOW)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param([1], "Message is not a map for service vec", id="message is a list"),
        pytest.param(5, "Message is not a map for service vec", id="message is a number"),
        pytest.param(None, "Message is not a map for service vec", id="message is null"),
        pytest.param(envelope(meta=None), "Meta is not a map for service vec", id="meta is null"),
        pytest.param(envelope(meta=[]), "Meta is not a map for service vec", id="meta is a list"),
        pytest.param(
            envelope(meta={1: 2}), "A key of the meta is not text for service vec", id="meta has a number key"
        ),
        pytest.param(
            envelope(meta={"__expiry__": "soon"}), "Expiry is not a number for service vec", id="expiry is text"
        ),
        pytest.param(
            envelope(meta={"__expiry__": [1]}), "Expiry is not a number for service vec", id="expiry is a list"
        ),
        pytest.param(
            envelope(meta={"__expiry__": True}), "Expiry is not a number for service vec", id="expiry is true"
        ),
        pytest.param(
            envelope(meta={"__expiry__": Decimal("NaN")}),
            "Expiry is not a number for service vec",
            id="expiry is decimal",
        ),
        pytest.param({"meta": {}, "body": {}}, "No request ID for service vec", id="no request id"),
        pytest.param(envelope(request_id=None), "No request ID for service vec", id="request id is null"),
        pytest.param(
            envelope(request_id=[1]), "Request ID is not a single value for service vec", id="request id is a list"
        ),
        pytest.param(
            envelope(request_id={}), "Request ID is not a single value for service vec", id="request id is a map"
        ),
        pytest.param(
            envelope(request_id=True), "Request ID is not a single value for service vec", id="request id is true"
        ),
    ],
)
def test_what_has_not_the_shape_of_an_envelope_is_refused(message: Any, told: str) -> None:
    with pytest.raises(InvalidMessageError) as refusal:
        read_envelope(message, "vec", NOW)

    assert refusal.value.args == (told,)


@pytest.mark.parametrize(
    ("asked", "wait", "clocks_agree", "life"),
    [
        pytest.param(None, None, True, 60, id="nobody says anything"),
        pytest.param(7, None, True, 7, id="what is asked for"),
        pytest.param(None, 2.5, True, 3.5, id="a second longer than it is waited for"),
        pytest.param(0, 2.5, True, 3.5, id="zero is nothing"),
        pytest.param(7, 2.5, True, 7, id="what is asked for, by somebody who waits"),
        pytest.param(7, None, False, 7, id="what is asked for, by clocks that differ"),
        pytest.param(7, 2.5, False, 60, id="clocks may differ by more than the wait"),
        pytest.param(None, 2.5, False, 60, id="or than a wait by default"),
        pytest.param(90, 2.5, False, 90, id="more than the default"),
    ],
)
def test_how_long_a_request_lives(asked: float | None, wait: float | None, clocks_agree: bool, life: float) -> None:
    assert request_life(asked, wait, 60, clocks_agree=clocks_agree) == life
