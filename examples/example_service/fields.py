"""The fields that the schemas of this service are made of.

They are those of Conformity where that is installed (``pip install "pysoa[conformity]"``), and otherwise PySOA's own of
the same names. A service of your own imports from one of the two.
"""

try:
    from conformity.fields import Dictionary, Float, Integer, SchemalessDictionary, UnicodeString
except ImportError:
    from pysoa.common.fields import Dictionary, Float, Integer, SchemalessDictionary, UnicodeString

__all__ = ("Dictionary", "Float", "Integer", "SchemalessDictionary", "UnicodeString")
