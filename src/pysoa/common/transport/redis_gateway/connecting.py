"""Opens connections to Redis.

A connection that needs no more than an address, a database, and a user and password is opened here: redis-py would cost
25 MiB of memory and over 100 ms in each process. All else (TLS, credential providers, users' own connection classes) is
redis-py's work.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pysoa.common.clock import monotonic
from pysoa.common.transport.redis_gateway.connection import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    RedisConnection,
)

__all__ = ("URL_SCHEMES", "connect", "kwargs_from_url")

URL_SCHEMES: Final = ("redis://", "rediss://", "unix://")

_CONNECT_TIMEOUT_IN_SECONDS: Final = 5.0

# What a connection opened here understands, and what says nothing to it.
_OURS: Final = frozenset(
    (
        "host",
        "port",
        "path",
        "db",
        "username",
        "password",
        "client_name",
        "socket_keepalive",
        "socket_keepalive_options",
    )
)
_WITHOUT_MEANING: Final = frozenset(
    (
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "max_connections",
        "protocol",
        "retry",
        "retry_on_error",
        "retry_on_timeout",
        "socket_read_size",
        "socket_timeout",
        "ssl",
    )
)


def kwargs_from_url(url: str) -> dict[str, Any]:
    """The connection arguments that a URL stands for: ``redis://``, ``rediss://`` or ``unix://``.

    Raises:
        ValueError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.query or parts.scheme == "rediss":
        import redis.connection as redis_connection

        parse_url: Any = redis_connection.parse_url  # untyped in redis-py
        kwargs: dict[str, Any] = parse_url(url)
        return kwargs
    kwargs = {"path": unquote(parts.path)} if parts.scheme == "unix" else {}
    if parts.username:
        kwargs["username"] = unquote(parts.username)
    if parts.password:
        kwargs["password"] = unquote(parts.password)
    if parts.scheme == "redis":
        if parts.hostname:
            kwargs["host"] = unquote(parts.hostname)
        if parts.port:
            kwargs["port"] = parts.port
        if parts.path.strip("/"):
            kwargs["db"] = int(parts.path.strip("/"))
    return kwargs


def connect(connection_kwargs: Mapping[str, Any], until: float) -> RedisConnection:
    """Open a connection.

    Args:
        connection_kwargs: arguments of redis-py's connection classes: ``host`` and ``port``, or ``path`` of a unix
            socket, ``db``, ``username``, ``password``, ``ssl*``, ``connection_class`` and others.
        until: moment on the monotonic clock to give up at; 5 s from now at the latest.

    Raises:
        BrokerUnreachable: it could not be opened; the text says why.
    """
    kwargs = dict(connection_kwargs)
    limit = min(kwargs.pop("socket_connect_timeout", None) or _CONNECT_TIMEOUT_IN_SECONDS, until - monotonic())
    if limit <= 0:
        raise BrokerUnreachable("no time left to connect")
    host = None if "path" in kwargs else str(kwargs.get("host") or "localhost")

    if kwargs.get("ssl") or not kwargs.keys() <= _OURS | _WITHOUT_MEANING:
        return _in_time(_open_with_redis_py, kwargs, limit)
    if host is None or _needs_no_lookup(host):
        return _open_here(kwargs, limit)
    return _in_time(_open_here, kwargs, limit)


def _open_here(kwargs: Mapping[str, Any], limit: float) -> RedisConnection:
    until = monotonic() + limit
    try:
        sock = _open_socket(kwargs, limit)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have such a name
        raise BrokerUnreachable(f"{type(error).__name__}: {error}") from error
    connection = RedisConnection(sock)
    try:
        for command in _handshake(kwargs):
            reply = connection.ask(*command, until=until)
            if isinstance(reply, BrokerRefused):
                raise BrokerUnreachable(f"the broker refused {command[0].decode()}: {reply}")
    except BrokerLost as error:
        connection.close()
        raise BrokerUnreachable(str(error)) from error
    except BrokerUnreachable:
        connection.close()
        raise
    return connection


