"""Runs the service that the first argument names."""

from __future__ import annotations

import sys

from pysoa.server.standalone import simple_main
from vec_service.settings import RUN


def main() -> None:
    if "clock" in RUN:
        from pysoa.common.transport.redis_gateway.backend.base import BrokerClock

        BrokerClock.now = lambda _: RUN["clock"]  # type: ignore[method-assign,misc]

    from vec_service.servers import SERVERS

    simple_main(lambda: SERVERS[sys.argv[1]])


if __name__ == "__main__":
    main()
