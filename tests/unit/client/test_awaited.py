from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pysoa.client.awaited import AwaitedCall, AwaitedResponses
from pysoa.common.clock import monotonic
from pysoa.common.transport.errors import DeadlinePassed, MessageReceiveError, MessageReceiveTimeout
from pysoa.common.types import JobResponse

A_WHILE = 10.0


class Channel:
    """A channel to read, where a test says what arrives and when."""

    def __init__(self, awaited: AwaitedResponses) -> None:
        self.awaited = awaited
        self.arrived: list[Any] = []
        self.readers = 0
        self.most_readers = 0
        self._changed = threading.Condition()

    def arrive(self, *things: Any) -> None:
        with self._changed:
            self.arrived.extend(things)
            self._changed.notify_all()

    def until_read(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.readers > 0, A_WHILE)

    def read(self, timeout: float | None) -> tuple[int | None, JobResponse | None]:
        with self._changed:
            self.readers += 1
            self.most_readers = max(self.most_readers, self.readers)
            self._changed.notify_all()
            try:
                if not self._changed.wait_for(lambda: self.arrived, timeout or A_WHILE):
                    raise MessageReceiveTimeout("nothing came")
                thing = self.arrived.pop(0)
            finally:
                self.readers -= 1
        if isinstance(thing, BaseException):
            raise thing
        return thing, None if thing is None else JobResponse(context={"id": thing})


