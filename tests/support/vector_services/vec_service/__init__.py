"""The services ``vec`` and ``vec_b`` of the golden vectors, as ``tests/vectors/README.md`` describes them.

They run as processes of their own: ``python -m vec_service vec -s vec_service.settings``, with the folder above on the
import path. It is a package at the top level because the built-in status action takes versions from such packages.
"""

__version__ = "3.1.4"
__build__ = "vec-3.1.4-77"
