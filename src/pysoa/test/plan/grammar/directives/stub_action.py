"""Directives that stand in for the actions that the service under test calls."""

from __future__ import annotations

import sys
import traceback
from typing import Any, ClassVar, Final

from pysoa.common.errors import Error
from pysoa.test.compatibility import mock
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar.data_types import get_parsed_data_type_value
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, LineDirective, TestCase
from pysoa.test.plan.grammar.directives.expects_errors import CODE, FIELD, MESSAGE
from pysoa.test.plan.grammar.directives.standing_in import ActionStandInDirective, PlanStandInDirective, StandIns
from pysoa.test.plan.grammar.parts import (
    ACTION,
    COLON,
    DATA_TYPE,
    VALUE,
    VARIABLE,
    Either,
    Keyword,
    Maybe,
    Part,
    Pattern,
)
from pysoa.test.plan.grammar.tools import path_put
from pysoa.test.stub_service import stub_action

__all__ = (
    "ActionStubBodyDirective",
    "ActionStubCalledDirective",
    "ActionStubErrorDirective",
    "PlanStubBodyDirective",
    "PlanStubCalledDirective",
    "PlanStubErrorDirective",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_STUB: Final[tuple[Part, ...]] = (
    Keyword("stub action"),
    COLON,
    Pattern(r"[A-Za-z0-9_]+", "stub_service", "a service"),
    COLON,
    Pattern(r"[A-Za-z0-9_.]+", "stub_action", "an action"),
    COLON,
)
_VALUE: Final[tuple[Part, ...]] = (Maybe((DATA_TYPE,)), COLON, VARIABLE, COLON, VALUE)
_BODY: Final[tuple[Part, ...]] = (*_STUB, Keyword("body"), *_VALUE)
_ERROR: Final[tuple[Part, ...]] = (*_STUB, Keyword("error"), COLON, *CODE, *FIELD, *MESSAGE)
_CALLED: Final[tuple[Part, ...]] = (
    *_STUB,
    Keyword("expect"),
    Maybe((Keyword("not", "not"),)),
    Keyword("called"),
    Either((_VALUE, (COLON,))),
)

_RUNNING: Final = "_running_stubs"


class _StubDirective(LineDirective):
    """What directives about stubs share: ``stubbed_actions`` of a case says what each of them does."""

    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        """Keep what the line says of the stub."""
        key = parse_results.stub_service, parse_results.stub_action
        settings = action_case.setdefault("stubbed_actions", {}).setdefault(key, {})
        self._ingest(settings, parse_results)
        name = ".".join(key)
        if settings.get("body") and settings.get("errors"):
            raise FixtureSyntaxError(
                f"Cannot combine stub action body and errors (must choose one) for {name}", file_name, line_number
            )
        if settings.get("not_called") and "expected_call" in settings:
            raise FixtureSyntaxError(
                f'Cannot combine "expect called" and "expect not called" on the same stub action for {name}',
                file_name,
                line_number,
            )

    def _ingest(self, settings: dict[str, Any], parse_results: Any) -> None:
        raise NotImplementedError


class _BodyDirective(_StubDirective):
    def _ingest(self, settings: dict[str, Any], parse_results: Any) -> None:
        value = get_parsed_data_type_value(parse_results, parse_results.value)
        path_put(settings.setdefault("body", {}), parse_results.variable_name, value)


class _ErrorDirective(_StubDirective):
    def _ingest(self, settings: dict[str, Any], parse_results: Any) -> None:
        field, message = (
            None if text.lower() in ("", "none") else text
            for text in (parse_results.field_name, parse_results.error_message)
        )
        error = Error(code=parse_results.error_code, message=message, field=field)  # type: ignore[arg-type] # as written
        settings.setdefault("errors", []).append(error)


class _CalledDirective(_StubDirective):
    def _ingest(self, settings: dict[str, Any], parse_results: Any) -> None:
        if parse_results.get("not"):
            settings["not_called"] = True
            return
        expected = settings.setdefault("expected_call", {})
        if parse_results.variable_name:
            value = get_parsed_data_type_value(parse_results, parse_results.value)
            path_put(expected, parse_results.variable_name, value)


# While tests run


def _start(case: dict[str, Any]) -> None:
    """Start all stubs of a case, or none."""
    running: list[tuple[str, stub_action, Any, dict[str, Any]]] = []
    case[_RUNNING] = running
    try:
        for (service, action), settings in sorted(case["stubbed_actions"].items(), key=lambda item: item[0]):
            stub = stub_action(service, action, body=settings.get("body"), errors=settings.get("errors"))
            running.append((f"{service}.{action}", stub, stub.start(), settings))
    except BaseException:
        _stop(case)
        raise


def _stop(case: dict[str, Any]) -> None:
    for name, stub, _, _ in reversed(case.pop(_RUNNING, [])):
        try:
            stub.stop()
        except Exception:  # boundary: the other stubs have to be stopped
            print(f"WARNING: Failed to stop stub for {name} due to error:", file=sys.stderr)
            traceback.print_exc()


def _check(case: dict[str, Any]) -> None:
    for name, _, called, settings in case.get(_RUNNING, []):
        if "expected_call" in settings:
            called.assert_has_calls([mock.call(settings["expected_call"])])
        if settings.get("not_called") and called.call_count:
            raise AssertionError(f"Expected stub {name} to not have been called. Called {called.call_count} times.")


_STAND_INS: Final = StandIns("stubbed_actions", _start, _stop, _check)


class PlanStubBodyDirective(PlanStandInDirective, _BodyDirective):
    """A value in the body that a stub answers with; the stub is there for the whole test case."""

    parts: ClassVar[tuple[Part, ...]] = _BODY
    stand_ins = _STAND_INS

    @classmethod
    def name(cls) -> str:
        return "stub_action_body_for_test"


class ActionStubBodyDirective(ActionStandInDirective, _BodyDirective):
    """A value in the body that a stub answers with; the stub is there for one action."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_BODY)
    stand_ins = _STAND_INS

    @classmethod
    def name(cls) -> str:
        return "stub_action_body_for_action"


class PlanStubErrorDirective(_ErrorDirective):
    """An error that a stub answers with; `none` stands for no field or no message."""

    parts: ClassVar[tuple[Part, ...]] = _ERROR

    @classmethod
    def name(cls) -> str:
        return "stub_action_error_for_test"


class ActionStubErrorDirective(ActionLineDirective, _ErrorDirective):
    """An error that a stub answers with; the stub is there for one action."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_ERROR)

    @classmethod
    def name(cls) -> str:
        return "stub_action_error_for_action"


class PlanStubCalledDirective(_CalledDirective):
    """A value in the request that a stub is to get or, with `not`, that it is to get none at all.

    All values together are the whole body of one request; without any, the body is empty.
    """

    parts: ClassVar[tuple[Part, ...]] = _CALLED

    @classmethod
    def name(cls) -> str:
        return "stub_action_called_for_test"


class ActionStubCalledDirective(ActionLineDirective, _CalledDirective):
    """A value in the request that a stub is to get, or that it is to get none; it is there for one action."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_CALLED)

    @classmethod
    def name(cls) -> str:
        return "stub_action_called_for_action"
