"""Settings from the environment variable ``VEC_SERVICE``, a JSON object.

Its keys: ``port`` of the broker, ``transport`` with further settings of the server's transport, ``settings`` with
further settings of the server, and ``clock``, the broker time at which to stand still.
"""

from __future__ import annotations

import json
import os
from typing import Any

RUN: dict[str, Any] = json.loads(os.environ["VEC_SERVICE"])

_BACKEND = {
    "backend_type": "redis.standard",
    "backend_layer_kwargs": {"hosts": [("127.0.0.1", RUN["port"])]},
    "receive_timeout_in_seconds": 1,
}

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": {**_BACKEND, **RUN.get("transport", {})},
    },
    "client_routing": {
        "vec_b": {
            "transport": {
                "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                "kwargs": {**_BACKEND, "receive_timeout_in_seconds": 5},
            }
        }
    },
    **RUN.get("settings", {}),
}
