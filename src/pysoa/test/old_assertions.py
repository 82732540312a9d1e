"""The assertions of ``unittest.TestCase``, for tests that were written when ``ServerTestCase`` was one.

New tests use ``assert``, ``pytest.raises`` and ``pytest.warns``. Failures are plain ``AssertionError``s; where pytest
rewrites the asserts of this module, they say more.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from types import TracebackType
from typing import Any, NoReturn

import pytest

__all__ = ("OldAssertions",)


def _renamed(new_name: str) -> Callable[..., Any]:
    """A method of an old name: it warns, and does what the one of the new name does."""

    def renamed(self: OldAssertions, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        warnings.warn(
            f"Please use {new_name} instead. This will be removed in PySOA 2.0.", DeprecationWarning, stacklevel=2
        )
        return getattr(self, new_name)(*args, **kwargs)

    renamed.__doc__ = f"Deprecated: the old name of ``{new_name}``."
    return renamed


class OldAssertions:
    """Assertions as methods. ``msg`` is what a failure says, where that is not said otherwise."""

    def fail(self, msg: Any = None) -> NoReturn:
        """Fail."""
        __tracebackhide__ = True
        raise AssertionError(msg) if msg else AssertionError()

    # Equality

    def assertEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless they are equal."""
        __tracebackhide__ = True
        assert first == second, msg or ""

    def assertNotEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail if they are equal."""
        __tracebackhide__ = True
        assert first != second, msg or ""

    def assertMultiLineEqual(self, first: str, second: str, msg: Any = None) -> None:
        """Fail unless they are equal texts."""
        __tracebackhide__ = True
        assert isinstance(first, str), "First argument is not a string"
        assert isinstance(second, str), "Second argument is not a string"
        assert first == second, msg or ""

    def assertSequenceEqual(
        self, first: Sequence[Any], second: Sequence[Any], msg: Any = None, seq_type: type | None = None
    ) -> None:
        """Fail unless they are equal, and of the type if one is given."""
        __tracebackhide__ = True
        if seq_type is not None:
            assert isinstance(first, seq_type), msg or ""
            assert isinstance(second, seq_type), msg or ""
        assert first == second, msg or ""

    def assertListEqual(self, first: list[Any], second: list[Any], msg: Any = None) -> None:
        """Fail unless they are equal lists."""
        __tracebackhide__ = True
        self.assertSequenceEqual(first, second, msg, seq_type=list)

    def assertTupleEqual(self, first: tuple[Any, ...], second: tuple[Any, ...], msg: Any = None) -> None:
        """Fail unless they are equal tuples."""
        __tracebackhide__ = True
        self.assertSequenceEqual(first, second, msg, seq_type=tuple)

    def assertSetEqual(self, first: Set[Any], second: Set[Any], msg: Any = None) -> None:
        """Fail unless they are equal sets of any kind."""
        __tracebackhide__ = True
        assert isinstance(first, Set), "First argument is not a set"
        assert isinstance(second, Set), "Second argument is not a set"
        assert first == second, msg or ""

    def assertDictEqual(self, first: dict[Any, Any], second: dict[Any, Any], msg: Any = None) -> None:
        """Fail unless they are equal dicts."""
        __tracebackhide__ = True
        assert isinstance(first, dict), "First argument is not a dictionary"
        assert isinstance(second, dict), "Second argument is not a dictionary"
        assert first == second, msg or ""

    def assertCountEqual(self, first: Iterable[Any], second: Iterable[Any], msg: Any = None) -> None:
        """Deprecated: fail unless they have the same elements, each as often."""
        __tracebackhide__ = True
        warnings.warn(
            "PyTestServerTestCase.assertCountEqual is deprecated, because it cannot be implemented practicably. There "
            "is no replacement. It will be removed in PySOA 2.0",
            DeprecationWarning,
            stacklevel=2,
        )
        first, second = list(first), list(second)
        try:
            counts, other_counts = Counter(first), Counter(second)
        except TypeError:
            rest = list(second)
            for element in first:
                assert element in rest
                rest.remove(element)
            assert not rest
        else:
            assert counts == other_counts, msg or ""

    def assertAlmostEqual(
        self, first: Any, second: Any, places: int | None = None, msg: Any = None, delta: Any = None
    ) -> None:
        """Fail unless they are equal, or differ by no more than ``delta``, or not in so many decimal places."""
        __tracebackhide__ = True
        if first == second:
            return
        is_near, within, difference = _distance(first, second, places, delta)
        if not is_near:
            raise AssertionError(msg or f"{first} != {second} within {within} ({difference} difference)")

    def assertNotAlmostEqual(
        self, first: Any, second: Any, places: int | None = None, msg: Any = None, delta: Any = None
    ) -> None:
        """Fail where ``assertAlmostEqual`` would not."""
        __tracebackhide__ = True
        if first == second:
            raise AssertionError(msg or f"{first} == {second}")
        is_near, within, difference = _distance(first, second, places, delta)
        if is_near:
            raise AssertionError(msg or f"{first} == {second} within {within} ({difference} difference)")

    # Truth, identity, order, membership

    def assertTrue(self, expr: Any, msg: Any = None) -> None:
        """Fail unless it is true."""
        __tracebackhide__ = True
        assert expr, msg or ""

    def assertFalse(self, expr: Any, msg: Any = None) -> None:
        """Fail if it is true."""
        __tracebackhide__ = True
        assert not expr, msg or ""

    def assertIs(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless they are the same object."""
        __tracebackhide__ = True
        assert first is second, msg or ""

    def assertIsNot(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail if they are the same object."""
        __tracebackhide__ = True
        assert first is not second, msg or ""

    def assertIsNone(self, expr: Any, msg: Any = None) -> None:
        """Fail unless it is None."""
        __tracebackhide__ = True
        assert expr is None, msg or ""

    def assertIsNotNone(self, expr: Any, msg: Any = None) -> None:
        """Fail if it is None."""
        __tracebackhide__ = True
        assert expr is not None, msg or ""

    def assertIn(self, member: Any, container: Collection[Any], msg: Any = None) -> None:
        """Fail unless the one is in the other."""
        __tracebackhide__ = True
        assert member in container, msg or ""

    def assertNotIn(self, member: Any, container: Collection[Any], msg: Any = None) -> None:
        """Fail if the one is in the other."""
        __tracebackhide__ = True
        assert member not in container, msg or ""

    def assertIsInstance(self, obj: Any, cls: Any, msg: Any = None) -> None:
        """Fail unless it is an instance."""
        __tracebackhide__ = True
        assert isinstance(obj, cls), msg or ""

    def assertNotIsInstance(self, obj: Any, cls: Any, msg: Any = None) -> None:
        """Fail if it is an instance."""
        __tracebackhide__ = True
        assert not isinstance(obj, cls), msg or ""

    def assertGreater(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless the first is greater."""
        __tracebackhide__ = True
        assert first > second, msg or ""

    def assertGreaterEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless the first is greater, or they are equal."""
        __tracebackhide__ = True
        assert first >= second, msg or ""

    def assertLess(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless the first is less."""
        __tracebackhide__ = True
        assert first < second, msg or ""

    def assertLessEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """Fail unless the first is less, or they are equal."""
        __tracebackhide__ = True
        assert first <= second, msg or ""

    # Texts

    def assertRegex(self, text: Any, regex: Any, msg: Any = None) -> None:
        """Fail unless the pattern is found in the text."""
        __tracebackhide__ = True
        if not _pattern(regex).search(text):
            raise AssertionError(msg or f"Pattern: {_pattern(regex).pattern}\nDoes not match text: {text!r}")

    def assertNotRegex(self, text: Any, regex: Any, msg: Any = None) -> None:
        """Fail if the pattern is found in the text."""
        __tracebackhide__ = True
        if _pattern(regex).search(text):
            raise AssertionError(msg or f"Pattern: {_pattern(regex).pattern}\nUnexpectedly matches text: {text!r}")

    # Exceptions, warnings, logs

    def assertRaises(
        self, exception: Any, callable: Callable[..., Any] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Fail unless the callable, or the block, raises; the value of ``as`` has ``value`` and ``exception``."""
        __tracebackhide__ = True
        if callable is None:
            return _Raises(exception, **kwargs)
        with pytest.raises(exception):
            callable(*args, **kwargs)
        return None

    def assertRaisesRegex(
        self, exception: Any, regex: Any, callable: Callable[..., Any] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As ``assertRaises``, and the pattern has to be found in the text of the exception."""
        __tracebackhide__ = True
        if callable is None:
            return _Raises(exception, match=regex, **kwargs)
        with pytest.raises(exception, match=regex):
            callable(*args, **kwargs)
        return None

    def assertWarns(self, exception: Any, callable: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        """Fail unless the callable, or the block, warns."""
        __tracebackhide__ = True
        if callable is None:
            return pytest.warns(exception, **kwargs)
        with pytest.warns(exception):
            callable(*args, **kwargs)
        return None

    def assertWarnsRegex(
        self, exception: Any, regex: Any, callable: Callable[..., Any] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As ``assertWarns``, and the pattern has to be found in the text of the warning."""
        __tracebackhide__ = True
        if callable is None:
            return pytest.warns(exception, match=regex, **kwargs)
        with pytest.warns(exception, match=regex):
            callable(*args, **kwargs)
        return None

    def assertLogs(self, logger: str | logging.Logger | None = None, level: int | str | None = None) -> Any:
        """Fail unless the block logs; the value of ``as`` has ``records`` and ``output``.

        Args:
            logger: the logger or its name; None for the root logger.
            level: the lowest level that counts, or its name; None for INFO.
        """
        return _AssertLogs(logger, level)

    # Deprecated names

    assertEquals = _renamed("assertEqual")
    failUnlessEqual = _renamed("assertEqual")
    assertNotEquals = _renamed("assertNotEqual")
    failIfEqual = _renamed("assertNotEqual")
    assertAlmostEquals = _renamed("assertAlmostEqual")
    failUnlessAlmostEqual = _renamed("assertAlmostEqual")
    assertNotAlmostEquals = _renamed("assertNotAlmostEqual")
    failIfAlmostEqual = _renamed("assertNotAlmostEqual")
    failUnless = _renamed("assertTrue")
    assert_ = _renamed("assertTrue")
    failIf = _renamed("assertFalse")
    assertRegexpMatches = _renamed("assertRegex")
    assertNotRegexpMatches = _renamed("assertNotRegex")
    failUnlessRaises = _renamed("assertRaises")
    assertRaisesRegexp = _renamed("assertRaisesRegex")


def _distance(first: Any, second: Any, places: int | None, delta: Any) -> tuple[bool, str, Any]:
    """Whether two numbers are near, what near means, and how far they are from each other."""
    if delta is not None and places is not None:
        raise AssertionError("Specify delta or places, but not both")
    difference = abs(first - second)
    if delta is not None:
        return difference <= delta, f"{delta} delta", difference
    places = 7 if places is None else places
    return round(difference, places) == 0, f"{places} places", difference


def _pattern(regex: Any) -> re.Pattern[Any]:
    assert regex is not None, "Regex must not be None"
    assert regex, "Regex must not be empty"
    return re.compile(regex)


class _Raised(pytest.ExceptionInfo[Any]):  # type: ignore[misc] # final only for type checkers
    """What was raised, also by the name that ``unittest`` has for it."""

    @property
    def exception(self) -> Any:
        return self.value


class _Raises:
    """``pytest.raises``, whose value has ``exception``, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._raises = pytest.raises(*args, **kwargs)

    def __enter__(self) -> Any:
        info: Any = self._raises.__enter__()
        info.__class__ = _Raised
        return info

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        __tracebackhide__ = True
        return bool(self._raises.__exit__(kind, error, traceback))


class _Capture(logging.Handler):
    """Keeps what is logged.

    Attributes:
        records: all records.
        output: the lines that they make.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.output: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.output.append(self.format(record))


class _AssertLogs:
    """Takes the place of a logger's handlers in its block, and fails at its end if nothing was logged."""

    def __init__(self, logger: str | logging.Logger | None, level: int | str | None) -> None:
        self._logger = logger if isinstance(logger, logging.Logger) else logging.getLogger(logger)
        self._name = logger.name if isinstance(logger, logging.Logger) else logger
        known = logging.getLevelNamesMapping()
        self._level: int = logging.INFO if level is None else known[level] if isinstance(level, str) else level
        self._before: tuple[list[logging.Handler], int, bool] = ([], 0, False)
        self._capture = _Capture()

    def __enter__(self) -> _Capture:
        logger = self._logger
        self._before = logger.handlers, logger.level, logger.propagate
        logger.handlers = [self._capture]
        logger.setLevel(self._level)
        logger.propagate = False
        return self._capture

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        logger = self._logger
        logger.handlers, level, logger.propagate = self._before
        logger.setLevel(level)
        if kind is None and not self._capture.records:
            raise AssertionError(
                f"No logs of level {logging.getLevelName(self._level)} or higher triggered on {self._name}"
            )
