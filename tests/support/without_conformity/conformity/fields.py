"""The fields of PySOA, which take what the services say to Conformity's."""

from pysoa.common.fields import Dictionary, Integer, List, UnicodeString

__all__ = ("Dictionary", "Integer", "List", "UnicodeString")
