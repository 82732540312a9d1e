"""Python RPC services and their clients over Redis.

The map of the package, from the bottom up:

* ``pysoa.common``: what clients and servers both speak. Values (``types``, ``errors``, ``constants``), settings,
  logging, the wire without I/O (``protocol``, ``serializer``) and the transports that move messages.
* ``pysoa.client``: calls actions (``client.Client``).
* ``pysoa.server``: runs actions (``server.Server``, ``action.Action``).
* ``pysoa.test``: helps people who test services.
* ``pysoa.cli``: the ``pysoa`` command.
"""

from __future__ import annotations

from pysoa.version import __version__, __version_info__

__all__ = ("__version__", "__version_info__")
