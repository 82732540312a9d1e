"""The pytest plugin that runs test plans.

Every pytest that finds PySOA loads this module, so it imports nothing until there is a test plan.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pysoa.test.plugins.pytest.plan_nodes import FixtureTest

__all__ = ("PLUGIN_STATISTICS",)

PLUGIN_STATISTICS: dict[str, int] = {
    "fixture_tests_collected": 0,
    "fixture_tests_executed": 0,
    "fixture_tests_skipped": 0,
}
"""How many test cases of fixtures this process has collected, run, and not run because their files say so."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("pysoa test plans")
    for option, metavar, what in (
        ("--pysoa-fixture", "NAME", "run only test cases of fixtures of this name, without folder and ending"),
        ("--pysoa-test-case", "NAME", "run only test cases with this name or description"),
        (
            "--pysoa-test-case-regex",
            "PATTERN",
            "run only test cases whose name or description this regular expression matches at its beginning",
        ),
    ):
        group.addoption(option, metavar=metavar, action="append", default=[], help=f"{what} (may be repeated)")
    group.addoption(
        "--pysoa-disable-tb-prune",
        action="store_true",
        default=False,
        help="show the frames of PySOA in the tracebacks of test cases, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that exclude each other."""
    if config.getoption("pysoa_test_case") and config.getoption("pysoa_test_case_regex"):
        raise pytest.UsageError("use of mutually exclusive arguments: --pysoa-test-case, --pysoa-test-case-regex")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Collect test plans, whatever they are called."""
    if not isinstance(obj, type):
        return None
    module = sys.modules.get("pysoa.test.plan.case")
    if module is None or not issubclass(obj, module.ServicePlanTestCase):
        return None
    if obj is module.ServicePlanTestCase or not isinstance(collector, pytest.Module | pytest.Class):
        return []
    from pysoa.test.plugins.pytest.plan_nodes import Plan

    return Plan.from_parent(collector, name=name, obj=obj)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out test cases that were not asked for, and those that were collected by two names."""
    if "pysoa.test.plugins.pytest.plan_nodes" not in sys.modules and not _is_selective(config):
        return
    kept: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    seen: set[pytest.Item] = set()
    for item in items:
        data = getattr(item, "fixture_test_case_data", None)
        if data is not None:
            if item in seen:
                continue
            seen.add(item)
        (kept if _is_selected(config, data) else deselected).append(item)
    items[:] = kept
    if deselected:
        config.hook.pytest_deselected(items=deselected)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tell a test case of a fixture which one follows."""
    if getattr(item, "fixture_test_case_data", None) is not None:
        plan_item: FixtureTest = item  # type: ignore[assignment] # only those have such data
        plan_item.next_item = nextitem


def _is_selective(config: pytest.Config) -> bool:
    return any(config.getoption(name) for name in ("pysoa_fixture", "pysoa_test_case", "pysoa_test_case_regex"))


def _is_selected(config: pytest.Config, data: Any) -> bool:
    """Whether the options ask for an item, given what is known of its test case."""
    if not _is_selective(config):
        return True
    if data is None:
        return False
    fixtures, names, patterns = (
        config.getoption(name) for name in ("pysoa_fixture", "pysoa_test_case", "pysoa_test_case_regex")
    )
    if fixtures and data.fixture_name not in fixtures:
        return False
    described = (data.name, data.description.rpartition("\n")[0])  # the file name stands below the description
    if names:
        return any(text in names for text in described)
    return not patterns or any(re.match(f"^{pattern}", text) for pattern in patterns for text in described)
