"""The tables of docs/reference/settings.md are those of the settings' schemas."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pysoa.client.expander import ExpansionSettings
from pysoa.client.settings import ClientSettings
from pysoa.common.transport.local import LocalClientTransportSchema
from pysoa.common.transport.redis_gateway.core import (
    RedisTransportClientCore,
    RedisTransportCore,
    RedisTransportServerCore,
)
from pysoa.common.transport.redis_gateway.server import RedisServerTransport
from pysoa.common.transport.redis_gateway.settings import RedisServerTransportSchema, RedisTransportSchema
from pysoa.server.settings import ServerSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md"
TOLD_ELSEWHERE = {"logging", "transport.kwargs"}

_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Type and default of each key in the table under a heading."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    return {key: (kind.strip(), default.strip()) for key, kind, default in found}


def kind_of(schema: Mapping[str, Any]) -> str:
    """A type as the tables tell it."""
    kind = schema["type"]
    bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS.items() if name in schema]
    match kind:
        case "integer" | "float":
            return " ".join([{"integer": "integer", "float": "number"}[kind], " and ".join(bounds)]).strip()
        case "constant":
            return ", ".join(f"`{value}`" for value in schema["values"])
        case "nullable":
            return f"{kind_of(schema['nullable'])} or `None`"
        case "list" | "set":
            return f"{kind} of {kind_of(schema['contents'])}"
        case "any":
            return " or ".join(kind_of(option) for option in schema["options"])
    return {
        "class_config_dictionary": "class",
        "redis_host": "host",
        "unicode": "text",
        "boolean": "boolean",
        "anything": "anything",
        "dictionary": "dict",
        "schemaless_dictionary": "dict",
    }[kind]


def default_of(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) == {"path"}:
        return f"`{value['path']}`"
    if isinstance(value, list) and value:
        return ", ".join(default_of(item) for item in value)
    return f"`{value!r}`"


def settings_of(cls: Any) -> Iterator[tuple[str, str, str]]:
    for key, field in cls.schema.items():
        schema = field.introspect()
        default = cls.defaults.get(key)
        if key != "logging" and schema["type"] == "dictionary":
            for inner, inner_schema in schema["contents"].items():
                yield f"{key}.{inner}", kind_of(inner_schema), default_of(default[inner])
        else:
            yield key, kind_of(schema), "below" if key == "logging" else default_of(default)


@pytest.mark.parametrize(("heading", "cls"), [("A server", ServerSettings), ("A client", ClientSettings)])
def test_the_page_has_each_key_of_the_settings_with_type_and_default(heading: str, cls: Any) -> None:
    expected = {key: (kind, default) for key, kind, default in settings_of(cls)}

    assert rows(heading) == expected


def test_the_page_has_each_key_of_expansions_with_its_type() -> None:
    routes, types = (ExpansionSettings.schema[key].introspect() for key in ("type_routes", "type_expansions"))
    described = {
        "type_routes.<route>": routes["value_type"],
        "type_expansions.<type>.<expansion>": types["value_type"]["value_type"],
    }

    assert rows("Expansions") == {
        f"{path}.{key}": (kind_of(schema), "`False`" if key in part["optional_keys"] else "required")
        for path, part in described.items()
        for key, schema in part["contents"].items()
    }


def defaults_of_transport(*classes: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for cls in classes
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def expected_of_transport(schema: Any, defaults: Mapping[str, Any], size: int) -> dict[str, tuple[str, str]]:
    by_side = {"maximum_message_size_in_bytes": size, "log_messages_larger_than_bytes": size}
    described = schema.introspect()
    found = {}
    for key, contents in described["contents"].items():
        if key not in described["optional_keys"]:
            default = "required"
        elif key == "default_serializer_config":
            default = f"`{contents['default_path']}`"
        elif key == "backend_layer_kwargs":
            default = "`{}`"
        else:
            value = by_side.get(key, defaults.get(key))
            default = default_of(int(value))
        found[key] = (kind_of(contents), default)
    return found


def test_the_page_has_each_argument_of_the_redis_transports_with_type_and_default() -> None:
    server = expected_of_transport(
        RedisServerTransportSchema(),
        defaults_of_transport(RedisTransportCore, RedisTransportServerCore, RedisServerTransport),
        RedisTransportServerCore._default_maximum_message_size,
    )
    client = expected_of_transport(
        RedisTransportSchema(),
        defaults_of_transport(RedisTransportCore, RedisTransportClientCore),
        RedisTransportClientCore._default_maximum_message_size,
    )
    expected = {}
    for key in server | client:
        kinds = {side[key] for side in (client, server) if key in side}
        kind = next(iter(kinds))[0]
        if len(kinds) == 1:
            default = next(iter(kinds))[1]
            default += " (client only)" if key not in server else " (server only)" if key not in client else ""
        else:
            default = f"{client[key][1]} on clients, {server[key][1]} on servers"
        expected[key] = (kind, default)

    assert rows("The Redis transports") == expected


def test_the_page_has_each_argument_of_the_backends_with_its_type() -> None:
    contents = RedisTransportSchema().introspect()["contents"]["backend_layer_kwargs"]["contents"]

    assert {key: kind for key, (kind, _) in rows("Backends").items()} == {
        key: kind_of(schema) for key, schema in contents.items()
    }


def test_the_page_has_each_argument_of_the_local_transport() -> None:
    contents = LocalClientTransportSchema().introspect()["contents"]

    assert {key: kind for key, (kind, _) in rows("The local transport").items()} == {
        key: kind_of(schema) for key, schema in contents.items()
    }
