"""Memory, descriptors and threads over many calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from pysoa.cli.broker import Broker
from tests.support.faults import ENGINES, Services, standard
from tests.support.processes import Process

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("concurrency", "calls"),
    [(ENGINES["blocking"], "many_calls"), (ENGINES["asyncio"], "many_async_calls")],
    ids=["blocking", "asyncio"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="reads resident memory from /proc")
def test_memory_descriptors_and_threads_stay_flat_over_many_calls(
    broker: Broker, services: Services, start_module: Callable[..., Process], calls: str
) -> None:
    services.start(standard(broker.url), announced_at=broker.url)

    caller = start_module(f"tests.support.{calls}", broker.url)

    assert caller.wait(60) == 0
    before, after = (json.loads(line) for line in caller.output.splitlines())
    for side in ("client", "worker"):
        growth = {name: after[side][name] - before[side][name] for name in after[side] if name != "pid"}
        print(f"{side}: {growth} over {after['calls'] - before['calls']} calls", end="; ")
        assert growth["memory"] < MEBIBYTE
        assert growth["descriptors"] <= 2  # connections: after a timeout, a pop may still be under way on one more
        assert growth["threads"] <= 0
    assert after["calls"] - before["calls"] >= 20_000
