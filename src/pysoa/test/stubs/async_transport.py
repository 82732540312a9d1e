"""The asyncio twin of ``StubClientTransport``."""

from __future__ import annotations

from pysoa.common.instruments import NO_METRICS, Recorder
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.transport.async_local import AsyncLocalClientTransport
from pysoa.test.stub_service import ActionMap, StubClientTransportSchema, stub_server_class

__all__ = ("AsyncStubClientTransport",)


@accepts_kwargs(StubClientTransportSchema())
class AsyncStubClientTransport(AsyncLocalClientTransport):
    """A transport with a server of stubs, for an ``AsyncClient``; see ``StubClientTransport`` for its arguments."""

    def __init__(
        self, service_name: str = "test", metrics: Recorder | None = None, action_map: ActionMap | None = None
    ) -> None:
        super().__init__(service_name, metrics or NO_METRICS, stub_server_class(service_name, action_map), {})
