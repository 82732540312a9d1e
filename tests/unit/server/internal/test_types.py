from __future__ import annotations

import enum
from typing import Any

import pytest

from pysoa.server.internal.types import RequestSwitchSet, SwitchSet


class Color(enum.Enum):
    RED = 5


class Number:
    def __int__(self) -> int:
        return 7


def test_switches_are_kept_as_numbers() -> None:
    switches = SwitchSet([1, 2.7, True, Color.RED, Number()])

    assert switches == frozenset({1, 2, 5, 7})
    assert Color.RED in switches
    assert Number() in switches
    assert 3 not in switches


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_there_may_be_no_switches(nothing: Any) -> None:
    assert SwitchSet(nothing) == frozenset()


@pytest.mark.parametrize("bad", ["1", None, object()])
def test_what_is_no_switch_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        SwitchSet([bad])
    with pytest.raises(TypeError, match="switch does not implement the switch constant interface"):
        _ = bad in SwitchSet([1])


def test_a_request_says_which_switches_are_active() -> None:
    switches = RequestSwitchSet([5])

    assert switches.is_active(Color.RED)
    assert not switches.is_active(6)
