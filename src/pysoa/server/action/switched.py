"""Actions of several variants, of which the switches of a request choose one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from pysoa.server.internal.types import get_switch, is_switch
from pysoa.server.types import ActionInterface, EnrichedActionRequest

__all__ = ("SwitchedAction",)

_MALFORMED_MAP: Final = (
    "Class attribute switch_to_action_map must be an iterable of at least two indexable items, each with exactly two "
    "indexes, where the first element is a switch and the second element is an action (callable)."
)


class _DefaultAction:
    """Stands in a map in place of a switch; a negative number, so that no switch of a request is equal to it."""

    def __int__(self) -> int:
        return -id(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DefaultAction)

    def __hash__(self) -> int:
        return hash(_DefaultAction)

    def __repr__(self) -> str:
        return "DEFAULT_ACTION"


class SwitchedAction(ActionInterface):
    """Runs one of several actions: the first whose switch is active in the request.

    How that one is run is its own affair: it may be asynchronous or ``blocking``, whatever the others are.

    Without an active switch it is the one under ``DEFAULT_ACTION``, wherever that stands, or else the last one.
    Switch 0 is never active.

    Attributes:
        switch_to_action_map: at least two pairs of a switch and an action.
    """

    DEFAULT_ACTION: ClassVar[_DefaultAction] = _DefaultAction()

    switch_to_action_map: ClassVar[Iterable[Any]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if len(cls.__bases__) > 1:
            raise TypeError("You cannot use multiple inheritance with SwitchedActions")
        if "DEFAULT_ACTION" in cls.__dict__:
            raise TypeError("Overriding SwitchedAction.DEFAULT_ACTION is not permitted")
        if not _is_switch_to_action_map(cls.switch_to_action_map):
            raise ValueError(_MALFORMED_MAP)

    def __init__(self, settings: Any = None) -> None:
        if type(self) is SwitchedAction:
            raise TypeError("Cannot instantiate abstract SwitchedAction")
        self.settings = settings

    def get_uninitialized_action(self, request: EnrichedActionRequest) -> Callable[[Any], Any]:
        """The action that the switches of the request choose, as it stands in the map."""
        action: Any = None
        default: Any = None
        for entry in self.switch_to_action_map:
            switch, action = entry[0], entry[1]
            if switch == self.DEFAULT_ACTION:
                default = action
            elif get_switch(switch) and request.switches.is_active(switch):
                chosen: Callable[[Any], Any] = action
                return chosen
        last_resort: Callable[[Any], Any] = action if default is None else default
        return last_resort

    def chosen_action(self, request: EnrichedActionRequest) -> Any:
        """The action that the switches of the request choose, made with the settings."""
        return self.get_uninitialized_action(request)(self.settings)

    def __call__(self, action_request: EnrichedActionRequest) -> Any:
        """Run the action that the switches choose; an asynchronous one gives back a coroutine."""
        action = self.chosen_action(action_request)
        action_request.suit(action)
        return action(action_request)


def _is_switch_to_action_map(candidate: Any) -> bool:
    try:
        return len(candidate) >= 2 and all(
            len(entry) == 2 and is_switch(entry[0]) and callable(entry[1]) for entry in candidate
        )
    except (TypeError, LookupError):
        return False
