"""Runs the service that the first argument names."""

from __future__ import annotations

import sys

from pysoa.server.standalone import simple_main
from vec_service.settings import RUN


def main() -> None:
    if "clock" in RUN:
        from pysoa.common.transport.redis_gateway.backend.base import BrokerClock

        def standing(clock: BrokerClock) -> float:
            return float(RUN["clock"])

        BrokerClock.now = standing  # type: ignore[method-assign]

    from vec_service.servers import SERVERS

    simple_main(lambda: SERVERS[sys.argv[1]])


if __name__ == "__main__":
    main()
