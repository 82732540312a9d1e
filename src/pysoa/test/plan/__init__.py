"""Test plans: tests of a service in plain text files.

``ServicePlanTestCase`` names the files, ``FixtureTestCaseData`` is one test case of them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysoa.test.plan.case import FixtureTestCaseData, ServicePlanTestCase

__all__ = ("FixtureTestCaseData", "ServicePlanTestCase")


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for: fixture files can be read without a server, a client and pytest.
    if name in __all__:
        from pysoa.test.plan import case

        return getattr(case, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Documented(ModuleType):
    """A module whose docstring ends with what its directives are, those of users included."""

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        from pysoa.test.plan.reference import reference

        return f"{self.__dict__['__doc__']}\n{reference()}"


sys.modules[__name__].__class__ = _Documented
