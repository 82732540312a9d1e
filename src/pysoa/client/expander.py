"""Expansions, without waiting: objects in responses get the objects that they refer to, which further calls fetch.

An object is a dict with a ``_type``. ``ExpansionConverter`` makes, from what is configured, the trees of what a call
asks for; ``client.expansion`` has the rounds of calls that they lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from pysoa.client.errors import InvalidExpansionKey
from pysoa.common.fields import Boolean, Dictionary, Nullable, SchemalessDictionary, UnicodeString
from pysoa.common.settings import Settings, SettingsSchema

__all__ = (
    "ExpansionConverter",
    "ExpansionNode",
    "ExpansionSettings",
    "Expansions",
    "TypeExpansions",
    "TypeNode",
    "TypeRoutes",
)

Expansions: TypeAlias = Mapping[str, Iterable[str]]
"""For each type the expansions of its objects; those of what they bring follow after a dot."""

TypeRoutes: TypeAlias = Mapping[str, Mapping[str, str]]
TypeExpansions: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]


class ExpansionSettings(Settings):
    """What can be expanded, and which actions bring it."""

    schema: ClassVar[SettingsSchema] = {
        "type_routes": SchemalessDictionary(
            key_type=UnicodeString(),
            value_type=Dictionary(
                {
                    "service": UnicodeString(description="The service to call"),
                    "action": UnicodeString(description="Its action"),
                    "request_field": UnicodeString(description="Where the request has the list of values"),
                    "response_field": UnicodeString(description="Where the response has the objects, by value"),
                }
            ),
            description="How objects are fetched, by the name of the route",
        ),
        "type_expansions": SchemalessDictionary(
            key_type=UnicodeString(),
            value_type=SchemalessDictionary(
                key_type=UnicodeString(),
                value_type=Dictionary(
                    {
                        "type": Nullable(UnicodeString(description="The type of what is fetched")),
                        "route": UnicodeString(description="A key of type_routes"),
                        "source_field": UnicodeString(description="The field whose value is looked up"),
                        "destination_field": UnicodeString(description="The field that gets what is found"),
                        "raise_action_errors": Boolean(description="Whether errors of the fetching are raised"),
                    },
                    optional_keys=("raise_action_errors",),
                ),
            ),
            description="What objects of a type can be expanded by, by type and name",
        ),
    }


class TypeNode:
    """The expansions that are wanted of the objects of one type.

    Args:
        node_type: the ``_type`` of the objects.

    Attributes:
        type: as given.
    """

    def __init__(self, node_type: str | None) -> None:
        self.type = node_type
        self._expansions: dict[str, ExpansionNode] = {}

    @property
    def expansions(self) -> list[ExpansionNode]:
        """The expansions, in the order in which they were added."""
        return list(self._expansions.values())

    def add_expansion(self, expansion_node: ExpansionNode) -> None:
        """Add an expansion; if there is one of that name, it gets the other's children."""
        existing = self._expansions.setdefault(expansion_node.name, expansion_node)
        if existing is not expansion_node:
            for child in expansion_node.expansions:
                existing.add_expansion(child)

    def get_expansion(self, expansion_name: str) -> ExpansionNode | None:
        """The expansion of that name."""
        return self._expansions.get(expansion_name)

    def find_objects(self, obj: Any) -> list[dict[str, Any]]:
        """The objects of this type in a body, in its dicts and lists; what lies within one is not looked at."""
        found: list[dict[str, Any]] = []
        to_search: list[Any] = [obj]
        seen: set[int] = set()  # a body that comes over no wire may hold itself
        while to_search:
            part = to_search.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, dict):
                if "_type" in part and part["_type"] == self.type:
                    found.append(part)
                    continue
                part = list(part.values())
            if isinstance(part, list):
                to_search.extend(each for each in reversed(part) if isinstance(each, dict | list))
        return found

    def to_dict(self) -> dict[str | None, list[str]]:
        """The expansions as the argument of a call."""
        return {self.type: [path for expansion in self.expansions for path in expansion.to_strings()]}


