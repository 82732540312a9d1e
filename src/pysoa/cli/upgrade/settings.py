"""Rules about settings, where they are written as dicts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.imported import path_finding
from pysoa.cli.upgrade.names import Scope
from pysoa.cli.upgrade.project import ClassInfo, Project, canonical
from pysoa.cli.upgrade.values import Value, assigned, value_of
from pysoa.common.old_names import OLD_SETTINGS

__all__ = ("KnownSettings", "findings")

_SERVER: Final = "pysoa.server.server.Server"
_CLIENT: Final = "pysoa.client.client.Client"
_SERVER_SETTINGS: Final = "pysoa.server.settings.ServerSettings"
_CLIENT_SETTINGS: Final = "pysoa.client.settings.ClientSettings"

_REDIS_CLIENT: Final = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
_REDIS_SERVER: Final = "pysoa.common.transport.redis_gateway.server:RedisServerTransport"
_LOCAL_CLIENT: Final = "pysoa.common.transport.local:LocalClientTransport"

_SENTINEL_ONLY: Final = ("sentinel_failover_retries", "sentinel_kwargs", "sentinel_services")
_WITHOUT_MEANING: Final = (
    "health_check_interval",
    "max_connections",
    "retry",
    "retry_on_error",
    "retry_on_timeout",
    "socket_timeout",
)
_RECEIVE_TIMEOUT_IN_SECONDS: Final = 5


class KnownSettings(NamedTuple):
    """What settings of PySOA 2 may hold.

    Attributes:
        server: the keys of a server's settings.
        client: the keys of a client's settings, for one service.
        redis_server: the arguments of the Redis transport of servers.
        redis_client: those of clients.
        backend: the keys of ``backend_layer_kwargs``.
        backend_types: the values of ``backend_type``.
    """

    server: frozenset[str]
    client: frozenset[str]
    redis_server: frozenset[str]
    redis_client: frozenset[str]
    backend: frozenset[str]
    backend_types: tuple[str, ...]


def findings(project: Project, known: KnownSettings) -> Iterator[Finding]:
    """What the settings in the files of the project hold."""
    rules = _SettingsRules(project, known)
    for source in project.sources:
        module = project.nodes[source.path][0][1]
        for name in ("SOA_SERVER_SETTINGS", "settings"):
            for expression in assigned(module, name):
                value = value_of(project, expression, module)
                if name != "settings" or _is_like_server_settings(value):
                    yield from rules.server(value)
        for expression in assigned(module, "SOA_CLIENT_SETTINGS"):
            yield from rules.clients(value_of(project, expression, module))
        for node, scope in project.nodes[source.path]:
            if isinstance(node, ast.Call):
                yield from rules.call(node, scope)
    for info in project.of_kind(_SERVER_SETTINGS):
        yield from rules.defaults(info, rules.server)
    for info in project.of_kind(_CLIENT_SETTINGS):
        yield from rules.defaults(info, rules.client)


def _is_like_server_settings(value: Value) -> bool:
    """Whether a dict that is named just ``settings`` is a service's."""
    kwargs = value.get("transport", "kwargs")
    path = value.get("transport", "path")
    return (kwargs is not None and kwargs.get("backend_type") is not None) or (
        path is not None and (path.text() or "").startswith("pysoa.")
    )


