"""The helpers for a service's logging."""

from __future__ import annotations

import contextvars
import enum
import logging
import re
import threading
from typing import Any

import attr
import pytest

from pysoa.common.logging import (
    MAXIMUM_BODY_BYTES,
    PySOALogContextFilter,
    RecursivelyCensoredDictWrapper,
    printable,
)


@pytest.fixture(autouse=True)
def own_context() -> Any:
    """Give each test a context without what other tests may have left in it."""
    while PySOALogContextFilter.get_logging_request_context() is not None:
        PySOALogContextFilter.clear_logging_request_context()
    while PySOALogContextFilter.get_logging_action_name() is not None:
        PySOALogContextFilter.clear_logging_action_name()
    PySOALogContextFilter._service_name = None
    yield
    PySOALogContextFilter._service_name = None


def filtered() -> Any:
    record = logging.LogRecord("some.logger", logging.INFO, __file__, 1, "a message", (), None)
    assert PySOALogContextFilter().filter(record) is True
    return record


class TestPySOALogContextFilter:
    def test_without_a_context_a_record_gets_stand_ins(self) -> None:
        record = filtered()

        assert (record.correlation_id, record.request_id) == ("--", "--")
        assert (record.service_name, record.action_name) == ("unknown", "(n/a)")

    def test_a_record_gets_the_ids_and_names_that_were_set(self) -> None:
        PySOALogContextFilter.set_logging_request_context(correlation_id="corr-1", request_id=31)
        PySOALogContextFilter.set_logging_action_name("square")
        PySOALogContextFilter.set_service_name("calculator")

        record = filtered()

        assert (record.correlation_id, record.request_id) == ("corr-1", 31)
        assert (record.service_name, record.action_name) == ("calculator", "square")

    @pytest.mark.parametrize("nothing", [None, "", 0])
    def test_ids_that_say_nothing_become_dashes(self, nothing: Any) -> None:
        PySOALogContextFilter.set_logging_request_context(correlation_id=nothing)

        assert (filtered().correlation_id, filtered().request_id) == ("--", "--")

    def test_contexts_nest(self) -> None:
        PySOALogContextFilter.set_logging_request_context(correlation_id="outer")
        PySOALogContextFilter.push_logging_request_context({"correlation_id": "inner"})

        seen = [filtered().correlation_id]
        PySOALogContextFilter.clear_logging_request_context()
        seen.append(filtered().correlation_id)
        PySOALogContextFilter.clear_logging_request_context()
        PySOALogContextFilter.clear_logging_request_context()

        assert seen == ["inner", "outer"]
        assert PySOALogContextFilter.get_logging_request_context() is None

    def test_action_names_nest(self) -> None:
        PySOALogContextFilter.set_logging_action_name("outer")
        PySOALogContextFilter.set_logging_action_name("inner")

        seen = [PySOALogContextFilter.get_logging_action_name()]
        PySOALogContextFilter.clear_logging_action_name()
        seen.append(PySOALogContextFilter.get_logging_action_name())
        PySOALogContextFilter.clear_logging_action_name()
        PySOALogContextFilter.clear_logging_action_name()

        assert seen == ["inner", "outer"]
        assert PySOALogContextFilter.get_logging_action_name() is None

    def test_a_context_may_have_keys_of_any_kind(self) -> None:
        context: dict[Any, Any] = {"correlation_id": "c", "request_id": "r", "cls": 1, 5: 6, "a b": None}

        PySOALogContextFilter.push_logging_request_context(context)

        assert filtered().request_id == "r"
        assert PySOALogContextFilter.get_logging_request_context() is context

    def test_a_context_key_may_be_named_as_the_methods_parameter(self) -> None:
        PySOALogContextFilter.set_logging_request_context(cls="x", correlation_id="c")

        assert filtered().correlation_id == "c"

    def test_threads_do_not_see_each_others_contexts(self) -> None:
        PySOALogContextFilter.set_logging_request_context(correlation_id="of the main thread")
        seen: list[Any] = []

        thread = threading.Thread(
            target=contextvars.Context().run,
            args=(lambda: seen.append(PySOALogContextFilter.get_logging_request_context()),),
        )
        thread.start()
        thread.join()

        assert seen == [None]

    def test_a_copied_context_keeps_its_own_stack(self) -> None:
        PySOALogContextFilter.set_logging_request_context(correlation_id="shared")
        copied = contextvars.copy_context()

        copied.run(PySOALogContextFilter.clear_logging_request_context)

        assert filtered().correlation_id == "shared"
        assert copied.run(PySOALogContextFilter.get_logging_request_context) is None

    def test_ids_from_the_wire_cannot_forge_lines(self) -> None:
        PySOALogContextFilter.push_logging_request_context(
            {"correlation_id": "x\n2030-01-01 CRITICAL forged\x1b[2J\u2028\u202e\x85\ud800", "request_id": "a\rb"}
        )
        PySOALogContextFilter.set_logging_action_name("square\n")

        record = filtered()

        assert record.correlation_id == r"x\n2030-01-01 CRITICAL forged\x1b[2J\u2028\u202e\x85\ud800"
        assert record.request_id == r"a\rb"
        assert record.action_name == r"square\n"

    @pytest.mark.parametrize("value", ["x" * 1_000_000, "\n" * 1_000_000, ["y"] * 100_000])
    def test_ids_from_the_wire_are_bounded(self, value: Any) -> None:
        PySOALogContextFilter.push_logging_request_context({"correlation_id": value, "request_id": value})

        record = filtered()

        assert len(record.correlation_id) + len(record.request_id) < 1200

    def test_escapes_do_not_make_a_text_longer_than_it_may_be(self) -> None:
        assert printable("\U000e0001" * 300, 256) == r"\U000e0001" * 25 + r"\U000e" + "..."
        assert printable("\n" * 10, 20) == r"\n" * 10
        assert printable("\n" * 11, 20) == r"\n" * 10 + "..."

    def test_ordinary_text_is_left_alone(self) -> None:
        assert printable("héllo wörld 日本") == "héllo wörld 日本"


