"""Flask: one blocking ``Client`` for each process, shared by its threads.

``REDIS_URL=redis://127.0.0.1:6379 flask --app flask_app run``, in this folder, with the service ``example`` running.
"""

import os
from typing import Any

from flask import Flask, request

from pysoa.client import Client
from pysoa.common.errors import PySOAError

SERVICES = {
    "example": {
        "transport": {
            "kwargs": {
                "backend_type": "redis.standard",
                "backend_layer_kwargs": {
                    "hosts": [os.environ.get("REDIS_URL", "redis://localhost:6379")],
                    "connection_kwargs": {"client_name": "flask_app"},  # for CLIENT LIST
                },
            },
        },
    },
}

# Opens no connection before it is used, so the process may fork after this.
client = Client(SERVICES)
app = Flask(__name__)


def services() -> Client:
    """The client, with a context of the present request; it shares the connections of the process."""
    return client.with_context({"user": request.headers.get("x-user")})


@app.get("/squares/<int:number>")
def square(number: int) -> dict[str, Any]:
    return services().call_action("example", "square", {"number": number}, timeout=2).body


@app.errorhandler(PySOAError)
def failed(error: PySOAError) -> tuple[dict[str, str], int]:
    status = {"not_sent": 503, "unknown": 504}.get(error.outcome, 502)
    return {"error": type(error).__name__}, status
