"""Fixtures for tests with services as processes of their own."""

from __future__ import annotations

from tests.support.faults import concurrency, services

__all__ = ("concurrency", "services")
