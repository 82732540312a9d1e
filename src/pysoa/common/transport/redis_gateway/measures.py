"""Sending and receiving as they are timed and counted, for those who record that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pysoa.common.instruments import Timer
from pysoa.common.transport.errors import MessageReceiveTimeout, TransientPySOATransportError
from pysoa.common.transport.redis_gateway.codec import MessageCodec

__all__ = ("receive_of_client", "receive_of_server", "send_of_client")


@contextlib.contextmanager
def send_of_client(codec: MessageCodec) -> Iterator[None]:
    """Around the sending of a request."""
    try:
        with codec.timer("send"):
            yield
    except TransientPySOATransportError:
        codec.count("send.error.transient")
        raise


@contextlib.contextmanager
def receive_of_client(codec: MessageCodec) -> Iterator[None]:
    """Around the wait for a response."""
    try:
        with codec.timer("receive"):
            yield
    except MessageReceiveTimeout:
        codec.count("receive.error.timeout")
        raise
    except TransientPySOATransportError:
        codec.count("receive.error.transient")
        raise


@contextlib.contextmanager
def receive_of_server(timer: Timer) -> Iterator[None]:
    """Around the wait for a request; one in vain is not told."""
    timer.start()
    try:
        yield
    except MessageReceiveTimeout:
        raise
    except BaseException:
        timer.stop()
        raise
    timer.stop()
