"""Rules about classes that extend PySOA's: overrides that 0.42 called otherwise, and what they do with requests."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Final, TypeAlias

from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.project import ClassInfo, Project

__all__ = ("findings", "is_self")

_SERVER: Final = "pysoa.server.server.Server"
_STATUS: Final = "pysoa.server.action.status.BaseStatusAction"
_INTROSPECTION: Final = "pysoa.server.action.introspection.IntrospectionAction"
_SERVER_MIDDLEWARE: Final = "pysoa.server.middleware.ServerMiddleware"
_CLIENT_MIDDLEWARE: Final = "pysoa.client.middleware.ClientMiddleware"
_COROUTINE_MIDDLEWARE: Final = "pysoa.server.coroutine.CoroutineMiddleware"
_SERVER_TRANSPORT: Final = "pysoa.common.transport.base.ServerTransport"
_CLIENT_TRANSPORT: Final = "pysoa.common.transport.base.ClientTransport"
_SERIALIZER: Final = "pysoa.common.serializer.base.Serializer"
_MSGPACK: Final = "pysoa.common.serializer.msgpack_serializer.MsgpackSerializer"
_HANDLER: Final = "pysoa.client.client.ServiceHandler"
_SETTINGS: Final = "pysoa.common.settings.Settings"

_JOB_FIELDS: Final = ("actions", "client", "context", "control", "run_coroutine")
_DICT_METHODS: Final = ("copy", "items", "keys", "pop", "popitem", "setdefault", "update", "values")
_LIST_METHODS: Final = ("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort")

_Method: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def findings(project: Project) -> Iterator[Finding]:
    """What the classes of the project do as in 0.42."""
    paths_in_settings = _texts(project)
    for info in project.classes.values():
        kinds = project.ancestors(info.path)
        if _SERVER in kinds:
            yield from _server(info)
            yield from _action_class_map(project, info)
        if _SERVER_MIDDLEWARE in kinds:
            yield from _job_middleware(info)
        if _STATUS in kinds:
            yield from _checks(info)
        if _SERVER_TRANSPORT in kinds:
            yield from _server_transport(info)
        if _SETTINGS in kinds:
            yield from _conversions(info)
        if kinds & {_MSGPACK, _HANDLER}:
            yield from _never_called(info, kinds)
        if {f"{info.scope.path}{separator}{info.node.name}" for separator in ":."} & paths_in_settings:
            yield from _undeclared_arguments(project, info, kinds)


def _texts(project: Project) -> set[str]:
    return {
        node.value
        for nodes in project.nodes.values()
        for node, _ in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _server(info: ClassInfo) -> Iterator[Finding]:
    name = info.node.name
    for method in info.methods():
        if method.name == "main" and _takes_at_most(method, 1):
            todo = "Write main(cls, forked_process_id=None), and pass that on"
            yield _warning(info, method, f"{name}.main does not take the number of the worker", todo)
        elif method.name == "__init__" and _takes_at_most(method, 2):
            todo = "Write __init__(self, settings, forked_process_id=None), and pass that on"
            yield _warning(info, method, f"{name}.__init__ does not take the number of the worker", todo)
        elif method.name == "make_client" and _takes_at_most(method, 2) and not _calls_super(method):
            todo = "Call super().make_client(context), which shares connections between jobs and says calling_service"
            yield _note(info, method, f"{name}.make_client makes a client of its own for each job", todo)
        elif method.name == "handle_job_exception":
            todo = "Override handle_unhandled_exception(self, exception, response_type, variables=None, **kwargs)"
            yield _must(info, method, f"nothing calls {name}.handle_job_exception", todo)
        elif method.name == "handle_job_error_code" and _takes_at_most(method, 5) and not _takes_name(method, "extra"):
            todo = "Add the parameter extra=None"
            yield _must(info, method, f"{name}.handle_job_error_code is called with extra", todo)


def _action_class_map(project: Project, info: ClassInfo) -> Iterator[Finding]:
    mapped = info.value_of("action_class_map")
    if not isinstance(mapped, ast.Dict):
        return
    entries = [
        (key, value)
        for key, value in zip(mapped.keys, mapped.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    for name, count in Counter(key.value for key, _ in entries).items():
        if count > 1:
            key = [key for key, _ in entries if key.value == name][-1]
            what = f"the action {name!r} is there {count} times, and the last one hides the others"
            yield _note(info, key, what, "Remove those that are not meant")
    for key, value in entries:
        built_in = {"status": _STATUS, "introspect": _INTROSPECTION}.get(str(key.value))
        path = info.scope.resolve(value)
        kinds = project.ancestors(path) if path in project.classes else frozenset({None})
        if built_in is not None and not kinds & {None, built_in}:
            what = f"the action {key.value!r} of this service hides the one that every service has"
            todo = f"Extend {built_in}: commands such as pysoa call go by what it answers"
            yield _note(info, key, what, todo)


def _job_middleware(info: ClassInfo) -> Iterator[Finding]:
    methods = {method.name: method for method in info.methods()}
    job = methods.get("job")
    if job is None:
        return
    own = {node.name: node for node in ast.walk(job) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(job):
        returned = node.value if isinstance(node, ast.Return) else None
        if isinstance(returned, ast.Name) and returned.id in own:
            yield from _requests_as_dicts(info, own[returned.id], 0)
        elif isinstance(returned, ast.Attribute) and is_self(returned.value) and returned.attr in methods:
            yield from _requests_as_dicts(info, methods[returned.attr], 1)


def _requests_as_dicts(info: ClassInfo, function: _Method, place: int) -> Iterator[Finding]:
    if len(function.args.args) <= place:
        return
    name = function.args.args[place].arg
    objects = "job middleware gets objects, not dicts"

    def is_request(node: ast.AST | None) -> bool:
        return isinstance(node, ast.Name) and node.id == name

    def is_actions(node: ast.AST) -> bool:
        return isinstance(node, ast.Subscript) and is_request(node.value) and _text(node.slice) == "actions"

    each_action = {
        node.target.id
        for node in ast.walk(function)
        if isinstance(node, ast.For | ast.comprehension) and is_actions(node.iter) and isinstance(node.target, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in each_action:
            field = _text(node.slice)
            if field in ("action", "body"):
                action = node.value.id
                yield _warning(info, node, f"{objects}: {action}[{field!r}]", f"Write {action}.{field}")
        elif isinstance(node, ast.Subscript) and is_request(node.value):
            field = _text(node.slice)
            if field in _JOB_FIELDS and not isinstance(node.ctx, ast.Del):
                yield _warning(info, node, f"{objects}: {name}[{field!r}]", f"Write {name}.{field}")
            elif field is not None:
                todo = f"Keep what is your own in {name}.context, or beside the request"
                yield _must(info, node, f"{objects}: {name}[{field!r}]", todo)
        elif isinstance(node, ast.Subscript) and is_actions(node.value) and not isinstance(node.ctx, ast.Load):
            yield _must(info, node, f"{objects}: {name}['actions'] cannot be changed", f"Change {name}.actions")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method, owner = node.func.attr, node.func.value
            if is_request(owner) and method == "get":
                field = _text(node.args[0]) if node.args else None
                todo = f"Write {name}.{field}" if field in _JOB_FIELDS else "Read its attributes"
                yield _warning(info, node, f"{objects}: {name}.get", todo)
            elif is_request(owner) and method in _DICT_METHODS:
                yield _must(info, node, f"{objects}: {name}.{method}", "Use its attributes")
            elif is_actions(owner) and method in _LIST_METHODS:
                yield _must(info, node, f"{objects}: {name}['actions'].{method}", f"Change {name}.actions")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("dict", "list"):
            if any(map(is_request, node.args)) or any(map(is_request, [each.value for each in node.keywords])):
                yield _must(info, node, f"{objects}: {node.func.id}({name})", "Use its attributes")
        elif isinstance(node, ast.For | ast.comprehension) and is_request(node.iter):
            yield _must(info, node.iter, f"{objects}, which cannot be gone through", "Use its attributes")


def _checks(info: ClassInfo) -> Iterator[Finding]:
    for method in info.methods():
        is_static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in method.decorator_list)
        if method.name.startswith("check_") and _takes_at_most(method, 0 if is_static else 1):
            what = f"{info.node.name}.{method.name} takes no request, and the status action fails for that"
            yield _must(info, method, what, f"Write {method.name}(self, request)")


def _server_transport(info: ClassInfo) -> Iterator[Finding]:
    for method in info.methods():
        arguments = [*method.args.posonlyargs, *method.args.args]
        if method.name != "__init__" or method.args.vararg is not None:
            continue
        if len(arguments) <= 3:
            what = f"{info.node.name}.__init__ does not take the number of the worker"
            todo = "Write __init__(self, service_name, metrics, instance_index=1, ...), and pass that on"
            yield _warning(info, method, what, todo)
        elif not any(word in arguments[3].arg for word in ("index", "instance", "worker", "fork")):
            what = f"the third argument that servers give to {info.node.name} is the number of the worker"
            todo = f"Put instance_index=1 before {arguments[3].arg}"
            yield _note(info, method, what, todo)


def _conversions(info: ClassInfo) -> Iterator[Finding]:
    for method in info.methods():
        if method.name.startswith("convert_"):
            what = f"{info.node.name}.{method.name}: settings are no longer converted by methods"
            yield _warning(info, method, what, "Convert the value where it is used, or annotate its type")


def _never_called(info: ClassInfo, kinds: frozenset[str | None]) -> Iterator[Finding]:
    for method in info.methods():
        if _MSGPACK in kinds and method.name in ("default", "ext_hook"):
            todo = "Override dict_to_blob and blob_to_dict"
            yield _must(info, method, f"nothing calls {info.node.name}.{method.name}", todo)
        elif _HANDLER in kinds and method.name == "_get_response":
            todo = "Write client middleware"
            yield _must(info, method, f"nothing calls {info.node.name}._get_response", todo)


def _undeclared_arguments(project: Project, info: ClassInfo, kinds: frozenset[str | None]) -> Iterator[Finding]:
    """A class that settings name says by a decorator which keyword arguments it takes."""
    if None in kinds or _is_declared(project, info):
        return
    always = kinds & {_COROUTINE_MIDDLEWARE, _CLIENT_TRANSPORT, _SERVER_TRANSPORT, _SERIALIZER}
    with_arguments = kinds & {_SERVER_MIDDLEWARE, _CLIENT_MIDDLEWARE}
    own = next((method for method in info.methods() if method.name == "__init__"), None)
    has_arguments = own is not None and not (_takes_at_most(own, 1) and not own.args.kwonlyargs and not own.args.kwarg)
    if always or (with_arguments and has_arguments):
        what = f"{info.node.name} does not say which keyword arguments settings may give it"
        yield _warning(info, info.node, what, "Decorate it with pysoa.common.plugins.accepts_kwargs")


def _is_declared(project: Project, info: ClassInfo) -> bool:
    for decorator in info.node.decorator_list:
        path = info.scope.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if path is None or path.endswith(("ClassConfigurationSchema.provider", "pysoa.common.plugins.accepts_kwargs")):
            return True
    bases = [info.scope.resolve(base) for base in info.node.bases]
    if any(base.startswith(("pysoa.common.transport.redis", "pysoa.common.transport.local")) for base in bases if base):
        return True
    return any(_is_declared(project, project.classes[base]) for base in bases if base in project.classes)


def is_self(node: ast.AST) -> bool:
    """Whether this is the name ``self``."""
    return isinstance(node, ast.Name) and node.id == "self"


def _takes_at_most(method: _Method, count: int) -> bool:
    return len(method.args.posonlyargs) + len(method.args.args) <= count and method.args.vararg is None


def _takes_name(method: _Method, name: str) -> bool:
    return method.args.kwarg is not None or any(
        argument.arg == name for argument in (*method.args.args, *method.args.kwonlyargs)
    )


def _calls_super(method: _Method) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "super" for node in ast.walk(method))


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _finding(info: ClassInfo, node: ast.AST, severity: Severity, what: str, todo: str) -> Finding:
    return Finding(info.scope.source.path, getattr(node, "lineno", 1), severity, what, todo)


def _must(info: ClassInfo, node: ast.AST, what: str, todo: str) -> Finding:
    return _finding(info, node, Severity.MUST_CHANGE, what, todo)


def _warning(info: ClassInfo, node: ast.AST, what: str, todo: str) -> Finding:
    return _finding(info, node, Severity.WARNING, what, todo)


def _note(info: ClassInfo, node: ast.AST, what: str, todo: str) -> Finding:
    return _finding(info, node, Severity.NOTE, what, todo)
