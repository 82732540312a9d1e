"""Rules about single expressions: calls and attributes that mean something else now, and texts that are not sent."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from pysoa.cli.upgrade.classes import is_self
from pysoa.cli.upgrade.findings import Finding, Severity
from pysoa.cli.upgrade.names import Scope
from pysoa.cli.upgrade.project import Project, canonical, is_pysoa

__all__ = ("findings",)

_SERVER: Final = "pysoa.server.server.Server"
_HAVE_METRICS: Final = frozenset(
    (
        _SERVER,
        "pysoa.client.client.ServiceHandler",
        "pysoa.common.transport.base.ClientTransport",
        "pysoa.common.transport.base.ServerTransport",
    )
)
_CALLS_OF_ONE_ACTION: Final = (
    "call_action",
    "call_action_future",
    "call_actions_parallel",
    "call_actions_parallel_future",
)
_ONLY_IN_PYTHON_2: Final = ("basestring", "long", "raw_input", "unichr", "unicode", "xrange")
_REDACTED: Final = 'Go by the code, or set error_detail to "full" in the settings of the service that is called'


def findings(project: Project) -> Iterator[Finding]:
    """What the files that use PySOA say in single expressions."""
    for source in filter(project.uses_pysoa, project.sources):
        errors = {
            (scope.node, node.target.id)
            for node, scope in project.nodes[source.path]
            if isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name)
            if isinstance(node.iter, ast.Attribute) and node.iter.attr == "errors"
        }
        for node, scope in project.nodes[source.path]:
            if isinstance(node, ast.Call):
                yield from _calls(project, scope, node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from _attributes(project, scope, node)
                yield from _details_of_errors(scope, node, errors)
            elif isinstance(node, ast.Compare):
                yield from _zones(scope, node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _texts_of_exceptions(scope, node, node.value)
            elif isinstance(node, ast.ClassDef):
                yield from _metaclasses(project, scope, node)


def _calls(project: Project, scope: Scope, node: ast.Call) -> Iterator[Finding]:
    function = scope.resolve(node.func)
    keywords = {keyword.arg for keyword in node.keywords}
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in _CALLS_OF_ONE_ACTION and "continue_on_error" in keywords and not _is_foreign(function):
        what = f"continue_on_error means nothing in {name}, whose jobs have one action each"
        yield _finding(scope, node, Severity.WARNING, what, "Leave it out")
    if _is_commit_of_own_metrics(node.func) and project.ancestors(scope.enclosing_class) & _HAVE_METRICS:
        yield _finding(scope, node, Severity.MUST_CHANGE, "recorders have no commit", "Call publish_all")
    if function is None:
        return
    is_response = canonical(function) == "pysoa.common.types.JobResponse"
    if is_response and len(node.args) == 2 and isinstance(node.args[1], ast.List | ast.ListComp):
        what = "the second argument of JobResponse is the context"
        yield _finding(scope, node, Severity.MUST_CHANGE, what, "Give the actions as actions=")
    if is_pysoa(function):
        yield from _python_2(scope, node, function)


def _python_2(scope: Scope, call: ast.Call, function: str) -> Iterator[Finding]:
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        for node in ast.walk(argument):
            if isinstance(node, ast.Attribute | ast.Name) and (scope.resolve(node) or "").startswith("six."):
                what = f"{ast.unparse(node)} in a call of {function}"
                yield _finding(scope, node, Severity.NOTE, what, "Write it for Python 3, for PySOA does without six")
            elif isinstance(node, ast.Name) and node.id in _ONLY_IN_PYTHON_2 and not scope.is_bound(node.id):
                what = f"there is no {node.id} in Python 3"
                yield _finding(scope, node, Severity.MUST_CHANGE, what, "Write it for Python 3")


def _metaclasses(project: Project, scope: Scope, node: ast.ClassDef) -> Iterator[Finding]:
    expressions = [*node.bases, *node.decorator_list]
    used = {scope.resolve(each.func) for each in expressions if isinstance(each, ast.Call)}
    extends_pysoa = any(each is not None for each in project.ancestors(f"{scope.path}.{node.name}"))
    for name in sorted({"six.add_metaclass", "six.with_metaclass"} & used if extends_pysoa else ()):
        todo = "Write class ...(..., metaclass=...), for PySOA does without six"
        yield _finding(scope, node, Severity.NOTE, f"{node.name} gets its metaclass by {name}", todo)


def _attributes(project: Project, scope: Scope, node: ast.Attribute) -> Iterator[Finding]:
    owner = node.value
    is_super = isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super"
    if node.attr == "middleware" and (_is_handler(owner) or _is_local_server(owner)):
        yield _finding(scope, node, Severity.WARNING, "middleware is now _middleware", "Use that")
    elif node.attr in ("middleware", "handle_job_exception") and (is_self(owner) or is_super):
        path = scope.enclosing_class
        if not project.is_a(path, _SERVER) or _defines(project, path, node.attr):
            return
        new = "_middleware" if node.attr == "middleware" else "handle_unhandled_exception(exception, JobResponse)"
        yield _finding(scope, node, Severity.WARNING, f"Server.{node.attr} is now {new}", "Use that")


def _is_handler(node: ast.expr) -> bool:
    """``client._get_handler(...)``, or ``client.handlers[...]``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "_get_handler"
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "handlers"


def _is_local_server(node: ast.expr) -> bool:
    """``<handler>.transport.server``."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "server"
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "transport"
        and _is_handler(node.value.value)
    )


def _defines(project: Project, path: str | None, name: str) -> bool:
    info = project.classes.get(path or "")
    return info is not None and (
        info.value_of(name) is not None or any(method.name == name for method in info.methods())
    )


def _details_of_errors(scope: Scope, node: ast.Attribute, errors: set[tuple[ast.AST, str]]) -> Iterator[Finding]:
    if node.attr not in ("traceback", "variables"):
        return
    owner = node.value
    is_error = isinstance(owner, ast.Name) and (scope.node, owner.id) in errors
    if isinstance(owner, ast.Subscript):
        is_error = isinstance(owner.value, ast.Attribute) and owner.value.attr == "errors"
    if is_error:
        what = f"callers on other machines no longer get the {node.attr} of an error"
        yield _finding(scope, node, Severity.NOTE, what, _REDACTED)


def _texts_of_exceptions(scope: Scope, node: ast.AST, text: str) -> Iterator[Finding]:
    if text.startswith("Internal server error"):
        what = "callers on other machines get an error id in place of the text of an exception"
        yield _finding(scope, node, Severity.NOTE, what, _REDACTED)


def _zones(scope: Scope, node: ast.Compare) -> Iterator[Finding]:
    if not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        return
    sides = (node.left, node.comparators[0])
    if any(scope.resolve(each) in ("pytz.UTC", "pytz.utc") for each in sides) and any(
        isinstance(each, ast.Attribute) and each.attr == "tzinfo" for each in sides
    ):
        what = "date-times that are received have datetime.UTC for their zone, and not pytz.UTC"
        yield _finding(scope, node, Severity.NOTE, what, "Compare utcoffset(), or the date-times themselves")


def _is_commit_of_own_metrics(node: ast.expr) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr != "commit":
        return False
    return isinstance(node.value, ast.Attribute) and node.value.attr == "metrics" and is_self(node.value.value)


def _is_foreign(path: str | None) -> bool:
    return path is not None and not is_pysoa(path)


def _finding(scope: Scope, node: ast.AST, severity: Severity, what: str, todo: str) -> Finding:
    return Finding(scope.source.path, getattr(node, "lineno", 1), severity, what, todo)
