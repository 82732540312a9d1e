"""``ServicePlanTestCase``: runs the test cases of fixture files against a service."""

from __future__ import annotations

import copy
import re
import sys
import traceback
from abc import ABCMeta
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import attr

from pysoa.common.types import JobResponse
from pysoa.server.server import Server
from pysoa.test.plan.errors import DirectiveError, FixtureLoadError, StatusError
from pysoa.test.plan.grammar.directive import (
    ActionCase,
    ActionResults,
    Directive,
    LineDirective,
    TestCase,
    TestFixture,
    TestFixtureResults,
    get_all_directives,
)
from pysoa.test.plan.grammar.tools import substitute_variables
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser
from pysoa.test.plan.places import directives_before, put_directive, put_place
from pysoa.test.server import PyTestServerTestCase
from pysoa.test.stub_service import stub_action

__all__ = ("FixtureTestCaseData", "ServicePlanTestCase")

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_INPUTS = ("inputs", "job_control_inputs", "job_context_inputs")
_AS_WRITTEN = "_as_written"
_NOT_FILLED_IN = frozenset((*_INPUTS, "stubbed_actions", _AS_WRITTEN))

# Hooks that do nothing: that they are not called is not noticed.
_IDLE_HOOKS = frozenset(
    value for cls in (Directive, LineDirective) for name, value in vars(cls).items() if name.startswith("assert_")
) | frozenset(value for name, value in vars(Directive).items() if name.startswith(("set_up_", "tear_down_")))


@attr.s(auto_attribs=True)
class FixtureTestCaseData:
    """A test case of a fixture, as pytest gets it.

    Attributes:
        name: its name.
        description: what it is about, and, on a line of its own, the fixture file.
        fixture_name: the name of the file without its ending.
        fixture_file: the file.
        line_number: the line where it begins, from 1.
        skip: why it is skipped; None or empty where it is not.
        callable: runs it, given an instance of the plan.
        test_fixture: all test cases of the fixture.
        is_first_fixture_case: whether none that is not skipped stands before it.
        is_last_fixture_case: whether it is the last that is not skipped.
    """

    name: str
    description: str
    fixture_name: str
    fixture_file: str
    line_number: int
    skip: str | None
    callable: Callable[[Any], None]
    test_fixture: TestFixture
    is_first_fixture_case: bool = False
    is_last_fixture_case: bool = False


