"""Generated from the table: everything in it works, and says once, at the line that uses it, what to use instead."""

from __future__ import annotations

import datetime
import importlib
import logging.config
import warnings
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from pysoa.client.client import Client
from pysoa.common.old_names import MOVED_MODULES, OLD_ATTRIBUTES, OLD_NAMES, OLD_SETTINGS, replacement
from pysoa.common.plugins import ClassConfiguration, resolve_python_path
from pysoa.common.serializer import JSONSerializer, MsgpackSerializer
from pysoa.common.transport.redis_gateway.client import RedisClientTransport
from pysoa.common.types import JobResponse
from pysoa.server.server import Server

MOVED_NAMES = [f"{old}:{name}" for old, new in MOVED_MODULES.items() for name in importlib.import_module(new).__all__]
PATHS = [*OLD_NAMES, *MOVED_NAMES]

USERS_FILE = "code_of_users.py"
REDIS = {"kwargs": {"backend_type": "redis.standard"}}
LOCAL = {"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}}


class Shop(Server):
    service_name = "shop"


def shop() -> Server:
    return Shop(Shop.settings_class(LOCAL))


def client(**settings: Any) -> Client:
    return Client({"shop": {"transport": REDIS, **settings}})


def warnings_of(code: str, **names: Any) -> tuple[dict[str, Any], list[tuple[str, str, int]]]:
    """What users' code leaves behind, and its warnings: text, file, line."""
    namespace = {"__name__": "code_of_users", **names}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(code, USERS_FILE, "exec"), namespace)
    assert all(each.category is DeprecationWarning for each in caught)
    return namespace, [(str(each.message), each.filename, each.lineno) for each in caught]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "code", ["\n\nfrom {module} import {name} as thing", "import {module}\n\nthing = {module}.{name}"]
)
def test_an_old_name_is_what_it_was_and_says_what_it_is_now(path: str, code: str) -> None:
    module, _, name = path.partition(":")
    now = replacement(path)
    assert now is not None

    namespace, said = warnings_of(code.format(module=module, name=name))

    new_module, _, new_name = now.new.partition(":")
    assert namespace["thing"] is getattr(importlib.import_module(new_module), new_name)
    assert said == [(f"{module}.{name} is now {now.advice()}", USERS_FILE, 3)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("separator", [":", "."])
def test_an_old_path_in_settings_leads_to_the_same_thing(path: str, separator: str) -> None:
    path = path.replace(":", separator)
    now = replacement(path)
    assert now is not None

    namespace, said = warnings_of(f"\nthing = resolve({path!r})", resolve=resolve_python_path)

    assert namespace["thing"] is resolve_python_path(now.new)
    assert said == [(f"{path} is now {now.advice()}", USERS_FILE, 2)]


USES: dict[str, tuple[str, Callable[[], Any], Callable[[Any, Any], bool]]] = {
    "pysoa.client.client:ServiceHandler.middleware": (
        "thing = it.middleware",
        lambda: client()._get_handler("shop"),
        lambda it, thing: thing is it._middleware,
    ),
    "pysoa.common.serializer.msgpack_serializer:MsgpackSerializer.default": (
        f"thing = it.default({datetime.date(2026, 1, 31)!r})",
        MsgpackSerializer,
        lambda it, thing: thing == msgpack.ExtType(3, b"\x07\xea\x01\x1f"),
    ),
    "pysoa.common.serializer.msgpack_serializer:MsgpackSerializer.ext_hook": (
        r"thing = it.ext_hook(3, b'\x07\xea\x01\x1f')",
        MsgpackSerializer,
        lambda it, thing: thing == datetime.date(2026, 1, 31),
    ),
    "pysoa.server.server:Server.handle_job_exception": (
        "thing = it.handle_job_exception(ValueError('kaboom'), {'a': 1})",
        shop,
        lambda it, thing: (
            isinstance(thing, JobResponse)
            and (thing.errors[0].message, thing.errors[0].variables) == ("Internal server error: kaboom", {"a": "1"})
        ),
    ),
    "pysoa.server.server:Server.middleware": (
        "thing = it.middleware",
        shop,
        lambda it, thing: thing is it._middleware,
    ),
}


@pytest.mark.parametrize("path", OLD_ATTRIBUTES)
def test_an_old_attribute_does_what_it_did_and_says_what_to_use(path: str) -> None:
    use, make, is_right = USES[path]

    namespace, said = warnings_of(f"\n\n{use}", it=make(), datetime=datetime)

    assert is_right(namespace["it"], namespace["thing"])
    assert said == [(f"{path.partition(':')[2]} is now {OLD_ATTRIBUTES[path]}", USERS_FILE, 3)]


SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]] = {
    "serializer_config": (
        lambda: RedisClientTransport(
            "shop",
            backend_type="redis.standard",
            serializer_config={"path": "pysoa.common.serializer:JSONSerializer"},
        ),
        lambda transport: isinstance(transport.core.default_serializer, JSONSerializer),
    ),
    "transport_cache_time_in_seconds": (
        lambda: client(transport_cache_time_in_seconds=60),
        lambda made: "transport_cache_time_in_seconds" not in made.settings["shop"],
    ),
}


