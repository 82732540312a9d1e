"""The built-in action that tells versions and health of a service."""

from __future__ import annotations

import abc
import functools
import importlib.util
import sys
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

import pysoa.version
from pysoa.common.fields import (
    Boolean,
    Dictionary,
    FieldError,
    List,
    Nullable,
    Schema,
    SchemalessDictionary,
    Tuple,
    UnicodeString,
)
from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.types import EnrichedActionRequest

__all__ = (
    "BaseStatusAction",
    "CheckMethodReturn",
    "CheckMethodStatus",
    "StatusActionFactory",
    "make_default_status_action_class",
)


class CheckMethodStatus(NamedTuple):
    """One problem that a check has found.

    Attributes:
        is_error: whether it is an error rather than a warning.
        code: what is wrong, for programs.
        description: what is wrong, for people.
    """

    is_error: bool
    code: str
    description: str


CheckMethodReturn: TypeAlias = Iterable[CheckMethodStatus | tuple[bool, str, str]] | None
"""What a check returns: its problems, or nothing."""

_SECONDS_FOR_CALLED_SERVICES: Final = 2


@functools.cache
def _version_of_conformity() -> str | None:
    import importlib.metadata  # takes longer to load than the rest of this module

    try:
        return importlib.metadata.version("conformity")
    except importlib.metadata.PackageNotFoundError:
        return None


def _conformity_schema() -> Schema:
    version = UnicodeString(description="The version of Conformity, null where it is not installed")
    return version if importlib.util.find_spec("conformity") else Nullable(version)


def _problems_schema(kind: str) -> Schema:
    problem = Tuple(
        UnicodeString(description=f"The code of the {kind}"), UnicodeString(description="What is wrong, for people")
    )
    return List(problem, description=f"The {kind}s that the checks have found")


class _DictionaryOrNone(Dictionary):
    """Describes itself as the dictionary that requests have; those of 0.42 may have no body."""

    def errors(self, value: Any) -> list[FieldError]:
        return [] if value is None else super().errors(value)