class ServicePlanTestCase(PyTestServerTestCase, metaclass=ABCMeta):
    """A test plan: a service, and the fixture files that say how it is called and what it answers.

    Methods named ``_process_stub_action_<action>(body)`` answer actions that the service does not have; they return a
    body, an ``ActionResponse`` or a ``JobResponse``, or raise ``ActionError`` or ``JobError``. Overridden hooks call
    ``super()`` first.

    Attributes:
        fixture_path: the folder of the fixture files; its folders are searched, too.
        fixture_regex: the files in it to take, by what is found in their names.
        custom_fixtures: fixture files to take instead, in this order.
        model_constants: values for variables.
    """

    fixture_path: str | None = None
    fixture_regex: str = r"^[^.].*?\.(:?pysoa)$"
    custom_fixtures: Iterable[str] = ()
    model_constants: Mapping[str, Any] = {}

    _all_directives: ClassVar[list[type[Directive]]] = []
    _test_fixture_setup_called: ClassVar[dict[str, Any]] = {}
    _test_fixture_setup_succeeded: ClassVar[dict[str, bool]] = {}

    # Set on the instances that run the first and the last test case of a fixture.
    _pytest_first_fixture_case: FixtureTestCaseData | None = None
    _pytest_last_fixture_case: FixtureTestCaseData | None = None

    # What plans override

    def set_up_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Hook: called before the first test case of a fixture that runs; there is no client yet."""

    def tear_down_test_fixture(self, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Hook: called after the last test case of a fixture that runs."""

    def set_up_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Hook: called before the actions of a test case."""

    def tear_down_test_case(self, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any) -> None:
        """Hook: called after the actions of a test case."""

    def set_up_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Hook: called before an action."""

    def tear_down_test_case_action(
        self, action_name: str, action_case: ActionCase, test_case: TestCase, test_fixture: TestFixture, **kwargs: Any
    ) -> None:
        """Hook: called after an action."""

    @staticmethod
    def add_error(exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: Any) -> None:
        """Tell of an exception that came after the one that is raised."""
        name = exc_type.__name__ if exc_type else "unknown"
        sys.stderr.write(f"\nAdditionally, a `{name}` error occurred: {str(exc_value or '') or 'No details'}\n")
        traceback.print_exception(exc_type, exc_value, tb, file=sys.stderr)

    # Fixtures

    @classmethod
    def get_fixture_file_names(cls) -> Iterable[str]:
        """The fixture files, in order.

        Raises:
            FixtureLoadError: the folder is not there, or has none.
        """
        if cls.custom_fixtures:
            return cls.custom_fixtures
        if not cls.fixture_path:
            return []
        if not Path(cls.fixture_path).exists():
            raise FixtureLoadError(
                f'Tried loading fixtures from "{cls.fixture_path}", however this path does not exist. '
                "Please specify the correct path by setting `cls.fixture_path`."
            )
        regex = re.compile(cls.fixture_regex)
        files = (path for path in Path(cls.fixture_path).rglob("*") if regex.search(path.name) and path.is_file())
        names = sorted(map(str, files))
        if not names:
            raise FixtureLoadError(
                f'Could not find any fixture files in `cls.fixture_path` "{cls.fixture_path}" that matched '
                f'`cls.fixture_regex` "{regex.pattern}". To customize this regex, please override `cls.fixture_regex`.'
            )
        return names

    @classmethod
    def get_fixture_test_information(cls) -> Generator[FixtureTestCaseData, None, None]:
        """All test cases of all fixtures.

        Raises:
            FixtureLoadError: a file cannot be read, or has no test cases.
            FixtureSyntaxError: something is wrong in a file.
            StatusError: two test cases of a file have the same name.
        """
        for file_name in cls.get_fixture_file_names():
            yield from cls._test_information_of(Path(file_name).stem, str(file_name))

    @classmethod
    def _test_information_of(cls, fixture_name: str, file_name: str) -> Iterable[FixtureTestCaseData]:
        test_fixture = ServiceTestPlanFixtureParser(file_name, fixture_name).parse_test_fixture()
        results: TestFixtureResults = []
        all_data: list[FixtureTestCaseData] = []
        names = set()
        for case in test_fixture:
            if case["name"] in names:
                raise StatusError(f'Duplicate test name "{case["name"]}" in fixture "{file_name}"')
            names.add(case["name"])
            function = cls._create_test_function(case["description"], fixture_name, case, test_fixture, results)
            function.__name__ = f"plan__{fixture_name}__{case['name']}"
            is_first = not any(not data.skip for data in all_data)
            data = FixtureTestCaseData(
                name=case["name"],
                description=case["description"],
                fixture_name=fixture_name,
                fixture_file=file_name,
                line_number=case["line_number"],
                skip=case.get("skip"),
                callable=function,
                test_fixture=test_fixture,
                is_first_fixture_case=is_first,
            )
            all_data.append(data)
        last = next((data for data in reversed(all_data) if not data.skip), None)
        if last is not None:
            last.is_last_fixture_case = True
            last.callable._last_fixture_test = True  # type: ignore[attr-defined]
        return all_data

    @staticmethod
    def _create_test_function(
        description: str,
        fixture_name: str,
        test_case: TestCase,
        test_fixture: TestFixture,
        test_fixture_results: TestFixtureResults,
    ) -> Callable[[Any], None]:
        def test_function(self: ServicePlanTestCase) -> None:
            self._run_fixture_test(fixture_name, test_case, test_fixture, test_fixture_results)

        test_function.__doc__ = description
        test_function._last_fixture_test = False  # type: ignore[attr-defined]
        return test_function

    # Set-up and tear-down of fixtures

    @classmethod
    def setup_class(cls) -> None:
        """Called before the tests of the class."""
        super().setup_class()
        cls._all_directives = get_all_directives()
        cls._test_fixture_setup_called = {}
        cls._test_fixture_setup_succeeded = {}

    def setup_method(self) -> None:
        """Called before each test; sets up the fixture before its first test case."""
        if self._pytest_first_fixture_case is not None:
            self._set_up_fixture(self._pytest_first_fixture_case)
        super().setup_method()

    def _set_up_fixture(self, data: FixtureTestCaseData) -> None:
        name, test_fixture = data.fixture_name, data.test_fixture
        other = self._test_fixture_setup_called.get(name)
        if other and self._test_fixture_setup_succeeded.get(name):
            other[0]._tear_down_fixture(name, other[1])  # of a file of the same name
        self._test_fixture_setup_succeeded[name] = False
        self._test_fixture_setup_called[name] = (self, test_fixture)
        self._set_up("test_fixture", test_fixture)
        self._test_fixture_setup_succeeded[name] = True

    def teardown_method(self) -> None:
        """Called after each test; tears down the fixture after its last test case."""
        steps: list[Callable[[], None]] = [super().teardown_method]
        last = self._pytest_last_fixture_case
        if last is not None and self._test_fixture_setup_succeeded.get(last.fixture_name):
            steps.append(partial(self._tear_down_fixture, last.fixture_name, last.test_fixture))
        self._take_all(steps)

    def _tear_down_fixture(self, name: str, test_fixture: TestFixture) -> None:
        self._test_fixture_setup_called[name] = False
        self._test_fixture_setup_succeeded[name] = False
        self._tear_down("test_fixture", test_fixture)

    @classmethod
    def teardown_class(cls) -> None:
        """Called after the tests of the class; tears down fixtures whose last test case has not run."""
        super().teardown_class()
        last_error: BaseException | None = None
        for name, called in list(cls._test_fixture_setup_called.items()):
            if called and cls._test_fixture_setup_succeeded.get(name):
                instance, test_fixture = called
                try:
                    instance._tear_down_fixture(name, test_fixture)
                except BaseException as error:  # boundary: the other fixtures have to be torn down
                    last_error = error
        if last_error is not None:
            raise last_error

    # Test cases

    def _run_fixture_test(
        self, fixture_name: str, test_case: TestCase, test_fixture: TestFixture, results: TestFixtureResults
    ) -> None:
        with _in_place(test_case, {"test_fixture_results": results, "test_case": test_case}):
            if not self._test_fixture_setup_succeeded.get(fixture_name):
                raise StatusError(f"Test fixture {fixture_name} not set up")
            steps = [partial(self._run_test_case, test_case, test_fixture, results)]
            if self._pytest_last_fixture_case is not None:
                steps.append(partial(self._run_directive_hook, "assert_test_fixture_results", results, test_fixture))
            self._take_all(steps)

    def _run_test_case(
        self, test_case: TestCase, test_fixture: TestFixture, test_fixture_results: TestFixtureResults
    ) -> None:
        """Run all actions of a test case, between its set-up and its tear-down."""
        self._set_up("test_case", test_case, test_fixture)
        results: ActionResults = {}
        test_fixture_results.append(results)
        self._take_all(
            [
                partial(self._run_actions, test_case, test_fixture, results),
                partial(self._tear_down, "test_case", test_case, test_fixture),
            ]
        )

    def _run_actions(self, test_case: TestCase, test_fixture: TestFixture, results: ActionResults) -> None:
        bodies: dict[str, Any] = {}
        for action_path in test_case["actions"]:
            action_case = test_case[action_path]
            values = {"job_response": None, "action_results": results, "action_case": action_case}
            with _in_place(test_case, values, action_path):
                _fill_in(action_case, _INPUTS, bodies, self.model_constants)
                arguments = action_path.partition(".")[0], action_case, test_case, test_fixture
                self._set_up("test_case_action", *arguments)
                self._take_all(
                    [
                        partial(self._run_action, action_path, arguments, values, bodies),
                        partial(self._tear_down, "test_case_action", *arguments),
                    ]
                )
        self._run_directive_hook("assert_test_case_results", results, test_case, test_fixture)

    def _run_action(
        self,
        action_path: str,
        arguments: tuple[str, ActionCase, TestCase, TestFixture],
        values: dict[str, Any],
        bodies: dict[str, Any],
    ) -> None:
        """Call the action and check its response.

        Args:
            action_path: its name and index.
            arguments: what hooks about an action get.
            values: what is shown of a failure: ``job_response`` and ``action_results`` are set.
            bodies: those of responses, for variables; that of the response is added.
        """
        name, action_case, _, _ = arguments
        values["job_response"] = job_response = self._call(name, action_case)
        response = job_response.actions[0] if job_response.actions and not job_response.errors else None
        values["action_results"][action_path] = response
        if response is not None:
            bodies[action_path] = response.body
        _fill_in(action_case, set(action_case) - _NOT_FILLED_IN, bodies, self.model_constants)
        self._run_directive_hook("assert_test_case_action_results", *arguments, response, job_response, action_path)

    def _call(self, name: str, action_case: ActionCase) -> JobResponse:
        call = partial(
            self.client.call_actions,
            service_name=self.service_name,
            actions=[{"action": name, "body": action_case.get("inputs") or {}}],
            raise_job_errors=False,
            raise_action_errors=False,
            context=action_case.get("job_context_inputs") or {},
            control_extra=action_case.get("job_control_inputs") or {},
        )
        stand_in: Callable[[Any], Any] | None = getattr(self, f"_process_stub_action_{name}", None)
        server_class: type[Server] | None = self.server_class
        is_real = server_class is None or name in server_class.action_class_map or name in ("status", "introspect")
        if stand_in is None or is_real:
            return call()
        stub = stub_action(
            self.service_name,
            name,
            side_effect=stand_in,
            register_request_schema_contract=False,
            register_response_schema_contract=False,
        )
        with stub:
            return call()

    def _take_all(self, steps: Iterable[Callable[[], None]], error: BaseException | None = None) -> None:
        """Take all steps, whatever fails, and raise what has failed first; the rest is only told of.

        Args:
            steps: what to do.
            error: what has failed before.
        """
        for step in steps:
            try:
                step()
            except BaseException as later:  # boundary: the steps that follow clean up
                if error is None:
                    error = later
                else:
                    self.add_error(type(later), later, later.__traceback__)
        if error is not None:
            raise error

    # Hooks

    def _set_up(self, what: str, *arguments: Any) -> None:
        """Call the hook of the plan, then those of the directives; undo what was done when one of them fails."""
        getattr(self, f"set_up_{what}")(*arguments)
        try:
            self._run_directive_hook(f"set_up_{what}", *arguments)
        except BaseException as error:
            undo = partial(self._tear_down, what, *arguments, directives=directives_before(error))
            self._take_all([undo], error)

    def _tear_down(self, what: str, *arguments: Any, directives: list[type[Directive]] | None = None) -> None:
        """Call the hooks of the directives, then that of the plan."""
        self._run_directive_hook(f"tear_down_{what}", *arguments, directives=directives)
        getattr(self, f"tear_down_{what}")(*arguments)

    @classmethod
    def _run_directive_hook(cls, hook: str, *arguments: Any, directives: list[type[Directive]] | None = None) -> None:
        """Call a hook of every directive, each on a new instance."""
        chosen = cls._all_directives if directives is None else directives
        if not cls._all_directives:
            raise DirectiveError("FATAL: No directives found!")
        for index, directive in enumerate(chosen):
            function = getattr(directive, hook, None)
            if function is None:
                raise DirectiveError(f"Directive class {directive.__name__} has no method {hook}.")
            if function in _IDLE_HOOKS:
                continue
            try:
                getattr(directive(), hook)(*arguments)
            except BaseException as error:
                put_directive(error, directive, chosen[:index])
                raise


@contextmanager
def _in_place(test_case: TestCase, values: Mapping[str, Any], action: str | None = None) -> Iterator[None]:
    """Keep with exceptions of the block where in the fixture file they belong."""
    try:
        yield
    except BaseException as error:
        put_place(error, test_case, action, values)
        raise


def _fill_in(action_case: ActionCase, keys: Iterable[str], *sources: Mapping[str, Any]) -> None:
    """Put values in the place of variables; what was written is kept, for the test case may be run again."""
    as_written = action_case.get(_AS_WRITTEN, {})
    for key in list(keys):
        value = as_written.get(key, action_case.get(key))
        if _may_have_variables(value):
            action_case.setdefault(_AS_WRITTEN, {})[key] = value
            action_case[key] = copy.deepcopy(value)
            substitute_variables(action_case[key], *sources)


def _may_have_variables(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any((isinstance(item, str) and "[[" in item) or _may_have_variables(item) for item in value.values())
    if isinstance(value, list):
        return any((isinstance(item, str) and "[[" in item) or _may_have_variables(item) for item in value)
    return False
