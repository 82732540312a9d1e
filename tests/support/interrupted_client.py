"""A client whose calls a signal breaks off, wherever they are: ``python -m tests.support.interrupted_client URL``.

After each, another call is made, which has to be right. It says what came of all as a line of JSON.
"""

from __future__ import annotations

import functools
import json
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from pysoa.client.client import Client
from tests.support.faults import SERVICE, Calls, client_of, standard

ROUNDS = 600
LONGEST_IN_SECONDS = 0.0006
TIMEOUT = 2.0


class Interrupted(Exception):
    """Raised by a signal handler."""


def call(client: Client, token: str) -> Any:
    return client.call_action(SERVICE, "echo", {"token": token}, timeout=TIMEOUT).body["token"]


def call_in_parallel(client: Client, token: str) -> Any:
    actions = [{"action": "echo", "body": {"token": token}}] * 3
    (answer,) = {answer.body["token"] for answer in client.call_actions_parallel(SERVICE, actions, timeout=TIMEOUT)}
    return answer


def call_later(client: Client, token: str) -> Any:
    return client.call_action_future(SERVICE, "echo", {"token": token}, timeout=TIMEOUT).result().body["token"]


WAYS: list[Callable[[Client, str], Any]] = [call, call_in_parallel, call_later]


def main() -> None:
    client = client_of(standard(sys.argv[1]))
    calls = Calls()
    chance = random.Random(1)
    is_under_way = False
    interrupted = 0

    def interrupt(*_: object) -> None:
        if is_under_way:
            raise Interrupted

    signal.signal(signal.SIGALRM, interrupt)
    for _ in range(ROUNDS):
        way = chance.choice(WAYS)
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00002, LONGEST_IN_SECONDS))
        try:
            is_under_way = True
            way(client, calls.token())
            is_under_way = False
        except Interrupted:
            interrupted += 1
        is_under_way = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        calls.try_one(functools.partial(way, client), TIMEOUT)
    report = {
        "interrupted": interrupted,
        "right": len(calls.right),
        "failed": [repr(each.error) for each in calls.failed],
        "broken": calls.broken,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
