"""Settings of a server, with the schema of Python's logging configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from pysoa.common.constants import ERROR_CODE_UNKNOWN
from pysoa.common.fields import (
    Boolean,
    Constant,
    Dictionary,
    FieldError,
    Integer,
    List,
    Nullable,
    SchemalessDictionary,
    Set,
    UnicodeString,
)
from pysoa.common.old_names import current_path, old_name, replacement
from pysoa.common.plugins import ClassConfiguration, TypePath
from pysoa.common.settings import SettingsData, SettingsSchema, SOASettings

__all__ = ("ServerSettings",)

_LOG_LEVEL = Constant("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_ROOT_LOGGER = Dictionary(
    {"level": _LOG_LEVEL, "filters": List(UnicodeString()), "handlers": List(UnicodeString())},
    optional_keys=("level", "filters", "handlers"),
)
_LOGGER = _ROOT_LOGGER.extend({"propagate": Boolean()}, optional_keys=("propagate",))


_LOGGING_CONTENTS = {
    "version": Integer(gte=1, lte=1),
    "formatters": SchemalessDictionary(
        UnicodeString(),
        Dictionary({"format": UnicodeString(), "datefmt": UnicodeString()}, optional_keys=("datefmt",)),
    ),
    "filters": SchemalessDictionary(
        UnicodeString(),
        Dictionary(
            {"()": TypePath("logging:Filter"), "name": UnicodeString()},
            optional_keys=("()", "name"),
            allow_extra_keys=True,
        ),
    ),
    "handlers": SchemalessDictionary(
        UnicodeString(),
        Dictionary(
            {
                "class": TypePath("logging:Handler"),
                "level": _LOG_LEVEL,
                "formatter": UnicodeString(),
                "filters": List(UnicodeString()),
            },
            optional_keys=("level", "formatter", "filters"),
            allow_extra_keys=True,
        ),
    ),
    "loggers": SchemalessDictionary(UnicodeString(), _LOGGER),
    "root": _ROOT_LOGGER,
    "incremental": Boolean(),
    "disable_existing_loggers": Boolean(),
}


class _LoggingConfiguration(Dictionary):
    """Accepts what ``logging.config.dictConfig`` takes, when every name that it refers to is configured in it."""

    contents = _LOGGING_CONTENTS
    optional_keys = frozenset(_LOGGING_CONTENTS)

    def errors(self, value: Any) -> list[FieldError]:
        _rename_old_classes(value)
        return super().errors(value) or _filter_errors(value) or _reference_errors(value)


def _rename_old_classes(configuration: Any) -> None:
    """Put today's paths in the place of those of 0.42, for ``dictConfig`` imports them by itself."""
    for kind, key in (("filters", "()"), ("handlers", "class")):
        named = configuration.get(kind) if isinstance(configuration, dict) else None
        for options in named.values() if isinstance(named, dict) else ():
            if isinstance(options, dict) and isinstance(path := options.get(key), str) and replacement(path):
                options[key] = current_path(path).replace(":", ".")  # the only form that dictConfig knows


def _filter_errors(configuration: dict[str, Any]) -> list[FieldError]:
    return [
        FieldError(f'Not all keys supported for filter named "{name}"', f"filters.{name}", ERROR_CODE_UNKNOWN)
        for name, options in configuration.get("filters", {}).items()
        if options.get("()", "logging.Filter") == "logging.Filter" and not options.keys() <= {"()", "name"}
    ]


def _reference_errors(configuration: dict[str, Any]) -> list[FieldError]:
    if configuration.get("incremental"):
        return []  # it changes what an earlier configuration has set up
    errors: list[FieldError] = []

    def check(noun: str, name: str, options: dict[str, Any], pointer: str) -> None:
        references = [("formatter", "formatter", options["formatter"])] if "formatter" in options else []
        for kind in ("filter", "handler"):
            if f"{kind}s" in options and not (kind == "handler" and noun == "Handler"):
                references += [(kind, f"{kind}s.{i}", other) for i, other in enumerate(options[f"{kind}s"])]
        for kind, where, other in references:
            if other not in configuration.get(f"{kind}s", {}):
                message = f'{noun} "{name}" references {kind} "{other}", which is not configured.'
                errors.append(FieldError(message, f"{pointer}.{where}", ERROR_CODE_UNKNOWN))

    for name, options in configuration.get("handlers", {}).items():
        check("Handler", name, options, f"handlers.{name}")
    for name, options in configuration.get("loggers", {}).items():
        check("Logger", name, options, f"loggers.{name}")
    check("Logger", "root", configuration.get("root", {}), "root")
    return errors