def _open_socket(kwargs: Mapping[str, Any], limit: float) -> socket.socket:
    if "path" in kwargs:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(limit)
            sock.connect(kwargs["path"])
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((kwargs.get("host") or "localhost", kwargs.get("port") or 6379), limit)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if kwargs.get("socket_keepalive", True):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (kwargs.get("socket_keepalive_options") or {}).items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def _handshake(kwargs: Mapping[str, Any]) -> list[list[bytes]]:
    commands = []
    if kwargs.get("username") or kwargs.get("password"):
        credentials = [kwargs.get("username"), kwargs.get("password") or ""]
        commands.append([b"AUTH", *(_to_bytes(item) for item in credentials if item is not None)])
    if kwargs.get("client_name"):
        commands.append([b"CLIENT", b"SETNAME", _to_bytes(kwargs["client_name"])])
    if kwargs.get("db"):
        commands.append([b"SELECT", _to_bytes(kwargs["db"])])
    return commands


def _to_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _open_with_redis_py(kwargs: Mapping[str, Any], limit: float) -> RedisConnection:
    import redis.connection as redis_connection
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    kwargs = dict(kwargs)
    connection_class = kwargs.pop("connection_class", None) or _connection_class(kwargs, redis_connection)
    for of_pools in ("ssl", "max_connections"):
        kwargs.pop(of_pools, None)
    kwargs.setdefault("protocol", 2)
    kwargs.update(
        # Covers the handshake of TLS, AUTH and SELECT; our own waits do not use it.
        socket_timeout=limit,
        socket_connect_timeout=limit,
        # Nothing is ever sent again without our own decision.
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        health_check_interval=0,
        decode_responses=False,
    )
    if "path" not in kwargs:
        kwargs.setdefault("socket_keepalive", True)
    connection = connection_class(**kwargs)
    try:
        connection.connect()
    except (RedisError, OSError, UnicodeError) as error:
        raise BrokerUnreachable(f"{type(error).__name__}: {error}") from error
    # redis-py has had the socket under this name in all releases; its public methods read what it has buffered.
    return RedisConnection(connection._sock, connection)


def _connection_class(kwargs: Mapping[str, Any], redis_connection: Any) -> Any:
    if "path" in kwargs:
        return redis_connection.UnixDomainSocketConnection
    if kwargs.get("ssl") or kwargs.get("ssl_certfile"):
        return redis_connection.SSLConnection
    return redis_connection.Connection


def _needs_no_lookup(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _in_time(
    open_connection: Callable[[Mapping[str, Any], float], RedisConnection], kwargs: Mapping[str, Any], limit: float
) -> RedisConnection:
    """Connect on a thread of its own.

    Calls have a time limit; the system's name look-up has none, and redis-py has one for each step of the handshake.
    """
    address = str(kwargs.get("path") or kwargs.get("host") or "localhost")
    results: queue.SimpleQueue[RedisConnection | BaseException] = queue.SimpleQueue()
    given_up = threading.Event()

    def run() -> None:
        try:
            results.put(open_connection(kwargs, limit))
        except BaseException as error:
            results.put(error)
        if given_up.is_set():
            _close_unclaimed(results)

    try:
        threading.Thread(target=run, name=f"pysoa-connect-{address}", daemon=True).start()
    except RuntimeError:  # no thread can be had, as while the interpreter ends
        return open_connection(kwargs, limit)
    try:
        result = results.get(timeout=limit)
    except BaseException as error:
        given_up.set()
        _close_unclaimed(results)  # it may have come just now
        if isinstance(error, queue.Empty):
            raise BrokerUnreachable(f"no connection to {address} within {limit:.3f} s") from None
        raise
    if isinstance(result, BaseException):
        raise result
    return result


def _close_unclaimed(results: queue.SimpleQueue[RedisConnection | BaseException]) -> None:
    with contextlib.suppress(queue.Empty):
        result = results.get_nowait()
        if isinstance(result, RedisConnection):
            result.close()
