"""Actions: the base class, the two built-in ones (status and introspection) and switched ones."""

from __future__ import annotations

from pysoa.server.action.base import Action

__all__ = ("Action",)
