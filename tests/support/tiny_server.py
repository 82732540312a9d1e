"""A stand-in for a service, for tests of what runs services: it needs no broker and does what the environment says.

Run it with ``python -m tests.support.tiny_server -f 2``. ``TINY_MODE`` is one of

* ``serve`` (the default): runs until SIGTERM, then takes ``TINY_DRAIN`` seconds to finish; a second ends it;
* ``crash``: ends at once, with exit code 1;
* ``stuck``: does not end on signals;
* ``starting``: has installed no handlers yet.

With ``TINY_PLATFORM`` it takes itself to be on another system. With ``TINY_GRACE`` the supervisor is called directly,
with so many seconds of grace.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from pysoa.server.internal.supervisor import supervise
from pysoa.server.standalone import simple_main


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # in one piece: the workers share the pipe


class TinyServer:
    service_name = "tiny"
    use_django = False

    @classmethod
    def pre_fork(cls) -> None:
        say(f"pre_fork in {os.getpid()}")

    @classmethod
    def main(cls, forked_process_id: int | None = None) -> None:
        name = f"worker {forked_process_id}"
        mode = os.environ.get("TINY_MODE", "serve")
        signals = 0
        told_to_stop = threading.Event()

        def note(signal_number: int, _frame: object) -> None:
            nonlocal signals
            signals += 1
            if signals == 2 and mode == "serve":
                os._exit(1)
            told_to_stop.set()

        if mode != "starting":
            signal.signal(signal.SIGTERM, note)
            signal.signal(signal.SIGINT, note)
        say(f"{name} is {os.getpid()}")

        if mode == "crash":
            sys.exit(1)
        while not told_to_stop.wait(1):  # Python may look for signals a moment too early to see one before it waits
            pass
        if mode == "stuck":
            threading.Event().wait()
        threading.Event().wait(float(os.environ.get("TINY_DRAIN", "0")))
        say(f"{name} has drained after {signals} signal(s)")


if __name__ == "__main__":
    sys.platform = os.environ.get("TINY_PLATFORM", sys.platform)
    if "TINY_GRACE" in os.environ:
        supervise(TinyServer, 2, grace_in_seconds=float(os.environ["TINY_GRACE"]))
    else:
        simple_main(lambda: TinyServer)
    say("the supervisor has ended")
