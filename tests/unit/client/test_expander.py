from __future__ import annotations

from typing import Any

import pytest

from pysoa.client.errors import InvalidExpansionKey
from pysoa.client.expander import ExpansionConverter, ExpansionNode, ExpansionSettings, TypeNode

ROUTES = {
    "bar_r": {"service": "bar_s", "action": "get_bars", "request_field": "ids", "response_field": "bars"},
    "baz_r": {"service": "baz_s", "action": "get_bazs", "request_field": "ids", "response_field": "bazs"},
}
BAR = {"type": "bar", "route": "bar_r", "source_field": "bar_id", "destination_field": "bar"}
BAZ = {"type": "baz", "route": "baz_r", "source_field": "baz_id", "destination_field": "baz"}
TYPES: dict[str, Any] = {
    "foo": {
        "bar": BAR,
        "other": {**BAR, "destination_field": "other", "raise_action_errors": True},
        "name": {**BAR, "type": None, "destination_field": "name"},
        "astray": {**BAR, "route": "no_r"},
        "same": {**BAR, "destination_field": "bar_id"},
    },
    "bar": {"baz": BAZ, "top": {**BAZ, "destination_field": "top"}},
    "baz": {},
}
CONFIG = {"type_routes": ROUTES, "type_expansions": {"foo": {"bar": BAR}}}


def with_expansion(**changes: Any) -> Any:
    expansion = {key: value for key, value in {**BAR, **changes}.items() if value is not ...}
    return {**CONFIG, "type_expansions": {"foo": {"bar": expansion}}}


def node(name: str = "bar", node_type: str | None = "bar", *children: ExpansionNode) -> ExpansionNode:
    made = ExpansionNode(node_type, name, "bar_id", "bar", "bar_s", "get_bars", "ids", "bars")
    for child in children:
        made.add_expansion(child)
    return made


@pytest.fixture
def converter() -> ExpansionConverter:
    return ExpansionConverter(ROUTES, TYPES)


# Settings


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {"type_routes": {}, "type_expansions": {}},
        with_expansion(raise_action_errors=True),
        with_expansion(type=None),
        with_expansion(route="one that call after call will find missing"),
    ],
)
def test_settings_hold_what_they_are_given(config: Any) -> None:
    settings = ExpansionSettings(config)

    assert dict(settings) == config


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"type_routes": ROUTES}, "No value provided for required setting(s): type_expansions"),
        ({**CONFIG, "route": {}}, "Unknown setting(s): route (allowed: type_expansions, type_routes)"),
        (
            {**CONFIG, "type_routes": {"bar_r": {**ROUTES["bar_r"], "service": 5}}},
            "Invalid setting 'type_routes':\n  - bar_r.service: Not a unicode string (got 5)\n",
        ),
        (
            {**CONFIG, "type_routes": {"bar_r": {"service": "bar_s"}}},
            "Invalid setting 'type_routes':\n  - bar_r.action: Missing key: action\n"
            "  - bar_r.request_field: Missing key: request_field\n"
            "  - bar_r.response_field: Missing key: response_field\n",
        ),
        (with_expansion(route=...), "Invalid setting 'type_expansions':\n  - foo.bar.route: Missing key: route\n"),
        (with_expansion(type=...), "Invalid setting 'type_expansions':\n  - foo.bar.type: Missing key: type\n"),
        (
            with_expansion(raise_action_errors="no"),
            "Invalid setting 'type_expansions':\n  - foo.bar.raise_action_errors: Not a boolean (got 'no')\n",
        ),
        (
            with_expansion(source="bar_id"),
            "Invalid setting 'type_expansions':\n  - foo.bar: Extra keys present: source (allowed: destination_field, "
            "raise_action_errors, route, source_field, type)\n",
        ),
    ],
)
def test_settings_say_where_they_are_wrong(config: Any, text: str) -> None:
    with pytest.raises(ExpansionSettings.ImproperlyConfigured) as raised:
        ExpansionSettings(config)

    assert str(raised.value) == text


# Nodes


def test_objects_of_a_type_are_found_in_dicts_and_lists_in_order() -> None:
    body = {
        "one": {"_type": "foo", "n": 1},
        "more": [[{"_type": "foo", "n": 2}], {"deep": {"deeper": [{"_type": "foo", "n": 3}]}}, "text", None],
        "other": {"_type": "bar", "inside": {"_type": "foo", "n": 4}},
        "no type": {"type": "foo"},
    }

    assert [found["n"] for found in TypeNode("foo").find_objects(body)] == [1, 2, 3, 4]


def test_what_lies_within_an_object_of_the_type_is_not_looked_at() -> None:
    body = {"_type": "foo", "n": 1, "inside": {"_type": "foo", "n": 2}}

    assert TypeNode("foo").find_objects(body) == [body]


def test_a_body_that_holds_itself_is_searched_once() -> None:
    body: dict[str, Any] = {"foo": {"_type": "foo"}}
    body["self"] = [body]

    assert TypeNode("foo").find_objects(body) == [{"_type": "foo"}]


