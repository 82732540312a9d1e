"""What takes how long in an event loop, for those who record it; for others nothing here runs."""

from __future__ import annotations

import contextlib

from pysoa.common.instruments import Timer
from pysoa.common.transport.redis_gateway.async_push import Push, PushState
from pysoa.common.transport.redis_gateway.codec import MessageCodec
from pysoa.common.transport.redis_gateway.core import RedisTransportCore

__all__ = ("LineTimes", "TimedPush")


class LineTimes:
    """Times what a line does that several clients may share.

    Attributes:
        recorders: of those, the ones that record metrics.
    """

    def __init__(self) -> None:
        self.recorders: list[MessageCodec] = []
        self._pop: list[Timer] = []

    def of(self, name: str) -> contextlib.ExitStack:
        """Timers to enter, for all."""
        stack = contextlib.ExitStack()
        for recorder in self.recorders:
            stack.enter_context(recorder.timer(name))
        return stack

    def pop_begins(self) -> None:
        """A pop is under way."""
        self._pop = [recorder.begin("receive.pop_from_redis_queue") for recorder in self.recorders]

    def pop_ends(self) -> None:
        """It is over, if there was one."""
        timers, self._pop = self._pop, []
        for timer in timers:
            timer.stop()


class TimedPush(Push):
    """Times the sending of a message, and each push of it.

    It is on its way while its state says so, whoever changes that: so the timers follow the state. Subclasses call
    ``begin`` before anything else.
    """

    _state: PushState

    def begin(self, core: RedisTransportCore) -> None:
        """Sending it begins."""
        self._times = core
        self._sending: Timer | None = core.begin("send")
        self._pushing: Timer | None = None

    @property
    def state(self) -> PushState:
        return self._state

    @state.setter
    def state(self, state: PushState) -> None:
        self._state = state
        if self._pushing is not None:
            self._pushing.stop()
            self._pushing = None
        if state is PushState.WRITTEN:
            self._pushing = self._times.begin("send.send_message_to_redis_queue")
        elif self._sending is not None and state is not PushState.WAITING:
            self._sending.stop()
            self._sending = None
            self.sending_is_over()

    def sending_is_over(self) -> None:
        """It is in its list, or it will never be."""
