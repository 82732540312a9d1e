"""Compares what there is of a public name with what is written down of it.

``tests/unit/data/public_names.json`` has, by module and name, what code for 1.4.9 may use of it:

* ``call``: the parameters, as in a ``def``; ``...`` for any default.
* ``methods``: the parameters of each, without ``self``.
* ``attributes``: of the class, each as a name; ``{}`` where it only has to be there.
* ``fields``: of an attrs class, in their order.
* ``keys``: of a settings class.
* ``base``, ``is``, ``value``: a class that it extends; what it is the same as; what it is equal to.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any

import attr

FILE = Path(__file__).resolve().parents[1] / "unit" / "data" / "public_names.json"

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def public_names() -> list[tuple[str, str, Mapping[str, Any]]]:
    """Module, name and description of each."""
    modules: dict[str, dict[str, Mapping[str, Any]]] = json.loads(FILE.read_text())
    return [(module, name, what) for module, names in modules.items() for name, what in names.items()]


def faults_of(thing: Any, what: Mapping[str, Any]) -> Iterator[str]:
    """What there is about a thing that is not as it is described."""
    assert what.keys() <= {"call", "methods", "attributes", "fields", "keys", "base", "is", "value"}
    if "is" in what and thing is not _resolved(what["is"]):
        yield f"is not {what['is']}"
    if "value" in what and _plain(thing) != what["value"]:
        yield f"is {thing!r} and not {what['value']!r}"
    if "base" in what and not issubclass(thing, _resolved(what["base"])):
        yield f"does not extend {what['base']}"
    if "fields" in what and [field.name for field in attr.fields(thing)] != what["fields"]:
        yield f"has the fields {[field.name for field in attr.fields(thing)]}"
    if "keys" in what and not set(what["keys"]) <= set(thing.schema):
        yield f"lacks the keys {sorted(set(what['keys']) - set(thing.schema))}"
    if "call" in what:
        yield from signature_faults(inspect.signature(thing), what["call"])
    for name, attribute in what.get("attributes", {}).items():
        if not hasattr(thing, name):
            yield f"has no {name}"
        else:
            yield from (f"{name} {fault}" for fault in faults_of(getattr(thing, name), attribute))
    for name, parameters in what.get("methods", {}).items():
        if not hasattr(thing, name):
            yield f"has no {name}"
        else:
            yield from (f"{name} {fault}" for fault in signature_faults(_method_signature(thing, name), parameters))


def signature_faults(ours: inspect.Signature, expected: str) -> Iterator[str]:
    """How calls that suit the expected parameters would not suit ours."""
    parameters = list(ours.parameters.values())
    by_place = [parameter for parameter in parameters if parameter.kind in _BY_PLACE]
    by_name = {parameter.name: parameter for parameter in parameters if parameter.kind in _BY_NAME}
    kinds = {parameter.kind for parameter in parameters}
    wanted = list(_signature(expected).parameters.values())

    met = set()
    for place, parameter in enumerate(each for each in wanted if each.kind in _BY_PLACE):
        if place >= len(by_place):
            yield f"takes no {parameter.name} as argument {place + 1}"
            continue
        if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and by_place[place].name != parameter.name:
            yield f"has {by_place[place].name} in the place of {parameter.name}"
        yield from _default_faults(by_place[place], parameter)
        met.add(by_place[place].name)
    for parameter in (each for each in wanted if each.kind is Parameter.KEYWORD_ONLY):
        if parameter.name in by_name:
            yield from _default_faults(by_name[parameter.name], parameter)
            met.add(parameter.name)
        elif Parameter.VAR_KEYWORD not in kinds:
            yield f"takes no {parameter.name}"
    for kind, stars in ((Parameter.VAR_POSITIONAL, "*"), (Parameter.VAR_KEYWORD, "**")):
        if kind in {each.kind for each in wanted} - kinds:
            yield f"takes no {stars}arguments"
    for parameter in parameters:
        if (
            parameter.name not in met
            and parameter.default is Parameter.empty
            and parameter.kind in _BY_PLACE + _BY_NAME
        ):
            yield f"demands {parameter.name}"


def _default_faults(ours: Parameter, expected: Parameter) -> Iterator[str]:
    if expected.default is Parameter.empty:
        return
    if ours.default is Parameter.empty:
        yield f"demands {ours.name}"
    elif expected.default is not ... and ours.default != expected.default:
        yield f"has {ours.default!r} for {ours.name} and not {expected.default!r}"


def _signature(parameters: str) -> inspect.Signature:
    namespace: dict[str, Any] = {}
    exec(f"def described({parameters}): pass", namespace)
    return inspect.signature(namespace["described"])


def _method_signature(cls: type, name: str) -> inspect.Signature:
    signature = inspect.signature(getattr(cls, name))
    if isinstance(inspect.getattr_static(cls, name), classmethod | staticmethod):
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _resolved(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