class _SettingsRules:
    def __init__(self, project: Project, known: KnownSettings) -> None:
        self._project = project
        self._known = known
        self._server_keys = _own_keys(project, _SERVER, _SERVER_SETTINGS, known.server)
        self._client_keys = _own_keys(project, _CLIENT, _CLIENT_SETTINGS, known.client)

    def call(self, node: ast.Call, scope: Scope) -> Iterator[Finding]:
        """Settings that are given to a constructor."""
        function = scope.resolve(node.func)
        kinds = self._project.ancestors(function) if function is not None else frozenset()
        rule = {
            _CLIENT: self.clients,
            _SERVER_SETTINGS: self.server,
            _CLIENT_SETTINGS: self.client,
        }.get(next((each for each in kinds if each in (_CLIENT, _SERVER_SETTINGS, _CLIENT_SETTINGS)), "") or "")
        names = ("config", "data")
        given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg in names)]
        if rule is not None and given:
            yield from rule(value_of(self._project, given[0], scope))

    def defaults(self, info: ClassInfo, rule: Callable[[Value], Iterator[Finding]]) -> Iterator[Finding]:
        """The defaults of a settings class."""
        defaults = info.value_of("defaults")
        if defaults is not None:
            scope = Scope(info.scope.source, info.node, info.scope)
            yield from rule(value_of(self._project, defaults, scope))

    def server(self, settings: Value) -> Iterator[Finding]:
        """The settings of a server."""
        if self._server_keys is not None:
            yield from _unknown_keys(settings, self._server_keys, "server settings")
        yield from self._common(settings, _REDIS_SERVER)
        for filter_or_handler in [
            *_values(settings.get("logging", "filters")),
            *_values(settings.get("logging", "handlers")),
        ]:
            yield from self._paths(filter_or_handler, ("()", "class"))
        for middleware in _elements(settings.get("coroutine_middleware")):
            yield from self._paths(middleware, ("path",))
        routing = settings.get("client_routing")
        if routing is not None:
            yield from self.clients(routing)
        yield from _harakiri(settings)

    def clients(self, config: Value) -> Iterator[Finding]:
        """The settings of a client, by service."""
        for settings in _values(config):
            if settings.get("transport") is not None:  # else it may be something else, or be completed later
                yield from self.client(settings)

    def client(self, settings: Value) -> Iterator[Finding]:
        """The settings of a client, for one service."""
        for key, path, line, _ in settings.entries or ():
            if key == "transport_cache_time_in_seconds":
                what = f"the setting {key} {OLD_SETTINGS[key]}"
                yield Finding(path, line, Severity.WARNING, what, "Leave it out")
        if self._client_keys is not None:
            yield from _unknown_keys(settings, self._client_keys, "client settings")
        yield from self._common(settings, _REDIS_CLIENT)

    def _common(self, settings: Value, default_transport: str) -> Iterator[Finding]:
        yield from self._paths(settings.get("metrics"), ("path",))
        for middleware in _elements(settings.get("middleware")):
            yield from self._paths(middleware, ("path",))
        transport = settings.get("transport")
        yield from self._paths(transport, ("path",))
        kwargs = transport.get("kwargs") if transport is not None else None
        if kwargs is None or not kwargs.is_dict:
            return
        kind = _transport_of(settings, default_transport)
        if kind == _REDIS_SERVER.replace(":", "."):
            yield from self._redis(kwargs, self._known.redis_server)
            yield from _redis_server(kwargs)
        elif kind == _REDIS_CLIENT.replace(":", "."):
            yield from self._redis(kwargs, self._known.redis_client)
        elif kind == _LOCAL_CLIENT.replace(":", "."):
            yield from self._local(kwargs)

    def _local(self, kwargs: Value) -> Iterator[Finding]:
        settings = kwargs.get("server_settings")
        if settings is not None and settings.is_dict:
            yield from self.server(settings)

    def _paths(self, holder: Value | None, keys: tuple[str, ...]) -> Iterator[Finding]:
        """Import paths of PySOA's own things."""
        for key in keys:
            value = holder.get(key) if holder is not None else None
            text = value.text() if value is not None else None
            if value is not None and text is not None:
                found = path_finding(self._project, text, value.path, value.line)
                if found is not None:
                    yield found

    def _redis(self, kwargs: Value, allowed: frozenset[str]) -> Iterator[Finding]:
        for key, path, line, _ in kwargs.entries or ():
            if key == "serializer_config":
                what = f"the setting {key} {OLD_SETTINGS[key]}"
                yield Finding(path, line, Severity.WARNING, what, "Rename it")
            elif key not in allowed and key in self._known.backend:
                what = f"the Redis transports do not take {key}"
                yield Finding(path, line, Severity.MUST_CHANGE, what, "Put it into backend_layer_kwargs")
            elif key not in allowed:
                what = f"this Redis transport does not take {key}"
                yield Finding(path, line, Severity.MUST_CHANGE, what, "Leave it out")
        for key in ("serializer_config", "default_serializer_config"):
            yield from self._paths(kwargs.get(key), ("path",))
        backend_type = kwargs.get("backend_type")
        name = backend_type.text() if backend_type is not None else None
        if backend_type is not None and name is not None and name not in self._known.backend_types:
            what = f"there is no backend_type {name!r}"
            todo = f"Give one of {', '.join(self._known.backend_types)}"
            yield Finding(backend_type.path, backend_type.line, Severity.MUST_CHANGE, what, todo)
        backend = kwargs.get("backend_layer_kwargs")
        if backend is not None and backend.is_dict:
            yield from self._backend(backend, name)

    def _backend(self, backend: Value, backend_type: str | None) -> Iterator[Finding]:
        for key, path, line, _ in backend.entries or ():
            if key not in self._known.backend:
                what = f"backend_layer_kwargs has no {key}"
                todo = "Put what is for redis-py into connection_kwargs"
                yield Finding(path, line, Severity.MUST_CHANGE, what, todo)
            elif key in _SENTINEL_ONLY and backend_type == "redis.standard":
                what = f"{key} is for Sentinels, and is refused with redis.standard"
                yield Finding(path, line, Severity.MUST_CHANGE, what, "Leave it out")
        connection = backend.get("connection_kwargs")
        for key, path, line, _ in (connection.entries or ()) if connection is not None else ():
            if key in _WITHOUT_MEANING:
                what = f"{key} in connection_kwargs has no meaning any more"
                todo = "Leave it out: a call has one deadline, and nothing is sent twice"
                yield Finding(path, line, Severity.NOTE, what, todo)
        if backend_type == "redis.sentinel" and backend.is_whole and backend.get("redis_port") is None:
            for host in _elements(backend.get("hosts")):
                if host.text() is not None and "://" not in (host.text() or ""):
                    what = f"the Sentinel {host.text()!r}, given by name alone, is looked for at port 26379, not 6379"
                    todo = "Write the port, as in (name, port), or give redis_port"
                    yield Finding(host.path, host.line, Severity.MUST_CHANGE, what, todo)