class ExpansionNode(TypeNode):
    """One expansion, and the expansions that are wanted of what it brings.

    Args:
        node_type: the ``_type`` of what it brings.
        name: as which it is asked for.
        source_field: the field of an object whose value is looked up.
        destination_field: the field that gets what is found.
        service: where it is fetched.
        action: of that service.
        request_field: where the request has the list of values.
        response_field: where the response has the objects, by value.
        raise_action_errors: whether errors of the fetching are raised, rather than leaving objects as they are.
    """

    def __init__(
        self,
        node_type: str | None,
        name: str,
        source_field: str,
        destination_field: str,
        service: str,
        action: str,
        request_field: str,
        response_field: str,
        raise_action_errors: bool = True,
    ) -> None:
        super().__init__(node_type)
        self.name = name
        self.source_field = source_field
        self.destination_field = destination_field
        self.service = service
        self.action = action
        self.request_field = request_field
        self.response_field = response_field
        self.raise_action_errors = raise_action_errors

    def to_strings(self) -> list[str]:
        """The paths from this expansion to each that has no further ones, with dots."""
        paths = [path for expansion in self.expansions for path in expansion.to_strings()]
        return [f"{self.name}.{path}" for path in paths] or [self.name]


class ExpansionConverter:
    """Makes trees of what a call asks for, and the other way round.

    Args:
        type_routes: as in ``ExpansionSettings``.
        type_expansions: as in ``ExpansionSettings``.
    """

    def __init__(self, type_routes: TypeRoutes, type_expansions: TypeExpansions) -> None:
        self.type_routes = type_routes
        self.type_expansions = type_expansions

    def dict_to_trees(self, expansion_dict: Expansions) -> list[TypeNode]:
        """A tree for each type.

        Raises:
            InvalidExpansionKey: a type, an expansion or a route is not configured.
            ValueError: an expansion has the same field as source and as destination.
        """
        trees = []
        for node_type, paths in expansion_dict.items():
            tree = TypeNode(node_type)
            for path in paths:
                node = tree
                for name in path.split("."):
                    child = node.get_expansion(name)
                    if child is None:
                        child = self._expansion_node(node.type, name)
                        node.add_expansion(child)
                    node = child
            trees.append(tree)
        return trees

    def _expansion_node(self, node_type: Any, name: str) -> ExpansionNode:
        expansions = _at(self.type_expansions, node_type, "type_expansions")
        expansion = _at(expansions, name, f"type_expansions.{node_type}")
        path = f"type_expansions.{node_type}.{name}"
        route = _at(self.type_routes, expansion["route"], "type_routes", asked_by=f"{path}.route")
        if expansion["destination_field"] == expansion["source_field"]:
            error = ValueError(
                "Expansion configuration destination_field error: destination_field can not have the same name as the "
                f"source_field: {expansion['source_field']}"
            )
            error.add_note(f"{path}.destination_field has to name another field")
            raise error
        return ExpansionNode(
            expansion["type"],
            name,
            expansion["source_field"],
            expansion["destination_field"],
            route["service"],
            route["action"],
            route["request_field"],
            route["response_field"],
            expansion.get("raise_action_errors", False),
        )

    def trees_to_dict(self, trees_list: Iterable[TypeNode]) -> dict[str | None, list[str]]:
        """What a call has to ask for to get these trees."""
        asked: dict[str | None, list[str]] = {}
        for tree in trees_list:
            for node_type, paths in tree.to_dict().items():
                asked.setdefault(node_type, []).extend(paths)
        return asked


def _at(configured: Mapping[Any, Any], key: Any, path: str, asked_by: str | None = None) -> Any:
    try:
        return configured[key]
    except KeyError:
        error = InvalidExpansionKey(f"Invalid key in expansion request: {key}")
        error.add_note(_what_is_missing(configured, key, path, asked_by))
        raise error from None


def _what_is_missing(configured: Mapping[Any, Any], key: Any, path: str, asked_by: str | None) -> str:
    if key is None:
        return "an expansion whose type is None brings objects that have no expansions of their own"
    known = ", ".join(map(str, configured)) or "nothing"
    return f"{asked_by or 'the call'} asks for {key!r}; add it to {path} of expansion_config, which has {known}"
