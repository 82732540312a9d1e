"""Who waits for which response.

Responses come in the order in which servers finish, and on channels (see ``ClientTransport.channel``): one for each
thread that sends, or one for all, as the transport has it. Requests are paired with responses by their ids. One thread
at a time reads a channel, and leads there; what it reads for others it parks for them. Whoever else waits on the
channel follows: it looks up when something has been parked, and leads when the leader has left.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from threading import get_ident
from types import MethodType
from typing import Any, Final, TypeAlias

from pysoa.common.clock import monotonic
from pysoa.common.forks import FORKS, start_anew_in_children
from pysoa.common.transport.errors import (
    DeadlinePassed,
    InvalidMessageError,
    MessageReceiveError,
    MessageReceiveTimeout,
)
from pysoa.common.types import JobResponse

__all__ = ("AwaitedCall", "AwaitedResponses", "FutureCall", "Read", "StandIn", "gather_from_stand_in")

Read: TypeAlias = Callable[[float | None], tuple[int | None, JobResponse | None]]
"""Reads the next response of a channel within so many seconds; ``(None, None)`` when none is outstanding."""

OWN_CHANNEL: Final[Any] = object()
_CLAIMED: Final[Any] = object()
_MAX_UNCLAIMED: Final = 10_000
_MAX_PARKED_OF_STAND_IN: Final = 10_000


class AwaitedCall:
    """Requests that one caller waits for together.

    Attributes:
        missing: the ids of requests without a response yet.
        responses: what has come, by id; an exception where a response came that cannot be read.
        channel: where the responses arrive.
        generation: that of the process that sent the requests.
    """

    __slots__ = ("channel", "generation", "missing", "responses")

    def __init__(self, request_ids: Iterable[int], channel: Hashable) -> None:
        self.missing = set(request_ids)
        self.responses: dict[int, JobResponse | Exception | None] = {}
        self.channel = channel
        self.generation = FORKS.count

    def on_channel(self, channel: Hashable) -> AwaitedCall:
        """The same call, waiting on another channel; both take up the same responses."""
        call = AwaitedCall((), channel)
        call.missing, call.responses, call.generation = self.missing, self.responses, self.generation
        return call

    def response_to(self, request_id: int) -> JobResponse | None:
        """The response to a request, if it has come; raises what was wrong with one that cannot be read."""
        response = self.responses.get(request_id)
        if isinstance(response, Exception):
            raise response
        return response


class FutureCall(AwaitedCall):
    """Requests that somebody may wait for later; when this object goes, nobody will."""

    __slots__ = ("_abandoned",)

    def __init__(self, request_ids: Iterable[int], channel: Hashable, abandoned: deque[int]) -> None:
        self._abandoned = abandoned
        super().__init__(request_ids, channel)

    def __del__(self) -> None:
        missing = getattr(self, "missing", None)  # an interrupt may have come while it was made
        if missing:
            self._abandoned.extend(missing)


class _Reading(threading.local):
    """What a thread is reading: from which channel, and, once it is known, the response to which request."""

    channel: Hashable = OWN_CHANNEL
    request_id: int | None = None
    dropped: tuple[int, ...] = ()


class AwaitedResponses:
    """The requests of one service that are awaited, and the responses that came before somebody took them.

    Any thread may use it. Its lock guards data and is never held while something is awaited.

    Args:
        service_name: the service.
        is_stand_in: whether responses come from somebody who stands in for the client's own receiving and makes up
            ids of its own: then all that come are kept, though not without bound.

    Attributes:
        reading: what the current thread is reading.
        abandoned: ids that nobody will wait for any more, still to be forgotten.
    """

    def __init__(self, service_name: str, is_stand_in: bool = False) -> None:
        self._service_name = service_name
        self._is_stand_in = is_stand_in
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Forget everything; in a child process, what is awaited is the parent's."""
        self.reading = _Reading()
        self.abandoned: deque[int] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._followers = 0
        self._leaders: dict[Hashable, int] = {}
        # By id, the channel where the response arrives, or _CLAIMED: then a call or a future waits for it.
        self._known: dict[int, Hashable] = {}
        self._parked: dict[int, JobResponse | Exception | None] = {}
        self._prune_at = _MAX_UNCLAIMED

    # What is awaited

    def expect(self, request_id: int, channel: Hashable) -> list[int]:
        """Await the response to a request; whoever asks for all responses of the channel gets it.

        Returns:
            The ids of the oldest requests, if there are too many whose responses nobody has asked for.
        """
        self._known[request_id] = channel
        return self._forget_oldest() if len(self._known) > self._prune_at else []

    def expect_for_call(self, request_id: int) -> None:
        """Await the response to a request, for a call or a future and for nobody else."""
        self._known[request_id] = _CLAIMED

    def claim(self, request_ids: Iterable[int]) -> None:
        """Keep the responses to these requests from those who ask for all responses."""
        for request_id in request_ids:
            self._known[request_id] = _CLAIMED

    def release(self, call: AwaitedCall) -> None:
        """Let those who ask for all responses of the channel have what a call waits for."""
        for request_id in list(call.missing):
            if request_id in self._known:
                self._known[request_id] = call.channel

    def claim_again(self, call: AwaitedCall) -> None:
        """Undo ``release``."""
        for request_id in list(call.missing):
            if request_id in self._known:
                self._known[request_id] = _CLAIMED

    def forget(self, request_ids: Iterable[int]) -> None:
        """Nobody waits for these any more; their responses will be dropped."""
        with self._lock:
            for request_id in request_ids:
                self._known.pop(request_id, None)
                self._parked.pop(request_id, None)

    def is_awaited(self, request_id: object) -> bool:
        try:
            return request_id in self._known
        except TypeError:  # not even hashable: junk
            return False

    def _forget_oldest(self) -> list[int]:
        known = self._known.copy()
        unclaimed = [request_id for request_id, channel in known.items() if channel is not _CLAIMED]
        oldest = unclaimed[:-_MAX_UNCLAIMED]
        self.forget(oldest)
        self._prune_at = len(known) - len(oldest) + _MAX_UNCLAIMED // 2
        return oldest

    # Waiting

    def gather(self, call: AwaitedCall, read: Read, deadline: float | None) -> None:
        """Wait for the responses that a call misses.

        When the transport has no more, ids may still be missing afterwards.

        Args:
            call: takes up the responses.
            read: reads the channel of the call.
            deadline: when to stop, in ``monotonic`` time; with None each read takes as long as it does.

        Raises:
            MessageReceiveTimeout: the deadline has passed. What has come is in the call.
            MessageReceiveError: another process has sent the requests.
            Exception: what ``read`` raises.
        """
        me = get_ident()
        leads = False
        try:
            while True:
                with self._lock:
                    if call.generation != FORKS.count:
                        raise MessageReceiveError(
                            f"Requests to service {self._service_name} were sent by the parent of this process"
                        )
                    if self._parked:
                        self._take_parked(call)
                    if not call.missing:
                        return
                    leader = self._leaders.get(call.channel)
                    if leader is None:
                        leads = True
                        self._leaders[call.channel] = me
                    elif leader != me:  # else a nested call, made by middleware while it receives
                        self._follow(deadline)
                        continue
                self._lead(call, read, deadline)
                return
        finally:
            if leads:
                self.resign(call.channel)

    def next_unclaimed(
        self, channel: Hashable, read: Read, timeout: float | None, may_ask_for_nothing: bool
    ) -> tuple[int, JobResponse] | None:
        """Wait for any response of the channel that no call and no future waits for.

        Args:
            channel: where to wait.
            read: reads it.
            timeout: how many seconds each read may take.
            may_ask_for_nothing: whether ``read`` may be called though nothing is outstanding.

        Returns:
            A request id and its response; None when none is outstanding.
        """
        me = get_ident()
        leads = False
        try:
            while True:
                with self._lock:
                    request_id, response = self._take_unclaimed(channel)
                    if request_id is None:
                        if self._known:
                            if channel not in list(self._known.values()):  # a copy: sending threads take no lock
                                return None
                        elif not may_ask_for_nothing:
                            return None
                        leader = self._leaders.get(channel)
                        if leader is None:
                            leads = True
                            self._leaders[channel] = me
                        elif leader != me:
                            self._follow(None if timeout is None else monotonic() + timeout)
                            continue
                if request_id is None:
                    try:
                        request_id, response = read(timeout)
                    except Exception as error:
                        request_id = self.reading.request_id
                        if request_id is None:
                            raise
                        if self._known.get(request_id) is not _CLAIMED:
                            self._known.pop(request_id, None)
                            raise
                        self._park_error(error)
                        continue
                self.reading.request_id = None
                if request_id is None:
                    if channel is not None:
                        # The transport has given up what this thread had sent; on a channel that threads share, another
                        # may be about to send.
                        self.forget([key for key, where in self._known.copy().items() if where == channel])
                    return None
                if self._known.get(request_id) is _CLAIMED:
                    self._park(request_id, response)
                    continue
                self._known.pop(request_id, None)
                if isinstance(response, Exception):
                    raise response
                return request_id, response
        finally:
            if leads:
                self.resign(channel)

    def _take_parked(self, call: AwaitedCall) -> None:
        for request_id in [request_id for request_id in list(call.missing) if request_id in self._parked]:
            call.responses[request_id] = self._parked.pop(request_id)
            self._known.pop(request_id, None)
            call.missing.discard(request_id)

    def _take_unclaimed(self, channel: Hashable) -> tuple[int | None, Any]:
        for request_id in self._parked:
            if self._known.get(request_id) == channel:
                return request_id, self._parked.pop(request_id)
        return None, None

    def _follow(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            raise MessageReceiveTimeout(f"No message received for service {self._service_name}")
        self._followers += 1
        try:
            self._changed.wait(left)
        finally:
            self._followers -= 1

    def _lead(self, call: AwaitedCall, read: Read, deadline: float | None) -> None:
        missing = call.missing
        reading = self.reading
        left = None
        while missing:
            if deadline is not None:
                left = deadline - monotonic()
                if left <= 0:
                    raise DeadlinePassed(self._service_name, -left)
            try:
                request_id, response = read(left)
            except InvalidMessageError as error:
                request_id = reading.request_id
                if request_id in missing:
                    self._take(call, request_id, error)
                elif request_id in self._known:
                    self._park_error(error)
                else:
                    raise
                continue
            except Exception as error:
                if reading.request_id in missing or reading.request_id not in self._known:
                    raise
                self._park_error(error)
                continue
            if request_id in missing:
                self._take(call, request_id, response)
            elif request_id is None:
                with self._lock:
                    self._take_parked(call)
                return
            else:
                self._park(request_id, response)

    def _take(self, call: AwaitedCall, request_id: int, response: JobResponse | Exception | None) -> None:
        # In this order: another thread may be waiting for the same future, and look without the lock.
        call.responses[request_id] = response
        self._known.pop(request_id, None)
        call.missing.discard(request_id)
        self.reading.request_id = None

    def _park_error(self, error: Exception) -> None:
        """Keep what came of reading the response to a request for whoever waits for that."""
        request_id = self.reading.request_id
        assert request_id is not None
        self._park(request_id, error.with_traceback(None))

    def _park(self, request_id: int, response: JobResponse | Exception | None) -> None:
        self.reading.request_id = None
        with self._lock:
            if request_id in self._known or self._is_stand_in:
                self._parked[request_id] = response
                if len(self._parked) > _MAX_PARKED_OF_STAND_IN and self._is_stand_in:
                    del self._parked[next(iter(self._parked))]
                if self._followers:
                    self._changed.notify_all()

    def lead_alone(self, channel: Hashable) -> bool:
        """Be the one who reads a channel, until ``resign``; False where somebody else does."""
        me = get_ident()
        return channel not in self._leaders and self._leaders.setdefault(channel, me) == me

    def resign(self, channel: Hashable) -> None:
        """Leave the channel to whoever waits for something there."""
        with self._lock:
            self._leaders.pop(channel, None)
            if self._followers:
                self._changed.notify_all()


class StandIn:
    """What may stand in for ``Client.get_all_responses`` as an attribute of the class, and knows who waits for what.

    It is called with a client and the arguments of the method.
    """

    def __get__(self, client: Any, _: type | None = None) -> Any:
        return self if client is None else MethodType(self, client)

    def __call__(self, client: Any, *args: Any, **kwargs: Any) -> Iterable[tuple[int, JobResponse]]:
        raise NotImplementedError

    def gather(self, client: Any, service_name: str, call: AwaitedCall, deadline: float | None) -> None:
        """Wait for the responses that a call of the client misses; see ``gather_from_stand_in``."""
        raise NotImplementedError


def gather_from_stand_in(
    get_all_responses: Callable[..., Iterable[tuple[int, JobResponse]]],
    service_name: str,
    call: AwaitedCall,
    deadline: float | None,
    stand_ins: dict[str, AwaitedResponses],
) -> None:
    """Wait for the responses that a call misses, where somebody stands in for the client's own receiving.

    Args:
        get_all_responses: what stands in for ``Client.get_all_responses``.
        service_name: the service.
        call: takes up the responses.
        deadline: when to stop, in ``monotonic`` time.
        stand_ins: what has come for others, by service.
    """
    stand_in = getattr(get_all_responses, "__func__", None)
    if isinstance(stand_in, StandIn):
        stand_in.gather(get_all_responses.__self__, service_name, call, deadline)  # type: ignore[attr-defined]
        return
    awaited = stand_ins.get(service_name)
    if awaited is None:
        awaited = stand_ins.setdefault(service_name, AwaitedResponses(service_name, is_stand_in=True))
    responses: Iterator[tuple[int, JobResponse]] | None = None

    def read(timeout: float | None) -> tuple[int | None, JobResponse | None]:
        nonlocal responses
        if responses is None:
            responses = iter(get_all_responses(service_name, receive_timeout_in_seconds=timeout))
        return next(responses, (None, None))

    awaited.gather(call.on_channel(None), read, deadline)
