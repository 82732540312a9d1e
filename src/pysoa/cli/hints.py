"""What may have been meant: hints from what a service says of its actions. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pysoa.cli.terminal import did_you_mean

__all__ = ("action_hint", "example_arguments", "field_hint")


def action_hint(action: str, names: list[str]) -> str:
    """One line about an action that a service does not have."""
    near = did_you_mean(action, names)
    return f"did you mean {near!r}?" if near else f"actions: {', '.join(names)}"


def field_hint(body: Mapping[str, Any], schema: Any) -> str | None:
    """One line about the fields of a body that its schema does not have; None where there is nothing to say.

    Args:
        body: the body of a request that was refused.
        schema: what ``introspect`` says of the action's request schema.
    """
    hints = []
    for path, name, known in _unknown_fields(body, schema, ""):
        near = did_you_mean(name, known)
        if near:
            hints.append(f"did you mean {path + near!r} instead of {path + name!r}?")
        elif known:
            hints.append(
                f"fields of {path.rstrip('.')!r}: {', '.join(known)}" if path else f"fields: {', '.join(known)}"
            )
    return " ".join(dict.fromkeys(hints)) or None


def _unknown_fields(value: Any, schema: Any, path: str) -> Iterator[tuple[str, str, list[str]]]:
    """For each unknown field: the path to where it stands, its name, and the names that would have been right."""
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type")
    if kind == "nullable":
        yield from _unknown_fields(value, schema.get("nullable"), path)
    elif kind == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, schema.get("contents"), f"{path}{index}.")
    elif kind == "dictionary" and isinstance(value, Mapping) and isinstance(schema.get("contents"), Mapping):
        contents = schema["contents"]
        missing = [str(name) for name in contents if name not in value]
        for name, item in value.items():
            if name in contents:
                yield from _unknown_fields(item, contents[name], f"{path}{name}.")
            elif not schema.get("allow_extra_keys"):
                yield path, str(name), missing or [str(known) for known in contents]


def example_arguments(schema: Any) -> str | None:
    """Arguments of ``pysoa call`` for the required fields of a request schema; None where these cannot be told.

    ``...`` stands for a value that cannot be made up.
    """
    if schema is None:
        return ""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("contents"), Mapping):
        return None
    optional = set(schema.get("optional_keys") or ())
    return " ".join(
        f"{name}={_example_value(field) if isinstance(field, Mapping) else '...'}"
        for name, field in schema["contents"].items()
        if name not in optional
    )


def _example_value(field: Mapping[str, Any]) -> str:
    if "pattern" in field:
        return "..."
    kind = field.get("type")
    if kind in ("integer", "float"):
        return str(_number_within(field))
    if kind == "constant" and field.get("values"):
        return str(next(iter(field["values"])))
    if field.get("format") == "date":
        kind = "date"
    return {"unicode": "text", "boolean": "true", "date": "2026-01-31", "decimal": "1.50"}.get(str(kind), "...")


def _number_within(field: Mapping[str, Any]) -> Any:
    for bound, step in (("gte", 0), ("gt", 1), ("lte", 0), ("lt", -1)):
        if field.get(bound) is not None:
            return field[bound] + step
    return 7
