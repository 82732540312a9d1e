"""Finds the server class that a command names, and makes mistakes on the way short to read."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from pysoa.cli.terminal import Failure, did_you_mean

if TYPE_CHECKING:
    from pysoa.server.server import Server

__all__ = ("check_actions", "check_settings", "load_server", "settings_of")

_DJANGO_SETTINGS: Final = "DJANGO_SETTINGS_MODULE"


def load_server(target: str, settings_module: str | None = None) -> type[Server]:
    """Import the server class that ``MODULE`` or ``MODULE:NAME`` names, from the current directory if it is there.

    Without a name it is the class ``Server`` of the module, or its only subclass of ``Server``, or that of
    its submodule ``server``. Where the settings are Django's, it is set up first: the class may need models.

    Args:
        target: the module, and the name.
        settings_module: the module with the settings, where one is given; else ``DJANGO_SETTINGS_MODULE`` may name
            Django's.

    Raises:
        Failure: there is none, or it cannot be imported, or Django cannot be set up.
    """
    module_name, _, name = target.partition(":")
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").removesuffix(os.sep).strip("./").replace(os.sep, ".")
        raise Failure(f"{module_name} is a file, not a module: try {dotted}")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if _is_of_django(settings_module):
        _set_up_django(settings_module)
    module = _imported(module_name, f"there is no module {module_name!r}", near=_modules_here())
    server_class = _named(module, name) if name else _only_one(module)
    if not server_class.service_name:
        raise Failure(f"{server_class.__module__}:{server_class.__qualname__} has no service_name")
    if server_class.use_django:
        _set_up_django(settings_module)
    return server_class


def _is_of_django(settings_module: str | None) -> bool:
    """Whether the settings of a service are those of a Django project."""
    name = settings_module or os.environ.get(_DJANGO_SETTINGS)
    if not name:
        return False
    try:
        module = _imported(name, f"there is no settings module {name!r}", near=[])
    except Failure:
        if settings_module is None:  # a service without Django may be started where some other project is named
            return False
        raise
    return hasattr(module, "INSTALLED_APPS") and hasattr(module, "SOA_SERVER_SETTINGS")


def _set_up_django(settings_module: str | None) -> None:
    """Set Django up, unless the service itself has done it."""
    if (conf := sys.modules.get("django.conf")) is not None and conf.settings.configured:
        return
    name = settings_module or os.environ.get(_DJANGO_SETTINGS)
    if not name:
        raise Failure(f"the settings of Django are missing: -s MODULE, or the environment variable {_DJANGO_SETTINGS}")
    from pysoa.server.internal.django_setup import set_up_django

    try:
        set_up_django(name)
    except Exception as error:  # boundary: applications are users' code
        raise _fault(f"Django cannot be set up with {name}", error) from error


def settings_of(server_class: type[Server], settings_module: str | None, concurrency: int | None = None) -> Any:
    """The dict of a settings module, or of Django's settings, checked as the settings of this class.

    Raises:
        Failure: there is none, or something is wrong with it; see ``check_settings``.
    """
    if server_class.use_django:
        from pysoa.server.internal.command_line import load_django_settings

        try:
            return check_settings(server_class, load_django_settings(), "SOA_SERVER_SETTINGS", concurrency)
        except (ImportError, ValueError) as error:
            raise Failure(str(error)) from error
    if settings_module is None:
        raise Failure("the settings are missing: -s MODULE names them")
    module = _imported(settings_module, f"there is no settings module {settings_module!r}", near=[])
    for name in ("SOA_SERVER_SETTINGS", "settings"):
        if hasattr(module, name):
            return check_settings(server_class, getattr(module, name), settings_module, concurrency)
    raise Failure(f"{settings_module} has no SOA_SERVER_SETTINGS and no settings")


def check_settings(server_class: type[Server], settings: Any, where: str, concurrency: int | None = None) -> Any:
    """Give settings back that suit this class.

    Args:
        server_class: the class.
        settings: its settings.
        where: where they are from, for messages.
        concurrency: the one that takes the place of the setting.

    Raises:
        Failure: they do not; the text says what is wrong.
    """
    from pysoa.common.settings import Settings
    from pysoa.server.internal.command_line import transport_fault, with_concurrency

    try:
        checked = server_class.settings_class(with_concurrency(settings, concurrency))
    except Settings.ImproperlyConfigured as error:
        raise Failure(f"{where}: {str(error).rstrip()}") from error
    except (TypeError, ValueError) as error:  # it is not a dict
        raise Failure(f"{where}: these are no settings: {error}") from error
    if (fault := transport_fault(checked)) is not None:
        raise Failure(f"{where}: {fault}")
    return settings


def check_actions(server_class: type[Server]) -> None:
    """See to it that the schemas of all actions can be used.

    Raises:
        Failure: one cannot; the text names it.
    """
    from pysoa.server.action.base import prepare_schemas

    try:
        prepare_schemas(server_class.action_class_map.values())
    except TypeError as error:
        raise Failure(str(error)) from error


def _named(module: ModuleType, name: str) -> type[Server]:
    found = getattr(module, name, None)
    if found is None and (inner := _inner(module)) is not None:
        module = inner
        found = getattr(module, name, None)
    if found is None:
        near = did_you_mean(name, [each.__name__ for each in _servers_in(module)])
        hint = f"; did you mean {module.__name__}:{near}?" if near else ""
        raise Failure(f"there is no {name} in {module.__name__}{hint}")
    if not _is_server(found):
        raise Failure(f"{module.__name__}:{name} is not a subclass of pysoa.server.Server")
    server_class: type[Server] = found
    return server_class


def _only_one(module: ModuleType) -> type[Server]:
    own: Any = getattr(module, "Server", None)
    if _is_server(own):
        server_class: type[Server] = own
        return server_class
    servers = _servers_in(module)
    if len(servers) == 1:
        return servers[0]
    if servers:
        names = ", ".join(f"{module.__name__}:{each.__name__}" for each in servers)
        raise Failure(f"there are {len(servers)} servers in {module.__name__}; say which: {names}")
    if (inner := _inner(module)) is not None:
        return _only_one(inner)
    raise Failure(f"there is no server in {module.__name__}: no subclass of pysoa.server.Server")


def _inner(module: ModuleType) -> ModuleType | None:
    """The submodule ``server`` of a package, if it has one."""
    name = f"{module.__name__}.server"
    if not hasattr(module, "__path__") or importlib.util.find_spec(name) is None:
        return None
    return _imported(name, f"there is no module {name!r}", near=[])


def _servers_in(module: ModuleType) -> list[type[Server]]:
    """The server classes in a module: those of its own, or else those that it imports."""
    found: list[type[Server]] = list(dict.fromkeys(each for each in vars(module).values() if _is_server(each)))
    return [each for each in found if each.__module__ == module.__name__] or found


def _is_server(thing: Any) -> bool:
    from pysoa.server.server import Server

    return isinstance(thing, type) and issubclass(thing, Server) and thing is not Server


def _imported(name: str, if_missing: str, near: list[str]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _fault(f"{name} cannot be imported", error) from error
        likely = did_you_mean(name, near)
        hint = f"; did you mean {likely!r}?" if likely else ""
        raise Failure(f"{if_missing} here or among the installed ones{hint}") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # boundary: users' code, which may also exit
        raise _fault(f"{name} cannot be imported", error) from error


def _fault(what: str, error: BaseException) -> Failure:
    """What users' code has raised, and where, in two lines."""
    kind = type(error).__name__
    text = (error.msg or "") if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_shown(error.filename)}:{error.lineno}"
    else:
        place = _place_of(error)
    first_line = text.strip().partition("\n")[0][:300]
    return Failure(f"{what}: {kind}: {first_line}" + (f"\n  at {place}" if place else ""))


def _place_of(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    # What the user wrote, rather than the library that it called.
    ours = os.path.dirname(os.path.dirname(__file__))
    foreign = (ours, *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")))
    own = [frame for frame in frames if not frame.filename.startswith(foreign)]
    frame = next(reversed(own or frames), None)
    return "" if frame is None else f"{_shown(frame.filename)}:{frame.lineno}"


def _shown(path: str) -> str:
    with contextlib.suppress(ValueError):  # another drive
        relative = os.path.relpath(path)
        return path if relative.startswith("..") else relative
    return path


def _modules_here() -> list[str]:
    """Names of the modules and packages in the current directory."""
    names = []
    with contextlib.suppress(OSError), os.scandir() as entries:
        for entry in entries:
            name = entry.name.removesuffix(".py")
            if name.isidentifier() and (name != entry.name or os.path.isfile(os.path.join(entry.path, "__init__.py"))):
                names.append(name)
    return names
