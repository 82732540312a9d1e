"""Names of queues, under the path that the first PySOA gave them."""

from __future__ import annotations

from pysoa.common.protocol.queues import request_queue_name

__all__ = ("make_redis_queue_name",)


def make_redis_queue_name(service_name: str) -> str:
    """The request queue of a service, without the prefix of all keys."""
    return request_queue_name(service_name)
