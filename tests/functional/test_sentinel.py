"""Services on a broker that Sentinel looks after, while its master is killed."""

from __future__ import annotations

import time

from tests.support.brokers import SentinelGroup
from tests.support.faults import BOTH_ENGINES, Calls, Services, by_sentinel, load
from tests.support.raw import wait_until

TIMEOUT = 3.0
CALLERS = 6


@BOTH_ENGINES
def test_three_services_answer_rightly_again_two_seconds_after_the_promotion_of_a_new_master(
    sentinel: SentinelGroup, services: Services
) -> None:
    backend = by_sentinel(sentinel.sentinels, sentinel.name)
    old = sentinel.primary()
    for name, following in (("c", None), ("b", "c"), ("a", "b")):
        further = {} if following is None else {"next": following, "next_timeout": TIMEOUT - 0.5}
        services.start(backend, name=name, announced_at=old.url, **further)
    client = services.client(backend, "a")
    calls = Calls()

    def chain(token: str) -> str:
        body = client.call_action("a", "chain", {"token": token}, timeout=TIMEOUT).body
        assert body["path"] == ["a", "b", "c"]
        return str(body["token"])

    with load(calls, chain, timeout=TIMEOUT, threads=CALLERS):
        wait_until(lambda: len(calls.right) > 200, "the load is on")
        sentinel.kill_primary()
        killed_at = time.monotonic()
        sentinel.wait_for_promotion(old)
        promoted_at = time.monotonic()
        well_from = promoted_at + 2.0
        wait_until(lambda: time.monotonic() > well_from + 1.5, "all is well for a while")
    client.close()

    assert not calls.broken
    back_at = min(call.ended for call in calls.right if call.ended > promoted_at)
    last_failure = max((call.ended for call in calls.failed), default=killed_at)
    after = [call for call in calls.right if call.began > well_from]
    print(
        f"{len(calls.right)} right, {len(calls.failed)} failed {dict(calls.outcomes())}, promoted after "
        f"{promoted_at - killed_at:.2f} s, first right answer {back_at - promoted_at:.2f} s and last failure "
        f"{last_failure - promoted_at:.2f} s after that, longest overrun {calls.longest_overrun:.3f} s"
    )
    assert not [call for call in calls.failed if call.began > well_from]
    assert len(after) > 100