def test_a_body_may_be_deeper_than_the_stack() -> None:
    body: Any = {"_type": "foo"}
    for _ in range(100_000):
        body = [body]

    assert TypeNode("foo").find_objects(body) == [{"_type": "foo"}]


def test_an_expansion_that_is_added_again_gives_its_children_to_the_first() -> None:
    tree = TypeNode("foo")
    first = node("bar", "bar", node("baz", "baz", node("a")))
    tree.add_expansion(first)

    tree.add_expansion(node("bar", "bar", node("baz", "baz", node("b")), node("c")))

    assert tree.expansions == [first]
    assert tree.get_expansion("bar") is first
    assert tree.get_expansion("baz") is None
    assert tree.to_dict() == {"foo": ["bar.baz.a", "bar.baz.b", "bar.c"]}


def test_a_node_has_what_it_was_made_of() -> None:
    made = ExpansionNode("bar", "bar_by_id", "bar_id", "bar", "bar_s", "get_bars", "ids", "bars")

    assert vars(made) == {
        "type": "bar",
        "_expansions": {},
        "name": "bar_by_id",
        "source_field": "bar_id",
        "destination_field": "bar",
        "service": "bar_s",
        "action": "get_bars",
        "request_field": "ids",
        "response_field": "bars",
        "raise_action_errors": True,
    }
    assert made.to_strings() == ["bar_by_id"]


# Trees


def test_what_is_asked_for_becomes_trees_in_which_beginnings_are_shared(converter: ExpansionConverter) -> None:
    foo, bar = converter.dict_to_trees({"foo": ["bar.baz", "bar.top", "other"], "bar": ["baz"]})

    assert (foo.type, [child.name for child in foo.expansions]) == ("foo", ["bar", "other"])
    assert [child.name for child in foo.expansions[0].expansions] == ["baz", "top"]
    assert (bar.type, [child.name for child in bar.expansions]) == ("bar", ["baz"])


def test_a_node_is_made_of_an_expansion_and_its_route(converter: ExpansionConverter) -> None:
    ((lenient, strict),) = (tree.expansions for tree in converter.dict_to_trees({"foo": ["bar", "other"]}))

    assert (lenient.type, lenient.name, lenient.source_field, lenient.destination_field) == (
        "bar",
        "bar",
        "bar_id",
        "bar",
    )
    assert (lenient.service, lenient.action, lenient.request_field, lenient.response_field) == (
        "bar_s",
        "get_bars",
        "ids",
        "bars",
    )
    assert (lenient.raise_action_errors, strict.raise_action_errors) == (False, True)


def test_trees_become_what_was_asked_for(converter: ExpansionConverter) -> None:
    asked = {"foo": ["bar.baz", "bar.top", "other"], "bar": ["baz"]}

    assert converter.trees_to_dict(converter.dict_to_trees(asked)) == asked


@pytest.mark.parametrize(
    ("asked", "key", "note"),
    [
        pytest.param(
            {"no": ["bar"]},
            "no",
            "the call asks for 'no'; add it to type_expansions of expansion_config, which has foo, bar, baz",
            id="type",
        ),
        pytest.param(
            {"bar": ["bar"]},
            "bar",
            "the call asks for 'bar'; add it to type_expansions.bar of expansion_config, which has baz, top",
            id="expansion",
        ),
        pytest.param(
            {"baz": ["any"]},
            "any",
            "the call asks for 'any'; add it to type_expansions.baz of expansion_config, which has nothing",
            id="expansion of a type without any",
        ),
        pytest.param(
            {"foo": ["bar.baz.any"]},
            "any",
            "the call asks for 'any'; add it to type_expansions.baz of expansion_config, which has nothing",
            id="nested expansion",
        ),
        pytest.param(
            {"foo": ["astray"]},
            "no_r",
            "type_expansions.foo.astray.route asks for 'no_r'; add it to type_routes of expansion_config, which has "
            "bar_r, baz_r",
            id="route",
        ),
        pytest.param(
            {"foo": ["name.any"]},
            "None",
            "an expansion whose type is None brings objects that have no expansions of their own",
            id="below what has no type",
        ),
    ],
)
def test_what_is_not_configured_cannot_be_asked_for(
    converter: ExpansionConverter, asked: Any, key: str, note: str
) -> None:
    with pytest.raises(InvalidExpansionKey) as raised:
        converter.dict_to_trees(asked)

    assert str(raised.value) == f"Invalid key in expansion request: {key}"
    assert raised.value.__notes__ == [note]
    assert isinstance(raised.value, KeyError)


def test_source_and_destination_have_to_differ(converter: ExpansionConverter) -> None:
    with pytest.raises(ValueError, match="can not have the same name") as raised:
        converter.dict_to_trees({"foo": ["same"]})

    assert str(raised.value) == (
        "Expansion configuration destination_field error: destination_field can not have the same name as the "
        "source_field: bar_id"
    )
    assert raised.value.__notes__ == ["type_expansions.foo.same.destination_field has to name another field"]
