"""What 0.42 did another way and services may still do: signatures, attributes, and job requests that were dicts.

Each of these works, and warns the line that does it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from pysoa.common.instruments import Recorder
from pysoa.common.old_names import warn_of_old_attribute, warn_user
from pysoa.common.transport.base import ServerTransport
from pysoa.common.types import ActionRequest, JobResponse

if TYPE_CHECKING:
    from pysoa.server.middleware import ServerMiddleware
    from pysoa.server.server import Server
    from pysoa.server.settings import ServerSettings

__all__ = ("JobRequestAsDict", "ServerAttributes", "make_server_of", "make_transport", "takes")


def takes(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether something can be called with these arguments, as far as it tells."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # what is built in may have no signature
        return True
    return True


def make_transport(
    configuration: Mapping[str, Any], service_name: str, metrics: Recorder, instance_index: int
) -> ServerTransport:
    """The transport of a server, with the number of the worker where its class takes one."""
    transport_class, kwargs = configuration["object"], configuration.get("kwargs", {})
    args: tuple[Any, ...] = (service_name, metrics, instance_index)
    if not takes(transport_class, *args, **kwargs) and takes(transport_class, *args[:2], **kwargs):
        warn_user(
            f"{transport_class.__module__}.{transport_class.__qualname__}.__init__ should take the number of the"
            " worker: __init__(self, service_name, metrics, instance_index, ...)"
        )
        args = args[:2]
    transport: ServerTransport = transport_class(*args, **kwargs)
    return transport


def make_server_of(server_class: type[Server], settings: ServerSettings, forked_process_id: int | None) -> Server:
    """A server, that knows the number of its worker even where its class has a constructor that does not take it."""
    if takes(server_class, settings, forked_process_id) or not takes(server_class, settings):
        return server_class(settings, forked_process_id)
    warn_user(
        f"{server_class.__module__}.{server_class.__qualname__}.__init__ should take the number of the worker:"
        " __init__(self, settings, forked_process_id=None)"
    )
    server = server_class.__new__(server_class, settings)  # type: ignore[call-arg] # as calling the class would
    server._forked_process_id = forked_process_id
    server.__init__(settings)  # type: ignore[misc] # as above
    return server


class ServerAttributes:
    """Attributes of ``Server`` under the names of 0.42."""

    _middleware: list[ServerMiddleware]

    @property
    def middleware(self) -> list[ServerMiddleware]:
        """Deprecated: ``_middleware``."""
        warn_of_old_attribute("pysoa.server.server:Server.middleware")
        return self._middleware

    def handle_job_exception(self, exception: Exception, variables: Mapping[str, Any] | None = None) -> JobResponse:
        """Deprecated: ``handle_unhandled_exception``, of jobs."""
        warn_of_old_attribute("pysoa.server.server:Server.handle_job_exception")
        server: Any = self
        response: JobResponse = server.handle_unhandled_exception(exception, JobResponse, variables)
        return response


_FIELDS_OF_JOBS: Final = ("actions", "client", "context", "control", "run_coroutine")


class JobRequestAsDict:
    """Lets job middleware read an ``EnrichedJobRequest`` as the dict that it was in 0.42."""

    def __getitem__(self, key: str) -> Any:
        if key not in _FIELDS_OF_JOBS:
            raise KeyError(key)
        _warn_of_dict("job", key)
        value = getattr(self, key)
        # A tuple: in 0.42 middleware could change the list, and what is added to this one would be lost without a word.
        return tuple(map(_ActionRequestAsDict, value)) if key == "actions" else value

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in _FIELDS_OF_JOBS:
            raise KeyError(key)
        _warn_of_dict("job", key)
        if key == "actions":
            value = [each if isinstance(each, ActionRequest) else ActionRequest(**each) for each in value]
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return key in _FIELDS_OF_JOBS

    __iter__ = None  # else the methods above would make it a sequence

    def get(self, key: str, default: Any = None) -> Any:
        """Deprecated: read the attribute."""
        return self[key] if key in _FIELDS_OF_JOBS else default


class _ActionRequestAsDict(MutableMapping[str, Any]):
    """Lets job middleware use an action request as the dict that it was in 0.42."""

    def __init__(self, request: ActionRequest) -> None:
        self._request = request

    def __getitem__(self, key: str) -> Any:
        if key not in ("action", "body"):
            raise KeyError(key)
        _warn_of_dict("action", key)
        return getattr(self._request, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in ("action", "body"):
            raise KeyError(key)
        _warn_of_dict("action", key)
        setattr(self._request, key, value)

    def __delitem__(self, key: str) -> None:
        raise TypeError("an action request is not a dict any more")

    def __iter__(self) -> Iterator[str]:
        return iter(("action", "body"))

    def __len__(self) -> int:
        return 2


def _warn_of_dict(kind: str, key: str) -> None:
    warn_user(f"requests are objects, not dicts, in job middleware: use {kind}_request.{key}")
