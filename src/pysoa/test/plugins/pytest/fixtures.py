"""The pytest plugin for tests of services.

Every pytest that finds PySOA loads this module, so it imports nothing of PySOA until something of it is used.
"""

from __future__ import annotations

import inspect
import sys

import pytest


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run coroutine tests of test cases that no other plugin runs."""
    server = sys.modules.get("pysoa.test.server")
    if server is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if pyfuncitem.cls is None or not issubclass(pyfuncitem.cls, server.BaseServerTestCase):
        return None
    from pysoa.test.coroutines import run_coroutine

    names = pyfuncitem._fixtureinfo.argnames
    run_coroutine(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True
