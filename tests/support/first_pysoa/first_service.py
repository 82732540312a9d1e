"""A service for the first PySOA, which runs in an environment of its own: Python 3.6 and PySOA 0.42.0, or newer.

``python -m first_service -s first_service``, with the port of the broker in ``FIRST_PORT``. Settings in JSON in
``FIRST_TRANSPORT`` are added to those of its transport. No annotations: Python 3.6 has not all that ours use.
"""

import json
import os
import time

from pysoa.common.types import Error
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError

try:
    from pysoa.server.server import Server
except ImportError:
    from pysoa.server import Server

SOA_SERVER_SETTINGS = {
    "transport": {
        "path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport",
        "kwargs": dict(
            json.loads(os.environ.get("FIRST_TRANSPORT", "{}")),
            backend_type="redis.standard",
            backend_layer_kwargs={"hosts": [("127.0.0.1", int(os.environ["FIRST_PORT"]))]},
            receive_timeout_in_seconds=1,
        ),
    },
    "harakiri": {"timeout": 30, "shutdown_grace": 5},
}


class Echo(Action):
    def run(self, request):
        return request.body


class Square(Action):
    def run(self, request):
        return {"square": request.body["number"] ** 2}


class Large(Action):
    def run(self, request):
        return {"blob": "x" * request.body["size"]}


class Slow(Action):
    def run(self, request):
        time.sleep(request.body["seconds"])
        return {}


class Fail(Action):
    def run(self, request):
        raise ActionError([Error(code="TEAPOT", message="short and stout", field="pot.lid", variables={"temp": 99})])


class Explode(Action):
    def run(self, request):
        raise ValueError("kaboom")


class FirstServer(Server):
    service_name = "first"
    action_class_map = {
        "echo": Echo,
        "square": Square,
        "large": Large,
        "slow": Slow,
        "fail": Fail,
        "explode": Explode,
    }


if __name__ == "__main__":
    FirstServer.main()
