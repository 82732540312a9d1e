"""Conformity's fields where it is installed, with which the vectors were recorded; PySOA's own elsewhere."""

from __future__ import annotations

try:
    from conformity.fields import (
        Boolean,
        Dictionary,
        Integer,
        List,
        Nullable,
        SchemalessDictionary,
        UnicodeString,
    )
except ImportError:
    from pysoa.common.fields import (
        Boolean,
        Dictionary,
        Integer,
        List,
        Nullable,
        SchemalessDictionary,
        UnicodeString,
    )

__all__ = ("Boolean", "Dictionary", "Integer", "List", "Nullable", "SchemalessDictionary", "UnicodeString")