@pytest.mark.parametrize("key", OLD_SETTINGS)
def test_an_old_key_of_settings_is_accepted_and_says_what_has_become_of_it(key: str) -> None:
    make, is_right = SETTINGS[key]

    with pytest.warns(DeprecationWarning, match=key) as caught:
        made = make()

    assert is_right(made)
    assert [(str(each.message), each.filename) for each in caught] == [
        (f"the setting {key} {OLD_SETTINGS[key]}", __file__)
    ]


def test_each_line_that_uses_an_old_name_is_told_once() -> None:
    code = "from pysoa.server import logging\nfor _ in range(3):\n    logging.SyslogHandler\nlogging.SyslogHandler\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        exec(compile(code, USERS_FILE, "exec"), {"__name__": "code_of_users"})

    assert [each.lineno for each in caught] == [3, 4]


@pytest.mark.parametrize("module", [*MOVED_MODULES, *dict.fromkeys(path.partition(":")[0] for path in OLD_NAMES)])
def test_a_name_that_never_was_is_an_error(module: str) -> None:
    with pytest.raises(ImportError, match="cannot import name 'NoSuchName' from"):
        exec(f"from {module} import NoSuchName")


@pytest.mark.parametrize(("old", "new"), MOVED_MODULES.items())
def test_a_star_import_of_a_module_that_has_moved_takes_all_its_names(old: str, new: str) -> None:
    namespace, said = warnings_of(f"from {old} import *")

    assert set(importlib.import_module(new).__all__) <= set(namespace)
    assert {line for _, _, line in said} == {1}


def test_the_class_schema_of_042_takes_any_dict_for_kwargs() -> None:
    namespace, _ = warnings_of("from pysoa.common.schemas import BasicClassSchema")
    schema: ClassConfiguration = namespace["BasicClassSchema"](Server)
    config = {"path": "pysoa.server.server:Server", "kwargs": {"any": "thing"}}

    assert schema.errors(config) == []
    assert config["object"] is Server
    assert [(each.pointer, each.message) for each in schema.errors({**config, "kwargs": 5})] == [
        ("kwargs", "Not a dict")
    ]
    assert [each.pointer for each in schema.errors({"path": "pysoa.client.client:Client"})] == ["path"]


def test_logging_settings_of_042_are_put_into_the_words_of_today() -> None:
    old = {
        "filters": {"context": {"()": "pysoa.server.logging.PySOALogContextFilter"}},
        "handlers": {"syslog": {"class": "pysoa.server.logging.SyslogHandler"}},
    }

    with pytest.warns(DeprecationWarning, match="is now pysoa.common.logging") as caught:
        settings = Shop.settings_class({**LOCAL, "logging": old})

    assert settings["logging"]["filters"]["context"] == {"()": "pysoa.common.logging.PySOALogContextFilter"}
    logging.config.DictConfigurator(settings["logging"]).configure_filter(settings["logging"]["filters"]["context"])
    assert {str(each.message) for each in caught} == {
        "pysoa.server.logging.PySOALogContextFilter is now pysoa.common.logging.PySOALogContextFilter",
        "pysoa.server.logging.SyslogHandler is now pysoa.common.logging.SyslogHandler",
    }
    assert {each.filename for each in caught} == {__file__}
