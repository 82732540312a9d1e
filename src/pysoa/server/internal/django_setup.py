"""Sets Django up for a service that is started from the command line."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping
from copy import deepcopy
from types import ModuleType
from typing import Any

from pysoa.common.settings import _merged
from pysoa.server.settings import ServerSettings

__all__ = ("set_up_django",)


def set_up_django(settings_module: str) -> None:
    """Do what Django wants done before code of its applications is imported.

    Its ``LOGGING`` becomes that of the server where the server's settings have some, or where Django has none: else it
    would configure one logging and the server, after it, another.

    Args:
        settings_module: the name of the module with Django's settings.

    Raises:
        ValueError: there is no such module, or it has no ``SOA_SERVER_SETTINGS``.
        ImportError: Django is not installed.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    try:
        module = importlib.import_module(settings_module)
    except ImportError as error:
        raise ValueError(f"Cannot import Django settings module `{settings_module}`.") from error
    if not hasattr(module, "SOA_SERVER_SETTINGS"):
        raise ValueError("Cannot find `SOA_SERVER_SETTINGS` in the Django settings module.")
    had_another = _hand_logging_over(module)
    try:
        import django
    except ImportError as error:
        raise ImportError(
            "Could not import Django. You must install Django if you enable Django support in your service."
        ) from error
    django.setup()
    if had_another:
        logging.getLogger("pysoa.server").warning(
            "Django setting `LOGGING` differs from `SOA_SERVER_SETTINGS['logging']` and has been overwritten with the "
            "value of `SOA_SERVER_SETTINGS['logging']`."
        )


def _hand_logging_over(module: ModuleType) -> bool:
    """Set ``LOGGING`` in the module before Django reads it; whether it was something else."""
    given: Any = module.SOA_SERVER_SETTINGS
    wanted: Any = given.get("logging") if isinstance(given, Mapping) else None
    own: Any = getattr(module, "LOGGING", None)
    if not wanted:
        if not own:
            module.LOGGING = deepcopy(ServerSettings.defaults["logging"])  # type: ignore[attr-defined] # a setting
        return False
    if "version" not in wanted:  # Django takes only what is complete
        wanted = _merged(deepcopy(wanted), deepcopy(ServerSettings.defaults["logging"]))
    module.LOGGING = wanted  # type: ignore[attr-defined] # as above
    return bool(own) and own != wanted
