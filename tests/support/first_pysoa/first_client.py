"""A client of the first PySOA, which runs in an environment of its own: Python 3.6 and PySOA 0.42.0, or newer.

Calls one client after another as the lines on standard input say, and says on standard output what came of each. Each
line is JSON: first ``{"port": ..., "service": ..., "transport": {...}}``, then ``[method, arguments]``.
"""

import json
import sys

from pysoa.client.client import Client
from pysoa.common.types import ActionResponse, JobResponse


def told(value):
    """A value that JSON can say."""
    if isinstance(value, ActionResponse):
        return {"action": value.action, "errors": [told(each) for each in value.errors], "body": value.body}
    if isinstance(value, JobResponse):
        return {"errors": [told(each) for each in value.errors], "actions": [told(each) for each in value.actions]}
    if hasattr(value, "code"):
        return {"code": value.code, "message": value.message, "field": value.field}
    if isinstance(value, (list, tuple)) or hasattr(value, "__next__"):
        return [told(each) for each in value]
    return value


def main():
    setup = json.loads(sys.stdin.readline())
    kwargs = dict(
        setup.get("transport", {}),
        backend_type="redis.standard",
        backend_layer_kwargs={"hosts": [("127.0.0.1", setup["port"])]},
        receive_timeout_in_seconds=10,
    )
    path = "pysoa.common.transport.redis_gateway.client:RedisClientTransport"
    client = Client({setup["service"]: {"transport": {"path": path, "kwargs": kwargs}}})
    for line in sys.stdin:
        method, arguments = json.loads(line)
        try:
            result = {"returned": told(getattr(client, method)(setup["service"], **arguments))}
        except Exception as error:  # whatever it is, the test is told
            errors = getattr(error, "errors", None) or [e for a in getattr(error, "actions", ()) for e in a.errors]
            result = {"raised": type(error).__name__, "text": str(error), "errors": told(errors)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
