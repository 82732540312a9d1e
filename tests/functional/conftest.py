"""Fixtures for tests with services as processes of their own."""

from __future__ import annotations

from tests.support.faults import services

__all__ = ("services",)
