"""Assertions about structures of dicts and lists, whose texts tell where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any, Final, NoReturn

from pysoa.test.plan.grammar.tools import get_all_paths, joined, key_path, path_get

__all__ = (
    "assert_actual_list_not_subset",
    "assert_exact_structure",
    "assert_expected_list_subset_of_actual",
    "assert_lists_match_any_order",
    "assert_not_expected",
    "assert_not_present",
    "assert_subset_structure",
)

__test_plan_prune_traceback = True  # failure reports leave out frames of this module

_LINE: Final = "-" * 70


class Comparison:
    """What came of comparing an expected structure with an actual one, each by the paths of leaves.

    Args:
        expected: the expected structure.
        actual: the actual one.
        subset_lists: whether a single value may be looked for in a list, at any place.

    Attributes:
        missing: what is expected and not there.
        mismatched: what is there with another value: the expected and the actual value.
        matching: what is there as expected.
    """

    def __init__(self, expected: Any, actual: Any, subset_lists: bool = False) -> None:
        self.missing: list[str] = []
        self.mismatched: dict[str, tuple[Any, Any]] = {}
        self.matching: list[str] = []
        self._subset_lists = subset_lists
        self._compare(expected, actual, "")

    def _compare(self, expected: Any, actual: Any, path: str) -> None:
        if expected and isinstance(expected, Mapping) and isinstance(actual, Mapping):
            for key, value in expected.items():
                if key in actual:
                    self._compare(value, actual[key], key_path(path, key))
                else:
                    self._miss(value, key_path(path, key))
        elif expected and isinstance(expected, list) and isinstance(actual, list):
            self._compare_lists(expected, actual, path)
        elif self._subset_lists and isinstance(actual, list) and not isinstance(expected, Mapping | list):
            self._look_for(expected, actual, path, f"{path}.{expected}")
        elif expected != actual:
            self.mismatched[path] = (expected, actual)
        else:
            self.matching.append(path)

    def _compare_lists(self, expected: list[Any], actual: list[Any], path: str) -> None:
        for index, value in enumerate(expected):
            place = joined(path, str(index))
            if self._subset_lists and not isinstance(value, Mapping | list):
                self._look_for(value, actual, place, f"{place}.{value}")
            elif index < len(actual):
                self._compare(value, actual[index], place)
            else:
                self._miss(value, place)

    def _look_for(self, expected: Any, actual: list[Any], path: str, path_if_missing: str) -> None:
        if expected in actual:
            self.matching.append(path)
        else:
            self.missing.append(path_if_missing)

    def _miss(self, expected: Any, path: str) -> None:
        self.missing += get_all_paths(expected, path, allow_blank=True)


def assert_subset_structure(
    expected: Mapping[str, Any], actual: Mapping[str, Any], subset_lists: bool = False, msg: str | None = None
) -> None:
    """Check that all that is expected is there; there may be more.

    Args:
        expected: an empty dict or list in it stands for an empty one.
        actual: what there is.
        subset_lists: whether a single value may be looked for in a list, and elements of lists at any place in it.
        msg: stands above what is wrong.

    Raises:
        AssertionError: it is not.
    """
    _check_dicts(expected, actual)
    compared = Comparison(expected, actual, subset_lists)
    if compared.missing or compared.mismatched:
        _fail_structure(compared, (), expected, actual, msg)


def assert_exact_structure(expected: Mapping[str, Any], actual: Mapping[str, Any], msg: str | None = None) -> None:
    """Check that what is expected is there, and nothing else.

    Raises:
        AssertionError: it is not.
    """
    _check_dicts(expected, actual)
    compared = Comparison(expected, actual)
    extra = sorted(set(get_all_paths(actual, allow_blank=True)) - _leaves(expected, actual))
    if compared.missing or compared.mismatched or extra:
        _fail_structure(compared, extra, expected, actual, msg)


def _leaves(expected: Any, actual: Any) -> set[str]:
    """The paths of an expected structure, and of all below those where a single value is expected."""
    found = set()
    for path in get_all_paths(expected, allow_blank=True):
        found.add(path)
        wanted = path_get(expected, path)
        if not isinstance(wanted, Mapping | list):
            try:
                found.update(get_all_paths(path_get(actual, path), path, allow_blank=True))
            except (KeyError, IndexError):
                continue
    return found


def assert_not_expected(not_expected: Mapping[str, Any], actual: Mapping[str, Any], msg: str | None = None) -> None:
    """Check that no leaf has the value that is not wanted: it has another one, or is absent.

    A single value is looked for in a list, and so is each element of an unwanted list.

    Raises:
        AssertionError: one has it.
    """
    _check_dicts(not_expected, actual, "not-expected")
    present = sorted(Comparison(not_expected, actual, subset_lists=True).matching)
    if present:
        text = _header(msg, "Not Expected fields present")
        text += "".join(f"\n   `{path}`" for path in present)
        _fail(text + _bodies("NOT expected", not_expected, actual), present)


def assert_not_present(not_present: Mapping[str, Any], actual: Mapping[str, Any], msg: str | None = None) -> None:
    """Check that no path of the first structure leads to anything in the second, None included.

    Raises:
        AssertionError: one does.
    """
    # Without blanks: those are what a list was filled with before an index.
    present = sorted(path for path in get_all_paths(not_present) if _has(actual, path))
    if present:
        _fail(_header(msg, "Not present") + _bodies("SHOULD NOT be present", present, actual), present)


def _has(actual: Any, path: str) -> bool:
    try:
        path_get(actual, path)
    except (KeyError, IndexError):
        return False
    return True


def assert_lists_match_any_order(expected: list[Any], actual: list[Any], msg: str | None = None) -> None:
    """Check that two lists have the same elements, in any order.

    Raises:
        AssertionError: they have not.
    """
    _check_lists(expected, actual)
    if len(expected) != len(actual) or not all(item in actual for item in expected):
        _fail_lists(msg, "Expected exact: ", expected, actual)


def assert_expected_list_subset_of_actual(expected: list[Any], actual: list[Any], msg: str | None = None) -> None:
    """Check that every expected element is in the other list.

    Raises:
        AssertionError: one is not.
    """
    _check_lists(expected, actual)
    if not all(item in actual for item in expected):
        _fail_lists(msg, "Expected subset:", expected, actual)


def assert_actual_list_not_subset(not_expected: list[Any], actual: list[Any], msg: str | None = None) -> None:
    """Check that no element of the first list is in the second.

    Raises:
        AssertionError: one is.
    """
    _check_lists(not_expected, actual, "not-expected")
    if any(item in actual for item in not_expected):
        _fail_lists(msg, "Expected not present:", not_expected, actual)


# Texts


def _check_dicts(expected: Any, actual: Any, which: str = "expected") -> None:
    for name, value in ((which, expected), ("actual", actual)):
        if not isinstance(value, Mapping):
            raise AssertionError(f"{name} value is not a dict")


def _check_lists(expected: Any, actual: Any, which: str = "expected") -> None:
    for name, value in ((which, expected), ("actual", actual)):
        if not isinstance(value, list):
            raise AssertionError(f"{name} value is not a list")


def _header(msg: str | None, header: str = "") -> str:
    text = f"{msg}\n{_LINE}\nDATA ERROR:" if isinstance(msg, str) else ""
    return f"{text}\n{header}:" if header else text


def _typed(value: Any) -> str:
    return f"{value} ({type(value)})"


def _bodies(which: str, expected: Any, actual: Any) -> str:
    return f"\nFull body {which}:\n{pformat(expected)}\n\nFull body actual:\n{pformat(actual)}\n"


def _fail_structure(
    compared: Comparison, extra: Iterable[str], expected: Any, actual: Any, msg: str | None
) -> NoReturn:
    text = _header(msg)
    mismatched = sorted(compared.mismatched)
    if compared.missing:
        text += "\nMissing values:" + "".join(f"\n  `{path}`" for path in sorted(compared.missing))
    if extra:
        text += "\nExtra values:\n" + "".join(f"   `{path}`\n" for path in extra)
    if mismatched:
        text += "\nMismatch values:" + "".join(f"\n  `{path}`" for path in mismatched) + "\n"
        for path in mismatched:
            wanted, got = compared.mismatched[path]
            text += f"\n`{path}` is incorrect:\n  Expected: {_typed(wanted)}\n  Actual:   {_typed(got)}\n"
    _fail(text + _bodies("expected", expected, actual), [*compared.missing, *mismatched])


def _fail_lists(msg: str | None, label: str, expected: list[Any], actual: list[Any]) -> NoReturn:
    text = _header(msg, "Encountered values were incorrect")
    _fail(f"{text}\n  {label} {_typed(expected)}\n  {'Actual:':{len(label)}} {_typed(actual)}\n")


def _fail(text: str, paths: Iterable[str] = ()) -> NoReturn:
    """Fail, and keep by which paths, for the report of the failure."""
    error = AssertionError(text)
    error.paths = tuple(paths)  # type: ignore[attr-defined]
    raise error
