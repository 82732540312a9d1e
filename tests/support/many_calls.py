"""Makes calls of every kind and says what client and worker use: ``python -m tests.support.many_calls URL``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

os.environ.setdefault("FAULT_SERVICE", '{"name": "none", "backend": {}}')

from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from tests.support.fault_service import measured
from tests.support.faults import SERVICE, client_of, standard

WARM_UP = 8_000
CALLS = 20_000


def call_in_all_ways(client: Client, count: int) -> int:
    """Make calls of every kind, good and bad, and some that time out; how many there were."""
    made = 0
    while made < count:
        for number in range(20):
            client.call_action(SERVICE, "echo", {"number": number}, timeout=5, context={"caller": f"c{made}"})
        list(client.call_actions_parallel(SERVICE, [{"action": "echo"}] * 10, timeout=5))
        future = client.call_action_future(SERVICE, "echo", timeout=5)
        client.call_action_future(SERVICE, "echo", timeout=5)  # nobody asks for its answer
        client.call_action(SERVICE, f"unknown{made}", raise_action_errors=False, timeout=5)
        future.result()
        client.send_request(SERVICE, [{"action": "echo"}], suppress_response=True)
        with contextlib.suppress(PySOAError):
            client.call_action(SERVICE, "note", {"token": "-", "seconds": 0.001}, timeout=0.0015)
        made += 35
    return made


def report(client: Client, calls: int) -> None:
    worker: Any = client.call_action(SERVICE, "measure", timeout=5).body
    sys.stdout.write(json.dumps({"calls": calls, "client": measured(), "worker": worker}) + "\n")


def main() -> None:
    client = client_of(standard(sys.argv[1]))
    warm_up = call_in_all_ways(client, WARM_UP)
    report(client, warm_up)
    report(client, warm_up + call_in_all_ways(client, CALLS))


if __name__ == "__main__":
    main()
