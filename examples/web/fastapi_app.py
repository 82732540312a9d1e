"""FastAPI: one ``AsyncClient`` for each process, made when the application starts and closed when it ends.

``REDIS_URL=redis://127.0.0.1:6379 uvicorn fastapi_app:app``, in this folder, with the service ``example`` running.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from pysoa.client import AsyncClient
from pysoa.common.errors import PySOAError

SERVICES = {
    "example": {
        "transport": {
            "kwargs": {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {
                    "hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")],
                    "connection_kwargs": {"client_name": "fastapi_app"},  # for CLIENT LIST
                },
            },
        },
    },
}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncClient(SERVICES) as client:
        app.state.services = client
        yield


async def services(request: Request) -> AsyncClient:
    """The client, with a context of this request; it shares the connections of the application."""
    client: AsyncClient = request.app.state.services
    return client.with_context({"user": request.headers.get("x-user")})


app = FastAPI(lifespan=lifespan)


@app.get("/squares/{number}")
async def square(number: int, services: Annotated[AsyncClient, Depends(services)]) -> dict[str, Any]:
    response = await services.call_action("example", "square", {"number": number}, timeout=2)
    return response.body


@app.exception_handler(PySOAError)
async def failed(_: Request, error: PySOAError) -> JSONResponse:
    status = {"not_sent": 503, "unknown": 504}.get(error.outcome, 502)
    return JSONResponse({"error": type(error).__name__}, status)
