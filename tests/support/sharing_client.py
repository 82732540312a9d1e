"""A client that is used by threads and carried over forks: ``python -m tests.support.sharing_client URL``.

Before the forks it is used, and while threads of the parent use it. Then the parent and all children use it at once,
each from several threads: calls, futures that are asked in another order and by other threads than they were made in,
parallel calls, and calls that time out and are answered late. Each process prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import queue
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from pysoa.client.client import Client
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageReceiveTimeout
from tests.support.faults import SERVICE, Calls, client_of, load, standard

CHILDREN = 3
THREADS = 3
ROUNDS = 400
TIMEOUT = 10.0


class Sharing:
    """What one process does with the client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls = Calls()
        self.late = 0
        self._futures: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def call(self, token: str) -> Any:
        return self.client.call_action(SERVICE, "echo", {"token": token}, timeout=TIMEOUT).body["token"]

    def call_in_parallel(self, token: str) -> Any:
        actions = [{"action": "echo", "body": {"token": f"{token}.{number}"}} for number in range(4)]
        answers = list(self.client.call_actions_parallel(SERVICE, actions, timeout=TIMEOUT))
        assert [answer.body["token"] for answer in answers] == [action["body"]["token"] for action in actions]  # type: ignore[index]
        return token

    def swap_futures(self, token: str) -> Any:
        """Put a future down and take one that may be another thread's."""
        future = self.client.call_action_future(SERVICE, "echo", {"token": token}, timeout=TIMEOUT)
        self._futures.put((token, future))
        expected, other = self._futures.get()
        answer = other.result().body["token"]
        return token if answer == expected else f"{answer} for the future of {expected}"

    def come_too_late(self) -> None:
        """Ask for what takes longer than the caller waits: the answer comes while later calls wait for theirs."""
        token = self.calls.token()
        body = {"token": token, "seconds": 0.004}
        try:
            answer = self.client.call_action(SERVICE, "note", body, timeout=0.003).body["token"]
        except PySOAError as error:  # the sending may have used the time up already
            self.late += isinstance(error, MessageReceiveTimeout)
        else:
            if answer != token:
                self.calls.broken.append(f"asked with {token!r}, answered with {answer!r}")

    def work(self) -> None:
        try:
            self._work()
        except BaseException:
            self.calls.broken.append(traceback.format_exc())

    def _work(self) -> None:
        kinds: list[Callable[[str], Any]] = [self.call, self.call, self.call_in_parallel, self.swap_futures]
        chance = random.Random(threading.get_ident())
        for number in range(ROUNDS):
            if number % 6 == 0:
                self.come_too_late()
            self.calls.try_one(chance.choice(kinds), TIMEOUT)

    def run(self) -> None:
        threads = [threading.Thread(target=self.work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def report(self) -> None:
        failed = [repr(call.error) for call in self.calls.failed]
        line = {"right": len(self.calls.right), "late": self.late, "failed": failed, "broken": self.calls.broken}
        os.write(1, f"{json.dumps(line)}\n".encode())


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking while there are threads: that is what is tried
    client = client_of(standard(sys.argv[1]))
    parent = Sharing(client)
    # A future that is open across the fork: its answer is the parent's.
    token = parent.calls.token()
    future = client.call_action_future(SERVICE, "echo", {"token": token}, timeout=TIMEOUT)
    children = []
    with load(parent.calls, parent.call, timeout=TIMEOUT, threads=2):
        for _ in range(CHILDREN):
            parent.calls.try_one(parent.call, TIMEOUT)
            pid = os.fork()
            if not pid:
                run_child(client, future)
            children.append(pid)
    parent.run()
    parent.calls.try_one(lambda _: _ if future.result().body["token"] == token else "a foreign answer", TIMEOUT)
    parent.report()
    for pid in children:
        os.waitpid(pid, 0)


def run_child(client: Client, future: Any) -> None:
    try:
        child = Sharing(client)
        try:
            child.calls.broken.append(f"the parent's answer {future.result(timeout=0.2).body}")
        except Exception as error:
            if getattr(error, "outcome", None) != "unknown":
                child.calls.broken.append(f"{error!r} for the parent's future")
        child.run()
        child.report()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
