"""Makes actions, settings and servers for tests.

``ActionFactory`` needs nothing else. ``ServerFactory`` and ``ServerSettingsFactory`` need factory_boy, which the extra
``test_helpers`` brings, and only they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.types import EnrichedActionRequest

if TYPE_CHECKING:
    from pysoa.test.factory_boy_factories import ServerFactory, ServerSettingsFactory

__all__ = ("ActionFactory", "ServerFactory", "ServerSettingsFactory")


def ActionFactory(
    body: Body | None = None, exception: BaseException | type[BaseException] | None = None
) -> type[Action]:
    """Make an action class.

    Args:
        body: what it answers.
        exception: what it raises instead.
    """

    class TestAction(Action):
        """An action for a test."""

        def run(self, request: EnrichedActionRequest) -> Body:
            if exception is not None:
                raise exception
            return body or {}

    return TestAction


def __getattr__(name: str) -> Any:
    if name not in ("ServerFactory", "ServerSettingsFactory"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pysoa.test import factory_boy_factories

    return getattr(factory_boy_factories, name)