class BaseStatusAction(Action):
    """Tells the versions of a service and, unless ``verbose`` is given as false, the results of its health checks.

    A subclass gives its version in the property ``_version`` and may give a build in ``_build``. All its methods whose
    name begins with ``check_`` are called, in the order of their names, with the request; each returns None or its
    problems, each of them ``(is_error, code, description)``, and may put facts into ``self.diagnostics``.

    ``check_client_settings = BaseStatusAction._check_client_settings`` in a subclass adds a check that calls the
    status actions of all services that this one can call.

    Attributes:
        diagnostics: facts for the answer, by name; empty at the start of each run.
    """

    blocking = True  # checks wait for databases and other services, and must not hold up an event loop

    description = (
        "Returns the versions of the service and of what it runs on and, unless `verbose` is false, the results of "
        "its health checks."
    )

    request_schema = _DictionaryOrNone(
        {"verbose": Boolean(description="If false, the health checks are left out (default: true)")},
        optional_keys=("verbose",),
    )

    response_schema = Dictionary(
        {
            "build": UnicodeString(description="The build of the service, where it has one"),
            "conformity": _conformity_schema(),
            "healthcheck": Dictionary(
                {
                    "warnings": _problems_schema("warning"),
                    "errors": _problems_schema("error"),
                    "diagnostics": SchemalessDictionary(
                        key_type=UnicodeString(), description="Facts that the checks give, of any kind"
                    ),
                },
                optional_keys=("warnings", "errors", "diagnostics"),
                description="The results of the health checks",
            ),
            "pysoa": UnicodeString(description="The version of PySOA"),
            "python": UnicodeString(description="The version of Python"),
            "version": UnicodeString(description="The version of the service"),
        },
        optional_keys=("build", "healthcheck"),
    )

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.diagnostics: dict[str, Any] = {}

    @property
    @abc.abstractmethod
    def _version(self) -> str:
        """The version of the service."""

    @property
    def _build(self) -> str | None:
        """The build of the service, where it has one."""
        return None

    def run(self, request: EnrichedActionRequest) -> Body:
        """Collect the versions and, unless told otherwise, run the checks.

        Raises:
            RuntimeError: a check cannot be called with a request, or returned something else than problems.
        """
        import platform  # as importlib.metadata

        status: Body = {
            "conformity": _version_of_conformity(),
            "pysoa": pysoa.version.__version__,
            "python": platform.python_version(),
            "version": self._version,
        }
        if self._build:
            status["build"] = self._build
        if not request.body or request.body.get("verbose", True) is True:
            status["healthcheck"] = self._health(request)
        return status

    def _health(self, request: EnrichedActionRequest) -> Body:
        self.diagnostics = {}
        errors: list[tuple[str, str]] = []
        warnings: list[tuple[str, str]] = []
        for name in dir(self):  # which is sorted
            if name.startswith("check_"):
                for is_error, code, description in self._problems(name, request):
                    (errors if is_error else warnings).append((code, description))
        return {"errors": errors, "warnings": warnings, "diagnostics": self.diagnostics}

    def _problems(self, check_name: str, request: EnrichedActionRequest) -> list[tuple[bool, str, str]]:
        try:
            problems = getattr(self, check_name)(request)
        except TypeError as error:
            raise RuntimeError(
                "Status action check_* methods must accept a single argument of type EnrichedActionRequest", error
            ) from error
        try:
            return [(is_error, code, description) for is_error, code, description in problems or ()]
        except (TypeError, ValueError) as error:
            raise RuntimeError(
                "Status action check_* methods must return None or an iterable of bool-str-str tuples.", error
            ) from error

    def _check_client_settings(self, request: EnrichedActionRequest) -> list[CheckMethodStatus]:
        """Call the status actions of all services that the request's client knows, at the same time."""
        client = request.client
        if client is None or not client.settings:
            return []
        service_names = list(client.settings)
        action = {"action": "status", "body": {"verbose": False}}
        try:
            responses = client.call_jobs_parallel(
                [{"service_name": name, "actions": [action]} for name in service_names],
                timeout=_SECONDS_FOR_CALLED_SERVICES,
                catch_transport_errors=True,
                raise_job_errors=False,
                raise_action_errors=False,
            )
        except Exception as error:  # a check tells what is wrong, whatever it is
            return [CheckMethodStatus(True, "CHECK_SERVICES_UNKNOWN_ERROR", str(error))]

        problems = []
        bodies = self.diagnostics.setdefault("services", {})
        for name, response in zip(service_names, responses, strict=True):
            if isinstance(response, Exception):
                problems.append(CheckMethodStatus(True, f"{name.upper()}_TRANSPORT_ERROR", str(response)))
            elif response.errors:
                problems.append(CheckMethodStatus(True, f"{name.upper()}_CALL_ERROR", str(response.errors)))
            elif errors := response.actions[0].errors:
                problems.append(CheckMethodStatus(True, f"{name.upper()}_STATUS_ERROR", str(errors)))
            else:
                bodies[name] = response.actions[0].body
        return problems


def StatusActionFactory(
    version: str, build: str | None = None, base_class: type[BaseStatusAction] = BaseStatusAction
) -> type[BaseStatusAction]:
    """Make a status action class of this version and build."""
    return type(
        "StatusAction",
        (base_class,),
        {"_version": property(lambda _: version), "_build": property(lambda _: build)},
    )


def make_default_status_action_class(server_class: type) -> type[BaseStatusAction]:
    """Make a status action class with ``__version__`` and ``__build__`` of the server class's top-level package."""
    package = sys.modules.get(server_class.__module__.partition(".")[0])
    version = getattr(package, "__version__", None)
    build = getattr(package, "__build__", None)
    return StatusActionFactory(str(version) if version else "unknown", str(build) if build else None)
