from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.test.server import PyTestServerTestCase

case = PyTestServerTestCase()


class Odd(list):  # type: ignore[type-arg]
    pass


PASSING = [
    ("assertEqual", (1, 1.0)),
    ("assertNotEqual", (1, 2)),
    ("assertMultiLineEqual", ("a\nb", "a\nb")),
    ("assertSequenceEqual", ([1], Odd([1]))),
    ("assertListEqual", ([1], Odd([1]))),
    ("assertTupleEqual", ((1,), (1,))),
    ("assertSetEqual", ({1}, frozenset({1}))),
    ("assertDictEqual", ({1: 2}, {1: 2})),
    ("assertAlmostEqual", (1, 1.00000001)),
    ("assertAlmostEqual", ("a", "a")),
    ("assertAlmostEqual", (1, 1.3, 0)),
    ("assertAlmostEqual", (1, 3, None, None, 2)),
    ("assertNotAlmostEqual", (1, 1.001)),
    ("assertNotAlmostEqual", (1, 4, None, None, 2)),
    ("assertTrue", (1,)),
    ("assertFalse", (0,)),
    ("assertIs", (None, None)),
    ("assertIsNot", (None, 0)),
    ("assertIsNone", (None,)),
    ("assertIsNotNone", (0,)),
    ("assertIn", (1, [1])),
    ("assertNotIn", (2, [1])),
    ("assertIsInstance", (1, (int, str))),
    ("assertNotIsInstance", (1, str)),
    ("assertGreater", (2, 1)),
    ("assertGreaterEqual", (1, 1)),
    ("assertLess", (1, 2)),
    ("assertLessEqual", (1, 1)),
    ("assertRegex", ("abc", "b")),
    ("assertRegex", (b"abc", re.compile(b"c$"))),
    ("assertNotRegex", ("abc", "^b")),
]

FAILING = [
    ("assertEqual", (1, 2)),
    ("assertNotEqual", (1, 1)),
    ("assertMultiLineEqual", ("a", "b")),
    ("assertSequenceEqual", ([1], (1,))),
    ("assertListEqual", ([1], [2])),
    ("assertTupleEqual", ((1,), [1])),
    ("assertSetEqual", ({1}, {2})),
    ("assertDictEqual", ({1: 2}, {1: 3})),
    ("assertTrue", (0,)),
    ("assertFalse", (1,)),
    ("assertIs", (1.0, 1)),
    ("assertIsNot", (None, None)),
    ("assertIsNone", (0,)),
    ("assertIsNotNone", (None,)),
    ("assertIn", (2, [1])),
    ("assertNotIn", (1, [1])),
    ("assertIsInstance", (1, str)),
    ("assertNotIsInstance", (1, int)),
    ("assertGreater", (1, 1)),
    ("assertGreaterEqual", (1, 2)),
    ("assertLess", (1, 1)),
    ("assertLessEqual", (2, 1)),
]


@pytest.mark.parametrize(("name", "arguments"), PASSING)
def test_an_assertion_passes(name: str, arguments: tuple[Any, ...]) -> None:
    assert getattr(case, name)(*arguments) is None


