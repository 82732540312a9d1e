"""Redis masters that Sentinels watch over and that move when one fails."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pysoa.common.clock import monotonic
from pysoa.common.logging import printable
from pysoa.common.transport.redis_gateway.backend.base import (
    BaseRedisClient,
    CannotGetConnectionError,
    Master,
    address,
)
from pysoa.common.transport.redis_gateway.backend.standard import host_kwargs
from pysoa.common.transport.redis_gateway.connecting import connect
from pysoa.common.transport.redis_gateway.connection import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    RedisConnection,
    Reply,
)

__all__ = ("SentinelRedisClient",)

_logger = logging.getLogger(__name__)

_LOOK_UP_TIMEOUT_IN_SECONDS = 1.0


class _Sentinels:
    """The Sentinels; the one that answered last is asked first."""

    def __init__(self, hosts: Sequence[Mapping[str, Any]]) -> None:
        self._hosts = list(hosts)

    def __repr__(self) -> str:
        return ", ".join(map(address, self._hosts))

    def ask(self, *command: bytes, until: float) -> Reply:
        """Ask one Sentinel after the other until one knows.

        Raises:
            BrokerUnreachable: none of them answered.
        """
        faults: list[str] = []
        refused: Reply = None
        for host in list(self._hosts):
            # One that hangs must not use up the time of the others.
            limit = min(until, monotonic() + _LOOK_UP_TIMEOUT_IN_SECONDS)
            try:
                with connect(host, limit) as connection:
                    reply = connection.ask(b"SENTINEL", *command, until=limit)
            except BrokerError as error:
                faults.append(f"{host.get('host')}:{host.get('port')}: {error}")
                continue
            if reply is None or isinstance(reply, BrokerRefused):
                refused = reply
                continue
            self._hosts.remove(host)
            self._hosts.insert(0, host)
            return reply
        if len(faults) == len(self._hosts):
            raise CannotGetConnectionError("Could not get master info from Sentinel: " + "; ".join(faults))
        return refused


class _SentinelMaster(Master):
    """One master; where it is, the Sentinels say, again after each failure."""

    def __init__(
        self,
        name: str,
        sentinels: _Sentinels,
        connection_kwargs: Mapping[str, Any],
        failover_retries: int,
        count: Callable[[str], object],
    ) -> None:
        super().__init__(connection_kwargs)
        self._count = count
        self._name = name
        self._sentinels = sentinels
        self._failover_retries = failover_retries
        self._address: tuple[str, int] | None = None

    def __repr__(self) -> str:
        host, port = self._address or ("unknown address", 0)
        return f"{self._name} at {host}:{port}"

    def moved(self) -> None:
        self._address = None
        super().moved()

    def _connect(self, until: float) -> RedisConnection:
        tries = 0
        while True:
            try:
                host, port = self._address or self._look_up(until)
                return connect({**self.connection_kwargs, "host": host, "port": port}, until)
            except BrokerUnreachable as error:
                self.moved()
                if tries >= self._failover_retries:
                    if isinstance(error, CannotGetConnectionError) and tries:
                        raise CannotGetConnectionError(
                            "Master not found; gave up reloading master info after failover."
                        ) from error
                    raise
                pause = (2**tries + random.random()) / 4.0
                if monotonic() + pause >= until:
                    raise
                self._count("backend.sentinel.master_not_found_retry")
                _logger.warning("Redis master not found, so resetting clients (failover?)")
                time.sleep(pause)
                tries += 1

    def _look_up(self, until: float) -> tuple[str, int]:
        reply = self._sentinels.ask(b"GET-MASTER-ADDR-BY-NAME", self._name.encode(), until=until)
        if not isinstance(reply, list) or len(reply) != 2:
            raise CannotGetConnectionError(f"no Sentinel knows a master named {self._name!r}")
        host, port = reply
        if not isinstance(host, bytes) or not isinstance(port, bytes):
            raise BrokerLost(f"a Sentinel answered {reply!r}")
        found = (host.decode(), int(port))
        _logger.info("Sentinel master address: %s", found)
        self._count("backend.sentinel.populate_master_client")
        self._address = found
        return found


class SentinelRedisClient(BaseRedisClient):
    """One master for each service that the Sentinels watch over.

    Args:
        hosts: the Sentinels: names, pairs of name and port, or URLs.
        connection_kwargs: arguments for redis-py's connections to the masters.
        redis_db: the same as ``db`` there.
        redis_port: the port of Sentinels given by name alone.
        sentinel_services: the names of the masters, in the order that all peers share. Without it the Sentinels are
            asked, and peers agree on the order only while there is one.
        sentinel_failover_retries: how often to ask again, with growing pauses, when no master is known.
        sentinel_kwargs: arguments for redis-py's connections to the Sentinels.
    """

    default_port = 26379

    def __init__(
        self,
        hosts: Iterable[str | tuple[str, int]] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        redis_db: int | None = None,
        redis_port: int | None = None,
        sentinel_services: Iterable[str] | None = None,
        sentinel_failover_retries: int = 0,
        sentinel_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if isinstance(hosts, str):
            raise ValueError("Redis hosts must be specified as an iterable of hosts.")
        if isinstance(sentinel_services, str):
            raise ValueError("Sentinel service types must be specified as an iterable list of strings.")
        self._service_names = list(sentinel_services or ())
        if not all(isinstance(name, str) for name in self._service_names):
            raise ValueError("Sentinel service types must be specified as strings.")
        if sentinel_failover_retries < 0:
            raise ValueError("sentinel_failover_retries must be >= 0")
        self._failover_retries = sentinel_failover_retries
        self._connection_kwargs = dict(connection_kwargs or {})
        if redis_db is not None:
            self._connection_kwargs["db"] = redis_db
        port = redis_port or self.default_port
        self._sentinels = _Sentinels(
            [host_kwargs(host, port, sentinel_kwargs or {}) for host in hosts or ["localhost"]]
        )

    def __repr__(self) -> str:
        names = f" for {', '.join(self._service_names)}" if self._service_names else ""
        return f"Sentinel at {self._sentinels!r}{names}"

    def _find_masters(self, until: float) -> list[Master]:
        names = self._service_names or self._discover(until)
        return [
            _SentinelMaster(name, self._sentinels, self._connection_kwargs, self._failover_retries, self._tell)
            for name in names
        ]

    def _tell(self, event: str) -> None:
        self.count(event)

    def _discover(self, until: float) -> list[str]:
        reply = self._sentinels.ask(b"MASTERS", until=until)
        if not isinstance(reply, list) or not reply:
            raise CannotGetConnectionError("Could not get master info from Sentinel: it watches over no master")
        names = [_name_in(master) for master in reply]
        if len(names) > 1:
            _logger.warning(
                "Sentinel watches over several masters (%s), and peers may see them in another order: "
                "name them in the setting sentinel_services",
                printable(", ".join(names)),
            )
        return names


def _name_in(master: Reply) -> str:
    fields = master if isinstance(master, list) else []
    for key, value in zip(fields[::2], fields[1::2], strict=False):
        if key == b"name" and isinstance(value, bytes):
            return value.decode()
    raise CannotGetConnectionError(f"a Sentinel describes a master without a name: {master!r}")
