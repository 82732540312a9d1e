"""The built-in action that tells what a service can do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pysoa.common.constants import ERROR_CODE_INVALID
from pysoa.common.errors import Error
from pysoa.common.fields import Anything, Dictionary, List, Nullable, SchemalessDictionary, UnicodeString
from pysoa.common.typed import TypedSchema, as_schema
from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.action.status import BaseStatusAction
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.internal.types import get_switch
from pysoa.server.types import EnrichedActionRequest

__all__ = ("IntrospectionAction",)

_NAME_WITH_VARIANT: Final = re.compile(r"([a-zA-Z0-9_-]+)\[(switch:[0-9]+|DEFAULT)\]")
_SERVER: Final = ("pysoa.server.server", "Server")


class IntrospectionAction(Action):
    """Tells the names, the documentation and the schemas of the actions of a server.

    Each variant of a switched action has an entry of its own: ``name[switch:N]`` and ``name[DEFAULT]``.
    """

    description = (
        "Returns the documentation of the service and the documentation and schemas of its actions, or of the one "
        "action that is named."
    )

    request_schema = Dictionary(
        {
            "action_name": UnicodeString(
                min_length=1, allow_blank=False, description="The one action to tell about (default: all)"
            )
        },
        optional_keys=("action_name",),
    )

    response_schema = Dictionary(
        {
            "documentation": Nullable(UnicodeString(description="The documentation of the service")),
            "action_names": List(UnicodeString(description="The name of an action"), description="All names, sorted"),
            "actions": SchemalessDictionary(
                key_type=UnicodeString(description="The name of an action"),
                value_type=Dictionary(
                    {
                        "documentation": Nullable(UnicodeString(description="The documentation of the action")),
                        "request_schema": Nullable(Anything(description="What its request must be")),
                        "response_schema": Nullable(Anything(description="What its response will be")),
                    },
                    description="What there is to know of an action",
                ),
                description="All actions by name",
            ),
        },
        optional_keys=("documentation",),
    )

    def __init__(self, server: Any) -> None:
        # Known by name: the server's module imports the actions.
        if not any((base.__module__, base.__name__) == _SERVER for base in server.__class__.__mro__):
            raise TypeError("First argument (server) must be a Server instance")
        super().__init__(server.settings)
        self.server = server

    def run(self, request: EnrichedActionRequest) -> Body:
        """Describe one action, or all.

        Raises:
            ActionError: there is no such action.
        """
        action_name = (request.body or {}).get("action_name")
        if action_name:
            actions = self._one(action_name)
            return {"action_names": sorted(actions), "actions": actions}

        actions = self._all()
        server_class = self.server.__class__
        return {
            "documentation": getattr(server_class, "description", None) or server_class.__doc__ or None,
            "action_names": sorted(actions),
            "actions": actions,
        }

    def _all(self) -> Body:
        mapped = self.server.action_class_map
        names = [name for name in ("introspect", "status") if name not in mapped] + list(mapped)
        return {key: value for name in names for key, value in self._described(name).items()}

    def _one(self, action_name: str) -> Body:
        if self._action(action_name) is not None:
            return self._described(action_name)
        match = _NAME_WITH_VARIANT.fullmatch(action_name)
        action = self._action(match[1]) if match else None
        if match and _is_switched(action):
            action = _variant(action, match[2])
        if action is None:
            raise ActionError(
                errors=[
                    Error(
                        code=ERROR_CODE_INVALID,
                        message="Action not defined in service",
                        field="action_name",
                        is_caller_error=True,
                    )
                ]
            )
        return {action_name: _description(action)}

    def _described(self, name: str) -> Body:
        action = self._action(name)
        if not _is_switched(action):
            return {name: _description(action)}
        return {f"{name}[{variant}]": _description(action) for variant, action in _listed_variants(action)}

    def _action(self, name: str) -> Any:
        if name in self.server.action_class_map:
            return self.server.action_class_map[name]
        return {"introspect": type(self), "status": BaseStatusAction}.get(name)


def _is_switched(action: Any) -> bool:
    return isinstance(action, type) and issubclass(action, SwitchedAction)


def _variant(action: Any, variant: str) -> Any:
    """The action under ``DEFAULT`` or ``switch:N``, or None."""
    entries = list(action.switch_to_action_map)
    if variant == "DEFAULT":
        return next((each for switch, each in entries if switch == action.DEFAULT_ACTION), entries[-1][1])
    number = variant.removeprefix("switch:").lstrip("0") or "0"
    return next((each for switch, each in entries if str(get_switch(switch)) == number), None)


def _listed_variants(action: Any) -> Iterator[tuple[str, Any]]:
    """All variants with their names; without an entry of its own, the default is the last, listed as that only."""
    entries = list(action.switch_to_action_map)
    has_default = any(switch == action.DEFAULT_ACTION for switch, _ in entries)
    for position, (switch, each) in enumerate(entries, start=1):
        is_default = switch == action.DEFAULT_ACTION if has_default else position == len(entries)
        yield "DEFAULT" if is_default else f"switch:{get_switch(switch)}", each


def _description(action: Any) -> Body:
    return {
        "documentation": getattr(action, "description", None) or getattr(action, "__doc__", None) or None,
        "request_schema": _introspected(getattr(action, "request_schema", None)),
        "response_schema": _introspected(getattr(action, "response_schema", None)),
    }


def _introspected(source: Any) -> Body | None:
    # A property gives its schema to instances only, and none is made here.
    schema = None if isinstance(source, property) else as_schema(source)
    if schema is None:
        return None
    told = dict(schema.introspect())
    # In here, as the response schema of this action is that of 1.x, which leaves open only what a schema holds.
    if isinstance(schema, TypedSchema) and (json_schema := schema.json_schema()) is not None:
        told["json_schema"] = json_schema
    return told