class ServerSettings(SOASettings):
    """How a server receives, logs and limits; services extend it by keys of their own."""

    schema: ClassVar[SettingsSchema] = {
        "transport": ClassConfiguration(
            "pysoa.common.transport.base:ServerTransport", description="The transport that moves messages"
        ),
        "middleware": List(
            ClassConfiguration("pysoa.server.middleware:ServerMiddleware"), description="Middleware, outermost first"
        ),
        "coroutine_middleware": List(
            ClassConfiguration("pysoa.server.coroutine:CoroutineMiddleware"),
            description="Middleware of coroutines that actions start, outermost first",
        ),
        "client_routing": SchemalessDictionary(
            UnicodeString(),
            SchemalessDictionary(),
            description="Client settings by service name, for the clients that actions call other services with",
        ),
        "logging": _LoggingConfiguration(description="Given to logging.config.dictConfig"),
        "harakiri": Dictionary(
            {
                "timeout": Integer(
                    gte=0, description="Seconds without activity after which a job is interrupted; 0 for never"
                ),
                "shutdown_grace": Integer(
                    gt=0, description="Seconds that an interrupted job has before the process is ended"
                ),
            },
            description="Ends work that hangs",
        ),
        "concurrency": Integer(
            gte=1,
            description="How many jobs run side by side in one process: 1 for the blocking loop, more for asyncio",
        ),
        "blocking_actions": Boolean(
            description="Whether all plain actions run on threads where the loop is asyncio's, rather than in the loop"
        ),
        "thread_pool_size": Integer(
            gte=0, description="How many threads blocking actions have beside asyncio's loop; 0 for one for each job"
        ),
        "request_log_success_level": _LOG_LEVEL,
        "request_log_error_level": _LOG_LEVEL,
        "request_log_limit": Nullable(
            Integer(
                gte=0,
                description="How many requests without errors a worker logs in a second, on the average; 0 for all. "
                "None stands for 100, and for all where there is a `logging` of the service's own",
            )
        ),
        "heartbeat_file": Nullable(
            UnicodeString(description="Rewritten while the server lives; {{pid}} and {{fid}} are replaced")
        ),
        "extra_fields_to_redact": Set(
            UnicodeString(), description="Names of fields whose values are censored in logs, beside the built-in ones"
        ),
        "error_detail": Constant(
            "redacted",
            "full",
            description="What callers on other machines are told of unexpected errors: an error id that the log has in"
            " full, or the exception with its traceback and variables",
        ),
    }
    defaults: ClassVar[SettingsData] = {
        "transport": {"path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport"},
        "coroutine_middleware": [{"path": "pysoa.server.coroutine:DefaultCoroutineMiddleware"}],
        "client_routing": {},
        "logging": {
            "version": 1,
            "formatters": {
                "console": {
                    "format": "%(asctime)s %(levelname)7s %(correlation_id)s %(request_id)s: %(message)s",
                },
                "syslog": {
                    "format": (
                        "%(service_name)s_service: %(name)s %(levelname)s %(module)s %(process)d "
                        "correlation_id %(correlation_id)s request_id %(request_id)s %(message)s"
                    ),
                },
            },
            "filters": {
                "pysoa_logging_context_filter": {"()": "pysoa.common.logging.PySOALogContextFilter"},
            },
            "handlers": {
                "console": {
                    "level": "INFO",
                    "class": "logging.StreamHandler",
                    "formatter": "console",
                    "filters": ["pysoa_logging_context_filter"],
                },
                "syslog": {
                    "level": "INFO",
                    "class": "pysoa.common.logging.SyslogHandler",
                    "facility": 23,  # LOG_LOCAL7
                    "address": ("localhost", 514),
                    "formatter": "syslog",
                    "filters": ["pysoa_logging_context_filter"],
                },
            },
            "loggers": {},
            "root": {"handlers": ["console"], "level": "INFO"},
            "disable_existing_loggers": False,
        },
        "harakiri": {"timeout": 300, "shutdown_grace": 30},
        "concurrency": 1,
        "blocking_actions": False,
        "thread_pool_size": 0,
        "request_log_success_level": "INFO",
        "request_log_error_level": "INFO",
        "request_log_limit": None,
        "heartbeat_file": None,
        "extra_fields_to_redact": set(),
        "error_detail": "redacted",
    }


class _LocalServerSettings(ServerSettings):
    defaults: ClassVar[SettingsData] = {"transport": {"path": "pysoa.common.transport.local:LocalServerTransport"}}


def __getattr__(name: str) -> Any:
    return old_name(__name__, name)