def _transport_of(settings: Value, default: str) -> str:
    """The class of the transport; empty where that cannot be read."""
    path = settings.get("transport", "path")
    return canonical((default if path is None else path.text() or "").replace(":", "."))


def _redis_server(kwargs: Value) -> Iterator[Finding]:
    for key, path, line, _ in kwargs.entries or ():
        if key == "queue_full_retries":
            what = "a server gives up on a full reply queue after half a second, whatever queue_full_retries says"
            yield Finding(path, line, Severity.NOTE, what, "Leave it out")


def _harakiri(settings: Value) -> Iterator[Finding]:
    timeout = settings.get("harakiri", "timeout")
    receive = settings.get("transport", "kwargs", "receive_timeout_in_seconds")
    limit = timeout.number() if timeout is not None else None
    if _transport_of(settings, _REDIS_SERVER) != _REDIS_SERVER.replace(":", "."):
        return
    block = receive.number() if receive is not None else _RECEIVE_TIMEOUT_IN_SECONDS
    if timeout is not None and limit and block is not None and limit <= block:
        what = f"harakiri.timeout {limit:g} is not above the receive timeout {block:g}, which ended idle workers of 1.x"
        todo = "Choose it freely, for an idle worker is not struck any more"
        yield Finding(timeout.path, timeout.line, Severity.NOTE, what, todo)


def _unknown_keys(settings: Value, allowed: frozenset[str], kind: str) -> Iterator[Finding]:
    for key, path, line, _ in settings.entries or ():
        if key not in allowed and key not in OLD_SETTINGS:
            what = f"{kind} have no key {key}"
            todo = "Leave it out, or add it to the schema of a settings class of your own"
            yield Finding(path, line, Severity.MUST_CHANGE, what, todo)


def _own_keys(project: Project, user: str, settings_class: str, keys: frozenset[str]) -> frozenset[str] | None:
    """All keys that settings may have, those of the project's own classes included; None where that is not certain."""
    for info in project.of_kind(settings_class):
        schema = info.value_of("schema")
        scope = Scope(info.scope.source, info.node, info.scope)
        value = value_of(project, schema, scope) if schema is not None else None
        if value is not None and not (value.is_dict and value.is_whole):
            return None
        keys |= {entry.key for entry in value.entries or ()} if value is not None else set()
        keys |= {
            each.target.id
            for each in info.node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        if None in project.ancestors(info.path):
            return None
    users = list(project.of_kind(user))
    for info in users:
        given = info.value_of("settings_class")
        path = info.scope.resolve(given) if given is not None else settings_class
        if path is None or None in project.ancestors(path) or None in project.ancestors(info.path):
            return None
    if user == _SERVER and not users:
        return None  # whoever uses these settings is somewhere else, and may have keys of its own
    for nodes in project.nodes.values():
        for node, _ in nodes:
            if isinstance(node, ast.Call) and any(keyword.arg == "settings_class" for keyword in node.keywords):
                return None
    return keys


def _values(value: Value | None) -> list[Value]:
    return [entry.value for entry in value.entries or ()] if value is not None else []


def _elements(value: Value | None) -> tuple[Value, ...]:
    return (value.elements or ()) if value is not None else ()