def upper_case(match: re.Match[str]) -> str:
    return match[1].upper()


class Colour(enum.IntEnum):
    RED = 3


@attr.s(auto_attribs=True)
class Account:
    owner: str
    password: str


class TestRecursivelyCensoredDictWrapper:
    def test_there_are_242_sensitive_fields(self) -> None:
        assert len(RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS) == 242

    @pytest.mark.parametrize(
        "name",
        [
            "pass", "auth", "auth_token", "auth-token", "authToken", "password", "passwords", "pass-phrases",
            "passPhrases", "credit_card_numbers", "creditCardNumber", "cvc2", "cvc2s", "icvvs", "card_securities",
            "card-securities", "cardSecurities", "security_code", "cardSecurityCodes", "ccn", "pinNumbers",
            "personal-identification-numbers", "secretKeys", "bankAccountNumber", "privates",
        ],
    )  # fmt: skip
    def test_secrets_have_many_names(self, name: str) -> None:
        assert str(RecursivelyCensoredDictWrapper({name: "secret"})) == f"{{'{name}': '**********'}}"

    @pytest.mark.parametrize(
        "name", ["Password", "PASSWORD", "auths", "tokens", "card_securitys", "my_password", "key"]
    )
    def test_other_names_are_no_secrets(self, name: str) -> None:
        assert str(RecursivelyCensoredDictWrapper({name: "open"})) == f"{{'{name}': 'open'}}"

    @pytest.mark.parametrize("value", ["text", 7, -1, 2**70, Colour.RED])
    def test_texts_and_numbers_are_censored(self, value: Any) -> None:
        assert str(RecursivelyCensoredDictWrapper({"pin": value})) == "{'pin': '**********'}"

    @pytest.mark.parametrize("value", ["", 0, True, False, None, 2.5, b"bytes", [], {}, ()])
    def test_other_values_are_not(self, value: Any) -> None:
        assert str(RecursivelyCensoredDictWrapper({"pin": value})) == f"{{'pin': {value!r}}}"

    def test_containers_under_a_secret_are_censored_item_by_item(self) -> None:
        body = {"password": ["a", ("b", 0), {"c"}, frozenset({4}), {"name": "d", "pin": 5}]}

        text = str(RecursivelyCensoredDictWrapper(body))

        assert text == (
            "{'password': ['**********', ('**********', 0), {'**********'}, frozenset({'**********'}), "
            "{'name': 'd', 'pin': '**********'}]}"
        )

    @pytest.mark.parametrize(
        "body",
        [
            {"a": {"b": [1, 2.5, None, True, "it's", 'a "quote"', b"\x00"]}, "c": {}},
            {"a": (1,), "b": (), "c": (1, 2), "d": set(), "e": {1}, "f": frozenset(), "g": frozenset({1})},
            {"a": "(", "é": "日本", 5: {None: 1}},
            {},
        ],
    )
    def test_the_rest_looks_as_in_a_dict(self, body: dict[str, Any]) -> None:
        assert str(RecursivelyCensoredDictWrapper(body)) == repr(body)

    def test_secrets_are_found_at_any_depth_and_whatever_stands_around_them(self) -> None:
        for around in ("plain", "it's", "both ' and \"", "(", "\n", "'password'"):
            body = {"x": [{around: [around, {"password": "hidden"}]}, around]}

            assert "hidden" not in str(RecursivelyCensoredDictWrapper(body))

    def test_attrs_values_are_censored_as_the_dicts_that_they_travel_as(self) -> None:
        text = str(RecursivelyCensoredDictWrapper({"account": Account("me", "hidden")}))

        assert text == "{'account': {'owner': 'me', 'password': '**********'}}"

    def test_repr_str_and_bytes_are_the_same_text(self) -> None:
        wrapper = RecursivelyCensoredDictWrapper({"é": 1, "pin": 2})

        assert repr(wrapper) == str(wrapper) == bytes(wrapper).decode("utf-8") == f"{wrapper}"

    def test_it_is_a_dict_with_the_values_as_they_are(self) -> None:
        body = {"password": "open to code"}

        assert RecursivelyCensoredDictWrapper(body) == body

    def test_only_dicts_can_be_wrapped(self) -> None:
        with pytest.raises(ValueError, match="wrapped_dict must be a dict"):
            RecursivelyCensoredDictWrapper([])  # type: ignore[arg-type]

    def test_the_fields_are_those_of_the_first_pysoa(self) -> None:
        singular = "pass auth token auth_token authorization authorization_token authentication authentication_token"
        plural = """
            password passwd passphrase pass_phrase private private_key secret secret_key security_code credit_card
            credit_card_number card_number cc_number ccn cid csc csn cvc cvc2 cvd cve cvn2 cvv cvv2 icvv card_id
            card_identification card_identification_code card_identification_number card_identification_value
            card_security card_security_code card_security_number card_security_value card_validation
            card_validation_code card_validation_number card_validation_value card_verification
            card_verification_code card_verification_number card_verification_value account_number bank_account
            bank_account_number pin pin_code pin_number personal_id_number personal_identification_number
        """
        names = plural.split()
        names += [*singular.split(), *(re.sub("security$", "securitie", name) + "s" for name in names)]
        expected = {re.sub("_(.)", change, name) for name in names for change in (r"_\1", r"-\1", upper_case)}

        assert expected == RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS

    def test_subclasses_may_censor_otherwise(self) -> None:
        class Other(RecursivelyCensoredDictWrapper):
            CENSOR_TYPES = (float,)
            CENSORED_STRING = "(secret)"

        text = str(Other({"pin": [1.5, 2, "3"], "hat": 4.5}))

        assert text == "{'pin': ['(secret)', 2, '3'], 'hat': 4.5}"

    def test_subclasses_may_have_more_fields(self) -> None:
        class Stricter(RecursivelyCensoredDictWrapper):
            SENSITIVE_FIELDS = RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS | {"shoe_size", "it's"}

        text = str(Stricter({"shoe_size": 43, "it's": "secret", "pin": 1, "hat_size": 58}))

        assert text == "{'shoe_size': '**********', \"it's\": '**********', 'pin': '**********', 'hat_size': 58}"

    @pytest.mark.parametrize(
        "body",
        [
            {"a": "x" * 1_000_000},
            {"a": "é" * 1_000_000, "password": "hidden"},
            {f"key{number}": number for number in range(100_000)},
            {"a": [{"password": "hidden"}] * 100_000},
            {"日" * 30_000: 1},
            {"a": bytearray(100_000)},
        ],
        ids=["long text", "long wide text", "many keys", "many items", "long key", "long object"],
    )
    def test_the_text_is_bounded(self, body: dict[str, Any]) -> None:
        text = bytes(RecursivelyCensoredDictWrapper(body))

        assert len(text) <= MAXIMUM_BODY_BYTES
        assert text.endswith(b" ... (cut)")
        assert b"hidden" not in text

    def test_a_secret_is_never_cut_in_the_open(self) -> None:
        for length in range(MAXIMUM_BODY_BYTES - 60, MAXIMUM_BODY_BYTES):
            assert "hidden" not in str(RecursivelyCensoredDictWrapper({"a": "x" * length, "password": "hidden"}))

    def test_the_text_is_one_line_whatever_objects_say_of_themselves(self) -> None:
        class Forger:
            def __repr__(self) -> str:
                return "x\n2030-01-01 CRITICAL forged\x1b[2J"

        text = str(RecursivelyCensoredDictWrapper({"a": Forger(), "b\n": "c\n"}))

        assert text.isprintable()

    def test_objects_that_cannot_be_shown_do_no_harm(self) -> None:
        class Broken:
            def __repr__(self) -> str:
                raise RuntimeError

        assert str(RecursivelyCensoredDictWrapper({"a": Broken()})) == "{'a': <Broken without a text>}"

    def test_any_depth_can_be_shown(self) -> None:
        body: dict[str, Any] = {"password": "hidden"}
        for _ in range(5000):
            body = {"n": body}

        text = str(RecursivelyCensoredDictWrapper(body))

        assert text.startswith("{'n': {'n': ")
        assert text.endswith(" ... (cut)")

    def test_no_text_is_made_until_somebody_asks(self) -> None:
        asked = []

        class Shown:
            def __repr__(self) -> str:
                asked.append(self)
                return "shown"

        wrapper = RecursivelyCensoredDictWrapper({"a": Shown()})

        assert not asked
        assert str(wrapper) == str(wrapper) == "{'a': shown}"
        assert len(asked) == 1


def test_the_text_of_an_exception_cannot_forge_lines_in_a_traceback() -> None:
    forged = "2026-01-01 00:00:00,000 INFO forged\x1b[2J"
    error = ValueError(f"no such user: x\n{forged}")
    error.add_note(f"a note\n{forged}")
    error.__cause__ = KeyError("the cause")
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (ValueError, error, None)})

    PySOALogContextFilter().filter(record)

    text = logging.Formatter().format(record)
    assert text.split("\n") == [
        "failed",
        "KeyError: 'the cause'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        r"ValueError: no such user: x\n2026-01-01 00:00:00,000 INFO forged\x1b[2J",
        "  a note",
        r"  2026-01-01 00:00:00,000 INFO forged\x1b[2J",
    ]
