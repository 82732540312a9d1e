"""Schemas of actions that are given as types; see ``pysoa.common.typed`` for what values they accept."""

from __future__ import annotations

from pysoa.common.typed import TypedSchema, as_schema

__all__ = ("TypedSchema", "as_schema")