class Waiting:
    """A thread that does something, and what came of it."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self._task = task
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._task()
        except BaseException as error:
            self.outcome = error

    def join(self) -> Any:
        self._thread.join(A_WHILE)
        assert not self._thread.is_alive()
        return self.outcome


@pytest.fixture
def awaited() -> AwaitedResponses:
    return AwaitedResponses("square")


@pytest.fixture
def channel(awaited: AwaitedResponses) -> Channel:
    return Channel(awaited)


def call_for(awaited: AwaitedResponses, *request_ids: int) -> AwaitedCall:
    call = AwaitedCall(request_ids, "channel")
    awaited.claim(request_ids)
    return call


def gather(channel: Channel, call: AwaitedCall, timeout: float | None = A_WHILE) -> list[Any]:
    channel.awaited.gather(call, channel.read, None if timeout is None else monotonic() + timeout)
    return [response.context["id"] for response in call.responses.values() if isinstance(response, JobResponse)]


def until_follows(awaited: AwaitedResponses, followers: int = 1) -> None:
    deadline = monotonic() + A_WHILE
    while awaited._followers < followers:
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_responses_may_come_in_any_order(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1, 2, 3)
    channel.arrive(3, 1, 2)

    assert gather(channel, call) == [3, 1, 2]
    assert awaited._known == {}


def test_what_comes_for_another_call_is_kept_for_it(awaited: AwaitedResponses, channel: Channel) -> None:
    first, second = call_for(awaited, 1), call_for(awaited, 2)
    channel.arrive(2, 1)

    assert gather(channel, first) == [1]
    assert gather(channel, second) == [2]
    assert (awaited._known, awaited._parked) == ({}, {})


def test_a_follower_gets_its_response_while_the_leader_waits_on(awaited: AwaitedResponses, channel: Channel) -> None:
    leading, following = call_for(awaited, 1), call_for(awaited, 2)
    leader = Waiting(lambda: gather(channel, leading))
    channel.until_read()
    follower = Waiting(lambda: gather(channel, following))
    until_follows(awaited)

    channel.arrive(2)

    assert follower.join() == [2]
    channel.arrive(1)
    assert leader.join() == [1]
    assert channel.most_readers == 1


def test_when_the_leader_has_what_it_wants_a_follower_leads(awaited: AwaitedResponses, channel: Channel) -> None:
    leading, following = call_for(awaited, 1), call_for(awaited, 2)
    leader = Waiting(lambda: gather(channel, leading))
    channel.until_read()
    follower = Waiting(lambda: gather(channel, following))
    until_follows(awaited)

    channel.arrive(1)
    assert leader.join() == [1]
    channel.arrive(2)

    assert follower.join() == [2]


@pytest.mark.parametrize("error", [MessageReceiveError("lost"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_when_the_leader_fails_a_follower_leads(
    awaited: AwaitedResponses, channel: Channel, error: BaseException
) -> None:
    leading, following = call_for(awaited, 1), call_for(awaited, 2)
    leader = Waiting(lambda: gather(channel, leading))
    channel.until_read()
    follower = Waiting(lambda: gather(channel, following))
    until_follows(awaited)

    channel.arrive(error, 2)

    assert leader.join() is error
    assert follower.join() == [2]
    assert awaited._leaders == {}


def test_a_follower_keeps_its_own_deadline(awaited: AwaitedResponses, channel: Channel) -> None:
    leading, following = call_for(awaited, 1), call_for(awaited, 2)
    leader = Waiting(lambda: gather(channel, leading))
    channel.until_read()

    began = monotonic()
    with pytest.raises(MessageReceiveTimeout, match=r"^No message received for service square$"):
        gather(channel, following, 0.05)

    assert monotonic() - began < 1
    channel.arrive(1)
    assert leader.join() == [1]


def test_a_deadline_holds_over_all_responses(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1, 2)
    channel.arrive(1)

    with pytest.raises(MessageReceiveTimeout):
        gather(channel, call, 0.05)

    assert list(call.responses) == [1]
    assert call.missing == {2}


def test_a_deadline_that_has_passed_is_not_waited_for(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1)

    with pytest.raises(DeadlinePassed, match="call to square is"):
        gather(channel, call, -1)


def test_two_threads_may_wait_for_the_same(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1, 2)
    first = Waiting(lambda: gather(channel, call))
    channel.until_read()
    second = Waiting(lambda: gather(channel, call))
    until_follows(awaited)

    channel.arrive(1, 2)

    assert first.join() == [1, 2]
    assert second.join() == [1, 2]


def test_channels_do_not_wait_for_one_another(awaited: AwaitedResponses) -> None:
    one, other = Channel(awaited), Channel(awaited)
    call = call_for(awaited, 1)
    leader = Waiting(lambda: gather(one, call))
    one.until_read()
    elsewhere = call_for(awaited, 2)
    elsewhere.channel = "other"
    other.arrive(2)

    assert gather(other, elsewhere) == [2]
    one.arrive(1)
    assert leader.join() == [1]


def test_what_is_forgotten_is_dropped_when_it_comes(awaited: AwaitedResponses, channel: Channel) -> None:
    first, second = call_for(awaited, 1), call_for(awaited, 2)
    awaited.forget(first.missing)
    channel.arrive(1, 2)

    assert gather(channel, second) == [2]
    assert awaited._parked == {}


def test_when_no_more_come_ids_stay_missing(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1)
    channel.arrive(None)

    assert gather(channel, call) == []
    assert call.missing == {1}


def test_asking_for_all_leaves_to_calls_what_is_theirs(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1)
    awaited.expect(2, "channel")
    channel.arrive(1, 2)

    found = awaited.next_unclaimed("channel", channel.read, None, True)

    assert found is not None
    assert found[0] == 2
    assert awaited.next_unclaimed("channel", channel.read, None, True) is None
    assert gather(channel, call) == [1]


def test_asking_for_all_leaves_to_other_threads_what_is_theirs(awaited: AwaitedResponses, channel: Channel) -> None:
    awaited.expect(1, "other")
    call = call_for(awaited, 2)
    channel.arrive(1, 2)

    assert gather(channel, call) == [2]
    assert awaited.next_unclaimed("channel", channel.read, None, True) is None
    found = awaited.next_unclaimed("other", channel.read, None, True)
    assert found is not None
    assert found[0] == 1


def test_one_that_asks_for_all_follows_a_leader(awaited: AwaitedResponses, channel: Channel) -> None:
    call = call_for(awaited, 1)
    awaited.expect(2, "channel")
    leader = Waiting(lambda: gather(channel, call))
    channel.until_read()
    asking = Waiting(lambda: awaited.next_unclaimed("channel", channel.read, A_WHILE, True))
    until_follows(awaited)

    channel.arrive(2)

    assert asking.join()[0] == 2
    channel.arrive(1)
    assert leader.join() == [1]


def test_a_stand_in_keeps_what_it_does_not_know_but_not_without_bound() -> None:
    awaited = AwaitedResponses("square", is_stand_in=True)
    channel = Channel(awaited)
    channel.arrive(*range(1, 10_500), 0)

    assert gather(channel, call_for(awaited, 0)) == [0]
    assert len(awaited._parked) == 10_000
    assert gather(channel, call_for(awaited, 10_499)) == [10_499]
