"""Actions that switches choose between."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from pysoa.common.types import ActionResponse
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.types import EnrichedActionRequest


class Switch(enum.Enum):
    ELEVEN = 11


def variant(letter: str) -> Any:
    return lambda settings: lambda request: ActionResponse(request.action, body={"variant": letter, "of": settings})


class Numbered:
    def __int__(self) -> int:
        return 13


class WithDefault(SwitchedAction):
    switch_to_action_map = (
        (SwitchedAction.DEFAULT_ACTION, variant("c")),
        (7, variant("a")),
        (Switch.ELEVEN, variant("b")),
        (Numbered(), variant("d")),
    )


class WithDefaultBetween(SwitchedAction):
    switch_to_action_map = [
        (7, variant("a")),
        (SwitchedAction.DEFAULT_ACTION, variant("c")),
        (11, variant("b")),
    ]


class WithoutDefault(SwitchedAction):
    switch_to_action_map = ([7, variant("a")], (11, variant("c")))


def run(action_class: type[SwitchedAction], switches: Iterable[Any]) -> Any:
    request = EnrichedActionRequest("switched", {}, switches=switches)  # type: ignore[arg-type]
    return action_class("settings")(request).body["variant"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action_class", "switches", "chosen"),
    [
        (WithDefault, [], "c"),
        (WithDefault, [7], "a"),
        (WithDefault, [11], "b"),
        (WithDefault, [13], "d"),
        (WithDefault, [Numbered()], "d"),
        (WithDefault, [Switch.ELEVEN], "b"),
        (WithDefault, [11, 7], "a"),
        (WithDefault, [99], "c"),
        (WithDefaultBetween, [], "c"),
        (WithDefaultBetween, [11], "b"),
        (WithDefaultBetween, [99], "c"),
        (WithoutDefault, [], "c"),
        (WithoutDefault, [7], "a"),
        (WithoutDefault, [11], "c"),
        (WithoutDefault, [7, 11], "a"),
        (WithoutDefault, [99], "c"),
    ],
)
def test_the_first_active_switch_chooses(action_class: type[SwitchedAction], switches: list[Any], chosen: str) -> None:
    assert run(action_class, switches) == chosen


@pytest.mark.parametrize("zero", [0, SimpleNamespace(value=0)])
def test_switch_zero_is_never_active(zero: Any) -> None:
    class WithZero(SwitchedAction):
        switch_to_action_map = ((zero, variant("zero")), (5, variant("five")))

    assert run(WithZero, [0]) == "five"


def test_the_chosen_action_gets_the_settings() -> None:
    response = WithDefault("the settings")(EnrichedActionRequest("switched", {}))  # type: ignore[arg-type]

    assert response.body["of"] == "the settings"


def test_the_choice_can_be_asked_for_and_overridden() -> None:
    class Reversed(WithoutDefault):
        def get_uninitialized_action(self, request: EnrichedActionRequest) -> Any:
            chosen = super().get_uninitialized_action(request)
            return next(action for _, action in self.switch_to_action_map if action is not chosen)

    assert (
        WithoutDefault().get_uninitialized_action(EnrichedActionRequest("switched", {}))
        is (WithoutDefault.switch_to_action_map[1][1])
    )
    assert run(Reversed, [7]) == "c"


def test_the_default_is_like_no_switch_of_a_request() -> None:
    default = SwitchedAction.DEFAULT_ACTION

    assert int(default) < 0
    assert default == type(default)()
    assert default != int(default)
    assert hash(default) == hash(type(default)())


@pytest.mark.parametrize(
    "malformed",
    [
        (),
        ((1, variant("a")),),
        ((1, variant("a")), (2, variant("b"), 3)),
        ((1, variant("a")), ("2", variant("b"))),
        ((1, variant("a")), (2, "no action")),
        ((1, variant("a")), 5),
        5,
        None,
    ],
)
def test_a_malformed_map_is_refused_when_the_class_is_defined(malformed: Any) -> None:
    with pytest.raises(ValueError, match="must be an iterable of at least two indexable items, each with exactly two"):

        class Malformed(SwitchedAction):
            switch_to_action_map = malformed


def test_there_is_no_second_base() -> None:
    with pytest.raises(TypeError, match="You cannot use multiple inheritance with SwitchedActions"):

        class Mixed(WithDefault, dict):  # type: ignore[type-arg]
            pass


def test_the_default_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match=r"Overriding SwitchedAction\.DEFAULT_ACTION is not permitted"):

        class Overriding(WithDefault):
            DEFAULT_ACTION = 5  # type: ignore[assignment]


def test_the_base_cannot_be_instantiated() -> None:
    with pytest.raises(TypeError, match="Cannot instantiate abstract SwitchedAction"):
        SwitchedAction()
