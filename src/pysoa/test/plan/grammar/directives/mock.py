"""Directives that put mocks into the service under test."""

from __future__ import annotations

import builtins
import copy
import json
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pysoa.common.plugins import resolve_python_path
from pysoa.test.compatibility import mock
from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.grammar.directive import ActionCase, ActionLineDirective, LineDirective, TestCase
from pysoa.test.plan.grammar.directives.standing_in import ActionStandInDirective, PlanStandInDirective, StandIns
from pysoa.test.plan.grammar.parts import ACTION, COLON, Either, Keyword, Maybe, Part, Pattern, Rest

__all__ = (
    "ActionMockCalledDirective",
    "ActionMockResultDirective",
    "PlanMockCalledDirective",
    "PlanMockResultDirective",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_DOTTED: Final = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_TARGET: Final[tuple[Part, ...]] = (
    Keyword("mock"),
    COLON,
    Pattern(_DOTTED, "mock_target", "the dotted path of what to mock"),
    COLON,
)
_PATH: Final = Pattern(_DOTTED, "mock_path", "attributes of the mock, with dots between")
_CALLED: Final[tuple[Part, ...]] = (
    *_TARGET,
    Keyword("expect"),
    Maybe((Keyword("not", "not"),)),
    Keyword("called"),
    Maybe((_PATH,)),
    COLON,
    Rest("value", "[[arguments], {named arguments}] as JSON"),
)
_RESULT: Final[tuple[Part, ...]] = (
    *_TARGET,
    _PATH,
    COLON,
    Either(
        (
            (Keyword("exception", "exception"), Rest("value", "the name of an exception class")),
            (Keyword("delete", "delete"), Rest("value", "nothing")),
            (Rest("value", "a value as JSON"),),
        )
    ),
)

_RUNNING: Final = "_running_mocks"


class _Object(dict[str, Any]):
    """A JSON object whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Call(list[Any]):
    """A call that is expected: arguments and named arguments. A global one is replaced as a whole."""


def _object(pairs: dict[str, Any]) -> Any:
    return mock.ANY if pairs == {"mock.ANY": True} else _Object(pairs)


def _from_json(text: str, file_name: str, line_number: int) -> Any:
    try:
        return json.loads(text, object_hook=_object)
    except ValueError as error:
        raise FixtureSyntaxError(str(error), file_name, line_number) from error


class _MockDirective(LineDirective):
    """What directives about mocks share: ``mock_patches`` of a case says what to do with each target."""

    def _of_target(self, case: dict[str, Any], parse_results: Any) -> dict[str, Any]:
        patches = case.setdefault("mock_patches", {})
        settings: dict[str, Any] = patches.setdefault(parse_results.mock_target, {})
        return settings


class _CalledDirective(_MockDirective):
    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        """Keep a call that is expected, or that none is."""
        settings = self._of_target(action_case, parse_results)
        path = parse_results.mock_path
        if parse_results.get("not"):
            settings.setdefault("not_called", {})[path] = True
        else:
            call = _from_json(parse_results.value, file_name, line_number)
            if not (
                isinstance(call, list) and len(call) == 2 and isinstance(call[0], list) and isinstance(call[1], dict)
            ):
                raise FixtureSyntaxError(
                    'Expected call JSON syntax must be in the form: [[arg1, ...], {"kwarg1": val1, ...}]',
                    file_name,
                    line_number,
                )
            settings.setdefault("calls", {}).setdefault(path, []).append(_Call(call))
        if path in settings.get("calls", {}) and path in settings.get("not_called", {}):
            raise FixtureSyntaxError(
                f'Cannot combine not-called expectations with other expectations for path "{path or None}"',
                file_name,
                line_number,
            )


class _ResultDirective(_MockDirective):
    def ingest_from_parsed_test_fixture(
        self, action_case: ActionCase, test_case: TestCase, parse_results: Any, file_name: str, line_number: int
    ) -> None:
        """Keep what an attribute of the mock is."""
        settings = self._of_target(action_case, parse_results)
        path = parse_results.mock_path
        last = path.rpartition(".")[2]
        if parse_results.get("delete"):
            if last in ("return_value", "side_effect"):
                raise FixtureSyntaxError(
                    "Cannot delete paths ending in special Mock attributes `return_value` or `side_effect`",
                    file_name,
                    line_number,
                )
            settings.setdefault("deleted", {})[path] = True
            return
        if parse_results.get("exception"):
            value = _exception(parse_results.value, file_name, line_number)
        else:
            value = _from_json(parse_results.value, file_name, line_number)
        results = settings.setdefault("results", {})
        if last == "side_effect":
            results.setdefault(path, []).append(value)
        else:
            results[path] = value


def _exception(name: str, file_name: str, line_number: int) -> Any:
    try:
        if ":" in name:
            return resolve_python_path(name)
        return getattr(builtins, name)
    except (ValueError, ImportError, AttributeError) as error:
        shown = name if ":" in name else f"builtins:{name}"
        raise FixtureSyntaxError(
            f'Could not resolve python path for value "<{shown}>" due to error: {str(error)!r}', file_name, line_number
        ) from error


# While tests run


def _start(case: dict[str, Any]) -> None:
    """Put all mocks of a case in place, or none."""
    running: list[tuple[Any, Any, str]] = []
    case[_RUNNING] = running
    try:
        for target in case["mock_patches"]:
            patch = mock.patch(target, new=mock.MagicMock())
            running.append((patch, patch.start(), target))
        for _, stand_in, target in running:
            settings = case["mock_patches"][target]
            stand_in.configure_mock(**copy.deepcopy(settings.get("results", {})))
            for path in sorted(settings.get("deleted", {}), key=lambda path: str.count(path, ".")):
                owner, _, attribute = path.rpartition(".")
                delattr(_attribute(stand_in, owner), attribute)
    except BaseException:
        _stop(case)
        raise


def _stop(case: dict[str, Any]) -> None:
    for patch, _, _ in reversed(case.pop(_RUNNING, [])):
        patch.stop()


def _attribute(stand_in: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        stand_in = getattr(stand_in, name)
    return stand_in


def _check(case: dict[str, Any]) -> None:
    for _, stand_in, target in case.get(_RUNNING, []):
        settings = case["mock_patches"][target]
        for asked, calls in _expected_calls(stand_in, settings):
            asked.assert_has_calls(calls)
            if asked.call_count != len(calls):
                raise AssertionError(f"Expected mock to be called {len(calls)} times. Called {asked.call_count} times.")
        for path in settings.get("not_called", {}):
            count = _attribute(stand_in, path).call_count
            if count:
                raise AssertionError(f"Expected mock to not have been called. Called {count} times.")


def _expected_calls(stand_in: Any, settings: dict[str, Any]) -> Iterator[tuple[Any, list[Any]]]:
    for path, calls in settings.get("calls", {}).items():
        yield _attribute(stand_in, path), [mock.call(*arguments, **named) for arguments, named in calls]


_STAND_INS: Final = StandIns("mock_patches", _start, _stop, _check)


class PlanMockCalledDirective(PlanStandInDirective, _CalledDirective):
    """A call of a mock for the whole test case; those of one path are all that may be made, in order."""

    parts: ClassVar[tuple[Part, ...]] = _CALLED
    stand_ins = _STAND_INS

    @classmethod
    def name(cls) -> str:
        return "mock_assert_called_for_test"


class ActionMockCalledDirective(ActionStandInDirective, _CalledDirective):
    """A call of a mock that is there for one action."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_CALLED)
    stand_ins = _STAND_INS

    @classmethod
    def name(cls) -> str:
        return "mock_assert_called_for_action"


class PlanMockResultDirective(_ResultDirective):
    """What an attribute of a mock is, or that it has none; the mock is there for the whole test case."""

    parts: ClassVar[tuple[Part, ...]] = _RESULT

    @classmethod
    def name(cls) -> str:
        return "mock_result_for_test"


class ActionMockResultDirective(ActionLineDirective, _ResultDirective):
    """What an attribute of a mock is, or that it has none; the mock is there for one action."""

    parts: ClassVar[tuple[Part, ...]] = (*ACTION, *_RESULT)

    @classmethod
    def name(cls) -> str:
        return "mock_result_for_action"