@pytest.mark.parametrize(("name", "arguments"), FAILING)
def test_an_assertion_fails_with_its_message(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(AssertionError) as failure:
        getattr(case, name)(*arguments, msg="what it means")

    assert str(failure.value).startswith("what it means")


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("assertMultiLineEqual", (1, "a"), "First argument is not a string"),
        ("assertMultiLineEqual", ("a", 1), "Second argument is not a string"),
        ("assertSetEqual", ([1], {1}), "First argument is not a set"),
        ("assertSetEqual", ({1}, [1]), "Second argument is not a set"),
        ("assertDictEqual", ([], {}), "First argument is not a dictionary"),
        ("assertDictEqual", ({}, []), "Second argument is not a dictionary"),
        ("assertAlmostEqual", (1, 2), "1 != 2 within 7 places (1 difference)"),
        ("assertAlmostEqual", (1, 4, None, None, 2), "1 != 4 within 2 delta (3 difference)"),
        ("assertAlmostEqual", (1, 2, 1, None, 1), "Specify delta or places, but not both"),
        ("assertNotAlmostEqual", (1, 1.25, 0), "1 == 1.25 within 0 places (0.25 difference)"),
        ("assertNotAlmostEqual", (1, 2, None, None, 2), "1 == 2 within 2 delta (1 difference)"),
        ("assertNotAlmostEqual", ("a", "a"), "a == a"),
        ("assertRegex", ("abc", "x"), "Pattern: x\nDoes not match text: 'abc'"),
        ("assertRegex", ("abc", re.compile("x")), "Pattern: x\nDoes not match text: 'abc'"),
        ("assertRegex", ("abc", None), "Regex must not be None"),
        ("assertRegex", ("abc", ""), "Regex must not be empty"),
        ("assertNotRegex", ("abc", "b"), "Pattern: b\nUnexpectedly matches text: 'abc'"),
        ("fail", ("why",), "why"),
    ],
)
def test_a_failure_has_the_text_of_1x(name: str, arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(AssertionError) as failure:
        getattr(case, name)(*arguments)

    assert str(failure.value).partition("\nassert ")[0] == text


def test_fail_without_a_text_has_none() -> None:
    with pytest.raises(AssertionError) as failure:
        case.fail()

    assert failure.value.args == ()


@pytest.mark.parametrize(
    ("first", "second", "are_equal"),
    [
        ([1, 2, 1], (1, 1, 2), True),
        ([1, 2], [1, 2, 2], False),
        ([[1], {}], [{}, [1]], True),
        ([[1], [1]], [[1], [2]], False),
        ([[1]], [[1], [1]], False),
    ],
)
def test_counts_are_compared_with_a_warning(first: Any, second: Any, are_equal: bool) -> None:
    text = (
        "PyTestServerTestCase.assertCountEqual is deprecated, because it cannot be implemented practicably. There is "
        "no replacement. It will be removed in PySOA 2.0"
    )
    with pytest.warns(DeprecationWarning) as warned:
        if are_equal:
            case.assertCountEqual(first, second)
        else:
            with pytest.raises(AssertionError):
                case.assertCountEqual(first, second)

    assert [str(one.message) for one in warned] == [text]
    assert warned[0].filename == __file__


RENAMED = {
    "assertEquals": ("assertEqual", (1, 1), (1, 2)),
    "failUnlessEqual": ("assertEqual", (1, 1), (1, 2)),
    "assertNotEquals": ("assertNotEqual", (1, 2), (1, 1)),
    "failIfEqual": ("assertNotEqual", (1, 2), (1, 1)),
    "assertAlmostEquals": ("assertAlmostEqual", (1, 1), (1, 2)),
    "failUnlessAlmostEqual": ("assertAlmostEqual", (1, 1), (1, 2)),
    "assertNotAlmostEquals": ("assertNotAlmostEqual", (1, 2), (1, 1)),
    "failIfAlmostEqual": ("assertNotAlmostEqual", (1, 2), (1, 1)),
    "failUnless": ("assertTrue", (1,), (0,)),
    "assert_": ("assertTrue", (1,), (0,)),
    "failIf": ("assertFalse", (0,), (1,)),
    "assertRegexpMatches": ("assertRegex", ("a", "a"), ("a", "b")),
    "assertNotRegexpMatches": ("assertNotRegex", ("a", "b"), ("a", "a")),
}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_warns_where_it_is_used_and_does_the_same(old: str) -> None:
    new, passing, failing = RENAMED[old]
    with pytest.warns(DeprecationWarning) as warned:
        getattr(case, old)(*passing)
        with pytest.raises(AssertionError):
            getattr(case, old)(*failing)

    text = f"Please use {new} instead. This will be removed in PySOA 2.0."
    assert [(str(one.message), one.filename) for one in warned] == [(text, __file__)] * 2


def test_old_names_for_exceptions_give_what_the_new_ones_give() -> None:
    with pytest.warns(DeprecationWarning) as warned:
        with case.failUnlessRaises(ValueError) as first:
            raise ValueError("text")
        with case.assertRaisesRegexp(ValueError, "ext") as second:
            raise ValueError("text")

    assert str(first.exception) == str(second.value) == "text"
    assert [str(one.message).split()[2] for one in warned] == ["assertRaises", "assertRaisesRegex"]


def give_way(kind: type[Exception], text: str) -> None:
    raise kind(text)


def test_what_was_raised_has_the_names_of_pytest_and_of_unittest() -> None:
    with case.assertRaises(ValueError) as info:
        raise ValueError("text")
    with pytest.raises(ValueError) as ordinary:
        raise ValueError("text")

    assert isinstance(info, pytest.ExceptionInfo)
    assert info.exception is info.value
    assert str(info.value) == "text"
    assert not hasattr(ordinary, "exception")


def test_raising_is_checked_with_a_callable_too() -> None:
    assert case.assertRaises(ValueError, give_way, ValueError, text="a") is None
    assert case.assertRaisesRegex(ValueError, "^.b", give_way, ValueError, "abc") is None
    with case.assertRaisesRegex(ValueError, "^.b"):
        raise ValueError("abc")
    with pytest.raises(pytest.fail.Exception):
        case.assertRaises(ValueError, int)
    with pytest.raises(AssertionError), case.assertRaisesRegex(ValueError, "x"):
        raise ValueError("abc")
    with pytest.raises(KeyError), case.assertRaises(ValueError):
        raise KeyError


def warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def test_warnings_are_checked() -> None:
    with case.assertWarns(UserWarning) as warned:
        warn("abc")
    with case.assertWarnsRegex(UserWarning, "b"):
        warn("abc")
    assert case.assertWarns(UserWarning, warn, text="a") is None
    assert case.assertWarnsRegex(UserWarning, "^a", warn, "abc") is None

    assert len(warned.list) == 1
    with pytest.raises(pytest.fail.Exception):
        case.assertWarns(UserWarning, int)


def test_logs_are_captured_and_the_logger_is_as_before() -> None:
    logger = logging.getLogger("tests.shop")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    before = (logger.handlers, logger.level, logger.propagate)

    with case.assertLogs("tests.shop", "WARN") as logs:
        logger.info("not this")
        logger.warning("but %s", "this")
        assert (logger.handlers, logger.propagate) != (before[0], before[2])

    assert logs.output == ["WARNING:tests.shop:but this"]
    assert [record.args for record in logs.records] == [("this",)]
    assert (logger.handlers, logger.level, logger.propagate) == before
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "No logs of level INFO or higher triggered on None"),
        (("tests.shop", 40), "No logs of level ERROR or higher triggered on tests.shop"),
        ((logging.getLogger("tests.shop"), "WARN"), "No logs of level WARNING or higher triggered on tests.shop"),
    ],
)
def test_no_logs_is_a_failure(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(AssertionError) as failure, case.assertLogs(*arguments) as logs:
        pass

    assert str(failure.value) == text
    assert (logs.records, logs.output) == ([], [])


def test_exceptions_pass_through_captured_logs() -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    run: Callable[[], Any] = case.assertLogs

    with pytest.raises(KeyError), run():
        raise KeyError

    assert (root.handlers, root.level) == before
