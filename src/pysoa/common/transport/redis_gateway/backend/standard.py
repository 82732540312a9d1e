"""Redis servers at fixed addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pysoa.common.transport.redis_gateway.backend.base import BaseRedisClient, Master, address
from pysoa.common.transport.redis_gateway.connecting import URL_SCHEMES, kwargs_from_url

__all__ = ("StandardRedisClient", "host_kwargs")


def host_kwargs(host: str | tuple[str, int], port: int, connection_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The connection arguments for one entry of ``hosts``: a name, a pair of name and port, or a URL."""
    if isinstance(host, str):
        if host.startswith(URL_SCHEMES):
            return {**connection_kwargs, **kwargs_from_url(host)}
        host = (host, port)
    return {**connection_kwargs, "host": host[0], "port": host[1]}


class StandardRedisClient(BaseRedisClient):
    """One master for each of the ``hosts``, in their order.

    Args:
        hosts: names, pairs of name and port, or URLs (``redis://``, ``rediss://``, ``unix://``).
        connection_kwargs: arguments for redis-py's connections.
        redis_db: the same as ``db`` there.
        redis_port: the port of hosts given by name alone.
    """

    default_port = 6379

    def __init__(
        self,
        hosts: Iterable[str | tuple[str, int]] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        redis_db: int | None = None,
        redis_port: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(hosts, str):
            raise ValueError("Redis hosts must be specified as an iterable of hosts.")
        self._connection_kwargs = dict(connection_kwargs or {})
        if redis_db is not None:
            self._connection_kwargs["db"] = redis_db
        port = redis_port or self.default_port
        self._hosts = [host_kwargs(host, port, self._connection_kwargs) for host in hosts or ["localhost"]]

    def __repr__(self) -> str:
        return ", ".join(map(address, self._hosts))

    def _find_masters(self, until: float) -> list[Master]:
        return [Master(kwargs) for kwargs in self._hosts]
